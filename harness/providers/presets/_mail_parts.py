"""What the bodies of mail APIs have in common: lists of addresses, headers and texts that carry a token.

Reading is lenient, so that a request which is refused still names its messages; what a provider refuses is
for its own preset to say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

import msgspec

from harness.providers.http.messages import LogicalMessage
from harness.providers.tokens import TOKEN, Carried, read_content

_ADDRESS = re.compile(r"[^\s@<>,;:\"()]+@[^\s@<>,;:\"()]+\.[^\s@<>,;:\"().]+")
_QUOTE_OR_COMMA = re.compile(r'[",]')
_OWN_RECIPIENT = re.compile(rb"c\.%s@[a-z0-9.-]*[a-z0-9]" % TOKEN.encode(), re.IGNORECASE)


def split_list(text: str) -> list[str]:
    """The mailboxes of a list as in a To header, each as it was written; empty places are left out."""
    parts: list[str] = []
    begin, quoted = 0, False
    for mark in _QUOTE_OR_COMMA.finditer(text):
        if mark[0] == '"':
            quoted = not quoted
        elif not quoted:
            parts.append(text[begin : mark.start()])
            begin = mark.end()
    parts.append(text[begin:])
    return [part.strip() for part in parts if part.strip()]


def address_of(mailbox: str) -> str:
    """The address of `Name <address>` or `address`, well formed or not."""
    text = mailbox.strip()
    return text[text.rindex("<") + 1 : -1].strip() if text.endswith(">") and "<" in text else text


def is_address(text: str) -> bool:
    return _ADDRESS.fullmatch(text) is not None


def carried(headers: Iterable[tuple[str, str]], texts: Iterable[str], sha256: str) -> Carried:
    """What one message's headers and bodies say of it; the hash is that of the whole request."""
    lines = "".join(f"{name}: {' '.join(value.split())}\r\n" for name, value in headers)
    read = read_content(lines.encode("utf-8", "replace"), "\n".join(texts).encode("utf-8", "replace"), b"")
    return msgspec.structs.replace(read, sha256=sha256)


def glimpse(raw: bytes) -> list[LogicalMessage]:
    """Of a body that was cut short: what looks like the harness's own recipients, or else one message."""
    seen = read_content(b"", raw, raw)
    known = dict.fromkeys(match.decode() for match in _OWN_RECIPIENT.findall(raw))
    return [LogicalMessage(recipient=each, carried=seen) for each in known] or [LogicalMessage(carried=seen)]


def decode_json(raw: bytes) -> Any:
    """The JSON value; None where it is none, or `null`."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def sha256_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def as_uuid(digits: str) -> str:
    """32 hexadecimal digits in the form of a UUID."""
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
