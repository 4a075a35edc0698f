"""The bodies of SES's SendEmail and SendBulkEmail: who they are for, what they carry, what is wrong with it.

Field names, and which are required, are those of the service's description (botocore's sesv2 model); 50
recipients to a message and 50 entries to a bulk request are documented; of the texts, "Recipient count
exceeds 50." and "Missing final '@domain'" were posted by users, the others are from memory. Reading
recipients is lenient and checking is strict, so that a refused request still names its messages.

A template's name cannot be looked up: every template exists.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from email.utils import getaddresses, parseaddr
from typing import Any

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.messages import Answer, LogicalMessage
from harness.providers.tokens import Carried, read_content, read_message, recipient_token

KINDS = ("ToAddresses", "CcAddresses", "BccAddresses")
CONTENTS = ("Simple", "Raw", "Template")
MOST_RECIPIENTS = 50
MOST_ENTRIES = 50
TAG = "tag:"  # before the name of an email tag, in what is echoed
SOURCE, SUBJECT = "source", "subject"
_ADDRESS = re.compile(r"[^\s@<>]+@[^\s@<>]+")
_PARTIAL_ADDRESS = re.compile(rb'"([^"\\]{1,320}@[^"\\]{1,320})"')
_PARTIAL_HEADER = re.compile(
    rb'"Name"\s*:\s*"(x-harness-[a-z]+)"\s*,\s*"Value"\s*:\s*"([^"\\]*)"', re.IGNORECASE
)


class Malformed(msgspec.Struct, frozen=True, kw_only=True):
    """What SES would say is wrong with a request, or with one entry of a bulk request."""

    message: str


def decode(raw: bytes) -> dict[str, Any] | None:
    """The JSON object, or None where it is none."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# --- one email ------------------------------------------------------------------------------------------


def read_email(request: dict[str, Any], body: bytes) -> list[LogicalMessage]:
    """One logical message for each recipient that can be read; one without recipient if there is none."""
    content = _object(request, "Content")
    raw = _raw_message(content)
    carried = _carried(content) if raw is None else read_message(raw)
    carried = msgspec.structs.replace(carried, sha256=hashlib.sha256(body).hexdigest())
    echo = _echo(request, _list(request, "EmailTags"), content, raw)
    recipients = _recipients(_object(request, "Destination")) or _raw_recipients(raw)
    return [
        LogicalMessage(recipient=each, carried=carried, echo=echo)
        for each in dict.fromkeys(recipients) or [None]
    ]


def flaw_of_email(request: dict[str, Any]) -> Malformed | None:
    content = request.get("Content")
    if not isinstance(content, dict):
        return Malformed(
            message="1 validation error detected: Value at 'content' failed to satisfy constraint:"
            " Member must not be null"
        )
    given = [kind for kind in CONTENTS if isinstance(content.get(kind), dict)]
    if len(given) != 1:
        return Malformed(message="Exactly one of Simple, Raw, or Template must be provided.")
    raw = _raw_message(content) if given[0] == "Raw" else None
    if given[0] == "Raw" and not raw:
        return Malformed(message="Raw message data must be base64 encoded and must not be empty.")
    sender = request.get("FromEmailAddress") or (_header(raw, "From") if raw else "")
    if not isinstance(sender, str) or not sender:
        return Malformed(message="FromEmailAddress must be provided.")
    if not _is_address(sender):
        return _no_domain()
    destination = _object(request, "Destination")
    if (flaw := _flaw_of_destination(destination, raw is not None and not destination)) is not None:
        return flaw
    if raw is not None and not destination and not _raw_recipients(raw):
        return Malformed(message="Destination must contain at least one recipient.")
    return _flaw_of_content(given[0], content[given[0]])


def _flaw_of_content(kind: str, content: dict[str, Any]) -> Malformed | None:
    if kind == "Simple":
        body = _object(content, "Body")
        if not isinstance(_object(content, "Subject").get("Data"), str):
            return _null("content.simple.subject.data")
        if not any(isinstance(_object(body, part).get("Data"), str) for part in ("Text", "Html")):
            return Malformed(message="Body must contain Text or Html.")
    if kind == "Template":
        return _flaw_of_template(content)
    return None


