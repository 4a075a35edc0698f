"""The driver is open-loop: what the system does never moves the schedule."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from harness.conduct import driver as driver_module
from harness.conduct.driver import Driver
from harness.history.events import AnyEvent, HarnessWarning, MessageSubmitted, MessageSubmitting, Submitted
from harness.history.journal import Journal
from harness.scenario.timeline import Message
from harness.testbed.system.doors.base import Submission, variables

MS = 1_000_000


class ScriptedSystem:
    """Answers each offer of a token with the next of its answers, the last one for ever."""

    def __init__(self, *answers: Submitted, takes_s: float = 0.0) -> None:
        self.answers = list(answers)
        self.takes_s = takes_s
        self.offers: dict[str, int] = {}

    async def submit(self, message: Message) -> Submission:
        number = self.offers[message.token] = self.offers.get(message.token, 0) + 1
        await asyncio.sleep(self.takes_s)
        return Submission(self.answers[min(number, len(self.answers)) - 1])


@pytest.fixture
def journal(tmp_path):
    started_ns = time.monotonic_ns()
    journal = Journal(tmp_path / "h.jsonl", "r", lambda: time.monotonic_ns() - started_ns)
    yield journal
    journal.close()


def messages(count: int, every_ms: int) -> list[Message]:
    return [
        Message(
            at_ns=n * every_ms * MS,
            token=f"t{n}",
            recipient=f"c.t{n}@customer.example",
            stream="receipts",
            class_="transactional",
            subject="s",
            body="b",
            within_ns=1000 * MS,
            expires_ns=n * every_ms * MS + 5000 * MS,
        )
        for n in range(count)
    ]


def recorded(journal: Journal) -> list[AnyEvent]:
    return [msgspec.json.decode(line, type=AnyEvent) for line in journal.path.read_bytes().splitlines()]


async def test_a_system_that_never_answers_in_time_does_not_slow_the_schedule(journal):
    driver = Driver(ScriptedSystem(Submitted.ACCEPTED, takes_s=0.5), journal)
    begin_ns = journal.now_ns()
    await driver.send(messages(10, 10), begin_ns)
    # Ten messages 10 ms apart were all offered long before the first answer.
    assert journal.now_ns() - begin_ns < 400 * MS
    await driver.finish()
    offered = [e for e in recorded(journal) if isinstance(e, MessageSubmitting)]
    assert [e.scheduled_ns - begin_ns for e in offered] == [n * 10 * MS for n in range(10)]
    assert all(e.t_ns >= e.scheduled_ns for e in offered)
    assert offered[3].expires_ns == begin_ns + 5030 * MS


@pytest.mark.parametrize("first", [Submitted.REFUSED, Submitted.INDETERMINATE])
async def test_what_is_not_accepted_is_offered_again_under_the_same_token(journal, monkeypatch, first):
    monkeypatch.setattr(driver_module, "OFFER_AGAIN_EVERY_S", 0.01)
    driver = Driver(ScriptedSystem(first, first, Submitted.ACCEPTED), journal)
    await driver.send(messages(1, 0), journal.now_ns())
    await driver.finish()
    events = recorded(journal)
    assert [e.offer for e in events if isinstance(e, MessageSubmitting)] == [1, 2, 3]
    assert [e.result for e in events if isinstance(e, MessageSubmitted)] == [first, first, Submitted.ACCEPTED]
    scheduled = {e.scheduled_ns for e in events if isinstance(e, MessageSubmitting)}
    assert len(scheduled) == 1, "lateness counts from the first scheduled time"


async def test_offering_again_has_an_end(journal, monkeypatch):
    monkeypatch.setattr(driver_module, "OFFER_AGAIN_EVERY_S", 0.01)
    monkeypatch.setattr(driver_module, "OFFER_AGAIN_FOR_NS", 50 * MS)
    system = ScriptedSystem(Submitted.REFUSED)
    driver = Driver(system, journal)
    await driver.send(messages(1, 0), journal.now_ns())
    await driver.finish()
    assert 2 <= system.offers["t0"] <= 8


async def test_a_late_driver_says_so(journal):
    driver = Driver(ScriptedSystem(Submitted.ACCEPTED), journal)
    # The origin lies half a second back: every first offer is late by that much.
    await driver.send(messages(3, 1), journal.now_ns() - 500 * MS)
    await driver.finish()
    warnings = [e for e in recorded(journal) if isinstance(e, HarnessWarning)]
    assert [w.warning for w in warnings] == ["late-driver"]


async def test_a_punctual_driver_says_nothing(journal):
    driver = Driver(ScriptedSystem(Submitted.ACCEPTED), journal)
    await driver.send(messages(3, 1), journal.now_ns() + 5 * MS)
    await driver.finish()
    assert not [e for e in recorded(journal) if isinstance(e, HarnessWarning)]


async def test_what_expires_is_offered_with_the_time_that_is_left(journal):
    """However late the offer; with the next one it is the same message again."""
    told: list[int | None] = []

    class Told(ScriptedSystem):
        async def submit(self, message: Message) -> Submission:
            told.append(variables(message, "a@sender.example")["expires_in_ms"])
            return await super().submit(message)

    driver = Driver(Told(Submitted.REFUSED, Submitted.ACCEPTED), journal)
    await driver.send(messages(1, every_ms=10), journal.now_ns() - 2000 * MS)  # 2 s late
    await driver.finish()
    first, second = told
    assert first is not None
    assert second == first <= 3000
