"""What a way in is, and what a message is offered as: the answer to one offer, and the JSON of a message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from harness.history.events import Submitted
from harness.scenario.templates import render_body
from harness.scenario.timeline import Message

LONGEST_TEXT = 200


class DoorError(Exception):
    """A way in cannot be used at all, whatever the system does; the message says why."""


@dataclass(frozen=True)
class Submission:
    """The answer to one offer. `accepted` only where that was said; a broken exchange may have been taken."""

    result: Submitted
    code: int | None = None
    text: str = ""


class Door(Protocol):
    """One way into the system. Offers may overlap; each ends when the scenario's time-out is over."""

    async def open(self) -> None:
        """Make ready what is kept between offers, before the first one. Raises DoorError."""
        ...

    async def submit(self, message: Message) -> Submission:
        """Offer one message once. Never raises for what the system does."""
        ...

    async def close(self) -> None:
        """Let go of what is kept between offers."""
        ...


def refused(text: str, code: int | None = None) -> Submission:
    return Submission(Submitted.REFUSED, code, text[:LONGEST_TEXT])


def indeterminate(text: str, code: int | None = None) -> Submission:
    return Submission(Submitted.INDETERMINATE, code, text[:LONGEST_TEXT])


def variables(message: Message, sender: str) -> dict[str, Any]:
    """What templates may name of a message: MESSAGE_VARIABLES of harness.scenario.templates."""
    left_ms = None if message.expires_ns is None else max(0, message.expires_ns - message.at_ns) // 1_000_000
    return {
        "token": message.token,
        "to": message.recipient,
        "from": sender,
        "subject": message.subject,
        "text": message.body,
        "class": message.class_,
        "stream": message.stream,
        "headers": message.headers,
        "expires_in_ms": left_ms,
    }


def submission_body(message: Message, sender: str, template: dict[str, Any] | None) -> Any:
    """The JSON that a message is submitted as: the scenario's own form, or all there is."""
    known = variables(message, sender)
    if template is not None:
        return render_body(template, known)
    body = {key: known[key] for key in ("to", "from", "subject", "text", "class", "headers")}
    if known["expires_in_ms"] is not None:
        body["expires_in_ms"] = known["expires_in_ms"]
    return body
