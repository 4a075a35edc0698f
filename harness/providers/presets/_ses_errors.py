"""Error answers of Amazon SES's v2 API, to the letter: the name in a header, the message in the body.

Sources: [S] the service's own description (botocore's sesv2 model: names and statuses); [R] bodies that users
posted; [D] AWS's documentation, "common errors" included; [M] from memory, no source found. Where two sources
differ, the posted body wins. A name that the model lacks, such as ThrottlingException, botocore raises as a
plain ClientError.

The documentation calls an exceeded sending quota ThrottlingException (400); what users posted of v2 for the
rate is TooManyRequestsException (429). So an exceeded `max_send_rate` is answered; the other is a named
answer. Nothing was found posted of an exceeded day.
"""

from __future__ import annotations

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.answers import phrase
from harness.providers.http.api import retry_after
from harness.providers.http.messages import Answer, Headers
from harness.providers.presets._ses_signature import UNKNOWN_KEY, WRONG_SIGNATURE, Flaw

JSON: Headers = (("Content-Type", "application/json"), ("Connection", "keep-alive"))

# What is wrong with the message; all else can succeed elsewhere, later, or with another account.
_FOR_GOOD = frozenset(
    {"BadRequestException", "MessageRejected", "SerializationException", "RequestEntityTooLarge"}
)

RATE_EXCEEDED = "Maximum sending rate exceeded."  # [R]; the documentation leaves the full stop away
DAY_EXCEEDED = "Daily message quota exceeded."
PAUSED = (
    "Sending paused for this account. For more information, please check the inbox of the email address"
    " associated with your AWS account."
)  # [R]


def refusal(
    status: int, name: str, message: str, *, result: ReceiptResult | None = None, more: Headers = ()
) -> Answer:
    """An error as botocore parses it: `x-amzn-ErrorType` and {"message": ...}."""
    by_name = ReceiptResult.REFUSED if name in _FOR_GOOD else ReceiptResult.DEFERRED
    return Answer(
        status=status,
        result=result or by_name,
        text=f"{name}: {message}" if message else name,
        body=msgspec.json.encode({"message": message}),
        headers=(("x-amzn-ErrorType", name), *JSON, *more),
    )


def of_signature(flaw: Flaw) -> Answer:
    return refusal(flaw.status, flaw.code, flaw.message)


def bad_request(message: str) -> Answer:
    return refusal(400, "BadRequestException", message)


def not_json() -> Answer:
    return refusal(400, "SerializationException", "")  # [M]


def rate_exceeded() -> Answer:
    return refusal(429, "TooManyRequestsException", RATE_EXCEEDED)


def day_exceeded() -> Answer:
    return refusal(429, "TooManyRequestsException", DAY_EXCEEDED)  # [M] that it is this one


def too_large() -> Answer:
    return refusal(413, "RequestEntityTooLarge", "")  # [M]


def unknown_operation() -> Answer:
    return refusal(404, "UnknownOperationException", "")  # [M]


_USUAL: dict[int, tuple[str, str]] = {
    400: ("BadRequestException", "Bad Request"),
    403: ("AccessDeniedException", "You do not have sufficient access to perform this action."),  # [D]
    404: ("NotFoundException", "Not Found"),
    429: ("TooManyRequestsException", RATE_EXCEEDED),  # [R]
    500: (
        "InternalFailure",
        "The request processing has failed because of an unknown error, exception or failure.",
    ),  # [D]
    503: ("ServiceUnavailable", "The request has failed due to a temporary failure of the server."),  # [D]
}


def of_status(status: int, text: str | None, retry_after_s: float | None) -> Answer:
    """What SES answers with this status, as a rule. It sends no Retry-After; a fault may."""
    name, usual = _USUAL.get(status, (phrase(status).replace(" ", ""), phrase(status)))
    answer = refusal(status, name, text or usual, more=retry_after(retry_after_s))
    wait_ns = None if retry_after_s is None else round(retry_after_s * 1e9)
    return msgspec.structs.replace(answer, retry_after_ns=wait_ns)


# --- the named ones: names and statuses are [S] where no comment says otherwise, messages [M] ----------

NAMED = {
    "account-suspended": refusal(
        400, "AccountSuspendedException", "Your account's ability to send email has been suspended."
    ),
    "bad-request": refusal(400, "BadRequestException", "Bad Request"),
    "concurrent-modification": refusal(
        500, "ConcurrentModificationException", "The resource is being modified by another operation."
    ),
    "daily-quota-exceeded": refusal(400, "ThrottlingException", DAY_EXCEEDED.rstrip(".")),  # [D]
    "email-address-not-verified": refusal(
        400,
        "MessageRejected",
        "Email address is not verified. The following identities failed the check in region US-EAST-1:"
        " shop@shop.example",
        result=ReceiptResult.DEFERRED,  # another account may have verified it
    ),  # [R]
    "internal-failure": of_status(500, None, None),
    "invalid-client-token-id": refusal(403, *UNKNOWN_KEY),  # [R] of v1
    "limit-exceeded": refusal(400, "LimitExceededException", "Limit exceeded"),
    "mail-from-domain-not-verified": refusal(
        400, "MailFromDomainNotVerifiedException", "The MAIL FROM domain is not verified."
    ),
    "message-rejected": refusal(
        400, "MessageRejected", "The message can't be sent because it contains invalid content."
    ),  # [S] the message too
    "not-found": refusal(
        404, "NotFoundException", "Configuration set <marketing> does not exist."
    ),  # [R] of v1
    "sending-paused": refusal(400, "SendingPausedException", PAUSED),
    "sending-rate-exceeded": refusal(400, "ThrottlingException", RATE_EXCEEDED.rstrip(".")),  # [D]
    "service-unavailable": of_status(503, None, None),
    "signature-does-not-match": refusal(403, *WRONG_SIGNATURE),  # [R]
    "too-many-requests": rate_exceeded(),  # [R]
    "unrecognized-client": refusal(403, "UnrecognizedClientException", UNKNOWN_KEY[1]),  # [R] of GetAccount
}
