"""What becomes of a message that was taken: its fate, who is suppressed, and what is told of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness.history.events import ProviderEvent, ReceiptResult
from harness.providers import aftermath, webhooks
from harness.providers.errors import FaultRefused
from harness.providers.webhooks import Happening
from harness.providers.wire import ProviderFault
from tests.providers.test_webhooks import Receiver, Sender, Shape, receiver
from tests.waiting import until


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "DELIVERY_S", 0.005)
    monkeypatch.setattr(webhooks, "UNTOLD_EVERY_S", 0.01)


class Recording(Shape):
    """Keeps what it was asked to tell."""

    def __init__(self) -> None:
        self.told: list[Happening] = []

    def posts(self, happenings: Any, signing: Any) -> Any:
        self.told += happenings
        return super().posts(happenings, signing)

    def of(self, event: str) -> Happening:
        (found,) = [each for each in self.told if each.event == event]
        return found


@asynccontextmanager
async def told() -> AsyncIterator[tuple[Sender, Recording, Receiver]]:
    shape = Recording()
    async with receiver() as listening:
        sender = Sender(listening.url, shape)
        yield sender, shape, listening
        await sender.webhooks.close()


def fault(**attributes: Any) -> ProviderFault:
    return ProviderFault(id="f", **attributes)


def words(sender: Sender, token: str) -> list[str]:
    return [each.event for each in sender.events() if each.token == token]


class TestFates:
    @pytest.mark.parametrize(
        ("event", "told_events"),
        [
            (None, ["processed", "bounced"]),
            ("bounced", ["processed", "bounced"]),
            ("complained", ["processed", "delivered", "complained"]),
            ("dropped", ["dropped"]),
            ("deferred", ["processed", "deferred", "delivered"]),
        ],
    )
    async def test_each_has_its_events_in_order(self, event: str | None, told_events: list[str]) -> None:
        async with told() as (sender, shape, _):
            sender.faults.put(fault(type="bounce", event=event))
            sender.take("t1")
            assert await sender.webhooks.settle(5)
            assert [each.event for each in shape.told] == told_events
            assert sorted(words(sender, "t1")) == sorted(told_events)

    async def test_a_bounce_is_hard_unless_its_code_says_otherwise(self) -> None:
        async with told() as (sender, shape, _):
            sender.faults.put(fault(type="bounce"))
            sender.take("t1")
            assert await sender.webhooks.settle(5)
            assert (shape.of("bounced").permanent, shape.of("bounced").cause) == (True, aftermath.HARD_BOUNCE)
            shape.told.clear()
            sender.faults.put(fault(type="bounce", code=452))
            sender.take("t2")
            assert await sender.webhooks.settle(5)
            assert not shape.of("bounced").permanent
            assert shape.of("bounced").cause == aftermath.SOFT_BOUNCE
            shape.told.clear()
            sender.faults.put(fault(type="bounce", code=554, text="5.7.1 Blocked"))
            sender.take("t3")
            assert await sender.webhooks.settle(5)
            assert (shape.of("bounced").permanent, shape.of("bounced").cause) == (True, "554 5.7.1 Blocked")

    async def test_the_selection_is_that_of_every_fault(self) -> None:
        async with told() as (sender, _, _):
            sender.faults.put(fault(type="bounce", recipient="c.*2@*"))
            for token in ("t1", "t2", "t12"):
                sender.take(token)
            assert await sender.webhooks.settle(5)
            assert [words(sender, each)[-1] for each in ("t1", "t2", "t12")] == [
                "delivered",
                "bounced",
                "bounced",
            ]
            (status,) = sender.faults.list()
            assert (status.matched, status.acted) == (2, 2)

    async def test_the_class_is_that_of_the_message(self) -> None:
        async with told() as (sender, _, _):
            sender.faults.put(fault(type="bounce", class_="marketing"))
            sender.take("t1", class_="transactional")
            sender.take("t2", class_="marketing")
            assert await sender.webhooks.settle(5)
            assert (words(sender, "t1")[-1], words(sender, "t2")[-1]) == ("delivered", "bounced")

    async def test_what_was_not_taken_has_no_fate_and_counts_for_nothing(self) -> None:
        async with told() as (sender, _, _):
            sender.faults.put(fault(type="bounce"))
            sender.take("t1", ReceiptResult.REFUSED)
            assert sender.faults.list()[0].matched == 0
            assert await sender.webhooks.settle(5)
            assert sender.events() == []


class TestSuppression:
    async def test_a_hard_bounce_suppresses_from_the_moment_it_came_back(self) -> None:
        async with told() as (sender, shape, _):
            sender.faults.put(fault(type="bounce", count=1))
            first = sender.take("t1")
            assert not sender.aftermath.is_suppressed("backup", first.recipient)
            await until(lambda: sender.aftermath.is_suppressed("backup", first.recipient))
            assert sender.aftermath.is_suppressed("backup", (first.recipient or "").upper())
            assert not sender.aftermath.is_suppressed("primary", first.recipient)  # another account
            assert not sender.aftermath.is_suppressed("backup", None)
            sender.take("t1")
            assert await sender.webhooks.settle(5)
            assert sorted(words(sender, "t1")) == ["bounced", "dropped", "processed"]
            assert shape.of("dropped").suppressed_by is webhooks.Fate.BOUNCED

    async def test_a_complaint_does_so_too_and_is_told_apart(self) -> None:
        async with told() as (sender, shape, _):
            sender.faults.put(fault(type="bounce", event="complained", count=1))
            first = sender.take("t1")
            await until(lambda: sender.aftermath.is_suppressed("backup", first.recipient))
            sender.take("t1")
            assert await sender.webhooks.settle(5)
            assert shape.of("dropped").suppressed_by is webhooks.Fate.COMPLAINED

    @pytest.mark.parametrize("attributes", [{"code": 450}, {"event": "deferred"}, {"event": "dropped"}])
    async def test_what_is_not_for_good_does_not(self, attributes: dict[str, Any]) -> None:
        async with told() as (sender, _, _):
            sender.faults.put(fault(type="bounce", **attributes))
            first = sender.take("t1")
            assert await sender.webhooks.settle(5)
            assert not sender.aftermath.is_suppressed("backup", first.recipient)

    async def test_a_fault_does_not_count_what_is_dropped_anyway(self) -> None:
        async with told() as (sender, _, _):
            sender.faults.put(fault(type="bounce"))
            first = sender.take("t1")
            await until(lambda: sender.aftermath.is_suppressed("backup", first.recipient))
            sender.take("t1")
            assert sender.faults.list()[0].acted == 1


class TestTelling:
    async def test_lost_events_happen_and_are_never_told(self) -> None:
        async with told() as (sender, _, listening):
            sender.faults.put(fault(type="events-lost"))
            sender.take("t1")
            assert await sender.webhooks.settle(5)
            assert sender.fates() == [("t1", "delivered", "lost"), ("t1", "processed", "lost")]
            assert listening.posts == 0

    async def test_late_events_are_told_so_much_later_with_the_time_at_which_they_happened(self) -> None:
        async with told() as (sender, shape, listening):
            sender.faults.put(fault(type="events-late", delay_s=1.5, nth=1))
            sender.take("t1")
            sender.take("t2")
            await until(lambda: len(words(sender, "t2")) == 2)
            assert words(sender, "t1") == []
            assert await sender.webhooks.settle(5)
            assert [fate for fate in sender.fates() if fate[0] == "t1"] == [
                ("t1", "delivered", "late"),
                ("t1", "processed", "late"),
            ]
            late = [each for each in sender.events() if each.token == "t1"]
            assert all((each.delay_ns or 0) >= 1_400_000_000 for each in late)
            happened = {each.receipt.token: each.at_s for each in shape.told if each.event == "processed"}
            assert abs(happened["t1"] - happened["t2"]) < 1.0
            assert sorted(listening.taken) == ["delivered"] * 2 + ["processed"] * 2

    async def test_late_events_that_are_not_told_by_the_end_are_lost(self) -> None:
        async with told() as (sender, _, listening):
            sender.faults.put(fault(type="events-late", delay_s=60))
            sender.take("t1")
            assert not await sender.webhooks.settle(0.05)
            assert await sender.webhooks.settle(0.05, last=True)
            assert {webhook for _, _, webhook in sender.fates()} == {"lost"}
            assert listening.posts == 0


class TestNobodyListens:
    async def test_what_differs_from_the_usual_is_journalled_and_told_to_nobody(self) -> None:
        sender = Sender(None)
        sender.faults.put(fault(type="bounce", nth=2))
        for token in ("t1", "t2", "t3"):
            sender.take(token)
        assert await sender.webhooks.settle(5)
        assert sender.fates() == [("t2", "bounced", "none"), ("t2", "processed", "none")]
        assert sender.aftermath.is_suppressed("backup", "c.t2@customer.example")
        await sender.webhooks.close()

    async def test_an_engine_without_events_of_its_own_has_the_same_fates(self) -> None:
        sender = Sender(None, without_shape=True)
        sender.faults.put(fault(type="bounce"))
        sender.take("t1")
        assert await sender.webhooks.settle(5)
        assert sender.fates() == [("t1", "bounced", "none")]
        await sender.webhooks.close()

    async def test_what_is_still_to_come_at_the_end_is_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(webhooks, "DELIVERY_S", 60)
        sender = Sender(None)
        sender.faults.put(fault(type="bounce"))
        sender.take("t1")
        await sender.webhooks.close()
        assert ("t1", "bounced", "none") in sender.fates()


class TestTheHarnessCanary:
    @pytest.mark.parametrize(
        ("attributes", "events"),
        [
            ({"type": "bounce"}, [("bounced", "none"), ("processed", "none")]),
            ({"type": "events-lost"}, [("delivered", "lost"), ("processed", "lost")]),
            ({"type": "events-late", "delay_s": 60.0}, [("delivered", "late"), ("processed", "late")]),
        ],
    )
    async def test_it_proves_a_fault_in_the_journal_and_nobody_is_told(
        self, attributes: dict[str, Any], events: list[tuple[str, str]]
    ) -> None:
        async with told() as (sender, _, listening):
            sender.faults.put(fault(**attributes))
            sender.take("canary0001", canary="harness")
            assert await sender.webhooks.settle(5)
            assert [(event, webhook) for _, event, webhook in sender.fates()] == events
            assert listening.posts == 0
            assert sender.faults.list()[0].acted == 0  # it is never counted

    async def test_without_a_fault_it_is_delivered_and_that_is_in_the_journal(self) -> None:
        async with told() as (sender, _, listening):
            sender.take("canary0001", canary="harness")
            assert await sender.webhooks.settle(5)
            assert ("canary0001", "delivered", "none") in sender.fates()
            assert listening.posts == 0

    async def test_it_is_told_how_late_it_would_have_been(self) -> None:
        async with told() as (sender, _, _):
            sender.faults.put(fault(type="events-late", delay_s=60.0))
            sender.take("canary0001", canary="harness")
            assert await sender.webhooks.settle(5)
            assert {each.delay_ns for each in sender.events()} == {60_000_000_000}

    async def test_its_bounce_suppresses_nobody(self) -> None:
        async with told() as (sender, _, _):
            sender.faults.put(fault(type="bounce"))
            receipt = sender.take("canary0001", canary="harness")
            assert await sender.webhooks.settle(5)
            assert not sender.aftermath.is_suppressed("backup", receipt.recipient)


class TestWhatIsTakenForAFault:
    @pytest.mark.parametrize(
        ("attributes", "complaint"),
        [
            ({"type": "bounce", "event": "opened"}, "none of bounced, complained, dropped, deferred"),
            ({"type": "bounce", "event": "delivered"}, "none of bounced"),
            ({"type": "bounce", "code": 250}, "400 to 599"),
            ({"type": "bounce", "event": "complained", "code": 550}, "the mailbox's answer"),
            ({"type": "bounce", "event": "deferred", "code": 550}, "for good"),
            ({"type": "bounce", "event": "complained", "text": "spam"}, "no text"),
            ({"type": "bounce", "delay_s": 3.0}, "no use for delay_s"),
            ({"type": "bounce", "stage": "body"}, "no use for stage"),
            ({"type": "bounce", "endpoint": "token"}, "carries none"),
            ({"type": "events-lost", "event": "bounced"}, "no use for event"),
            ({"type": "events-late"}, "needs delay_s"),
            ({"type": "events-late", "delay_s": 0.0}, "needs delay_s"),
            ({"type": "events-late", "delay_s": 4_000.0}, "at most 3600"),
        ],
    )
    def test_what_means_nothing_is_refused(self, attributes: dict[str, Any], complaint: str) -> None:
        with pytest.raises(FaultRefused, match=complaint):
            aftermath.place(fault(**attributes))


async def test_every_event_is_one_of_the_journal_s_own_words() -> None:
    async with told() as (sender, _, _):
        sender.faults.put(fault(type="bounce", event="deferred"))
        sender.take("t1")
        assert await sender.webhooks.settle(5)
        # This shape tells nothing of a delay: that is journalled as told to nobody.
        assert ("t1", "deferred", "none") in sender.fates()
        assert all(isinstance(each, ProviderEvent) for each in sender.events())
