"""The body of Graph's sendMail, as JSON or as base64 MIME: who it is for, and what Graph would say is wrong.

One copy goes to each address, however often it is named. Reading recipients is lenient and checking is
strict, so that a refused request still names its messages.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from email.errors import MessageError
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses
from typing import Any

import msgspec

from harness.providers.http.messages import Answer, LogicalMessage
from harness.providers.presets import _graph_errors as errors
from harness.providers.tokens import Carried, read_content, read_message, recipient_token

_KINDS = ("toRecipients", "ccRecipients", "bccRecipients")
_MIME_KINDS = ("to", "cc", "bcc")
MAX_HEADERS = 5
_ADDRESS = re.compile(r"[^\s@<>;,]+@[^\s@<>;,]+")
_PARTIAL_ADDRESS = re.compile(rb'"address"\s*:\s*"([^"\\]{1,320})"')
_PARTIAL_HEADER = re.compile(
    rb'"name"\s*:\s*"(x-harness-[a-z]+)"\s*,\s*"value"\s*:\s*"([^"\\]*)"', re.IGNORECASE
)
_MIME_ADDRESS = re.compile(rb"[^\s@<>;,:]+@[^\s@<>;,]+")


class Mail(msgspec.Struct, frozen=True):
    messages: list[LogicalMessage]
    wrong: Answer | None = None


def read_json(raw: bytes) -> Mail:
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Mail(_messages([], _hashed(Carried(), raw)), errors.NOT_JSON)
    message = _object(content, "message")
    addresses = [address for kind in _KINDS for address in _addresses(message, kind)]
    carried = _hashed(read_content(_header_lines(message), _text(message).encode("utf-8", "replace")), raw)
    return Mail(_messages(addresses, carried), _wrong(content, message, addresses))


def read_mime(raw: bytes) -> Mail:
    try:
        decoded = base64.b64decode(b"".join(raw.split()), validate=True)
    except binascii.Error:
        return Mail(_messages([], _hashed(Carried(), raw)), errors.MIME_NOT_BASE64)
    addresses = _mime_addresses(decoded)
    invalid = _unresolved(addresses)
    return Mail(_messages(addresses, read_message(decoded)), invalid)


def glimpse_json(raw: bytes) -> list[LogicalMessage]:
    """Of a body that was cut short: what looks like one of the harness's own recipients."""
    headers = b"".join(
        name + b": " + value.replace(b"\n", b" ") + b"\r\n" for name, value in _PARTIAL_HEADER.findall(raw)
    )
    return _known(_PARTIAL_ADDRESS.findall(raw), read_content(headers, raw, raw))


def glimpse_mime(raw: bytes) -> list[LogicalMessage]:
    """The same of base64: as much of it as makes whole bytes."""
    joined = b"".join(raw.split())
    try:
        decoded = base64.b64decode(joined[: len(joined) // 4 * 4])
    except binascii.Error:
        decoded = b""
    return _known(_MIME_ADDRESS.findall(decoded), read_message(decoded))


def _wrong(content: Any, message: dict[str, Any], addresses: list[str]) -> Answer | None:
    if not isinstance(content, dict) or not isinstance(content.get("message"), dict):
        return errors.NOT_JSON
    headers = message.get("internetMessageHeaders")
    if headers is not None:
        if not isinstance(headers, list):
            return errors.NOT_JSON
        if not 1 <= len(headers) <= MAX_HEADERS:
            return errors.TOO_MANY_HEADERS
        for header in headers:
            name = header.get("name") if isinstance(header, dict) else None
            if not isinstance(name, str) or not isinstance(header.get("value"), str):
                return errors.NOT_JSON
            if not name.lower().startswith("x-"):
                return errors.header_name(name)
    return _unresolved(addresses)


def _unresolved(addresses: list[str]) -> Answer | None:
    if not addresses:
        return errors.NO_RECIPIENTS
    bad = next((each for each in addresses if not _ADDRESS.fullmatch(each)), None)
    return None if bad is None else errors.unresolved(bad)


def _messages(addresses: list[str], carried: Carried) -> list[LogicalMessage]:
    once: dict[str, str] = {}
    for address in addresses:
        once.setdefault(address.lower(), address)
    found = [LogicalMessage(recipient=address, carried=carried) for address in once.values()]
    return found or [LogicalMessage(carried=carried)]


def _known(addresses: list[bytes], carried: Carried) -> list[LogicalMessage]:
    found = (address.decode("utf-8", "replace") for address in addresses)
    return _messages([each for each in found if recipient_token(each) is not None], carried)


def _hashed(carried: Carried, raw: bytes) -> Carried:
    return msgspec.structs.replace(carried, sha256=hashlib.sha256(raw).hexdigest())


def _addresses(message: dict[str, Any], kind: str) -> Iterator[str]:
    for recipient in _list(message, kind):
        address = _object(recipient, "emailAddress").get("address")
        if isinstance(address, str) and address:
            yield address


def _header_lines(message: dict[str, Any]) -> bytes:
    lines = []
    for header in _list(message, "internetMessageHeaders"):
        name, value = (header.get(key) if isinstance(header, dict) else None for key in ("name", "value"))
        if isinstance(name, str) and isinstance(value, str):
            lines.append(f"{name}: {' '.join(value.split())}\r\n")
    return "".join(lines).encode("utf-8", "replace")


def _text(message: dict[str, Any]) -> str:
    content = _object(message, "body").get("content")
    return content if isinstance(content, str) else ""


def _mime_addresses(raw: bytes) -> list[str]:
    try:
        message: Message = BytesParser().parsebytes(raw, headersonly=True)
        lines = [str(line) for kind in _MIME_KINDS for line in message.get_all(kind, [])]
        return [address for _, address in getaddresses(lines) if address]
    except (MessageError, ValueError, IndexError):
        return []  # headers that the library itself trips over name nobody


def _object(value: Any, key: str) -> dict[str, Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _list(value: Any, key: str) -> list[Any]:
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, list) else []
