"""Postmark's API: POST /email and /email/batch, and GET /server for health probes.

Known and kept: a batch is answered 200 whatever became of its emails, each with an `ErrorCode` of its own; an
email of which some recipients are inactive goes to the others, and its answer says so in words alone; errors
of the layer in front are HTML. There is no idempotency key, and nothing tells how much of a limit is left.
_postmark_errors.py has the sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from email.message import EmailMessage
from typing import Any

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.answers import phrase
from harness.providers.http.api import HttpApi, media_type
from harness.providers.http.messages import (
    Allowance,
    Answer,
    HttpRequest,
    HttpRoute,
    LogicalMessage,
    Operation,
    Submission,
)
from harness.providers.http.preset import HttpPreset
from harness.providers.http.scenario_rate import ScenarioRate
from harness.providers.preset import ApiRequest
from harness.providers.presets import _postmark_errors as errors
from harness.providers.presets import _postmark_mail as mail
from harness.providers.presets._mail_parts import as_uuid, decode_json, glimpse, sha256_of
from harness.providers.presets._postmark_errors import Complaint
from harness.providers.presets._postmark_events import PostmarkEvents
from harness.providers.presets._postmark_outgoing import outgoing
from harness.providers.wire import Account

EMAIL = "/email"
BATCH = "/email/batch"
SERVER = "/server"
TOKEN_HEADER = "X-Postmark-Server-Token"
MAX_BODY_BYTES = 50 * 1024 * 1024  # of a batch [D]
MAX_EMAIL_BYTES = 10 * 1024 * 1024  # of a single email [D]
_CODES = {401: errors.BAD_TOKEN, 422: errors.INVALID_EMAIL, 429: errors.RATE_LIMIT, 503: errors.MAINTENANCE}


NAMED = {
    "account-pending": errors.answer(
        422,
        Complaint(
            412,
            "While your account is pending approval, all recipient addresses must share the same domain as"
            " the From address.",
        ),
    ),  # [D]
    "bad-token": errors.bad_token(),
    "edge-forbidden": errors.edge_page(403),
    "inactive-recipient": errors.refusal(errors.inactive([errors.ADDRESSES])),
    "internal-error": errors.edge_page(500),
    "invalid-email": errors.refusal(errors.invalid_address("To", errors.ADDRESSES)),
    "maintenance": errors.answer(
        503, Complaint(errors.MAINTENANCE, "The Postmark API is offline for maintenance.")
    ),  # the code [D], the words [M]
    "not-allowed": errors.answer(422, Complaint(errors.NOT_ALLOWED, "Not allowed to send.")),  # the words [M]
    "rate-limit": errors.too_many_requests(),
    "without-error-code": errors.without_error_code(503, "Service Unavailable"),
}


class PostmarkApi(HttpApi):
    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=EMAIL, operation=Operation.SEND),
        HttpRoute(method="POST", path=BATCH, operation=Operation.SEND),
        HttpRoute(method="GET", path=SERVER, operation=Operation.QUERY),
    )
    max_body_bytes = MAX_BODY_BYTES

    def __init__(self, limits: ScenarioRate) -> None:
        self.limits = limits.each()

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        return accounts.of_secret(request.header(TOKEN_HEADER.lower()).strip().lower() or None)

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        return errors.bad_token()

    def read(self, request: HttpRequest) -> Submission:
        emails = _emails(request)
        if not emails:
            return Submission(messages=[LogicalMessage()], declined=errors.refusal(errors.NOT_JSON))
        messages = [message for email in emails for message in email.messages]
        if media_type(request) != "application/json":
            return Submission(messages=messages, declined=errors.answer(415, errors.NEEDS_JSON))
        if request.path != BATCH:
            complaint = emails[0].complaint
            if len(request.body) > MAX_EMAIL_BYTES:
                return Submission(messages=messages, declined=self.too_large())
            return Submission(messages=messages, declined=_refused(complaint))
        if len(emails) > mail.MOST_EMAILS:
            return Submission(messages=messages, declined=errors.refusal(errors.BATCH_TOO_LARGE))
        return Submission(
            messages=[
                msgspec.structs.replace(each, declined=_refused(email.complaint))
                for email in emails
                for each in email.messages
            ]
        )

    def glimpse(self, request: HttpRequest) -> Submission:
        return Submission(messages=glimpse(request.body))

    def suppressed(self, message: LogicalMessage) -> Answer | None:
        return errors.refusal(errors.inactive(_addresses([message])))

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        emails = _emails(request)
        items: list[Any] = []
        texts: list[str] = []
        for email in emails:
            begin = len(texts)
            there = submission.messages[begin : begin + len(email.messages)]
            message_id = as_uuid(ids[begin])
            items.append(_item(email, there, message_id, request.now_s))
            texts += [message_id] * len(there)
        if request.path == BATCH:
            return errors.ok(items, texts)
        return errors.refusal(items[0]) if isinstance(items[0], Complaint) else errors.ok(items[0], texts)

    def addressed(self, answer: Answer, request: HttpRequest, submission: Submission) -> Answer:
        if errors.ADDRESSES not in answer.text:
            return answer
        named = ", ".join(_addresses(submission.messages))
        return msgspec.structs.replace(
            answer,
            text=answer.text.replace(errors.ADDRESSES, named),
            body=answer.body.replace(errors.ADDRESSES.encode(), msgspec.json.encode(named)[1:-1]),
        )

    def throttled(self, allowance: Allowance) -> Answer:
        return errors.too_many_requests()

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        if text is None and status == 429:
            return errors.too_many_requests(retry_after_s)
        if text is None and status not in _CODES:
            return errors.edge_page(status, retry_after_s=retry_after_s)
        complaint = Complaint(_CODES.get(status, status), text or phrase(status))
        return errors.answer(status, complaint, retry_after_s=retry_after_s)

    def too_large(self) -> Answer:
        return errors.edge_page(413)

    def query(self, request: HttpRequest, account: Account) -> Answer:
        """GET /server, its first fields."""
        server = {
            "ID": mail.SERVER_ID,
            "Name": account.username,
            "ApiTokens": [account.secret],
            "Color": "red",
            "SmtpApiActivated": False,
            "RawEmailEnabled": False,
            "DeliveryType": "Live",
            "ServerLink": f"https://postmarkapp.com/servers/{mail.SERVER_ID}/streams",
        }
        return Answer(
            status=200,
            result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded of a query
            body=msgspec.json.encode(server),
            headers=errors.JSON,
        )

    def not_found(self, request: HttpRequest) -> Answer:
        return errors.edge_page(404)

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        return errors.edge_page(405, (("Allow", allowed),))


def _emails(request: HttpRequest) -> list[mail.Email]:
    """At least one; none where a batch holds none."""
    content, sha256 = decode_json(request.body), sha256_of(request.body)
    return mail.read_batch(content, sha256) if request.path == BATCH else [mail.read_email(content, sha256)]


def _refused(complaint: Complaint | None) -> Answer | None:
    return None if complaint is None else errors.refusal(complaint)


def _item(
    email: mail.Email, messages: Sequence[LogicalMessage], message_id: str, now_s: float
) -> dict[str, Any] | Complaint:
    """What is said of one email; `messages` are those of its recipients."""
    if email.complaint is not None:
        return email.complaint
    inactive = _addresses([each for each in messages if each.declined is not None])
    if len(inactive) == len(messages):
        return errors.inactive(inactive)
    return {
        "To": email.to,
        "SubmittedAt": mail.instant(now_s),
        "MessageID": message_id,
        "ErrorCode": 0,
        "Message": errors.some_inactive(inactive) if inactive else "OK",
    }


def _addresses(messages: Sequence[LogicalMessage]) -> list[str]:
    """In lower case, without the names, as Postmark gives them back [R]."""
    return [(each.recipient or "").lower() for each in messages]


class PostmarkCanary:
    """What a health probe and a sender ask of this API."""

    def login(self, account: Account) -> ApiRequest:
        return ApiRequest(method="GET", path=SERVER, headers=self._headers(account))

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        content = {
            "From": str(message["From"]),
            "To": str(message["To"]),
            "Subject": str(message["Subject"]),
            "TextBody": message.get_content(),
        }
        return ApiRequest(
            method="POST",
            path=EMAIL,
            headers={**self._headers(account), "Content-Type": "application/json"},
            body=msgspec.json.encode(content),
        )

    @staticmethod
    def _headers(account: Account) -> dict[str, str]:
        return {"Accept": "application/json", TOKEN_HEADER: account.secret}


PRESET = HttpPreset(
    name="postmark",
    summary="Postmark API: POST /email and /email/batch (partial failure), inactive recipients, GET /server",
    dated=date(2026, 11, 1),
    scheme="postmark+http",
    limits=ScenarioRate,
    named=NAMED,
    api=lambda limits, seed: PostmarkApi(limits),
    canary=PostmarkCanary(),
    outgoing=outgoing,
    credential=CredentialShape(username="server", secret="{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}"),
    events=PostmarkEvents(),
)
