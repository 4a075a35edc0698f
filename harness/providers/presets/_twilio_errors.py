"""Twilio's error answers of the 2010 API: {"code", "message", "more_info", "status"}.

Sources: [R] posted by users with their code; [D] Twilio's documentation (the codes of its error dictionary
and of its test numbers); [P] seen in several public fakes and tests only; [M] from memory. Newer APIs of
Twilio have another form, which is not modelled.
"""

from __future__ import annotations

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.answers import phrase
from harness.providers.http.api import retry_after
from harness.providers.http.messages import Answer, Headers

JSON: Headers = (
    ("Content-Type", "application/json"),
    ("Connection", "keep-alive"),
    ("Twilio-Concurrent-Requests", "1"),
    ("X-Home-Region", "us1"),
    ("X-API-Domain", "api.twilio.com"),
)  # [M]


class _Body(msgspec.Struct, frozen=True):
    """The order of the fields is that of the wire."""

    code: int
    message: str
    more_info: str
    status: int


def refusal(status: int, code: int, message: str, *, for_good: bool = False, more: Headers = ()) -> Answer:
    """`for_good`: nothing that this number's owner did not do himself makes it succeed."""
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return Answer(
        status=status,
        result=ReceiptResult.REFUSED if for_good else ReceiptResult.DEFERRED,
        text=f"{code}: {message}",
        body=msgspec.json.encode(_Body(code, message, more_info, status)),
        headers=(*JSON, *more),
    )


def authenticate() -> Answer:
    return refusal(
        401, 20003, "Authenticate", more=(("WWW-Authenticate", 'Basic realm="Twilio API"'),)
    )  # [R]


def unknown_account() -> Answer:
    return refusal(401, 20003, "Authentication Error - invalid username")  # [P]


def too_many_requests(more: Headers = ()) -> Answer:
    return refusal(429, 20429, "Too Many Requests", more=more)  # [D] the code, [M] the text


def no_such_resource(path: str) -> Answer:
    return refusal(404, 20404, f"The requested resource {path} was not found", for_good=True)  # [R]


def method_not_allowed(allowed: str) -> Answer:
    return refusal(405, 20004, "Method not allowed", for_good=True, more=(("Allow", allowed),))  # [D]


def too_large() -> Answer:
    return refusal(413, 20413, "Request Entity Too Large", for_good=True)  # [M]


# --- what can be wrong with a message -------------------------------------------------------------------


def no_to() -> Answer:
    return refusal(400, 21604, "A 'To' phone number is required.", for_good=True)  # [D]


def no_from() -> Answer:
    return refusal(400, 21603, "A 'From' phone number is required.", for_good=True)  # [R]


def no_body() -> Answer:
    return refusal(400, 21602, "Message body is required.", for_good=True)  # [D]


def body_too_long() -> Answer:
    text = "The concatenated message body exceeds the 1600 character limit"
    return refusal(400, 21617, text, for_good=True)  # [D]


def to_invalid(number: str) -> Answer:
    return refusal(400, 21211, f"The 'To' number {number} is not a valid phone number.", for_good=True)  # [R]


def from_invalid(number: str) -> Answer:
    text = f"The 'From' number {number} is not a valid phone number, shortcode, or alphanumeric sender ID."
    return refusal(400, 21212, text)  # [R]


def from_not_owned(number: str) -> Answer:
    text = (
        f"The From phone number {number} is not a valid, SMS-capable inbound phone number or short code for"
        " your account."
    )
    return refusal(400, 21606, text)  # [P]


def queue_full() -> Answer:
    return refusal(400, 21611, "This 'From' number has exceeded the maximum number of queued messages")  # [D]


def unreachable(number: str, sender: str) -> Answer:
    text = (
        f"The 'To' phone number: {number}, is not currently reachable using the 'From' phone number: {sender}"
        " via SMS."
    )
    return refusal(400, 21612, text)  # [P]


def no_permission(number: str) -> Answer:
    text = (
        "Permission to send an SMS has not been enabled for the region indicated by the 'To' number:"
        f" {number}."
    )
    return refusal(400, 21408, text)  # [P]


def unsubscribed() -> Answer:
    return refusal(400, 21610, "Attempt to send to unsubscribed recipient", for_good=True)  # [D]


def not_mobile(number: str) -> Answer:
    return refusal(400, 21614, f"'To' number is not a valid mobile number: {number}", for_good=True)  # [P]


def not_verified(number: str) -> Answer:
    """What a trial account gets for every number but its owner's [P]."""
    text = (
        f"The number {number} is unverified. Trial accounts cannot send messages to unverified numbers;"
        f" verify {number} at twilio.com/user/account/phone-numbers/verified, or purchase a Twilio number to"
        " send messages to unverified numbers."
    )
    return refusal(400, 21608, text)


_USUAL: dict[int, tuple[int, str]] = {
    400: (20001, "Bad Request"),
    403: (20006, "Access Denied"),
    500: (20500, "An internal server error has occurred"),
    503: (20503, "Service Unavailable"),
}  # [D] the codes, [M] the texts


def of_status(status: int, text: str | None, retry_after_s: float | None) -> Answer:
    """What Twilio answers with this status, as a rule."""
    wait_ns = None if retry_after_s is None else round(retry_after_s * 1e9)
    more = retry_after(retry_after_s)
    if status == 429 and text is None:
        answer = too_many_requests(more)
    else:
        code, usual = _USUAL.get(status, (20000 + status, phrase(status)))
        answer = refusal(status, code, text or usual, more=more)
    return msgspec.structs.replace(answer, retry_after_ns=wait_ns)


NAMED = {
    "authenticate": authenticate(),
    "internal-error": of_status(500, None, None),
    "invalid-to": to_invalid("+15005550001"),
    "no-permission": no_permission("+15005550003"),
    "queue-full": queue_full(),
    "service-unavailable": of_status(503, None, None),
    "too-many-requests": too_many_requests(),
    "unsubscribed": unsubscribed(),
}