def _flaw_of_template(template: dict[str, Any]) -> Malformed | None:
    if not (template.get("TemplateName") or template.get("TemplateArn") or template.get("TemplateContent")):
        return Malformed(message="Template must have a TemplateName, a TemplateArn, or TemplateContent.")
    data = template.get("TemplateData")
    if data is not None and template_data(data) is None:
        return Malformed(message="TemplateData must be a JSON object.")
    return None


# --- several at once --------------------------------------------------------------------------------------


def read_bulk(request: dict[str, Any], body: bytes) -> list[list[LogicalMessage]]:
    """For each entry its recipients, at least one; an entry that would not be taken is declined."""
    template = _object(_object(request, "DefaultContent"), "Template")
    sha256 = hashlib.sha256(body).hexdigest()
    shared = _carried({"Template": template})
    entries = []
    for entry in _list(request, "BulkEmailEntries"):
        replacement = _object(_object(entry, "ReplacementEmailContent"), "ReplacementTemplate")
        own = _carried(
            {
                "Template": {
                    "TemplateData": replacement.get("ReplacementTemplateData"),
                    "Headers": _list(entry, "ReplacementHeaders"),
                }
            }
        )
        carried = Carried(
            header=own.header or shared.header,
            nonce=own.nonce or shared.nonce,
            class_=own.class_ or shared.class_,
            sha256=sha256,
        )
        tags = [*_list(request, "DefaultEmailTags"), *_list(entry, "ReplacementTags")]
        echo = _echo(request, tags, {}, None)
        flaw = flaw_of_entry(entry)
        declined = None if flaw is None else _declined(flaw)
        recipients = dict.fromkeys(_recipients(_object(entry, "Destination")))
        entries.append(
            [
                LogicalMessage(recipient=each, carried=carried, echo=echo, declined=declined)
                for each in recipients or [None]
            ]
        )
    return entries or [[LogicalMessage(carried=msgspec.structs.replace(shared, sha256=sha256))]]


def flaw_of_bulk(request: dict[str, Any]) -> Malformed | None:
    """What makes SES refuse all of it."""
    template = _object(request, "DefaultContent").get("Template")
    if not isinstance(template, dict):
        return _null("defaultContent")
    entries = request.get("BulkEmailEntries")
    if not isinstance(entries, list) or not entries:
        return _null("bulkEmailEntries")
    if len(entries) > MOST_ENTRIES:
        return Malformed(message=f"BulkEmailEntries must not contain more than {MOST_ENTRIES} entries.")
    sender = request.get("FromEmailAddress")
    if not isinstance(sender, str) or not sender:
        return Malformed(message="FromEmailAddress must be provided.")
    return (None if _is_address(sender) else _no_domain()) or _flaw_of_template(template)


def flaw_of_entry(entry: Any) -> Malformed | None:
    """What makes SES take the others, and not this one."""
    if (flaw := _flaw_of_destination(_object(entry, "Destination"), may_be_empty=False)) is not None:
        return flaw
    replacement = _object(_object(entry, "ReplacementEmailContent"), "ReplacementTemplate")
    data = replacement.get("ReplacementTemplateData")
    if data is not None and template_data(data) is None:
        return Malformed(message="ReplacementTemplateData must be a JSON object.")
    return None


def _declined(flaw: Malformed) -> Answer:
    return Answer(status=400, result=ReceiptResult.REFUSED, text=f"INVALID_PARAMETER: {flaw.message}")


# --- what they have in common -----------------------------------------------------------------------------


def glimpse(raw: bytes) -> list[LogicalMessage]:
    """Of a body that was cut short: what looks like one of the harness's own recipients."""
    headers = b"".join(
        name + b": " + value.replace(b"\n", b" ") + b"\r\n" for name, value in _PARTIAL_HEADER.findall(raw)
    )
    carried = read_content(headers, raw, raw)
    found = (parseaddr(match.decode("utf-8", "replace"))[1] for match in _PARTIAL_ADDRESS.findall(raw))
    known = dict.fromkeys(each for each in found if recipient_token(each) is not None)
    return [LogicalMessage(recipient=each, carried=carried) for each in known] or [
        LogicalMessage(carried=carried)
    ]


