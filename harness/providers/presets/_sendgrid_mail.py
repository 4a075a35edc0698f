"""The body of SendGrid's POST /v3/mail/send: who it is for, and what SendGrid would say is wrong with it.

Reading recipients is lenient and checking is strict, so that a refused request still names its messages.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from harness.providers.http.messages import LogicalMessage
from harness.providers.presets import _sendgrid_errors as errors
from harness.providers.presets._sendgrid_errors import Complaint
from harness.providers.tokens import Carried, read_content, recipient_token

KINDS = ("to", "cc", "bcc")
MAX_PERSONALIZATIONS = 1000
MAX_RECIPIENTS = 1000
_RESERVED_HEADERS = frozenset(
    {
        "x-sg-id",
        "x-sg-eid",
        "received",
        "dkim-signature",
        "content-type",
        "content-transfer-encoding",
        "to",
        "from",
        "subject",
        "reply-to",
        "cc",
        "bcc",
    }
)
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+\.[^\s@<>.]+")
_PARTIAL_EMAIL = re.compile(rb'"email"\s*:\s*"([^"\\]{1,320})"')
_PARTIAL_HEADER = re.compile(rb'"(x-harness-[a-z]+)"\s*:\s*"([^"\\]*)"', re.IGNORECASE)


def decode(raw: bytes) -> Any:
    """The JSON value, or None where it is none; SendGrid says the same of both."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def read_messages(mail: Any, raw: bytes) -> list[LogicalMessage]:
    """One logical message for each recipient that can be read; one without recipient if there is none."""
    shared = _carried(_object(mail, "headers"), _content(mail), raw)
    messages = []
    for personalization in _list(mail, "personalizations"):
        carried = _override(shared, personalization)
        echo = _custom_args(mail) | _custom_args(personalization)
        for kind in KINDS:
            for contact in _list(personalization, kind):
                email = contact.get("email") if isinstance(contact, dict) else None
                if isinstance(email, str):
                    messages.append(LogicalMessage(recipient=email, carried=carried, echo=echo))
    return messages or [LogicalMessage(carried=shared)]


def glimpse_messages(raw: bytes) -> list[LogicalMessage]:
    """The same of a body that was cut short: what looks like one of the harness's own recipients."""
    headers = b"".join(
        name + b": " + value.replace(b"\n", b" ") + b"\r\n" for name, value in _PARTIAL_HEADER.findall(raw)
    )
    carried = read_content(headers, raw, raw)
    emails = (match.decode("utf-8", "replace") for match in _PARTIAL_EMAIL.findall(raw))
    known = dict.fromkeys(email for email in emails if recipient_token(email) is not None)
    return [LogicalMessage(recipient=email, carried=carried) for email in known] or [
        LogicalMessage(carried=carried)
    ]


def is_sandbox(mail: Any) -> bool:
    return _object(_object(mail, "mail_settings"), "sandbox_mode").get("enable") is True


def complaints(mail: Any) -> list[Complaint]:
    """All that SendGrid would list, in its order; nothing if it would take the request."""
    if not isinstance(mail, dict):
        return [errors.BAD_REQUEST]
    return [
        *_sender(mail),
        *_personalizations(mail),
        *_subject(mail),
        *_content_blocks(mail),
        *_headers(mail.get("headers"), "headers"),
        *_attachments(mail),
    ]


def _sender(mail: dict[str, Any]) -> Iterator[Complaint]:
    sender = mail.get("from")
    if sender is not None and not isinstance(sender, dict):
        yield errors.wrong_type("object", json_type(sender), "from", "message.from")
        return
    email = (sender or {}).get("email")
    if email is None or email == "":
        yield errors.FROM_MISSING
    elif not isinstance(email, str):
        yield errors.wrong_type("string", json_type(email), "from.email", "message.from")
    elif not _ADDRESS.fullmatch(email):
        yield errors.FROM_INVALID


def _personalizations(mail: dict[str, Any]) -> Iterator[Complaint]:
    personalizations = mail.get("personalizations")
    if personalizations is None or personalizations == []:
        yield errors.NO_PERSONALIZATION
        return
    if not isinstance(personalizations, list):
        yield errors.wrong_type(
            "array", json_type(personalizations), "personalizations", "message.personalizations"
        )
        return
    if len(personalizations) > MAX_PERSONALIZATIONS:
        yield errors.too_many_personalizations(len(personalizations))
    recipients = 0
    for index, personalization in enumerate(personalizations):
        field = f"personalizations.{index}"
        if not isinstance(personalization, dict):
            yield errors.wrong_type("object", json_type(personalization), field, None)
            continue
        yield from _recipients(personalization, field)
        yield from _headers(personalization.get("headers"), f"{field}.headers")
        recipients += sum(len(_list(personalization, kind)) for kind in KINDS)
    if recipients > MAX_RECIPIENTS:
        yield errors.TOO_MANY_RECIPIENTS


