"""Mailgun's answers, to the letter: JSON with a `message`, and two that are plain text.

Sources: [R] bodies that users posted in public issue threads or met and kept; [D] the provider's API pages;
[M] from memory, no source found. The pages list 403 for a wrong key; what users get is 401 and the word
Forbidden. A path that does not exist is answered 200 [R], which clients take for success.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.answers import phrase
from harness.providers.http.api import in_ns, retry_after
from harness.providers.http.messages import Answer, Headers

JSON: Headers = (("Content-Type", "application/json"),)
TEXT: Headers = (("Content-Type", "text/html; charset=utf-8"),)
DOMAIN = "{domain}"  # in a named answer: that of the request that gets it
UNTIL = "{until}"  # and when its recipients count anew

# What is the account's or the service's fault can succeed elsewhere or later; what is the message's cannot.
_FOR_GOOD = frozenset({400, 405, 413})


class _Message(msgspec.Struct, frozen=True):
    message: str


def refusal(
    status: int, message: str, headers: Headers = (), *, retry_after_s: float | None = None
) -> Answer:
    """An error answer with Mailgun's JSON body, which ends with a newline [R]."""
    return Answer(
        status=status,
        result=ReceiptResult.REFUSED if status in _FOR_GOOD else ReceiptResult.DEFERRED,
        text=message,
        body=msgspec.json.encode(_Message(message)) + b"\n",
        headers=(*JSON, *headers, *retry_after(retry_after_s)),
        retry_after_ns=in_ns(retry_after_s),
    )


def text(status: int, words: str, headers: Headers = ()) -> Answer:
    """An answer of plain text; nothing was taken, whatever its status."""
    return Answer(
        status=status,
        result=ReceiptResult.DEFERRED,
        text=words,
        body=words.encode(),
        headers=(*TEXT, *headers),
    )


def forbidden() -> Answer:
    """The word [R], the header [M]."""
    return text(401, "Forbidden", (("WWW-Authenticate", 'Basic realm="MG API"'),))


def magnificent() -> Answer:
    return text(200, "Mailgun Magnificent API")  # [R]


def domain_not_found(domain: str) -> Answer:
    return refusal(404, f"Domain not found: {domain}")  # [R]


def not_allowed(status: int, why: str) -> Answer:
    return refusal(status, f"Domain {DOMAIN} is not allowed to send: {why}")


def too_many_requests(retry_after_s: float | None = None) -> Answer:
    """The status [D], the words [M]."""
    return refusal(429, "Too many requests", retry_after_s=retry_after_s)


def too_large() -> Answer:
    return refusal(413, phrase(413))  # the status [D], the words [M]


def until(epoch_s: float) -> str:
    """As in `Mon, 25 Aug 2025 07:00:31 UTC` [R]."""
    moment = format_datetime(datetime.fromtimestamp(epoch_s, UTC), usegmt=True)
    return moment.replace("GMT", "UTC")


# --- what can be wrong with a message ----------------------------------------------------------------------

FROM_MISSING = "from parameter is missing"  # [R]
TO_MISSING = "to parameter is missing"  # [R]
NO_CONTENT = "Need at least one of 'text', 'html', 'amp-html' or 'template' parameters specified"  # [R]
NO_MIME = "message parameter is missing"  # [M]
BAD_VARIABLES = "'recipient-variables' parameter is not a valid JSON"  # [R]
TOO_MANY_RECIPIENTS = "to parameter: too many recipients, the maximum is 1000"  # the rule [D], the words [M]


def invalid_address(field: str) -> str:
    return f"{field} parameter is not a valid address. please check documentation"  # [R]
