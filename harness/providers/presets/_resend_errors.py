"""Resend's answers, to the letter: `statusCode`, `message` and `name`, of which clients read the name.

Sources: [R] bodies that users posted or kept in their tests; [D] the provider's page of errors, of which
there are several ages that differ (the newest has 401 `validation_error` for a key that does not exist, which
users met as well; the clients' libraries still know it as 403 `invalid_api_key`, and so does this preset
unless a fault names the other); [M] from memory, no source found.
"""

from __future__ import annotations

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.api import in_ns, retry_after
from harness.providers.http.messages import Answer, Headers

JSON: Headers = (("Content-Type", "application/json"), ("Server", "cloudflare"))  # [R]
RETRY_AFTER = "retry-after"
DOMAIN = "{domain}"  # in a named answer: that of the sender of the request that gets it

# What is the team's or the service's fault can succeed elsewhere or later; what is the message's cannot.
_FOR_GOOD = frozenset(
    {
        "invalid_idempotency_key",
        "invalid_idempotent_request",
        "invalid_parameter",
        "method_not_allowed",
        "missing_required_field",
        "not_found",
        "security_error",
    }
)
_NAMES = {
    401: "missing_api_key",
    403: "invalid_api_key",
    404: "not_found",
    405: "method_not_allowed",
    409: "concurrent_idempotent_requests",
    429: "rate_limit_exceeded",
    451: "security_error",
    500: "internal_server_error",
    503: "service_unavailable",
}


class Error(msgspec.Struct, frozen=True):
    """The order of the fields is that of the wire [R]."""

    statusCode: int
    message: str
    name: str


def refusal(error: Error, headers: Headers = (), *, retry_after_s: float | None = None) -> Answer:
    """A refusal with Resend's JSON body. `validation_error` is the message's fault but for 401 and 403.

    `retry-after` is in lower case, as the provider's other headers are: its library for Python keeps headers
    in a plain dictionary, where case counts.
    """
    invalid = error.name == "validation_error" and error.statusCode not in (401, 403)
    for_good = invalid or error.name in _FOR_GOOD
    return Answer(
        status=error.statusCode,
        result=ReceiptResult.REFUSED if for_good else ReceiptResult.DEFERRED,
        text=error.message,
        body=msgspec.json.encode(error),
        headers=(*JSON, *headers, *((RETRY_AFTER, value) for _, value in retry_after(retry_after_s))),
        retry_after_ns=in_ns(retry_after_s),
    )


def name_of(status: int) -> str:
    """The name that goes with a status, for an error that names none."""
    return _NAMES.get(status, "validation_error" if status < 500 else "application_error")


def too_many_requests(
    per_second: int, headers: Headers = (), *, retry_after_s: float | None = None
) -> Answer:
    message = (
        f"Too many requests. You can only make {per_second} requests per second. See rate limit response"
        " headers for more information. Or contact support to increase rate limit."
    )
    error = Error(429, message, "rate_limit_exceeded")
    return refusal(error, headers, retry_after_s=retry_after_s)  # [R]


DAILY_QUOTA = Error(429, "You have reached your daily email sending quota.", "daily_quota_exceeded")  # [R]
MONTHLY_QUOTA = Error(
    429, "You have reached your monthly email sending quota.", "monthly_quota_exceeded"
)  # the name [D], the words as those of a day
MISSING_API_KEY = Error(401, "Missing API Key", "missing_api_key")  # [D]
INVALID_API_KEY = Error(403, "API key is invalid", "invalid_api_key")  # the words [R], name and status [D]
UNKNOWN_API_KEY = Error(401, "API key is invalid", "validation_error")  # [R][D]
RESTRICTED_API_KEY = Error(
    401, "This API key is restricted to only send emails.", "restricted_api_key"
)  # [D]
DOMAIN_NOT_VERIFIED = Error(
    403,
    f"The {DOMAIN} domain is not verified. Please, add and verify your domain on https://resend.com/domains",
    "validation_error",
)  # [R]
NOT_FOUND = Error(404, "The requested endpoint does not exist.", "not_found")  # [D]
METHOD_NOT_ALLOWED = Error(405, "Method is not allowed for the requested path.", "method_not_allowed")  # [D]
TOO_LARGE = Error(413, "Request Entity Too Large", "validation_error")  # [M]
SECURITY_ERROR = Error(451, "We may have found a security issue with the request.", "security_error")  # [D]
APPLICATION_ERROR = Error(500, "An unexpected error occurred.", "application_error")  # [D]
INTERNAL_SERVER_ERROR = Error(500, "An unexpected error occurred.", "internal_server_error")  # [D]
SERVICE_UNAVAILABLE = Error(503, "API is temporarily unavailable", "service_unavailable")  # [D]

# --- idempotency keys --------------------------------------------------------------------------------------

INVALID_KEY = Error(
    400,
    "Idempotency keys, if present, must have between 1 and 256 characters.",
    "invalid_idempotency_key",
)  # [D]
OTHER_PAYLOAD = Error(
    409,
    "This idempotency key has been used with this HTTP method and endpoint within the last 24 hours, but the"
    " request body was modified and doesn't match the original request.",
    "invalid_idempotent_request",
)  # [R][D]
IN_PROGRESS = Error(
    409,
    "There is another request in progress with the same idempotency key.",
    "concurrent_idempotent_requests",
)  # [R][D]

# --- what can be wrong with an email -----------------------------------------------------------------------

NOT_AN_EMAIL = Error(
    400, "An error was found with one or more fields in the request.", "validation_error"
)  # [D] the sentence, [M] its place
NO_CONTENT = Error(422, "Missing `html` or `text` field.", "missing_required_field")  # [M]
TOO_MANY_EMAILS = Error(
    422, "The batch must have between 1 and 100 emails.", "validation_error"
)  # the rule [D], the words [M]
TOO_MANY_RECIPIENTS = Error(
    422, "The `to` field must have between 1 and 50 recipients.", "validation_error"
)  # the rule [D], the words [M]


def missing(field: str) -> Error:
    return Error(422, f"Missing `{field}` field.", "missing_required_field")  # [R]


def invalid_address(field: str) -> Error:
    return Error(
        422,
        f"Invalid `{field}` field. The email address needs to follow the `email@example.com` or"
        " `Name <email@example.com>` format.",
        "validation_error",
    )  # [R]
