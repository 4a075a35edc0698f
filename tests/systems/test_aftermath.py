"""What providers tell of mail they took: stored once, counted, and acted on."""

from __future__ import annotations

from pathlib import Path

import pytest
from mailrouter.clock import Clock
from mailrouter.config import Config
from mailrouter.events import Event, Word
from mailrouter.fate import Outcome, Result
from mailrouter.message import Message, State
from mailrouter.outbox import Outbox

from tests.systems.running import running
from tests.systems.stubs import Mood, SendGridStub, SmtpStub


class SetClock(Clock):
    seconds = 1000.0

    def now(self) -> float:
        return SetClock.seconds


CLOCK = SetClock(0.0)


def message(key: str) -> Message:
    return Message(key, f"{key}@customer.example", "shop@company.example", "s", "t", "transactional")


def event(number: int, key: str, word: str, bad_address: bool = False) -> Event:
    address = f"{key.upper()}@customer.example"
    return Event(f"e{number}", word, number, key=key, address=address, bad_address=bad_address)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.sqlite", CLOCK)


def attempted(outbox: Outbox, key: str, outcome: Outcome, state: State, route: str = "backup") -> None:
    """An attempt that ended so; a second later than the one before."""
    outbox.accept(message(key), None)
    due = outbox.next_due(bulk=False)
    assert due is not None and due.message.key == key
    attempt = outbox.claim(due, route)
    outbox.cross(attempt)
    outbox.finish(attempt, Result(outcome, provider_id=f"id of {key}"), state)
    SetClock.seconds += 1


def states(outbox: Outbox) -> dict[str, object]:
    return {str(each["key"]): each["state"] for each in outbox.listing(None)}


def test_an_event_that_is_told_twice_counts_once_and_stays_after_a_restart(
    outbox: Outbox, tmp_path: Path
) -> None:
    outbox.accept(message("a"), None)
    outbox.accept(message("b"), None)
    told = [event(1, "a", "processed"), event(2, "a", "delivered"), event(3, "nobody", "delivered")]
    assert [outbox.aftermath.learn(each) for each in told] == [True, True, True]
    again = Outbox(tmp_path / "outbox.sqlite", CLOCK)
    assert [again.aftermath.learn(each) for each in [*told, event(4, "b", "processed")]] == [
        *[False] * 3,
        True,
    ]
    assert again.aftermath.counts() == {"processed": 2, "delivered": 1}
    assert {each["key"]: each["events"] for each in again.listing(None)} == {
        "a": ["delivered", "processed"],
        "b": ["processed"],
    }


def test_a_provider_that_knows_only_its_own_names_is_understood(outbox: Outbox) -> None:
    attempted(outbox, "a", Outcome.ACCEPTED, State.SENT)
    outbox.aftermath.learn(Event("e1", Word.DELIVERED, 1, provider_id="id of a"))
    assert outbox.aftermath.counts() == {"delivered": 1}


@pytest.mark.parametrize(
    ("word", "after"),
    [*((word, State.SENT) for word in ("processed", "deferred", "delivered", "complained")),
     *((word, State.BOUNCED) for word in ("bounced", "dropped")), ("open", State.HELD)],
)  # fmt: skip
def test_any_word_of_its_fate_frees_a_held_message(outbox: Outbox, word: str, after: State) -> None:
    attempted(outbox, "a", Outcome.UNKNOWN, State.HELD)
    outbox.aftermath.learn(event(1, "a", word))
    assert states(outbox) == {"a": after}


def test_who_bounced_gets_nothing_more_by_any_spelling_and_what_waits_is_not_sent(outbox: Outbox) -> None:
    attempted(outbox, "a", Outcome.ACCEPTED, State.SENT)
    waiting = Message("b", "Ann <a@CUSTOMER.example>", "shop@company.example", "s", "t", "transactional")
    outbox.accept(waiting, None)
    outbox.aftermath.learn(event(1, "a", "bounced", bad_address=True))
    assert states(outbox) == {"a": State.BOUNCED, "b": State.SUPPRESSED}
    again = Message("c", "a@customer.example", "shop@company.example", "s", "t", "marketing")
    assert outbox.accept(again, None)[1] is State.SUPPRESSED
    assert outbox.next_due(bulk=False) is outbox.next_due(bulk=True) is None


def test_a_bounce_that_says_nothing_against_the_address_suppresses_nobody(outbox: Outbox) -> None:
    attempted(outbox, "a", Outcome.ACCEPTED, State.SENT)
    outbox.aftermath.learn(event(1, "a", "bounced"))
    assert outbox.aftermath.suppression("a@customer.example") is None


