"""Postmark's answers, to the letter.

Sources: [R] bodies that users posted in public issue threads, or met and kept in their tests (the length of
the one for a wrong token is that of the Content-Length posted with it); [S] the provider's own client
libraries; [D] its API pages; [M] from memory, no source found. An inactive recipient is known by the whole
sentence: three official clients look for the addresses in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.answers import phrase
from harness.providers.http.api import in_ns, retry_after
from harness.providers.http.messages import Answer, Headers

JSON: Headers = (("Content-Type", "application/json; charset=utf-8"), ("Cache-Control", "private"))  # [R]
HTML: Headers = (("Content-Type", "text/html"), ("Server", "cloudflare"))
ADDRESSES = "{addresses}"  # in a named answer: those of the request that gets it

BAD_TOKEN = 10
MAINTENANCE = 100
INVALID_EMAIL = 300
INVALID_JSON = 402
INCOMPATIBLE_JSON = 403
NOT_ALLOWED = 405
INACTIVE = 406
JSON_REQUIRED = 409
TOO_MANY_MESSAGES = 410
RATE_LIMIT = 429

# What is the account's or the service's fault can succeed elsewhere or later; what is the message's cannot.
_FOR_GOOD = frozenset(
    {INVALID_EMAIL, INVALID_JSON, INCOMPATIBLE_JSON, INACTIVE, JSON_REQUIRED, TOO_MANY_MESSAGES}
)


_MALFORMED = frozenset({404, 405, 413, 415})  # statuses of requests that can succeed nowhere
_REFUSED, _DEFERRED = ReceiptResult.REFUSED, ReceiptResult.DEFERRED


class Complaint(msgspec.Struct, frozen=True):
    """What is wrong with one email; the order of the fields is that of the wire."""

    ErrorCode: int
    Message: str


def answer(status: int, complaint: Complaint, *, retry_after_s: float | None = None) -> Answer:
    """An error answer with Postmark's JSON body."""
    return Answer(
        status=status,
        result=_REFUSED if complaint.ErrorCode in _FOR_GOOD or status in _MALFORMED else _DEFERRED,
        text=complaint.Message,
        body=msgspec.json.encode(complaint),
        headers=(*JSON, *retry_after(retry_after_s)),
        retry_after_ns=in_ns(retry_after_s),
    )


def refusal(complaint: Complaint) -> Answer:
    """422, as for all that is wrong with an email or its recipients."""
    return answer(422, complaint)


def ok(body: Any, texts: Sequence[str]) -> Answer:
    return Answer(
        status=200,
        result=ReceiptResult.ACCEPTED,
        texts=tuple(texts),
        body=msgspec.json.encode(body),
        headers=JSON,
    )


def bad_token() -> Answer:
    return answer(401, Complaint(BAD_TOKEN, "Request does not contain a valid Server token."))  # [R]


def inactive(addresses: Sequence[str]) -> Complaint:
    """Every recipient of an email is inactive; clients look for `Found inactive addresses: a. Inactive`."""
    return Complaint(
        INACTIVE,
        "You tried to send to recipient(s) that have been marked as inactive."
        f" Found inactive addresses: {', '.join(addresses)}."
        " Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a manual"
        " suppression.",
    )  # [R][S]


def some_inactive(addresses: Sequence[str]) -> str:
    """The message of an email that goes to its other recipients."""
    return f"Message OK, but will not deliver to these inactive addresses: {', '.join(addresses)}"  # [R][S]


def too_many_requests(retry_after_s: float | None = None) -> Answer:
    """The code and the status [D], the words [M]."""
    return answer(429, Complaint(RATE_LIMIT, "Rate limit exceeded."), retry_after_s=retry_after_s)


def without_error_code(status: int, message: str) -> Answer:
    """JSON without an `ErrorCode`, as where the service is slow or half away [R]; the words [M]."""
    return Answer(
        status=status,
        result=_DEFERRED,
        text=message,
        body=msgspec.json.encode({"Message": message}),
        headers=JSON,
    )


def edge_page(status: int, headers: Headers = (), *, retry_after_s: float | None = None) -> Answer:
    """What the layer in front answers: HTML, and no `ErrorCode` [R that it does; the page itself M]."""
    title = f"{status} {phrase(status)}"
    lines = (
        "<html>",
        f"<head><title>{title}</title></head>",
        "<body>",
        f"<center><h1>{title}</h1></center>",
        "<hr><center>cloudflare</center>",
        "</body>",
        "</html>",
        "",
    )
    return Answer(
        status=status,
        result=_REFUSED if status in _MALFORMED else _DEFERRED,
        text=phrase(status),
        body="\r\n".join(lines).encode(),
        headers=(*HTML, *headers, *retry_after(retry_after_s)),
        retry_after_ns=in_ns(retry_after_s),
    )


# --- what can be wrong with an email ----------------------------------------------------------------------

NOT_JSON = Complaint(INVALID_JSON, "Invalid JSON.")  # [D]
NEEDS_JSON = Complaint(
    JSON_REQUIRED,
    "Your HTTP request does not have the Accept and Content-Type headers set to application/json.",
)  # the code [D, an older page], the words [M]
BATCH_TOO_LARGE = Complaint(
    TOO_MANY_MESSAGES, "You may only send up to 500 messages in a single batched request."
)  # [D]
NO_BODY = Complaint(
    INVALID_EMAIL, "Provide either email TextBody or HtmlBody or both."
)  # the code [S], the words [M]
NO_RECIPIENTS = Complaint(INVALID_EMAIL, "Zero recipients specified")  # [R]
TOO_MANY_RECIPIENTS = Complaint(
    INVALID_EMAIL, "Exceeded the maximum of 50 recipients per message."
)  # the rule [D], the words [M]


def invalid_address(field: str, value: str) -> Complaint:
    return Complaint(INVALID_EMAIL, f"Invalid '{field}' address: '{value}'.")  # [D]


def wrong_field(field: str) -> Complaint:
    return Complaint(INCOMPATIBLE_JSON, f"Invalid request field(s): '{field}'.")  # [D]
