"""Microsoft Graph: sendMail and the service health feed, with Entra's token endpoint beside it.

A system gets a token at endpoint `token` (client id: the account's user name; client secret: its secret) and
presents it here. A token lives as long as it says, whatever becomes of the token endpoint or of the secret;
`token_lifetime_s` makes that short for a drill. Real clients drop `Authorization` on plain http, so there is
TLS. What is known of texts and codes, and from where, say _graph_errors and _entra_errors.

What differs from the real one: /me takes an app's token as well, since no other is issued (`me-not-delegated`
is what Graph would say); no mailbox is unknown; one account stands for an app with one mailbox. The harness's
canary presents a token that it makes itself of its own secret (_entra_tokens), so that it can send while the
token endpoint is down.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from email.message import EmailMessage

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from harness.history.events import ReceiptResult
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.api import HttpApi, bearer, media_type
from harness.providers.http.limits import Concurrency, Window
from harness.providers.http.messages import (
    Allowance,
    Answer,
    HttpRequest,
    HttpRoute,
    Operation,
    Submission,
)
from harness.providers.http.preset import HttpPreset
from harness.providers.preset import ApiRequest
from harness.providers.presets import _entra_endpoint as entra
from harness.providers.presets import _entra_errors, _entra_tokens
from harness.providers.presets import _graph_errors as errors
from harness.providers.presets import _graph_health as health
from harness.providers.presets import _graph_mail as mail
from harness.providers.presets._graph_outgoing import outgoing
from harness.providers.wire import Account

SEND = "/v1.0/users/{id}/sendMail"
SEND_MINE = "/v1.0/me/sendMail"
ISSUES = "/v1.0/admin/serviceAnnouncement/issues"
MAX_BODY_BYTES = 4 * 1024 * 1024
MEGABYTE = 1024 * 1024


NAMED = errors.NAMED | _entra_errors.NAMED


class GraphLimits(BaseModel):
    """Outlook's limits for one app and one mailbox; throttled requests count as well."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrent_requests: int = Field(4, ge=1)
    requests_per_10_minutes: int = Field(10_000, ge=1)
    upload_mb_per_5_minutes: int = Field(150, ge=1)
    token_lifetime_s: float = Field(3599, ge=1, description="how long an access token is good")


