"""SendGrid's v3 API: POST /v3/mail/send, and GET /v3/scopes for health probes.

What is documented and what users posted is reproduced to the letter (see _sendgrid_errors for the sources).
Known and kept: 202 has no body, the id is in a header; an answer of mail/send carries no X-RateLimit
headers except a 429 (confirmed by the provider's own staff, against its documentation); no Retry-After, no
idempotency key.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from datetime import date
from email.message import EmailMessage

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.answers import phrase
from harness.providers.http.api import HttpApi, bearer, media_type, retry_after
from harness.providers.http.messages import (
    Allowance,
    Answer,
    HttpRequest,
    HttpRoute,
    Operation,
    Submission,
)
from harness.providers.http.preset import HttpPreset
from harness.providers.http.scenario_rate import ScenarioRate
from harness.providers.preset import ApiRequest
from harness.providers.presets import _sendgrid_errors as errors
from harness.providers.presets import _sendgrid_mail as mail
from harness.providers.presets._sendgrid_errors import Complaint
from harness.providers.presets._sendgrid_events import SendGridEvents
from harness.providers.presets._sendgrid_outgoing import outgoing
from harness.providers.wire import Account

MAIL_SEND = "/v3/mail/send"
SCOPES = "/v3/scopes"
MAX_BODY_BYTES = 30 * 1024 * 1024  # "total message size" of the documentation


NAMED = {
    "bad-gateway": errors.page(502, "Bad Gateway"),
    "credits-exceeded": errors.refusal(401, Complaint("Maximum credits exceeded")),
    "forbidden": errors.refusal(403, Complaint("access forbidden")),
    "internal-error": errors.refusal(500, Complaint("Internal Server Error")),  # the text from memory
    "limits-exceeded": errors.refusal(403, Complaint("You have exceeded your messaging limits")),
    "service-unavailable": errors.page(503, "Service Temporarily Unavailable"),
    "too-many-requests": errors.too_many_requests(),
    "unauthorized": errors.wrong_credential(),
}


class SendGridApi(HttpApi):
    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=MAIL_SEND, operation=Operation.SEND),
        HttpRoute(method="GET", path=SCOPES, operation=Operation.QUERY),
    )
    max_body_bytes = MAX_BODY_BYTES

    def __init__(self, limits: ScenarioRate) -> None:
        self.limits = limits.each()

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        return accounts.of_secret(bearer(request))

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        return errors.no_credential() if bearer(request) is None else errors.wrong_credential()

    def read(self, request: HttpRequest) -> Submission:
        content = mail.decode(request.body)
        messages = mail.read_messages(content, request.body)
        if media_type(request) != "application/json":
            return Submission(messages=messages, declined=errors.refusal(415, errors.WRONG_MEDIA_TYPE))
        if wrong := mail.complaints(content):
            return Submission(messages=messages, declined=errors.refusal(400, *wrong))
        if mail.is_sandbox(content):
            return Submission(messages=messages, declined=_checked_only(), dry_run=True)
        return Submission(messages=messages)

    def glimpse(self, request: HttpRequest) -> Submission:
        return Submission(messages=mail.glimpse_messages(request.body))

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        visible = base64.urlsafe_b64encode(bytes.fromhex(ids[0])).rstrip(b"=").decode()
        return Answer(
            status=202,
            result=ReceiptResult.ACCEPTED,
            text=visible,
            headers=(*errors.API[:2], ("X-Message-Id", visible), *errors.API[2:]),
        )

    def throttled(self, allowance: Allowance) -> Answer:
        return errors.too_many_requests(
            (
                ("X-RateLimit-Limit", str(allowance.limit)),
                ("X-RateLimit-Remaining", str(allowance.remaining)),
                ("X-RateLimit-Reset", str(math.ceil(allowance.reset_epoch_s))),
            )
        )

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        if text is None and status == 429:
            return errors.too_many_requests(retry_after(retry_after_s))
        headers = (*errors.API, *retry_after(retry_after_s))
        return errors.refusal(status, Complaint(text or phrase(status)), headers=headers)

    def too_large(self) -> Answer:
        return errors.page(413, "Request Entity Too Large")

    def query(self, request: HttpRequest, account: Account) -> Answer:
        """GET /v3/scopes of a key that may do nothing but send."""
        return Answer(
            status=200,
            result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded of a query
            body=b'{"scopes":["mail.send","sender_verification_eligible","2fa_required"]}',
            headers=(*errors.API, ("Content-Type", "application/json")),
        )

    def not_found(self, request: HttpRequest) -> Answer:
        return errors.refusal(404, Complaint("Not Found"))  # the text from memory

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        headers = (*errors.API, ("Allow", allowed))
        return errors.refusal(405, Complaint(f"{allowed} method allowed only"), headers=headers)


def _checked_only() -> Answer:
    """Sandbox mode: the message is valid, and it is not queued."""
    return Answer(
        status=200, result=ReceiptResult.REFUSED, text="sandbox mode: checked, not queued", headers=errors.API
    )


class SendGridCanary:
    """What a health probe and a sender ask of this API."""

    def login(self, account: Account) -> ApiRequest:
        return ApiRequest(method="GET", path=SCOPES, headers=self._headers(account))

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        content = {
            "personalizations": [{"to": [{"email": str(message["To"])}]}],
            "from": {"email": str(message["From"])},
            "subject": str(message["Subject"]),
            "content": [{"type": "text/plain", "value": message.get_content()}],
        }
        return ApiRequest(
            method="POST",
            path=MAIL_SEND,
            headers={**self._headers(account), "Content-Type": "application/json"},
            body=msgspec.json.encode(content),
        )

    @staticmethod
    def _headers(account: Account) -> dict[str, str]:
        return {"Authorization": f"Bearer {account.secret}"}


PRESET = HttpPreset(
    name="sendgrid",
    summary="SendGrid v3 API: POST /v3/mail/send with its error bodies and rate limit, GET /v3/scopes",
    dated=date(2026, 11, 1),
    scheme="sendgrid+http",
    limits=ScenarioRate,
    named=NAMED,
    api=lambda limits, seed: SendGridApi(limits),
    canary=SendGridCanary(),
    outgoing=outgoing,
    credential=CredentialShape(username="apikey", secret="SG.{text:22}.{text:43}"),
    events=SendGridEvents(),
)