def _recipients(personalization: dict[str, Any], field: str) -> Iterator[Complaint]:
    if not personalization.get("to"):
        yield errors.no_recipient(f"{field}.to")
    seen: set[str] = set()
    twice: Complaint | None = None
    for kind in KINDS:
        contacts = personalization.get(kind)
        if contacts is None:
            continue
        anchor = f"message.personalizations.{kind}"
        if not isinstance(contacts, list):
            yield errors.wrong_type("array", json_type(contacts), f"{field}.{kind}", anchor)
            continue
        for index, contact in enumerate(contacts):
            at = f"{field}.{kind}.{index}"
            if not isinstance(contact, dict):
                yield errors.wrong_type("object", json_type(contact), at, anchor)
                continue
            email = contact.get("email")
            if email is None or email == "":
                yield errors.email_missing(kind, f"{at}.email")
            elif not isinstance(email, str):
                yield errors.wrong_type("string", json_type(email), f"{at}.email", anchor)
            elif not _ADDRESS.fullmatch(email):
                yield errors.email_invalid(kind, f"{at}.email")
            elif email.lower() in seen:
                twice = twice or errors.email_twice(email, field, kind)
            else:
                seen.add(email.lower())
    if twice is not None:
        yield twice


def _subject(mail: dict[str, Any]) -> Iterator[Complaint]:
    subject = mail.get("subject")
    if isinstance(subject, str) and subject:
        return
    if subject is not None and not isinstance(subject, str):
        yield errors.wrong_type("string", json_type(subject), "subject", "message.subject")
        return
    everywhere = all(
        isinstance(each, dict) and isinstance(each.get("subject"), str) and each["subject"]
        for each in _list(mail, "personalizations")
    )
    if not everywhere and not mail.get("template_id"):
        yield errors.NO_SUBJECT


def _content_blocks(mail: dict[str, Any]) -> Iterator[Complaint]:
    blocks = mail.get("content")
    if blocks is None or blocks == []:
        if not mail.get("template_id"):
            yield errors.NO_CONTENT
        return
    if not isinstance(blocks, list):
        yield errors.wrong_type("array", json_type(blocks), "content", "message.content")
        return
    types: list[str] = []
    for index, block in enumerate(blocks):
        field = f"content.{index}"
        if not isinstance(block, dict):
            yield errors.wrong_type("object", json_type(block), field, "message.content")
            continue
        type_, value = block.get("type"), block.get("value")
        if not isinstance(type_, str) or not type_:
            yield errors.content_type_missing(f"{field}.type")
        else:
            types.append(type_.lower())
        if not isinstance(value, str) or not value:
            yield errors.content_empty(f"{field}.value")
    ranks = [{"text/plain": 0, "text/html": 1}.get(type_, 2) for type_ in types]
    if ranks.count(0) > 1 or ranks.count(1) > 1:
        yield errors.CONTENT_TWICE
    elif ranks != sorted(ranks):
        yield errors.CONTENT_ORDER


def _headers(headers: Any, field: str) -> Iterator[Complaint]:
    if headers is None:
        return
    if not isinstance(headers, dict):
        yield errors.wrong_type("object", json_type(headers), field, "message.headers")
        return
    for name, value in headers.items():
        if name.lower() in _RESERVED_HEADERS:
            yield errors.header_reserved(f"{field}.{name}")
        elif not isinstance(value, str):
            yield errors.header_value(f"{field}.{name}")


def _attachments(mail: dict[str, Any]) -> Iterator[Complaint]:
    for index, attachment in enumerate(_list(mail, "attachments")):
        content = attachment.get("content") if isinstance(attachment, dict) else None
        try:
            base64.b64decode(content if isinstance(content, str) else "?", validate=True)
        except (binascii.Error, ValueError):
            yield errors.attachment_not_base64(f"attachments.{index}.content")


def _override(shared: Carried, personalization: Any) -> Carried:
    """What the mail carries for one personalization: its own headers and substitutions come first."""
    headers = _object(personalization, "headers")
    values = (
        *_object(personalization, "substitutions").values(),
        *_object(personalization, "dynamic_template_data").values(),
    )
    if not headers and not values:
        return shared
    own = _carried(headers, (value for value in values if isinstance(value, str)), b"")
    return Carried(
        header=own.header or shared.header,
        nonce=own.nonce or shared.nonce,
        class_=own.class_ or shared.class_,
        sha256=shared.sha256,
    )


def _carried(headers: Mapping[str, Any], texts: Iterator[str], hashed: bytes) -> Carried:
    lines = (
        f"{name}: {' '.join(str(value).split())}\r\n" for name, value in headers.items() if value is not None
    )
    return read_content(
        "".join(lines).encode("utf-8", "replace"), "\n".join(texts).encode("utf-8", "replace"), hashed
    )


def _custom_args(mail: Any) -> dict[str, str]:
    return {name: value for name, value in _object(mail, "custom_args").items() if isinstance(value, str)}


def _content(mail: Any) -> Iterator[str]:
    for block in _list(mail, "content"):
        value = block.get("value") if isinstance(block, dict) else None
        if isinstance(value, str):
            yield value


def _object(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _list(value: Any, key: str) -> list[Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, list) else []


def json_type(value: Any) -> str:
    """What SendGrid's schema checker calls the type of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):  # before int, of which it is one
        return "boolean"
    names: dict[type, str] = {
        int: "integer",
        float: "number",
        str: "string",
        list: "array",
        dict: "object",
    }
    return names[type(value)]
