"""Postmark's emails, one or a batch: who they are for, what they carry, and what is wrong with them.

Each recipient in To, Cc and Bcc is a logical message of its own; the emails of a batch are judged one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from harness.providers.http.messages import LogicalMessage
from harness.providers.presets import _postmark_errors as errors
from harness.providers.presets._mail_parts import address_of, carried, is_address, split_list
from harness.providers.presets._postmark_errors import Complaint

SERVER_ID = 23  # the number in the documentation's examples
MOST_EMAILS = 500  # of a batch
MOST_RECIPIENTS = 50  # of an email
_RECIPIENTS = ("To", "Cc", "Bcc")
_TEXTS = ("From", "To", "Cc", "Bcc", "ReplyTo", "Subject", "Tag", "TextBody", "HtmlBody", "MessageStream")
METADATA = "metadata:"  # in what is echoed: before the names of the sender's own


class Email(msgspec.Struct, frozen=True, kw_only=True):
    """One email of a request."""

    to: str
    messages: list[LogicalMessage]  # at least one
    complaint: Complaint | None


def read_email(content: Any, sha256: str) -> Email:
    if not isinstance(content, dict):
        nobody = LogicalMessage(carried=carried((), (), sha256))
        return Email(to="", messages=[nobody], complaint=errors.NOT_JSON)
    texts = (_text(content, name) for name in ("Subject", "TextBody", "HtmlBody"))
    seen = carried(_headers(content), texts, sha256)
    echo = _echo(content)
    messages = [
        LogicalMessage(recipient=address_of(mailbox), carried=seen, echo=echo)
        for field in _RECIPIENTS
        for mailbox in split_list(_text(content, field))
    ]
    return Email(
        to=_text(content, "To"),
        messages=messages or [LogicalMessage(carried=seen, echo=echo)],
        complaint=next(_complaints(content), None),
    )


def read_batch(content: Any, sha256: str) -> list[Email]:
    """The emails of a batch; empty where it is none."""
    return [read_email(each, sha256) for each in content] if isinstance(content, list) else []


def instant(epoch_s: float) -> str:
    """As in `2014-02-17T07:25:01.4178645Z`: seven places."""
    moment = datetime.fromtimestamp(epoch_s, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond * 10:07d}Z"


def _complaints(content: dict[str, Any]) -> Iterator[Complaint]:
    """Postmark tells one at a time."""
    for field in _TEXTS:
        if content.get(field) is not None and not isinstance(content[field], str):
            yield errors.wrong_field(field)
    if not is_address(address_of(_text(content, "From"))):
        yield errors.invalid_address("From", _text(content, "From"))
    count = 0
    for field in _RECIPIENTS:
        for mailbox in split_list(_text(content, field)):
            count += 1
            if not is_address(address_of(mailbox)):
                yield errors.invalid_address(field, mailbox)
    if count == 0:
        yield errors.NO_RECIPIENTS
    if count > MOST_RECIPIENTS:
        yield errors.TOO_MANY_RECIPIENTS
    if not _text(content, "TextBody") and not _text(content, "HtmlBody"):
        yield errors.NO_BODY


def _text(content: dict[str, Any], name: str) -> str:
    value = content.get(name)
    return value if isinstance(value, str) else ""


def _headers(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    headers = content.get("Headers")
    for each in headers if isinstance(headers, list) else ():
        if isinstance(each, dict):
            name, value = each.get("Name"), each.get("Value")
            if isinstance(name, str) and isinstance(value, str):
                yield name, value


def _echo(content: dict[str, Any]) -> dict[str, str]:
    """What its events tell again; the values of metadata as texts [D]."""
    found = {name: _text(content, name) for name in ("From", "Subject", "Tag", "MessageStream")}
    metadata = content.get("Metadata")
    if isinstance(metadata, dict):
        found |= {f"{METADATA}{name}": str(value) for name, value in metadata.items() if value is not None}
    return found
