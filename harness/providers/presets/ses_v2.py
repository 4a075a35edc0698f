"""Amazon SES's v2 API: SendEmail (Simple, Raw, Template), SendBulkEmail, and GetAccount for health probes.

Every request is signed with Signature Version 4, and the signature is verified (_ses_signature). There is no
idempotency key: the API has none. What tells a client library's hidden retries from a new attempt is
`amz-sdk-invocation-id`. Where texts and codes come from: _ses_errors.

An account of SES is of one region. The region of a signature is taken as it comes; a scenario that wants the
trouble of one region gives its routes a `tenant` (such as `eu-west-1`), by which faults select.

Known differences: every sender's address is verified, every template and configuration set exists; the
24-hour quota counts fixed days, where the real one slides; `SentLast24Hours` is always 0.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from datetime import date
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from harness.history.events import ReceiptResult
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.api import HttpApi
from harness.providers.http.limits import DAY_S, RateLimit, Window
from harness.providers.http.messages import (
    Allowance,
    Answer,
    Headers,
    HttpRequest,
    HttpRoute,
    Operation,
    Submission,
)
from harness.providers.http.preset import HttpPreset
from harness.providers.preset import ApiRequest
from harness.providers.presets import _ses_errors as errors
from harness.providers.presets import _ses_mail as mail
from harness.providers.presets._ses_events import SesEvents
from harness.providers.presets._ses_outgoing import outgoing
from harness.providers.presets._ses_signature import Flaw, region_of, sign_for_canary, signer
from harness.providers.wire import Account

SEND = "/v2/email/outbound-emails"
SEND_BULK = "/v2/email/outbound-bulk-emails"
ACCOUNT = "/v2/email/account"
MAX_BODY_BYTES = 40 * 1024 * 1024  # documented: 40 MB a message, after base64
RATE, DAY = "rate", "day"

# The first digits of a message's id tell its region [R of the first two, M of the third].
_REGIONS = {"us-east-1": "0100", "us-west-2": "0101", "eu-west-1": "0102"}


class SesLimits(BaseModel):
    """What an account has once it is out of the sandbox; both count recipients, not requests."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_send_rate: float = Field(default=14, gt=0, description="recipients per second")
    max_24_hour_send: int = Field(default=50_000, ge=1, description="recipients per day")


class SesApi(HttpApi):
    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=SEND, operation=Operation.SEND),
        HttpRoute(method="POST", path=SEND_BULK, operation=Operation.SEND),
        HttpRoute(method="GET", path=ACCOUNT, operation=Operation.QUERY),
    )
    max_body_bytes = MAX_BODY_BYTES

    def __init__(self, limits: SesLimits) -> None:
        self._limits = limits
        self.limits = [
            RateLimit(
                name=RATE,
                rate_per_s=limits.max_send_rate,
                burst=math.ceil(limits.max_send_rate),
                counts_messages=True,
            ),
            Window(name=DAY, count=limits.max_24_hour_send, per_s=DAY_S, counts_messages=True),
        ]

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        who = signer(request, accounts)
        return None if isinstance(who, Flaw) else who

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        flaw = signer(request, accounts)
        assert isinstance(flaw, Flaw), "the signature is right"
        return errors.of_signature(flaw)

    def read(self, request: HttpRequest) -> Submission:
        content = mail.decode(request.body)
        if content is None:
            return Submission(messages=mail.glimpse(request.body), declined=errors.not_json())
        flaw: mail.Malformed | None
        if request.path == SEND_BULK:
            messages = [each for entry in mail.read_bulk(content, request.body) for each in entry]
            flaw = mail.flaw_of_bulk(content)
        else:
            messages = mail.read_email(content, request.body)
            flaw = mail.flaw_of_email(content)
        declined = None if flaw is None else errors.bad_request(flaw.message)
        return Submission(messages=messages, declined=declined)

    def glimpse(self, request: HttpRequest) -> Submission:
        return Submission(messages=mail.glimpse(request.body))

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        prefix = f"{_REGIONS.get(region_of(request), '0100')}{int(request.now_s * 1000):012x}"
        if request.path == SEND_BULK:
            return _bulk_accepted(request, prefix, ids)
        message_id = _message_id(prefix, ids[0])
        return _ok({"MessageId": message_id}, text=message_id)

    def throttled(self, allowance: Allowance) -> Answer:
        return errors.day_exceeded() if allowance.name == DAY else errors.rate_exceeded()

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        return errors.of_status(status, text, retry_after_s)

    def too_large(self) -> Answer:
        return errors.too_large()

    def query(self, request: HttpRequest, account: Account) -> Answer:
        """GetAccount."""
        return _ok(
            {
                "DedicatedIpAutoWarmupEnabled": False,
                "EnforcementStatus": "HEALTHY",
                "ProductionAccessEnabled": True,
                "SendQuota": {
                    "Max24HourSend": float(self._limits.max_24_hour_send),
                    "MaxSendRate": float(self._limits.max_send_rate),
                    "SentLast24Hours": 0.0,
                },
                "SendingEnabled": True,
                "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
            }
        )

    def not_found(self, request: HttpRequest) -> Answer:
        return errors.unknown_operation()

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        return errors.unknown_operation()

    def addressed(self, answer: Answer, request: HttpRequest, submission: Submission) -> Answer:
        source = submission.messages[0].echo.get(mail.SOURCE)
        if answer != errors.NAMED["email-address-not-verified"] or source is None:
            return answer
        return errors.not_verified(region_of(request), source)

    def dressed(self, answer: Answer, request: HttpRequest, attempt: str) -> Answer:
        drawn = hashlib.sha256(attempt.encode()).hexdigest()[:32]
        headers: Headers = (*answer.headers, ("x-amzn-RequestId", str(UUID(drawn))))
        return msgspec.structs.replace(answer, headers=headers)

    def sdk_retry(self, request: HttpRequest) -> str | None:
        return request.header("amz-sdk-invocation-id") or None


