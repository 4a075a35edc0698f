"""Resend's emails, one or a batch: who they are for, what they carry, and what is wrong with them.

Each recipient in to, cc and bcc is a logical message of its own. A batch is taken whole or not at all, unless
its request asks for `permissive` validation: then what is valid goes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from harness.providers.http.messages import LogicalMessage
from harness.providers.presets import _resend_errors as errors
from harness.providers.presets._mail_parts import address_of, carried, is_address
from harness.providers.presets._resend_errors import Error

MOST_EMAILS = 100  # of a batch
MOST_RECIPIENTS = 50  # of `to`
_RECIPIENTS = ("to", "cc", "bcc")
TAG = "tag:"  # in what is echoed: before the names of the sender's own


class Email(msgspec.Struct, frozen=True, kw_only=True):
    """One email of a request."""

    sender: str
    messages: list[LogicalMessage]  # at least one
    error: Error | None


def read_email(content: Any, sha256: str) -> Email:
    if not isinstance(content, dict):
        nobody = LogicalMessage(carried=carried((), (), sha256))
        return Email(sender="", messages=[nobody], error=errors.NOT_AN_EMAIL)
    texts = [value for name in ("subject", "text", "html") if isinstance(value := content.get(name), str)]
    seen = carried(_headers(content), texts, sha256)
    echo = _echo(content)
    messages = [
        LogicalMessage(recipient=address_of(mailbox), carried=seen, echo=echo)
        for field in _RECIPIENTS
        for mailbox in _mailboxes(content.get(field))
    ]
    return Email(
        sender=echo["from"],
        messages=messages or [LogicalMessage(carried=seen, echo=echo)],
        error=next(_errors(content), None),
    )


def read_batch(content: Any, sha256: str) -> list[Email]:
    """The emails of a batch; empty where it is none."""
    return [read_email(each, sha256) for each in content] if isinstance(content, list) else []


def _errors(content: dict[str, Any]) -> Iterator[Error]:
    """Resend tells one at a time."""
    for field in ("from", "to"):
        if not content.get(field):
            yield errors.missing(field)
    if not content.get("template"):
        if not content.get("subject"):
            yield errors.missing("subject")
        if not content.get("html") and not content.get("text"):
            yield errors.NO_CONTENT
    for field in ("from", *_RECIPIENTS, "reply_to"):
        value = content.get(field)
        given = value if isinstance(value, list) else [value] if value else []
        if not all(isinstance(each, str) and is_address(address_of(each)) for each in given):
            yield errors.invalid_address(field)
    if len(_mailboxes(content.get("to"))) > MOST_RECIPIENTS:
        yield errors.TOO_MANY_RECIPIENTS


def _mailboxes(value: Any) -> list[str]:
    """A recipient, or a list of them."""
    given = value if isinstance(value, list) else [value]
    return [each for each in given if isinstance(each, str) and each]


def _headers(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    headers = content.get("headers")
    if isinstance(headers, dict):
        yield from ((name, value) for name, value in headers.items() if isinstance(value, str))


def _echo(content: dict[str, Any]) -> dict[str, str]:
    """What its events tell again."""
    found = {
        name: value if isinstance(value := content.get(name), str) else "" for name in ("from", "subject")
    }
    tags = content.get("tags")
    for tag in tags if isinstance(tags, list) else ():
        if isinstance(tag, dict) and isinstance(name := tag.get("name"), str):
            found[f"{TAG}{name}"] = str(tag.get("value", ""))
    return found
