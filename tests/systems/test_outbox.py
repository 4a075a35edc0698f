"""The outbox alone, and what is left in it when the process dies at any point of an attempt."""

from __future__ import annotations

from pathlib import Path

import pytest
from mailrouter.clock import Clock
from mailrouter.fate import Outcome, Result
from mailrouter.message import BadMessage, Message, State
from mailrouter.outbox import Outbox


class SetClock(Clock):
    seconds = 1000.0

    def now(self) -> float:
        return SetClock.seconds


CLOCK = SetClock(0.0)


def message(key: str, class_: str = "transactional") -> Message:
    return Message(key, f"{key}@customer.example", "shop@company.example", "s", "t", class_)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


def reopened(path: Path) -> Outbox:
    """A second connection sees what a process after kill -9 would: what was committed."""
    return Outbox(path, CLOCK)


def test_a_key_is_stored_once(path: Path) -> None:
    outbox = Outbox(path, CLOCK)
    first, _, new = outbox.accept(message("a"), None)
    again, state, new_again = outbox.accept(message("a"), None)
    assert (first, new, new_again, state) == (again, True, False, State.PENDING)


def test_a_claimed_message_is_never_picked_again(path: Path) -> None:
    outbox = Outbox(path, CLOCK)
    outbox.accept(message("a"), None)
    due = outbox.next_due(bulk=False)
    assert due is not None
    outbox.claim(due, "primary")
    assert outbox.next_due(bulk=False) is None


@pytest.mark.parametrize(
    ("crossed", "finished", "after"),
    [
        (False, False, State.PENDING),
        (True, False, State.HELD),
        (True, True, State.SENT),
    ],
)
def test_a_crash_leaves_a_message_where_its_fate_puts_it(
    path: Path, crossed: bool, finished: bool, after: State
) -> None:
    outbox = Outbox(path, CLOCK)
    outbox.accept(message("a"), None)
    due = outbox.next_due(bulk=False)
    assert due is not None
    attempt = outbox.claim(due, "primary")
    if crossed:
        outbox.cross(attempt)
    if finished:
        outbox.finish(attempt, Result(Outcome.ACCEPTED, 250), State.SENT)
    revived = reopened(path)
    revived.recover()
    assert revived.listing(None)[0]["state"] == after


def test_an_earlier_attempt_that_was_refused_does_not_make_a_later_one_doubtful(path: Path) -> None:
    outbox = Outbox(path, CLOCK)
    outbox.accept(message("a"), None)
    for crosses in (True, False):
        due = outbox.next_due(bulk=False)
        assert due is not None
        attempt = outbox.claim(due, "primary")
        if crosses:
            outbox.cross(attempt)
            outbox.finish(attempt, Result(Outcome.TROUBLE, 451), State.PENDING)
    assert reopened(path).recover() == (0, 1)


def test_mail_that_expires_while_it_waits_is_not_picked(path: Path) -> None:
    outbox = Outbox(path, CLOCK)
    outbox.accept(message("a"), expires_ms=CLOCK.wall_ms())
    assert outbox.expire() == 1
    assert outbox.next_due(bulk=False) is None
    assert outbox.counts()[State.EXPIRED] == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"to": "nobody"},
        {"to": "a@b.example>\r\nRCPT TO:<x@y.example"},
        {"subject": "line\r\nBcc: x@y.example"},
        {"headers": {"X": "a\nb"}},
        {"text": 7},
    ],
)
def test_what_cannot_be_sent_is_refused_at_the_door(wrong: dict[str, object]) -> None:
    right = {"to": "a@b.example", "from": "c@d.example", "subject": "s", "text": "t", "class": "marketing"}
    Message.submitted("key", right)
    with pytest.raises(BadMessage):
        Message.submitted("key", {**right, **wrong})
