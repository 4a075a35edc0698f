"""An application's own inbox as a fallback channel: POST /v1/notes, a note for one user, as JSON.

No product has this API: it stands for whatever a team's own service of notifications takes by a webhook, and
all its texts are made up. A note names its user by an id of the application's own (`user`), and has a `title`
and a `text`; its token travels as the nonce in the text (`ref: hn-...-nh`). An address in place of an id is
refused: a note is no mail, and would be taken for a second copy of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from email.message import EmailMessage

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.answers import phrase
from harness.providers.http.api import HttpApi, bearer, in_ns, retry_after
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
from harness.providers.presets._mail_parts import carried, decode_json, glimpse, sha256_of
from harness.providers.wire import Account

NOTES, STATUS = "/v1/notes", "/v1/status"
CANARY_USER = "user-0"
FIELDS = ("user", "title", "text")
JSON = (("Content-Type", "application/json"),)
_FOR_GOOD = frozenset({400, 404, 405, 413, 422})


def refusal(status: int, message: str, retry_after_s: float | None = None) -> Answer:
    return Answer(
        status=status,
        result=ReceiptResult.REFUSED if status in _FOR_GOOD else ReceiptResult.DEFERRED,
        text=message,
        body=msgspec.json.encode({"error": message}),
        headers=(*JSON, *retry_after(retry_after_s)),
        retry_after_ns=in_ns(retry_after_s),
    )


NAMED = {
    "unauthorized": refusal(401, "the key is not known"),
    "unknown-user": refusal(404, "there is no such user"),
    "too-many-requests": refusal(429, "too many notes", 1),
    "unavailable": refusal(503, "notes cannot be stored at the moment"),
}


class InAppApi(HttpApi):
    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=NOTES, operation=Operation.SEND),
        HttpRoute(method="GET", path=STATUS, operation=Operation.QUERY),
    )
    max_body_bytes = 1024 * 1024

    def __init__(self, limits: ScenarioRate) -> None:
        self.limits = limits.each()

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        return accounts.of_secret(bearer(request))

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        return NAMED["unauthorized"]

    def read(self, request: HttpRequest) -> Submission:
        content = decode_json(request.body)
        given = content if isinstance(content, dict) else {}
        user, title, text = (given[name] if isinstance(given.get(name), str) else "" for name in FIELDS)
        seen = carried((), (title, text), sha256_of(request.body))
        message = LogicalMessage(recipient=user or None, carried=seen)
        return Submission(messages=[message], declined=_flaw(user, title, text))

    def glimpse(self, request: HttpRequest) -> Submission:
        return Submission(messages=glimpse(request.body))

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        note = f"note-{ids[0]}"
        return Answer(
            status=201,
            result=ReceiptResult.ACCEPTED,
            text=note,
            body=msgspec.json.encode({"id": note}),
            headers=JSON,
        )

    def query(self, request: HttpRequest, account: Account) -> Answer:
        return Answer(
            status=200,
            result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded of a query
            body=b'{"status":"ok"}',
            headers=JSON,
        )

    def throttled(self, allowance: Allowance) -> Answer:
        return refusal(429, "too many notes", allowance.wait_s)

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        return refusal(status, text or phrase(status), retry_after_s)

    def too_large(self) -> Answer:
        return refusal(413, "a note has 1 MiB at most")

    def not_found(self, request: HttpRequest) -> Answer:
        return refusal(404, "there is nothing here")

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        return msgspec.structs.replace(
            refusal(405, f"only {allowed} is taken here"), headers=(*JSON, ("Allow", allowed))
        )


def _flaw(user: str, title: str, text: str) -> Answer | None:
    missing = [name for name, value in zip(FIELDS, (user, title, text), strict=True) if not value.strip()]
    if missing:
        return refusal(422, f"`{missing[0]}` is missing")
    if "@" in user:
        return refusal(422, "`user` is an id of the application's own, not an address")
    return None


class InAppCanary:
    """What a health probe and a sender ask of this API."""

    def login(self, account: Account) -> ApiRequest:
        return ApiRequest(method="GET", path=STATUS, headers=self._headers(account))

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        """The text alone: its nonce names the message."""
        note = {"user": CANARY_USER, "title": str(message["Subject"]), "text": message.get_content()}
        return ApiRequest(
            method="POST",
            path=NOTES,
            headers={**self._headers(account), "Content-Type": "application/json"},
            body=msgspec.json.encode(note),
        )

    @staticmethod
    def _headers(account: Account) -> dict[str, str]:
        return {"Authorization": f"Bearer {account.secret}"}


PRESET = HttpPreset(
    name="in-app",
    summary="an application's own inbox, a fallback channel: POST /v1/notes, GET /v1/status",
    dated=date(2026, 11, 1),
    scheme="in-app+http",
    limits=ScenarioRate,
    named=NAMED,
    api=lambda limits, seed: InAppApi(limits),
    canary=InAppCanary(),
    credential=CredentialShape(username="notes", secret="app_{text:32}"),
)