class TestAssumingThatItWasNotTaken:
    """Only what has been held for long enough, on a route whose events came in for later messages."""

    def test_with_events_of_a_later_message_it_is_let_go(self, outbox: Outbox) -> None:
        attempted(outbox, "a", Outcome.UNKNOWN, State.HELD)
        attempted(outbox, "b", Outcome.ACCEPTED, State.SENT)
        assert outbox.assume_not_taken(0.5) == 0
        outbox.aftermath.learn(event(1, "b", "processed"))
        assert outbox.assume_not_taken(60) == 0
        assert outbox.assume_not_taken(0.5) == 1
        assert states(outbox)["a"] == State.PENDING

    def test_events_of_an_earlier_message_or_another_route_prove_nothing(self, outbox: Outbox) -> None:
        attempted(outbox, "z", Outcome.ACCEPTED, State.SENT)
        attempted(outbox, "a", Outcome.UNKNOWN, State.HELD)
        attempted(outbox, "b", Outcome.ACCEPTED, State.SENT, route="primary")
        for number, key in enumerate("zb"):
            outbox.aftermath.learn(event(number, key, "processed"))
        assert outbox.assume_not_taken(0.5) == 0

    def test_a_message_of_which_events_tell_is_not_let_go(self, outbox: Outbox) -> None:
        attempted(outbox, "a", Outcome.UNKNOWN, State.HELD)
        attempted(outbox, "b", Outcome.ACCEPTED, State.SENT)
        for number, (key, word) in enumerate([("a", "open"), ("b", "processed")]):
            outbox.aftermath.learn(event(number, key, word))
        assert outbox.assume_not_taken(0.5) == 0


def sendgrid(number: int, key: str, what: str, **more: object) -> dict[str, object]:
    return {"sg_event_id": f"e{number}", "key": key, "event": what, "timestamp": 1_800_000_000, **more}


async def test_what_became_of_mail_is_told_by_the_provider_and_shown(config: Config) -> None:
    async with running(config) as client:
        await client.submit("c.one")
        await client.until_quiet()
        told = [sendgrid(1, "c.one", "processed"), sendgrid(2, "c.one", "delivered")]
        told.append(sendgrid(3, "nobody", "delivered"))
        assert (await client.http.post("/events/sendgrid", json=told)).json() == {"new": 3}
        assert (await client.http.post("/events/sendgrid", json=told[1:])).json() == {"new": 0}
        assert (await client.status())["events"] == {"processed": 1, "delivered": 1}
        (listed,) = (await client.http.get("/messages")).json()["messages"]
        assert (listed["key"], listed["events"]) == ("c.one", ["delivered", "processed"])
        for nonsense in (b"{", b"7", b'["text"]', b'[{"event": "delivered"}]'):
            assert (await client.http.post("/events/sendgrid", content=nonsense)).status_code == 400
        assert (await client.http.post("/events/pigeon", json=[])).status_code == 404


async def test_events_without_the_signature_that_is_configured_change_nothing(config: Config) -> None:
    key = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7"
    key += "yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA=="  # the example in SendGrid's documentation
    async with running(config, events_key_backup=key) as client:
        await client.submit("c.one")
        await client.until_quiet()
        told = [sendgrid(1, "c.one", "bounce", email="c.one@customer.example")]
        assert (await client.http.post("/events/sendgrid", json=told)).status_code == 401
        assert await client.state_of("c.one") == "sent"


async def test_a_key_that_is_none_is_our_mistake_and_the_events_come_again(config: Config) -> None:
    async with running(config, events_key_backup="bm8ga2V5") as client:
        answer = await client.http.post("/events/sendgrid", json=[sendgrid(1, "c.one", "delivered")])
        assert (answer.status_code, "EVENTS_KEY" in client.log.getvalue()) == (500, True)


async def test_an_event_that_is_faster_than_its_answer_keeps_the_message_from_being_held(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    api.mood = Mood.HANGS_AFTER
    async with running(config, send_timeout_s=2.0, failback_after_s=60) as client:
        await client.http.post("/operator/switch", json={"route": "backup"})
        await client.submit("c.one")
        await client.until(lambda: _true(bool(api.copies())))
        await client.http.post("/events/sendgrid", json=[sendgrid(1, "c.one", "processed")])
        await client.until_state("c.one", "sent")
    assert (smtp.copies() + api.copies()).total() == 1


async def test_a_recipient_who_is_refused_is_not_tried_again_by_any_route(
    config: Config, smtp: SmtpStub, api: SendGridStub
) -> None:
    smtp.mood = Mood.REJECTS
    async with running(config) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "failed")
        await client.http.post("/operator/switch", json={"route": "backup"})
        again = await client.submit("c.two", to="C.One@customer.example")
        assert again.json()["state"] == "suppressed"
        await client.until_quiet()
        assert "attempt key=c.two" not in client.log.getvalue()
    assert not api.copies() and not smtp.copies()


async def _true(condition: bool) -> bool:
    return condition
