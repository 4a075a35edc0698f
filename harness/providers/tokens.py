"""Which logical message an attempt belongs to.

The token travels in the recipient (`c.<token>@...`), in `X-Harness-Token` and as a nonce in the body
(`ref: hn-<token>-nh`). The recipient wins; where it has not that form (a pool of real addresses), the header,
then the nonce. Never the Message-ID: a client library gives the two copies of one message two of them.

A delivery status notification (RFC 3464), with which a mail server gives a message back to its sender, is
about the message of the recipient that it reports on, and no copy of it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection
from enum import StrEnum

import msgspec

TOKEN = r"(?:[a-z2-7]{16}|canary[0-9]+)"
_RECIPIENT = re.compile(rf"c\.({TOKEN})@", re.IGNORECASE)
_CANARY_RECIPIENT = re.compile(r"c\.canary[0-9]+@canary\.example", re.IGNORECASE)
_TOKEN_HEADER = re.compile(
    rb"^x-harness-token:[ \t]*(%s)[ \t]*\r?$" % TOKEN.encode(), re.IGNORECASE | re.MULTILINE
)
_CLASS_HEADER = re.compile(rb"^x-harness-class:[ \t]*([^\r\n]*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_NONCE = re.compile(rb"hn-(%s)-nh" % TOKEN.encode())
_REPORT = re.compile(
    rb"^content-type:[ \t]*multipart/report;(?:[^\r\n]|\r?\n[ \t])*report-type=\"?delivery-status",
    re.IGNORECASE | re.MULTILINE,
)
_ACTION = re.compile(rb"^action:[ \t]*([a-z]+)", re.IGNORECASE | re.MULTILINE)
_REPORTED = re.compile(
    rb"^(?:original|final)-recipient:[ \t]*rfc822;[ \t]*(\S+)", re.IGNORECASE | re.MULTILINE
)
_END_OF_HEADERS = re.compile(rb"\r?\n\r?\n")


class Carrier(StrEnum):
    RECIPIENT = "recipient"
    HEADER = "header"
    NONCE = "nonce"


_CARRIERS = (Carrier.RECIPIENT.value, Carrier.HEADER.value, Carrier.NONCE.value)


class Canary(StrEnum):
    HARNESS = "harness"
    SYSTEM = "system"


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """What a message's content says of itself, before the recipient has its word."""

    header: str | None = None
    nonce: str | None = None
    class_: str | None = None
    sha256: str | None = None
    notice: str | None = None  # what a delivery status notification says became of a message: failed, delayed
    reported: str | None = None  # the token of the recipient that it reports on


NOTHING_CARRIED = Carried()


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    token: str | None
    carriers: list[str]  # those that name this very token


def read_content(headers: bytes, body: bytes, whole: bytes | None = None) -> Carried:
    """Read the carriers of one message. The hash is of `whole`, by default headers and body together."""
    token, class_, nonce = _TOKEN_HEADER.search(headers), _CLASS_HEADER.search(headers), _NONCE.search(body)
    action = _ACTION.search(body) if _REPORT.search(headers) else None
    reported = _REPORTED.search(body) if action else None
    return Carried(
        header=token[1].decode().lower() if token else None,
        nonce=nonce[1].decode() if nonce else None,
        class_=class_[1].decode("utf-8", "replace") or None if class_ else None,
        sha256=hashlib.sha256(headers + body if whole is None else whole).hexdigest(),
        notice=action[1].decode().lower() if action else None,
        reported=recipient_token(reported[1].decode("utf-8", "replace")) if reported else None,
    )


def read_message(message: bytes) -> Carried:
    """Read the carriers of a message as it came over SMTP (headers, empty line, body)."""
    end = _END_OF_HEADERS.search(message)
    split = end.end() if end else len(message)
    return read_content(message[:split], message[split:], message)


def recipient_token(recipient: str | None) -> str | None:
    match = _RECIPIENT.match(recipient) if recipient else None
    return match[1].lower() if match else None


def identify(recipient: str | None, carried: Carried = NOTHING_CARRIED) -> Identity:
    """The token of one (attempt, recipient), and the carriers that agree on it."""
    named = (recipient_token(recipient), carried.header, carried.nonce)
    token = next((value for value in (*named, carried.reported) if value is not None), None)
    carriers = [name for name, value in zip(_CARRIERS, named, strict=True) if value and value == token]
    return Identity(token=token, carriers=carriers)


def canary_of(
    recipient: str | None, *, canary_account: bool, system_canaries: Collection[str]
) -> Canary | None:
    """Whose probe this is: the harness's (by account, or by its own recipients), the SUT's, or nobody's."""
    if canary_account or (recipient and _CANARY_RECIPIENT.fullmatch(recipient)):
        return Canary.HARNESS
    if recipient and recipient.lower() in system_canaries:
        return Canary.SYSTEM
    return None
