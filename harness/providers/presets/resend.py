"""Resend's API: POST /emails and /emails/batch, and GET /domains for health probes.

Known and kept: an `Idempotency-Key` is remembered for 24 hours, and the same request with it gets the first
answer again without being sent again; each answer tells what is left of the rate limit, which is the team's;
a 429 is about the rate, the day or the month, and its `name` alone tells which. The rate is told to be of
each second, so it is counted in fixed seconds. Limits hold for requests to send; probes take nothing of them.
_resend_errors.py has the sources.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from email.message import EmailMessage

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from harness.history.events import ReceiptResult
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.answers import phrase
from harness.providers.http.api import HttpApi, bearer
from harness.providers.http.limits import DAY_S, Window
from harness.providers.http.messages import (
    Allowance,
    Answer,
    Headers,
    HttpRequest,
    HttpRoute,
    LogicalMessage,
    Operation,
    Submission,
)
from harness.providers.http.preset import HttpPreset
from harness.providers.preset import ApiRequest
from harness.providers.presets import _resend_errors as errors
from harness.providers.presets import _resend_mail as mail
from harness.providers.presets._mail_parts import address_of, as_uuid, decode_json, glimpse, sha256_of
from harness.providers.presets._resend_errors import Error
from harness.providers.presets._resend_events import ResendEvents
from harness.providers.presets._resend_outgoing import outgoing
from harness.providers.wire import Account

EMAILS = "/emails"
BATCH = "/emails/batch"
DOMAINS = "/domains"
KEY_HEADER = "idempotency-key"
LONGEST_KEY = 256
MAX_BODY_BYTES = 40 * 1024 * 1024  # of an email with its attachments [D]
_DAILY, _MONTHLY = "daily", "monthly"


class ResendLimits(BaseModel):
    """The limits of one team."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float = Field(default=5, gt=0, description="requests per second")
    burst: int | None = Field(default=None, ge=1, description="requests at once; default: one second's worth")
    emails_per_day: int | None = Field(default=None, ge=0, description="the free plan has 100")
    emails_per_month: int | None = Field(default=None, ge=0)


NAMED = {
    "api-key-is-invalid": errors.refusal(errors.UNKNOWN_API_KEY),
    "application-error": errors.refusal(errors.APPLICATION_ERROR),
    "concurrent-idempotent-requests": errors.refusal(errors.IN_PROGRESS),
    "daily-quota-exceeded": errors.refusal(errors.DAILY_QUOTA),
    "domain-not-verified": errors.refusal(errors.DOMAIN_NOT_VERIFIED),
    "internal-server-error": errors.refusal(errors.INTERNAL_SERVER_ERROR),
    "invalid-api-key": errors.refusal(errors.INVALID_API_KEY),
    "invalid-idempotency-key": errors.refusal(errors.INVALID_KEY),
    "invalid-idempotent-request": errors.refusal(errors.OTHER_PAYLOAD),
    "missing-api-key": errors.refusal(errors.MISSING_API_KEY),
    "missing-required-field": errors.refusal(errors.missing("to")),
    "monthly-quota-exceeded": errors.refusal(errors.MONTHLY_QUOTA),
    "rate-limit-exceeded": errors.too_many_requests(5, retry_after_s=1),
    "restricted-api-key": errors.refusal(errors.RESTRICTED_API_KEY),
    "security-error": errors.refusal(errors.SECURITY_ERROR),
    "service-unavailable": errors.refusal(errors.SERVICE_UNAVAILABLE),
    "validation-error": errors.refusal(errors.invalid_address("to")),
}


