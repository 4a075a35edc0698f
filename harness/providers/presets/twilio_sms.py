"""Twilio's Programmable Messaging as a fallback channel: POST and GET of the Message resource.

A message's token travels as the nonce in its body (`ref: hn-...-nh`), for an SMS has neither headers nor an
address of ours; its recipient is a phone number, and only one that belongs to nobody (_twilio_message). No
idempotency key is documented. Credentials are an account's SID and auth token; API keys are not modelled.

Known difference: whoever was undelivered for good, and not only who answered STOP, is unsubscribed from then
on (21610).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import date
from email.message import EmailMessage
from urllib.parse import urlencode

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.api import HttpApi, basic
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
from harness.providers.presets import _twilio_errors as errors
from harness.providers.presets import _twilio_message as sms
from harness.providers.presets._twilio_events import TwilioEvents, error_code, status_of
from harness.providers.wire import Account

ACCOUNTS = f"/{sms.API_VERSION}/Accounts"
CANARY_TO, CANARY_FROM = "+12025550100", "+15005550006"


class TwilioApi(HttpApi):
    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=f"{ACCOUNTS}/{{account}}/Messages.json", operation=Operation.SEND),
        HttpRoute(method="GET", path=f"{ACCOUNTS}/{{account}}.json", operation=Operation.QUERY),
        HttpRoute(
            method="GET", path=f"{ACCOUNTS}/{{account}}/Messages/{{message}}.json", operation=Operation.QUERY
        ),
    )
    max_body_bytes = 1024 * 1024

    def __init__(self, limits: ScenarioRate) -> None:
        self.limits = limits.each()

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        found = accounts.of_pair(basic(request))
        return found if found is not None and found.username == sms.account_sid(request) else None

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        given = basic(request)
        is_known = given is None or accounts.of_username(given[0]) is not None
        return errors.authenticate() if is_known else errors.unknown_account()

    def read(self, request: HttpRequest) -> Submission:
        form = sms.read_form(request.body)
        return Submission(messages=[sms.message_of(form, request.body)], declined=sms.flaw(form))

    def glimpse(self, request: HttpRequest) -> Submission:
        return Submission(messages=[sms.message_of(sms.read_form(request.body), request.body)])

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        (message,) = submission.messages
        if message.declined is not None:  # the only one there is
            return message.declined
        sid = f"SM{ids[0]}"
        created = sms.resource(
            account=sms.account_sid(request),
            sid=sid,
            to=message.recipient or "",
            echo=message.echo,
            status=sms.first_status(message.echo),
            created_epoch_s=request.now_s,
        )
        return Answer(
            status=201,
            result=ReceiptResult.ACCEPTED,
            text=sid,
            body=msgspec.json.encode(created),
            headers=errors.JSON,
        )

    def suppressed(self, message: LogicalMessage) -> Answer | None:
        return errors.unsubscribed()

    def throttled(self, allowance: Allowance) -> Answer:
        return errors.too_many_requests()

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        return errors.of_status(status, text, retry_after_s)

    def too_large(self) -> Answer:
        return errors.too_large()

    def about(self, request: HttpRequest) -> str | None:
        return request.path_params.get("message")

    def query(self, request: HttpRequest, account: Account) -> Answer:
        """A message; or the account itself, which a health probe asks for."""
        if self.about(request) is not None:
            return self._message(request)
        content = {
            "sid": account.username,
            "friendly_name": "drill",
            "status": "active",
            "type": "Full",
            "uri": f"{ACCOUNTS}/{account.username}.json",
        }
        return _ok(content)

    def _message(self, request: HttpRequest) -> Answer:
        found = request.recalled
        if found is None:
            return errors.no_such_resource(request.path)
        told = found.until(request.now_s)
        happened = [(status_of(event), at_s) for event, at_s in told if status_of(event)]
        return _ok(
            sms.resource(
                account=found.receipt.account,
                sid=found.receipt.text,
                to=found.receipt.recipient or "",
                echo=found.echo,
                status=happened[-1][0] if happened else sms.first_status(found.echo),
                created_epoch_s=found.taken_s,
                sent_epoch_s=happened[0][1] if happened else None,
                error_code=error_code(told[-1][0], permanent=found.permanent) if told else None,
            )
        )

    def addressed(self, answer: Answer, request: HttpRequest, submission: Submission) -> Answer:
        to = submission.messages[0].recipient
        by_number = {"invalid-to": errors.to_invalid, "no-permission": errors.no_permission}
        for name, made in by_number.items():
            if answer == errors.NAMED[name] and to is not None:
                return made(to)
        return answer

    def not_found(self, request: HttpRequest) -> Answer:
        return errors.no_such_resource(request.path)

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        return errors.method_not_allowed(allowed)

    def dressed(self, answer: Answer, request: HttpRequest, attempt: str) -> Answer:
        drawn = hashlib.sha256(attempt.encode()).hexdigest()[:32]
        return msgspec.structs.replace(answer, headers=(*answer.headers, ("Twilio-Request-Id", f"RQ{drawn}")))


def _ok(content: object) -> Answer:
    return Answer(
        status=200,
        result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded of a query
        body=msgspec.json.encode(content),
        headers=errors.JSON,
    )


class TwilioCanary:
    """What a health probe and a sender ask of this API."""

    def login(self, account: Account) -> ApiRequest:
        return ApiRequest(
            method="GET", path=f"{ACCOUNTS}/{account.username}.json", headers=self._headers(account)
        )

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        """The text alone: its nonce names the message, and its address is none that an SMS could go to."""
        form = {"To": CANARY_TO, "From": CANARY_FROM, "Body": message.get_content().strip()}
        return ApiRequest(
            method="POST",
            path=f"{ACCOUNTS}/{account.username}/Messages.json",
            headers={**self._headers(account), "Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )

    @staticmethod
    def _headers(account: Account) -> dict[str, str]:
        pair = base64.b64encode(f"{account.username}:{account.secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


PRESET = HttpPreset(
    name="twilio-sms",
    summary="Twilio SMS, a fallback channel: POST and GET of messages, errors by code, status callbacks",
    dated=date(2026, 11, 1),
    scheme="twilio+http",
    limits=ScenarioRate,
    named=errors.NAMED,
    api=lambda limits, seed: TwilioApi(limits),
    canary=TwilioCanary(),
    credential=CredentialShape(username="AC{hex:32}", secret="{hex:32}"),
    events=TwilioEvents(),
)
