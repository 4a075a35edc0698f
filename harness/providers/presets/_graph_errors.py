"""Microsoft Graph's error answers, to the letter, with holes for what differs from request to request.

Sources: [D] Microsoft's own pages on errors, throttling and sendMail; [R] bodies that users posted in public
issue threads; [M] from memory, no source found. The gateway's own errors have an `innerError`; those of
Exchange behind it have none. `dress` fills in the holes and adds the headers that every answer has.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.answers import phrase
from harness.providers.http.api import retry_after
from harness.providers.http.messages import Answer, Headers, HttpRequest
from harness.providers.ids import uuid_of

_DATE, _REQUEST, _CLIENT_REQUEST = "{date}", "{request-id}", "{client-request-id}"
_JSON: Headers = (("Cache-Control", "no-cache"), ("Content-Type", "application/json"))
_DIAGNOSTIC = (
    '{"ServerInfo":{"DataCenter":"North Europe","Slice":"E","Ring":"4","ScaleUnit":"001",'
    '"RoleInstance":"DU2PEPF0000014E"}}'
)  # [R] the form
# What is the account's or the service's fault can succeed elsewhere or later; what is the message's cannot.
_FOR_GOOD = frozenset({400, 404, 405, 413, 415})

OF_GATEWAY = {"date": _DATE, "request-id": _REQUEST, "client-request-id": _CLIENT_REQUEST}  # [R]
OF_UNKNOWN = {"request-id": _REQUEST, "date": _DATE}  # [R]


class _Error(msgspec.Struct, frozen=True, omit_defaults=True):
    code: str
    message: str
    inner: dict[str, str] | None = msgspec.field(name="innerError", default=None)


class _Body(msgspec.Struct, frozen=True):
    error: _Error


def refusal(
    status: int,
    code: str,
    message: str,
    *,
    inner: dict[str, str] | None = None,
    retry_after_s: float | None = None,
    headers: Headers = (),
) -> Answer:
    told_s = None if retry_after_s is None else max(1, round(retry_after_s))
    return Answer(
        status=status,
        result=ReceiptResult.REFUSED if status in _FOR_GOOD else ReceiptResult.DEFERRED,
        text=f"{code}: {message}" if message else code,
        body=msgspec.json.encode(_Body(_Error(code, message, inner))),
        headers=(*_JSON, *headers, *retry_after(retry_after_s)),
        retry_after_ns=None if told_s is None else told_s * 1_000_000_000,
    )


def dress(plain: Answer, request: HttpRequest, attempt: str) -> Answer:
    """The answer to this very request: its ids and its time, in the body and in the headers."""
    request_id = uuid_of(attempt)
    client_request_id = request.header("client-request-id") or request_id
    body = plain.body
    if plain.status >= 400:
        date = datetime.fromtimestamp(request.now_s, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        for hole, value in (
            (_DATE, date),
            (_REQUEST, request_id),
            (_CLIENT_REQUEST, client_request_id),
        ):
            body = body.replace(hole.encode(), msgspec.json.encode(value)[1:-1])
    headers = (
        *plain.headers,
        ("Strict-Transport-Security", "max-age=31536000"),
        ("request-id", request_id),
        ("client-request-id", client_request_id),
        ("x-ms-ags-diagnostic", _DIAGNOSTIC),
    )
    return msgspec.structs.replace(plain, body=body, headers=headers)


def unknown(status: int, text: str | None = None, retry_after_s: float | None = None) -> Answer:
    """What comes of trouble behind the gateway: a code that says nothing and no message [R]."""
    return refusal(status, "UnknownError", text or "", inner=OF_UNKNOWN, retry_after_s=retry_after_s)


def bad_token(message: str) -> Answer:
    challenge = (
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize",'
        ' client_id="00000003-0000-0000-c000-000000000000"'
    )  # [R]
    headers = (("WWW-Authenticate", challenge),)
    return refusal(401, "InvalidAuthenticationToken", message, inner=OF_GATEWAY, headers=headers)


def throttled(limit: str, retry_after_s: float | None) -> Answer:
    return refusal(
        429,
        "ApplicationThrottled",
        f"Application is over its {limit} limit.",
        retry_after_s=retry_after_s,
    )  # [R] for MailboxConcurrency and IncomingBytes; seen with and without Retry-After


def error(status: int, text: str | None, retry_after_s: float | None) -> Answer:
    """For a fault that names a status and no answer."""
    match status:
        case 401:
            return bad_token(text or "Access token validation failure.")
        case 403:
            return refusal(403, "ErrorAccessDenied", text or ACCESS_DENIED_TEXT)
        case 429 if text is None:
            return throttled("MailboxConcurrency", retry_after_s)
        case _ if status >= 500:
            return unknown(status, text, retry_after_s)
        case _:
            said = text or phrase(status)
            return refusal(status, "BadRequest", said, inner=OF_GATEWAY, retry_after_s=retry_after_s)


def unresolved(address: str) -> Answer:
    return refusal(
        400,
        "ErrorInvalidRecipients",
        f"At least one recipient is not valid., Recipient '{address}' is not resolved. All recipients must be"
        " resolved before a message can be submitted.",
    )  # [R]


def header_name(name: str) -> Answer:
    return refusal(
        400,
        "InvalidInternetMessageHeader",
        f"The internet message header name '{name}' should start with 'x-' or 'X-'.",
    )  # [R]


ACCESS_DENIED_TEXT = "Access is denied. Check credentials and try again."
TOKEN_EMPTY = bad_token("Access token is empty.")  # [R]
TOKEN_EXPIRED = bad_token("Lifetime validation failed, the token is expired.")  # [R]
TOKEN_INVALID = bad_token("Access token validation failure.")  # [R]
TOKEN_MALFORMED = bad_token(
    "IDX14100: JWT is not well formed, there are no dots (.).\nThe token needs to be in JWS or JWE Compact"
    " Serialization Format. (JWS): 'EncodedHeader.EncodedPayload.EncodedSignature'. (JWE): "
    "'EncodedProtectedHeader.EncodedEncryptedKey.EncodedInitializationVector.EncodedCiphertext."
    "EncodedAuthenticationTag'."
)  # [R]
WRONG_AUDIENCE = bad_token("Access token validation failure. Invalid audience.")  # [R]
ACCESS_DENIED = refusal(403, "ErrorAccessDenied", ACCESS_DENIED_TEXT)  # [R]
SEND_AS_DENIED = refusal(
    403,
    "ErrorSendAsDenied",
    "The user account which was used to submit this request does not have the right to send mail on behalf of"
    " the specified sending account., Cannot submit message.",
)  # [D]
MAILBOX_MISSING = refusal(
    404,
    "MailboxNotEnabledForRESTAPI",
    "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
)  # [R]
NOT_DELEGATED = refusal(
    400, "BadRequest", "/me request is only valid with delegated authentication flow.", inner=OF_GATEWAY
)  # [R] the message, seen with Request_BadRequest as well
MIME_NOT_BASE64 = refusal(
    400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content."
)  # [D]
NOT_JSON = refusal(
    400,
    "BadRequest",
    "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid"
    " JSON format.",
    inner=OF_GATEWAY,
)  # [R]
NO_RECIPIENTS = refusal(
    400,
    "ErrorInvalidRecipients",
    "At least one recipient is not valid., A message can't be sent because it contains no recipients.",
)  # [R]
TOO_MANY_HEADERS = refusal(
    400,
    "InvalidInternetMessageHeaderCollection",
    "Maximum number of headers in one message should be less than or equal to 5.",
)  # [R], and for an empty list as well
TOO_LARGE = refusal(
    413, "RequestEntityTooLarge", "The request exceeds the maximum allowed size.", inner=OF_GATEWAY
)  # [M]

NAMED = {
    "access-denied": ACCESS_DENIED,
    "gateway-timeout": unknown(504),
    "mailbox-missing": MAILBOX_MISSING,
    "me-not-delegated": NOT_DELEGATED,
    "mime-not-base64": MIME_NOT_BASE64,
    "send-as-denied": SEND_AS_DENIED,
    "service-unavailable": unknown(503),
    "throttled": throttled("MailboxConcurrency", 1),
    "throttled-without-retry-after": throttled("MailboxConcurrency", None),
    "token-expired": TOKEN_EXPIRED,
    "token-invalid": TOKEN_INVALID,
}