class ResendApi(HttpApi):
    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=EMAILS, operation=Operation.SEND),
        HttpRoute(method="POST", path=BATCH, operation=Operation.SEND),
        HttpRoute(method="GET", path=DOMAINS, operation=Operation.QUERY),
    )
    max_body_bytes = MAX_BODY_BYTES
    retry_after_header = errors.RETRY_AFTER
    idempotent_for_s = DAY_S

    def __init__(self, limits: ResendLimits) -> None:
        self._per_window = limits.burst or math.ceil(limits.rate)
        self._window_s = self._per_window / limits.rate
        self.limits = [Window(name="rate", count=self._per_window, per_s=self._window_s)]
        quotas = ((_DAILY, limits.emails_per_day, DAY_S), (_MONTHLY, limits.emails_per_month, 30 * DAY_S))
        self.limits += [
            Window(name=name, count=count, per_s=per_s, counts_messages=True)
            for name, count, per_s in quotas
            if count is not None
        ]

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        return accounts.of_secret(bearer(request))

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        missing = bearer(request) is None
        return errors.refusal(errors.MISSING_API_KEY if missing else errors.INVALID_API_KEY)

    def read(self, request: HttpRequest) -> Submission:
        emails = _emails(request)
        messages = [message for email in emails for message in email.messages] or [LogicalMessage()]
        if wrong := _wrong(request, emails):
            return Submission(messages=messages, declined=errors.refusal(wrong))
        return Submission(
            messages=[
                message
                if email.error is None
                else msgspec.structs.replace(message, declined=errors.refusal(email.error))
                for email in emails
                for message in email.messages
            ]
        )

    def glimpse(self, request: HttpRequest) -> Submission:
        return Submission(messages=glimpse(request.body))

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        emails = _emails(request)
        texts: list[str] = []
        taken: list[dict[str, str]] = []
        wrong: list[dict[str, int | str]] = []
        for index, email in enumerate(emails):
            email_id = as_uuid(ids[len(texts)])
            texts += [email_id] * len(email.messages)
            if email.error is None:
                taken.append({"id": email_id})
            else:
                wrong.append({"index": index, "message": email.error.message})
        body: object = taken[0] if request.path != BATCH else {"data": taken}
        if _is_permissive(request):
            body = {"data": taken, "errors": wrong}
        return Answer(
            status=200,
            result=ReceiptResult.ACCEPTED,
            texts=tuple(texts),
            body=msgspec.json.encode(body),
            headers=errors.JSON,
        )

    def addressed(self, answer: Answer, request: HttpRequest, submission: Submission) -> Answer:
        if errors.DOMAIN not in answer.text:
            return answer
        sender = submission.messages[0].echo.get("from", "")
        domain = address_of(sender).rpartition("@")[2]
        return msgspec.structs.replace(
            answer,
            text=answer.text.replace(errors.DOMAIN, domain),
            body=answer.body.replace(errors.DOMAIN.encode(), msgspec.json.encode(domain)[1:-1]),
        )

    def throttled(self, allowance: Allowance) -> Answer:
        if allowance.name == _DAILY:
            return errors.refusal(errors.DAILY_QUOTA)
        if allowance.name == _MONTHLY:
            return errors.refusal(errors.MONTHLY_QUOTA)
        wait_s = max(1, math.ceil(allowance.wait_s))
        headers = self._standing(0, wait_s)
        return errors.too_many_requests(self._per_window, headers, retry_after_s=wait_s)

    def standing(self, allowance: Allowance) -> Headers:
        return self._standing(allowance.remaining, max(1, math.ceil(allowance.wait_s)))

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        if text is None and status == 429:
            return errors.too_many_requests(self._per_window, retry_after_s=retry_after_s)
        error = Error(status, text or phrase(status), errors.name_of(status))
        return errors.refusal(error, retry_after_s=retry_after_s)

    def too_large(self) -> Answer:
        return errors.refusal(errors.TOO_LARGE)

    def query(self, request: HttpRequest, account: Account) -> Answer:
        """GET /domains of a team that has none of its own here."""
        return Answer(
            status=200,
            result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded of a query
            body=b'{"object":"list","has_more":false,"data":[]}',
            headers=errors.JSON,
        )

    def not_found(self, request: HttpRequest) -> Answer:
        return errors.refusal(errors.NOT_FOUND)

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        return errors.refusal(errors.METHOD_NOT_ALLOWED, (("Allow", allowed),))

    def idempotency_key(self, request: HttpRequest) -> str | None:
        key = request.headers.get(KEY_HEADER)
        return key if key is not None and 1 <= len(key) <= LONGEST_KEY else None

    def conflicting(self, *, in_progress: bool) -> Answer:
        return errors.refusal(errors.IN_PROGRESS if in_progress else errors.OTHER_PAYLOAD)

    def _standing(self, remaining: int, reset_s: int) -> Headers:
        """As in `ratelimit-policy: 5;w=1` [R]."""
        return (
            ("ratelimit-limit", str(self._per_window)),
            ("ratelimit-policy", f"{self._per_window};w={math.ceil(self._window_s)}"),
            ("ratelimit-remaining", str(remaining)),
            ("ratelimit-reset", str(reset_s)),
        )


def _emails(request: HttpRequest) -> list[mail.Email]:
    """At least one; none where a batch holds none."""
    content, sha256 = decode_json(request.body), sha256_of(request.body)
    return mail.read_batch(content, sha256) if request.path == BATCH else [mail.read_email(content, sha256)]


def _is_permissive(request: HttpRequest) -> bool:
    return request.path == BATCH and request.header("x-batch-validation").strip().lower() == "permissive"


def _wrong(request: HttpRequest, emails: Sequence[mail.Email]) -> Error | None:
    """What is wrong with the whole request."""
    key = request.headers.get(KEY_HEADER)
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        return errors.INVALID_KEY
    if not 1 <= len(emails) <= mail.MOST_EMAILS:
        return errors.TOO_MANY_EMAILS
    if _is_permissive(request):
        return None
    return next((email.error for email in emails if email.error is not None), None)


class ResendCanary:
    """What a health probe and a sender ask of this API."""

    def login(self, account: Account) -> ApiRequest:
        return ApiRequest(method="GET", path=DOMAINS, headers=self._headers(account))

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        content = {
            "from": str(message["From"]),
            "to": [str(message["To"])],
            "subject": str(message["Subject"]),
            "text": message.get_content(),
        }
        return ApiRequest(
            method="POST",
            path=EMAILS,
            headers={**self._headers(account), "Content-Type": "application/json"},
            body=msgspec.json.encode(content),
        )

    @staticmethod
    def _headers(account: Account) -> dict[str, str]:
        return {"Authorization": f"Bearer {account.secret}"}


PRESET = HttpPreset(
    name="resend",
    summary="Resend API: POST /emails and /emails/batch, Idempotency-Key, 5 requests a second, GET /domains",
    dated=date(2026, 11, 1),
    scheme="resend+http",
    limits=ResendLimits,
    named=NAMED,
    api=lambda limits, seed: ResendApi(limits),
    canary=ResendCanary(),
    outgoing=outgoing,
    credential=CredentialShape(username="resend", secret="re_{text:8}_{text:24}"),
    events=ResendEvents(),
)