class GraphApi(HttpApi):
    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=SEND, operation=Operation.SEND),
        HttpRoute(method="POST", path=SEND_MINE, operation=Operation.SEND),
        HttpRoute(
            method="GET",
            path=ISSUES,
            operation=Operation.QUERY,
            limits=(Window(name="ServiceCommunications", count=240, per_s=60),),
        ),
        *entra.ROUTES,
    )
    max_body_bytes = MAX_BODY_BYTES
    secrets_at = entra.ENDPOINT
    throttled_s = {entra.ENDPOINT: _entra_errors.THROTTLED_S}  # noqa: RUF012
    announces = health.STATUSES

    def __init__(self, limits: GraphLimits, seed: int) -> None:
        self._key = _entra_tokens.signing_key(seed)
        self._lifetime_s = limits.token_lifetime_s
        upload = limits.upload_mb_per_5_minutes * MEGABYTE
        # Requests that are one too many at a time count as well, so what counts them comes first.
        self.limits = [
            Window(name="RequestCount", count=limits.requests_per_10_minutes, per_s=600, counts_refused=True),
            Window(name="IncomingBytes", count=upload, per_s=300, counts_bytes=True, counts_refused=True),
            Concurrency(name="MailboxConcurrency", count=limits.concurrent_requests),
        ]

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        if entra.asks_for_token(request):
            return entra.caller(request, accounts)
        found = _entra_tokens.holder(self._key, bearer(request) or "", accounts)
        if found is None:
            return None
        account, claims = found
        good = claims.aud == _entra_tokens.GRAPH and claims.nbf <= request.now_s < claims.exp
        return account if good else None

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        token = bearer(request)
        if token is None:
            return errors.TOKEN_EMPTY
        if not _entra_tokens.is_well_formed(token):
            return errors.TOKEN_MALFORMED
        found = _entra_tokens.holder(self._key, token, accounts)
        if found is None:
            return errors.TOKEN_INVALID
        return errors.WRONG_AUDIENCE if found[1].aud != _entra_tokens.GRAPH else errors.TOKEN_EXPIRED

    def read(self, request: HttpRequest) -> Submission:
        kind = media_type(request)
        found = mail.read_mime(request.body) if kind == "text/plain" else mail.read_json(request.body)
        wrong = found.wrong if kind in ("text/plain", "application/json") else errors.NOT_JSON
        return Submission(messages=found.messages, declined=wrong)

    def sender(self, request: HttpRequest) -> str | None:
        """The mailbox of the path, where it is named by its address."""
        mailbox = request.path_params.get("id", "")
        return mailbox if "@" in mailbox else None

    def glimpse(self, request: HttpRequest) -> Submission:
        glimpse = mail.glimpse_mime if media_type(request) == "text/plain" else mail.glimpse_json
        return Submission(messages=glimpse(request.body))

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        """No body and no id: the client is told nothing that it could ask for later."""
        return Answer(status=202, result=ReceiptResult.ACCEPTED, headers=(("Cache-Control", "private"),))

    def throttled(self, allowance: Allowance) -> Answer:
        if allowance.endpoint == entra.ENDPOINT:
            return _entra_errors.too_many_requests(allowance.wait_s)
        limit = "MailboxConcurrency" if allowance.name == "fault" else allowance.name
        return errors.throttled(limit, allowance.wait_s)

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        return errors.error(status, text, retry_after_s)

    def error_beside(
        self, endpoint: str, status: int, text: str | None, retry_after_s: float | None
    ) -> Answer:
        if status == 429 and text is None:
            return _entra_errors.too_many_requests(retry_after_s or _entra_errors.THROTTLED_S)
        return _entra_errors.plain(status, text, retry_after_s)

    def dressed(self, answer: Answer, request: HttpRequest, attempt: str) -> Answer:
        if entra.is_asked(request):
            return entra.dress(answer, request, attempt)
        return errors.dress(answer, request, attempt)

    def too_large(self) -> Answer:
        return errors.TOO_LARGE

    def query(self, request: HttpRequest, account: Account) -> Answer:
        return Answer(
            status=200,
            result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded of a query
            body=health.feed(request),
            headers=(
                ("Cache-Control", "private"),
                ("Content-Type", "application/json;odata.metadata=minimal"),
            ),
        )

    def open(self, request: HttpRequest, accounts: Accounts) -> Answer:
        return entra.answer(request, accounts, self._key, self._lifetime_s)

    def not_found(self, request: HttpRequest) -> Answer:
        segment = request.path.rstrip("/").rpartition("/")[2]
        said = f"Resource not found for the segment '{segment}'."
        return errors.refusal(400, "BadRequest", said, inner=errors.OF_GATEWAY)

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        if entra.asks_for_token(request):
            return _entra_errors.method_wrong(request.method)
        said = "Specified HTTP method is not allowed for the request target."
        allow = (("Allow", allowed),)
        return errors.refusal(405, "Request_BadRequest", said, inner=errors.OF_GATEWAY, headers=allow)


class GraphCanary:
    """What a health probe and a sender ask of this API, with a token that needs no token endpoint."""

    def login(self, account: Account) -> ApiRequest:
        return ApiRequest(method="GET", path=ISSUES, headers=self._headers(account))

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        content = {
            "message": {
                "subject": str(message["Subject"]),
                "body": {"contentType": "Text", "content": message.get_content()},
                "toRecipients": [{"emailAddress": {"address": str(message["To"])}}],
            },
            "saveToSentItems": False,
        }
        return ApiRequest(
            method="POST",
            path=SEND.format(id=str(message["From"])),
            headers={**self._headers(account), "Content-Type": "application/json"},
            body=msgspec.json.encode(content),
        )

    @staticmethod
    def _headers(account: Account) -> dict[str, str]:
        return {"Authorization": f"Bearer {_entra_tokens.canary_token(account)}"}


PRESET = HttpPreset(
    name="microsoft-graph",
    summary="Microsoft Graph: sendMail as JSON or MIME, Entra's token endpoint, the service health feed",
    dated=date(2026, 11, 1),
    scheme="msgraph+https",
    limits=GraphLimits,
    named=NAMED,
    api=GraphApi,
    canary=GraphCanary(),
    endpoint_canaries={entra.ENDPOINT: entra.canary_request},
    real_hosts={"graph.microsoft.com": "", entra.REAL_HOST: entra.ENDPOINT},
    outgoing=outgoing,
    credential=CredentialShape(
        username="{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}", secret="{text:3}8Q~{text:34}"
    ),
)
