"""Mailgun's API: POST /v3/{domain}/messages and messages.mime, GET /v3/domains/{domain} for health probes.

Known and kept: a wrong key is 401 and the plain word Forbidden; any path that does not exist is 200 and plain
text; a domain over its limit of recipients is 420, which is no status of HTTP's. Mail to an address that
bounced is queued like any other, and fails later. There is no idempotency key.

Not here: domains have no list; one that looks like a domain name is there, and belongs to every account. No
limit is published, so there is none unless the scenario sets one. _mailgun_errors.py has the sources.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from email.message import EmailMessage
from urllib.parse import unquote, urlencode

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.answers import phrase
from harness.providers.http.api import HttpApi, basic
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
from harness.providers.presets import _mailgun_errors as errors
from harness.providers.presets import _mailgun_mail as mail
from harness.providers.presets._mail_parts import glimpse, sha256_of
from harness.providers.presets._mailgun_events import MailgunEvents
from harness.providers.presets._mailgun_form import read_form
from harness.providers.presets._mailgun_outgoing import outgoing
from harness.providers.wire import Account

MESSAGES = "/v3/{domain}/messages"
MIME = "/v3/{domain}/messages.mime"
DOMAIN = "/v3/domains/{domain}"
USERNAME = "api"
MAX_BODY_BYTES = 25 * 1024 * 1024  # "maximum message size" of the documentation
CANARY_DOMAIN = "canary.example"
_IS_DOMAIN = re.compile(r"(?:[a-z0-9-]+\.)+[a-z0-9-]+", re.IGNORECASE)
_LIMIT_S = 3_600.0  # until a domain's recipients count anew, as users saw it


NAMED = {
    "account-disabled": errors.not_allowed(403, "Account disabled"),  # [R]
    "domain-not-found": errors.domain_not_found(errors.DOMAIN),
    "forbidden": errors.forbidden(),
    "internal-error": errors.refusal(500, "Internal Server Error"),  # the words [M]
    "invalid-recipient": errors.refusal(400, errors.invalid_address("to")),
    "magnificent-api": errors.magnificent(),  # refused, and it looks like success
    "missing-from": errors.refusal(400, errors.FROM_MISSING),
    "recipient-limit-exceeded": errors.not_allowed(
        420, f"recipient limit exceeded, try again after {errors.UNTIL}"
    ),  # [R]
    "sandbox-domain": errors.not_allowed(
        403,
        "Sandbox subdomains are for test purposes only. Please add your own domain or add the address to"
        " authorized recipients in Account Settings.",
    ),  # [R]
    "service-unavailable": errors.refusal(503, "Service Unavailable"),  # the words [M]
    "too-large": errors.too_large(),
    "too-many-requests": errors.too_many_requests(),
}


class MailgunApi(HttpApi):
    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=MESSAGES, operation=Operation.SEND),
        HttpRoute(method="POST", path=MIME, operation=Operation.SEND),
        HttpRoute(method="GET", path=DOMAIN, operation=Operation.QUERY),
    )
    max_body_bytes = MAX_BODY_BYTES

    def __init__(self, limits: ScenarioRate) -> None:
        self.limits = limits.each()

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        pair = basic(request)
        return accounts.of_secret(pair[1]) if pair is not None and pair[0] == USERNAME else None

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        return errors.forbidden()

    def read(self, request: HttpRequest) -> Submission:
        form, sha256 = read_form(request), sha256_of(request.body)
        messages = mail.read_messages(form, sha256)
        domain = _domain(request)
        if not _IS_DOMAIN.fullmatch(domain):
            return Submission(messages=messages, declined=errors.domain_not_found(domain))
        if wrong := mail.complaint(form, mime=request.path.endswith(".mime")):
            return Submission(messages=messages, declined=errors.refusal(400, wrong))
        if mail.is_test(form):
            queued = _queued(request, sha256)
            checked = msgspec.structs.replace(
                queued, result=ReceiptResult.REFUSED, text="test mode: taken, not sent"
            )
            return Submission(messages=messages, declined=checked, dry_run=True)
        return Submission(messages=messages)

    def glimpse(self, request: HttpRequest) -> Submission:
        return Submission(messages=glimpse(request.body.replace(b"%40", b"@")))

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        return _queued(request, ids[0])

    def addressed(self, answer: Answer, request: HttpRequest, submission: Submission) -> Answer:
        for place, value in (
            (errors.DOMAIN, _domain(request)),
            (errors.UNTIL, errors.until(request.now_s + _LIMIT_S)),
        ):
            if place in answer.text:
                answer = msgspec.structs.replace(
                    answer,
                    text=answer.text.replace(place, value),
                    body=answer.body.replace(place.encode(), msgspec.json.encode(value)[1:-1]),
                )
        return answer

    def throttled(self, allowance: Allowance) -> Answer:
        return errors.too_many_requests()

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        if text is None and status == 401:
            return errors.forbidden()
        if text is None and status == 429:
            return errors.too_many_requests(retry_after_s)
        return errors.refusal(status, text or phrase(status), retry_after_s=retry_after_s)

    def too_large(self) -> Answer:
        return errors.too_large()

    def query(self, request: HttpRequest, account: Account) -> Answer:
        """GET /v3/domains/{domain}, its first fields."""
        domain = _domain(request)
        if not _IS_DOMAIN.fullmatch(domain):
            return errors.domain_not_found(domain)
        found = {
            "domain": {"name": domain, "state": "active", "type": "custom", "is_disabled": False},
            "receiving_dns_records": [],
            "sending_dns_records": [],
        }
        return Answer(
            status=200,
            result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded of a query
            body=msgspec.json.encode(found) + b"\n",
            headers=errors.JSON,
        )

    def not_found(self, request: HttpRequest) -> Answer:
        return errors.magnificent()

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        return errors.refusal(405, "Method not allowed", (("Allow", allowed),))  # [M]


def _domain(request: HttpRequest) -> str:
    return unquote(request.path_params.get("domain", ""))


def _queued(request: HttpRequest, digits: str) -> Answer:
    """As in `<20260203192638.000be97f99f8cea1@sample.mailgun.com>` [D]."""
    moment = datetime.fromtimestamp(request.now_s, UTC)
    message_id = f"<{moment:%Y%m%d%H%M%S}.{digits[:16]}@{_domain(request)}>"
    return Answer(
        status=200,
        result=ReceiptResult.ACCEPTED,
        text=message_id,
        body=msgspec.json.encode({"id": message_id, "message": "Queued. Thank you."}) + b"\n",
        headers=errors.JSON,
    )


class MailgunCanary:
    """What a health probe and a sender ask of this API."""

    def login(self, account: Account) -> ApiRequest:
        path = DOMAIN.format(domain=CANARY_DOMAIN)
        return ApiRequest(method="GET", path=path, headers=self._headers(account))

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        fields = {
            "from": str(message["From"]),
            "to": str(message["To"]),
            "subject": str(message["Subject"]),
            "text": message.get_content(),
        }
        return ApiRequest(
            method="POST",
            path=MESSAGES.format(domain=CANARY_DOMAIN),
            headers={**self._headers(account), "Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(fields).encode(),
        )

    @staticmethod
    def _headers(account: Account) -> dict[str, str]:
        pair = base64.b64encode(f"{USERNAME}:{account.secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}


PRESET = HttpPreset(
    name="mailgun",
    summary="Mailgun API: POST /v3/{domain}/messages and messages.mime, GET /v3/domains/{domain}",
    dated=date(2026, 11, 1),
    scheme="mailgun+http",
    limits=ScenarioRate,
    named=NAMED,
    api=lambda limits, seed: MailgunApi(limits),
    canary=MailgunCanary(),
    outgoing=outgoing,
    credential=CredentialShape(username=USERNAME, secret="{hex:32}-{hex:8}-{hex:8}"),
    events=MailgunEvents(),
)
