"""SendGrid's error answers, to the letter, and the headers around them.

Sources: [R] bodies that users posted in public issue threads of sendgrid's own libraries (lengths compared
with the Content-Length they posted); [D] the provider's error and rate limit pages; [P] seen in several
public fakes and tests only; [M] from memory, no source found. Where two sources differ, the posted body
wins.
"""

from __future__ import annotations

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.messages import Answer, Headers

_HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#"

SERVER: Headers = (("Server", "nginx"),)
API: Headers = (
    *SERVER,
    ("Connection", "keep-alive"),
    ("Access-Control-Allow-Origin", "https://sendgrid.api-docs.io"),
    ("Access-Control-Allow-Methods", "POST"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, On-behalf-of, x-sg-elas-acl"),
    ("Access-Control-Max-Age", "600"),
    ("X-No-CORS-Reason", "https://sendgrid.com/docs/Classroom/Basics/API/cors.html"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
)  # [R]

# What is the account's or the service's fault can succeed elsewhere or later; what is the message's cannot.
_FOR_GOOD = frozenset({400, 404, 405, 406, 413, 415, 422})


class Complaint(msgspec.Struct, frozen=True):
    """One entry of `errors`; the order of the fields is that of the wire."""

    message: str
    field: str | None = None
    help: str | None = None


class _Body(msgspec.Struct, frozen=True):
    errors: list[Complaint]


def refusal(status: int, *complaints: Complaint, headers: Headers = API) -> Answer:
    """An error answer with SendGrid's JSON body."""
    return Answer(
        status=status,
        result=result_of(status),
        text="; ".join(each.message for each in complaints),
        body=msgspec.json.encode(_Body(list(complaints))),
        headers=(*headers, ("Content-Type", "application/json")),
    )


def page(status: int, title: str) -> Answer:
    """The HTML page of the web server in front, which clients that expect JSON trip over [R for 413]."""
    lines = (
        "<html>",
        f"<head><title>{status} {title}</title></head>",
        "<body>",
        f"<center><h1>{status} {title}</h1></center>",
        "<hr><center>nginx</center>",
        "</body>",
        "</html>",
        "",
    )
    return Answer(
        status=status,
        result=result_of(status),
        text=title,
        body="\r\n".join(lines).encode(),
        headers=(*SERVER, ("Content-Type", "text/html"), ("Connection", "keep-alive")),
    )


def result_of(status: int) -> ReceiptResult:
    return ReceiptResult.REFUSED if status in _FOR_GOOD else ReceiptResult.DEFERRED


def no_credential() -> Answer:
    return refusal(401, Complaint("Permission denied, wrong credentials"))  # [R]


def wrong_credential() -> Answer:
    return refusal(401, Complaint("The provided authorization grant is invalid, expired, or revoked"))  # [R]


def too_many_requests(limits: Headers = ()) -> Answer:
    return Answer(
        status=429,
        result=ReceiptResult.DEFERRED,
        text="too many requests",
        body=b'{"errors":[{"field":null,"message":"too many requests"}]}',  # [R][D]
        headers=(*SERVER, ("Content-Type", "application/json"), ("Connection", "keep-alive"), *limits),
    )


# --- what can be wrong with a request to send -----------------------------------------------------------

BAD_REQUEST = Complaint("Bad Request")  # [R], for what is not JSON
WRONG_MEDIA_TYPE = Complaint("Content-Type should be application/json.")  # [P]
FROM_MISSING = Complaint(
    "The from object must be provided for every email send. It is an object that requires the email"
    ' parameter, but may also contain a name parameter.  e.g. {"email" : "example@example.com"}  or'
    ' {"email" : "example@example.com", "name" : "Example Recipient"}.',
    "from.email",
    f"{_HELP}message.from",
)  # [R]
FROM_INVALID = Complaint(
    "The from email does not contain a valid address.", "from.email", f"{_HELP}message.from"
)  # [R]
NO_PERSONALIZATION = Complaint(
    "The personalizations field is required and must have at least one personalization.",
    "personalizations",
    f"{_HELP}-Personalizations-Errors",
)  # [R]
NO_SUBJECT = Complaint(
    "The subject is required. You can get around this requirement if you use a template with a subject"
    " defined or if every personalization has a subject defined.",
    "subject",
    f"{_HELP}message.subject",
)  # [R]
NO_CONTENT = Complaint(
    "Unless a valid template_id is provided, the content parameter is required. There must be at least one"
    " defined content block. We typically suggest both text/plain and text/html blocks are included, but only"
    " one block is required.",
    "content",
    f"{_HELP}message.content",
)  # [R]
CONTENT_TWICE = Complaint("If present, text/plain and text/html may only be provided once.", "content")  # [P]
CONTENT_ORDER = Complaint(
    "Following RFC 1341, section 7.2, if either text/html or text/plain are to be sent in your email:"
    " text/plain needs to be first, followed by text/html, followed by any other content.",
    "content",
    f"{_HELP}message.content",
)  # [D] the sentence, [M] its place
TOO_MANY_RECIPIENTS = Complaint(
    "There is a limit of 1000 total recipients (to + cc + bcc) per request.",
    "personalizations",
    f"{_HELP}message.personalizations",
)  # [D] the sentence, [M] its place


def too_many_personalizations(count: int) -> Complaint:
    return Complaint(
        f"The personalization block is limited to 1000 personalizations per API request. You have"
        f" provided {count} personalizations. Please consider splitting this into multiple requests and"
        " resending your request.",
        "personalizations",
        f"{_HELP}message.personalizations",
    )  # [D] the sentence, [M] its place


def wrong_type(expected: str, given: str, field: str, anchor: str | None) -> Complaint:
    """`anchor` names the part of the documentation page; None where the provider links none."""
    help_url = None if anchor is None else f"{_HELP}{anchor}"
    return Complaint(f"Invalid type. Expected: {expected}, given: {given}.", field, help_url)  # [R]


def no_recipient(field: str) -> Complaint:
    return Complaint(
        "The to array is required for all personalization objects, and must have at least one email"
        " object with a valid email address.",
        field,
        f"{_HELP}message.personalizations.to",
    )  # [R]


def email_missing(kind: str, field: str) -> Complaint:
    return Complaint(
        f"The {kind} email parameter is required.", field, f"{_HELP}message.personalizations.{kind}"
    )  # [R for to, M for cc and bcc]


def email_invalid(kind: str, field: str) -> Complaint:
    return Complaint(
        "Does not contain a valid address.", field, f"{_HELP}message.personalizations.{kind}"
    )  # [R for to, M for cc and bcc]


def email_twice(email: str, personalization: str, kind: str) -> Complaint:
    return Complaint(
        "Each email address in the personalization block should be unique between to, cc, and bcc. We found"
        f" the first duplicate instance of [{email}] in the {personalization}.{kind} field.",
        personalization,
        f"{_HELP}message.recipient-errors",
    )  # [R]


def header_reserved(field: str) -> Complaint:
    return Complaint(
        "Header cannot be one of the reserved keys.", field, f"{_HELP}message.headers"
    )  # [D] the sentence, [M] its place


def header_value(field: str) -> Complaint:
    return Complaint(
        "All values of the headers object must be strings.", field, f"{_HELP}message.headers"
    )  # [D] the sentence, [M] its place


def content_type_missing(field: str) -> Complaint:
    return Complaint(
        "Your content type must be a string with length of at least one character.",
        field,
        f"{_HELP}message.content.type",
    )  # [D] the sentence, [M] its place


def content_empty(field: str) -> Complaint:
    return Complaint(
        "The content value must be a string at least one character in length.",
        field,
        f"{_HELP}message.content.value",
    )  # [R]


def attachment_not_base64(field: str) -> Complaint:
    return Complaint(
        "The attachment content must be base64 encoded.", field, f"{_HELP}message.attachments.content"
    )  # [P]
