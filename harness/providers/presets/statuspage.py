"""A provider's public status page, as Atlassian Statuspage serves it: JSON under /api/v2, for everybody.

It carries no mail. What it says of an outage is on a timeline of its own: a fault of type `status` makes it
tell of an incident (`named`: minor, major or critical; `text`: the title), from when the fault is put until
it is taken away. So a page can be late, be wrong, call an outage over too early, or never know of one. It
answers 429, or late, or not at all, by the same faults as any other API.

Where it is the system's own page, the system can announce an outage on it: at endpoint `manage` there is
the management API (_statuspage_manage), which takes the account's secret as its key.

Paths and bodies are those of the public documentation; what the answers of the front end in an overload look
like is from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from email.message import EmailMessage
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from harness.history.events import ReceiptResult
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.answers import phrase
from harness.providers.http.api import HttpApi, bearer, retry_after
from harness.providers.http.messages import (
    Allowance,
    Answer,
    HttpRequest,
    HttpRoute,
    Operation,
)
from harness.providers.http.preset import HttpPreset
from harness.providers.preset import ApiRequest
from harness.providers.presets import _statuspage_manage as manage
from harness.providers.presets import _statuspage_page as pages
from harness.providers.presets._statuspage_page import View
from harness.providers.wire import Account

STATUS = "/api/v2/status.json"
_PARTS: Mapping[str, Callable[[View], dict[str, Any]]] = {
    STATUS: lambda view: {"page": view.page, "status": view.status},
    "/api/v2/summary.json": lambda view: {
        "page": view.page,
        "components": view.components,
        "incidents": view.unresolved,
        "scheduled_maintenances": view.scheduled_maintenances,
        "status": view.status,
    },
    "/api/v2/components.json": lambda view: {"page": view.page, "components": view.components},
    "/api/v2/incidents.json": lambda view: {"page": view.page, "incidents": view.latest},
    "/api/v2/incidents/unresolved.json": lambda view: {"page": view.page, "incidents": view.unresolved},
}


class StatuspageLimits(BaseModel):
    """Those of the management API, for one key. None is published of the page itself; a fault makes it answer
    429."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: float = Field(default=1, gt=0, description="requests per second at endpoint `manage`")
    burst: int = Field(default=60, ge=1, description="requests at once there: it is measured over a minute")


def _plain(status: int, text: str | None = None, retry_after_s: float | None = None) -> Answer:
    said = text or phrase(status)
    return Answer(
        status=status,
        result=ReceiptResult.DEFERRED,
        text=said,
        body=said.encode(),
        headers=(("Content-Type", "text/plain; charset=utf-8"), *retry_after(retry_after_s)),
    )


NAMED = {
    "service-unavailable": _plain(503),
    "too-many-requests": _plain(429),
    **manage.NAMED,
}


class StatuspageApi(HttpApi):
    announces = pages.IMPACTS
    secrets_at = manage.ENDPOINT
    max_body_bytes = manage.MAX_BODY_BYTES

    def __init__(self, limits: StatuspageLimits) -> None:
        self.routes: Sequence[HttpRoute] = (
            *(HttpRoute(method="GET", path=path, operation=Operation.OPEN) for path in _PARTS),
            *manage.routes(limits.rate, limits.burst),
        )

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        """Nobody is asked for credentials on the page; by these the harness's canary is known."""
        if manage.is_asked(request):
            return manage.caller(request, accounts)
        return accounts.of_secret(bearer(request))

    def open(self, request: HttpRequest, accounts: Accounts) -> Answer:
        host = request.header("host") or "status.example.com"
        view = pages.view(request.announced, request.posted, host)
        return Answer(
            status=200,
            result=ReceiptResult.REFUSED,  # nothing was handed over, and nothing is recorded
            body=msgspec.json.encode(_PARTS[request.path](view)),
            headers=(
                ("Content-Type", "application/json; charset=utf-8"),
                ("Cache-Control", "max-age=0, private, must-revalidate"),
                ("Access-Control-Allow-Origin", "*"),
                ("X-Statuspage-Version", "1"),
            ),
        )

    def query(self, request: HttpRequest, account: Account) -> Answer:
        return manage.answer(request)

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        return manage.UNAUTHORIZED if manage.is_asked(request) else _plain(401)

    def throttled(self, allowance: Allowance) -> Answer:
        if allowance.endpoint == manage.ENDPOINT:
            # That the API tells how long to wait is documented nowhere: a fault may say it.
            wait_s = None if allowance.name == manage.OWN_LIMIT else allowance.wait_s
            return manage.plain(429, None, wait_s)
        return _plain(429, None, allowance.wait_s)

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        return _plain(status, text, retry_after_s)

    def error_beside(
        self, endpoint: str, status: int, text: str | None, retry_after_s: float | None
    ) -> Answer:
        return manage.plain(status, text, retry_after_s)

    def too_large(self) -> Answer:
        return _plain(413)

    def not_found(self, request: HttpRequest) -> Answer:
        return manage.NOT_FOUND if manage.is_asked(request) else _plain(404)

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        refused = manage.plain(405, None, None) if manage.is_asked(request) else _plain(405)
        return msgspec.structs.replace(refused, headers=(*refused.headers, ("Allow", allowed)))


class StatuspageCanary:
    """Reads the page; its secret is there only so that the page knows whom its faults are not counted for."""

    def login(self, account: Account) -> ApiRequest:
        return ApiRequest(method="GET", path=STATUS, headers={"Authorization": f"Bearer {account.secret}"})

    def message(self, account: Account, message: EmailMessage) -> ApiRequest:
        raise NotImplementedError("a status page takes no mail")


PRESET = HttpPreset(
    name="statuspage",
    summary="A public status page under /api/v2: faults announce incidents on it, and a system by its API",
    dated=date(2026, 11, 1),
    scheme="statuspage+http",
    limits=StatuspageLimits,
    named=NAMED,
    api=lambda limits, seed: StatuspageApi(limits),
    canary=StatuspageCanary(),
    endpoint_canaries={manage.ENDPOINT: manage.canary_request},
    real_hosts={manage.REAL_HOST: manage.ENDPOINT},
    credential=CredentialShape(username="{owner}", secret="{text:43}"),
)
