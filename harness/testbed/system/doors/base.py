"""What a way in is, and what a message is offered as: the answer to one offer, and the default JSON body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from harness.history.events import Submitted
from harness.scenario.templates import render_body
from harness.scenario.timeline import Message

SUBMIT_TIMEOUT_S = 5.0
SENDER = "no-reply@shop.example"
LONGEST_TEXT = 200


@dataclass(frozen=True)
class Submission:
    """The answer to one offer. `accepted` only where that was said; a broken exchange may have been taken."""

    result: Submitted
    code: int | None = None
    text: str = ""


class Door(Protocol):
    """One way into the system. Offers may overlap; none may take longer than SUBMIT_TIMEOUT_S or so."""

    async def submit(self, message: Message) -> Submission:
        """Offer one message once. Never raises for what the system does."""
        ...

    async def close(self) -> None:
        """Let go of what is kept between offers."""
        ...


def submission_body(message: Message, template: dict[str, Any] | None) -> Any:
    """The JSON that a message is submitted as: the scenario's own form, or all there is."""
    expires_in_ms = max(0, message.expires_ns - message.at_ns) // 1_000_000 if message.expires_ns else None
    body: dict[str, Any] = {
        "to": message.recipient,
        "from": SENDER,
        "subject": message.subject,
        "text": message.body,
        "class": message.class_,
        "headers": message.headers,
    }
    if template is not None:
        extra = {"token": message.token, "stream": message.stream, "expires_in_ms": expires_in_ms}
        return render_body(template, {**body, **extra})
    return body if expires_in_ms is None else {**body, "expires_in_ms": expires_in_ms}