def _raw_message(content: Any) -> bytes | None:
    """The message of `Raw`, or None where it is none."""
    data = _object(content, "Raw").get("Data")
    if not isinstance(data, str):
        return None
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def template_data(data: Any) -> dict[str, Any] | None:
    """TemplateData is a JSON object within a JSON string."""
    return decode(data.encode("utf-8", "replace")) if isinstance(data, str) else None


def _carried(content: Any) -> Carried:
    """What a Simple or a Template message says of itself."""
    simple, template = _object(content, "Simple"), _object(content, "Template")
    inline = _object(template, "TemplateContent")
    texts = [
        *(_object(_object(simple, "Body"), part).get("Data") for part in ("Text", "Html")),
        *(inline.get(part) for part in ("Text", "Html")),
        *(template_data(template.get("TemplateData")) or {}).values(),
    ]
    headers = [*_pairs(_list(simple, "Headers")), *_pairs(_list(template, "Headers"))]
    lines = "".join(f"{name}: {' '.join(value.split())}\r\n" for name, value in headers)
    body = "\n".join(each for each in texts if isinstance(each, str))
    return read_content(lines.encode("utf-8", "replace"), body.encode("utf-8", "replace"), whole=b"")


def _echo(request: dict[str, Any], tags: list[Any], content: Any, raw: bytes | None) -> dict[str, str]:
    """What the events of a message say of it."""
    subject = _object(_object(content, "Simple"), "Subject").get("Data")
    if raw is not None:
        subject = _header(raw, "Subject")
    source = request.get("FromEmailAddress") or (_header(raw, "From") if raw else None)
    echo = {TAG + name: value for name, value in _pairs(tags)}
    if isinstance(source, str):
        echo[SOURCE] = source
    if isinstance(subject, str):
        echo[SUBJECT] = subject
    return echo


def _recipients(destination: dict[str, Any]) -> list[str]:
    given = (each for kind in KINDS for each in _list(destination, kind))
    return [address for each in given if isinstance(each, str) and (address := _bare(each))]


def _raw_recipients(raw: bytes | None) -> list[str]:
    if not raw:
        return []
    headers = BytesHeaderParser().parsebytes(raw)
    given = [str(value) for name in ("To", "Cc", "Bcc") for value in headers.get_all(name, [])]
    return [address for _, address in getaddresses(given) if "@" in address]


def _header(raw: bytes, name: str) -> str:
    return str(BytesHeaderParser().parsebytes(raw).get(name, ""))


def _flaw_of_destination(destination: dict[str, Any], may_be_empty: bool) -> Malformed | None:
    given = [each for kind in KINDS for each in _list(destination, kind)]
    if not given and not may_be_empty:
        return Malformed(message="Destination must contain at least one recipient.")
    if len(given) > MOST_RECIPIENTS:
        return Malformed(message=f"Recipient count exceeds {MOST_RECIPIENTS}.")
    if not all(isinstance(each, str) and _is_address(each) for each in given):
        return _no_domain()
    return None


def _no_domain() -> Malformed:
    return Malformed(message="Missing final '@domain'")


def _null(member: str) -> Malformed:
    return Malformed(
        message=f"1 validation error detected: Value at '{member}' failed to satisfy constraint: Member must"
        " not be null"
    )


def _bare(text: str) -> str:
    """The address in `Name <address>`; what cannot be parsed is shown as it came."""
    return parseaddr(text)[1] or text.strip()


def _is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(_bare(text)) is not None


def _pairs(items: list[Any]) -> Iterator[tuple[str, str]]:
    for item in items:
        name, value = (item.get("Name"), item.get("Value")) if isinstance(item, dict) else (None, None)
        if isinstance(name, str) and isinstance(value, str):
            yield name, value


def _object(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _list(value: Any, key: str) -> list[Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, list) else []
