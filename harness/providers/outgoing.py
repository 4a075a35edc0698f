"""What leaves a provider for one recipient: the message (RFC 5322) that it makes of a body it took.

A provider with an API is handed fields, not a message; its preset says how they become one (`Outgoing`). A
message that was handed over leaves as it came, and gets the Date and Message-ID that it lacks. Signatures are
not made here: who signs is a matter of the scenario, and needs the run's keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP
from email.utils import formatdate
from typing import Any

import msgspec

_OF_THE_PROVIDER = frozenset(
    {"date", "message-id", "mime-version", "content-type", "from", "to", "cc", "bcc"}
)


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """One hand-over, for one of its recipients."""

    body: bytes  # as stored: a message by SMTP, the body of a request by HTTP
    recipient: str
    token: str | None = None
    sender: str | None = None  # who sends it by the protocol: MAIL FROM, the mailbox of a path
    id: str = ""  # of the hand-over; the provider's Message-ID is made of it
    wall_s: float = 0.0


Outgoing = Callable[[Taken], bytes]
"""Raises ValueError where the stored body makes no message."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a request says of one message."""

    sender: str
    to: Sequence[str] = ()
    cc: Sequence[str] = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    headers: Sequence[tuple[str, str]] = ()


def compose(taken: Taken, content: Content, *, id_domain: str) -> bytes:
    """A message with CRLF line ends, as a provider makes it of fields."""
    message = EmailMessage(policy=SMTP)
    message["From"] = _line(content.sender)
    message["To"] = ", ".join(map(_line, content.to)) or taken.recipient
    if content.cc:
        message["Cc"] = ", ".join(map(_line, content.cc))
    message["Subject"] = _line(content.subject)
    message["Date"] = formatdate(taken.wall_s, usegmt=True)
    message["Message-ID"] = f"<{taken.id}@{id_domain}>"
    for name, value in content.headers:
        if name.lower() not in _OF_THE_PROVIDER and name.lower() not in ("subject", "reply-to"):
            message[name] = _line(value)
    if content.text or not content.html:
        message.set_content(content.text)
        if content.html:
            message.add_alternative(content.html, subtype="html")
    else:
        message.set_content(content.html, subtype="html")
    return message.as_bytes()


def as_it_came(taken: Taken) -> bytes:
    """A message that was handed over as such."""
    return completed(taken, taken.body, id_domain="smtp.example")


def completed(taken: Taken, message: bytes, *, id_domain: str) -> bytes:
    """With CRLF line ends, and what every message must have."""
    message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    there = BytesHeaderParser().parsebytes(message)
    added = ""
    if "Date" not in there:
        added += f"Date: {formatdate(taken.wall_s, usegmt=True)}\r\n"
    if "Message-ID" not in there:
        added += f"Message-ID: <{taken.id}@{id_domain}>\r\n"
    return added.encode() + message


def the_one(taken: Taken, candidates: Iterable[Any], recipients_of: Callable[[Any], Iterable[str]]) -> Any:
    """Of several messages in one request the one for this recipient, and with this token where two are.

    Raises ValueError where none is.
    """
    wanted = taken.recipient.lower()
    found = [each for each in candidates if wanted in (one.lower() for one in recipients_of(each))]
    if not found:
        raise ValueError(f"the request names no {taken.recipient}")
    token = (taken.token or "").encode()
    return next((each for each in found if token and token in msgspec.json.encode(each)), found[0])


def _line(value: str) -> str:
    """A header's value may not break the line."""
    return " ".join(value.split())
