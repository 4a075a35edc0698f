"""The token endpoint's error answers, to the letter, with holes for what differs from request to request.

Sources: [R] bodies that users posted in public issue threads; [D] Microsoft's list of AADSTS codes or its
pages on client throttling; [M] from memory, no source found. `dress` fills in the holes.
"""

from __future__ import annotations

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.answers import phrase
from harness.providers.http.api import retry_after
from harness.providers.http.messages import Answer, Headers

THROTTLED_S = 60.0  # [D]
_TRAILER = "\r\nTrace ID: {trace-id}\r\nCorrelation ID: {correlation-id}\r\nTimestamp: {timestamp}"
HEADERS: Headers = (
    ("Cache-Control", "no-store, no-cache"),
    ("Pragma", "no-cache"),
    ("Expires", "-1"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ("X-Content-Type-Options", "nosniff"),
    ("P3P", 'CP="DSP CUR OTPi IND OTRi ONL FIN"'),
)  # [R]
JSON: Headers = (*HEADERS, ("Content-Type", "application/json; charset=utf-8"))


class _Body(msgspec.Struct, frozen=True):
    """The order of the fields is that of the wire."""

    error: str
    error_description: str
    error_codes: list[int]
    timestamp: str
    trace_id: str
    correlation_id: str
    error_uri: str


def refusal(status: int, error: str, code: int, text: str, *, headers: Headers = JSON) -> Answer:
    """`code` is the number behind AADSTS."""
    body = _Body(
        error=error,
        error_description=f"AADSTS{code}: {text}{_TRAILER}",
        error_codes=[code],
        timestamp="{timestamp}",
        trace_id="{trace-id}",
        correlation_id="{correlation-id}",
        error_uri=f"https://login.microsoftonline.com/error?code={code}",
    )
    return Answer(
        status=status,
        result=ReceiptResult.DEFERRED,
        text=f"AADSTS{code}: {text}",
        body=msgspec.json.encode(body),
        headers=headers,
    )


def dress(answer: Answer, **holes: str) -> Answer:
    """The same answer with `{trace-id}` and the like filled in; names have underscores for hyphens here."""
    body = answer.body
    for name, value in holes.items():
        filled = msgspec.json.encode(value)[1:-1]
        body = body.replace(b"{%s}" % name.replace("_", "-").encode(), filled)
    trace = ("x-ms-request-id", holes["trace_id"])
    return msgspec.structs.replace(answer, body=body, headers=(*answer.headers, trace))


def too_many_requests(wait_s: float = THROTTLED_S) -> Answer:
    """Plain text where clients expect JSON [D]."""
    return plain(429, "Too Many Requests", wait_s)


def plain(status: int, text: str | None, retry_after_s: float | None) -> Answer:
    """What the front end says where no AADSTS code is behind it."""
    said = text or phrase(status)
    return Answer(
        status=status,
        result=ReceiptResult.DEFERRED,
        text=said,
        body=said.encode(),
        headers=(*HEADERS, ("Content-Type", "text/plain"), *retry_after(retry_after_s)),
    )


SECRET_EXPIRED = refusal(
    401,
    "invalid_client",
    7000222,
    "The provided client secret keys for app '{app}' are expired. Visit the Azure portal to create new keys"
    " for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added"
    " security: https://aka.ms/certCreds.",
)  # [R]
SECRET_WRONG = refusal(
    401,
    "invalid_client",
    7000215,
    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value,"
    " not the client secret ID, for a secret added to app '{app}'.",
)  # [R]
SECRET_MISSING = refusal(
    401,
    "invalid_client",
    7000218,
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
)  # [R]
APP_UNKNOWN = refusal(
    400,
    "unauthorized_client",
    700016,
    "Application with identifier '{app}' was not found in the directory '{tenant}'. This can happen if the"
    " application has not been installed by the administrator of the tenant or consented to by any user in"
    " the tenant. You may have sent your authentication request to the wrong tenant.",
)  # [R]
SCOPE_INVALID = refusal(
    400,
    "invalid_scope",
    70011,
    "The provided request must include a 'scope' input parameter. The provided value for the input parameter"
    " 'scope' is not valid. The scope {scope} is not valid. The scope format is invalid. Scope must be in a"
    " valid URI form <https://example/scope> or a valid Guid <guid/scope>.",
)  # [R]
SCOPE_NOT_DEFAULT = refusal(
    400,
    "invalid_scope",
    1002012,
    "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with"
    " /.default suffixed to the resource identifier (application ID URI).",
)  # [R]
MALFORMED = refusal(
    400, "invalid_request", 9002313, "Invalid request. Request is malformed or invalid."
)  # [R] the sentence
TRANSIENT = refusal(
    503, "temporarily_unavailable", 90033, "A transient error has occurred. Please try again."
)  # [D] the code, [M] the rest


def parameter_missing(name: str) -> Answer:
    return refusal(
        400,
        "invalid_request",
        900144,
        f"The request body must contain the following parameter: '{name}'.",
    )  # [R]


def grant_unsupported(grant: str) -> Answer:
    return refusal(
        400, "unsupported_grant_type", 70003, f"The app requested an unsupported grant type '{grant}'."
    )  # [D] the code, [M] the sentence


def method_wrong(method: str) -> Answer:
    return refusal(
        400,
        "invalid_request",
        900561,
        f"The endpoint only accepts POST requests. Received a {method} request.",
    )  # [D]


NAMED = {
    "entra-app-unknown": APP_UNKNOWN,
    "entra-malformed": MALFORMED,
    "entra-scope-invalid": SCOPE_INVALID,
    "entra-secret-expired": SECRET_EXPIRED,
    "entra-secret-missing": SECRET_MISSING,
    "entra-secret-wrong": SECRET_WRONG,
    "entra-too-many-requests": too_many_requests(),
    "entra-transient": TRANSIENT,
}