def _bulk_accepted(request: HttpRequest, prefix: str, ids: Sequence[str]) -> Answer:
    """One result for each entry; the ids are of all recipients in order."""
    results: list[dict[str, str]] = []
    texts: list[str] = []
    for entry in mail.read_bulk(mail.decode(request.body) or {}, request.body):
        declined = entry[0].declined
        message_id = _message_id(prefix, ids[len(texts)])
        texts += [message_id] * len(entry)
        if declined is None:
            results.append({"Status": "SUCCESS", "MessageId": message_id})
        else:
            status, _, why = declined.text.partition(": ")
            results.append({"Status": status, "Error": why})
    answer = _ok({"BulkEmailEntryResults": results}, text=texts[0])
    return msgspec.structs.replace(answer, texts=tuple(texts))


def _message_id(prefix: str, drawn: str) -> str:
    return f"{prefix}-{UUID(drawn)}-000000"


def _ok(content: Any, text: str = "") -> Answer:
    return Answer(
        status=200,
        result=ReceiptResult.ACCEPTED,
        text=text,
        body=msgspec.json.encode(content),
        headers=errors.JSON,
    )


class SesCanary:
    """What a health probe and a sender ask of this API, signed for the canary's own fixed moment."""

    def login(self, account: Account) -> ApiRequest:
        return sign_for_canary(account, "GET", ACCOUNT)

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        token = message["X-Harness-Token"]
        content = {
            "FromEmailAddress": str(message["From"]),
            "Destination": {"ToAddresses": [str(message["To"])]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": str(message["Subject"])},
                    "Body": {"Text": {"Data": message.get_content()}},
                    "Headers": [] if token is None else [{"Name": "X-Harness-Token", "Value": str(token)}],
                }
            },
        }
        return sign_for_canary(account, "POST", SEND, msgspec.json.encode(content))


PRESET = HttpPreset(
    name="ses-v2",
    summary="Amazon SES v2 API: SendEmail, SendBulkEmail, GetAccount; verified signatures, quotas, errors",
    dated=date(2026, 11, 1),
    scheme="ses+http",
    limits=SesLimits,
    named=errors.NAMED,
    api=lambda limits, seed: SesApi(limits),
    canary=SesCanary(),
    outgoing=outgoing,
    credential=CredentialShape(username="AKIA{upper:16}", secret="{text:40}"),
    events=SesEvents(),
)
