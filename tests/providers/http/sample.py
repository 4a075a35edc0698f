"""A small API of no real provider, with all that the HTTP engine can do and SendGrid does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import BaseModel

from harness.history.events import ProviderEvent, ReceiptResult
from harness.providers import presets
from harness.providers.clock import Clock
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.api import HttpApi, bearer, retry_after
from harness.providers.http.limits import Limit
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
from harness.providers.ledger import MemorySink
from harness.providers.serve import serve
from harness.providers.tokens import Carried
from harness.providers.wire import Account, ProviderConfig, RouteListener
from tests.providers.http_provider import Fake

KEY, NEXT_KEY, CANARY_KEY = "route-1", "route-2", "canary-1"
SEND, ME, TOKEN, THING = "/send", "/me", "/token", "/things/{name}/parts"
TOKENS = [letter * 16 for letter in "abcdefghijkl"]
MOST_BYTES = 100_000


def recipient(number: int) -> str:
    return f"c.{TOKENS[number]}@customer.example"


def answer(status: int, text: str, result: ReceiptResult, **more: Any) -> Answer:
    return Answer(status=status, result=result, text=text, body=msgspec.json.encode({"said": text}), **more)


def refusal(status: int, text: str, **more: Any) -> Answer:
    for_good = 400 <= status < 500 and status not in (401, 403, 429)
    return answer(status, text, ReceiptResult.REFUSED if for_good else ReceiptResult.DEFERRED, **more)


class SampleApi(HttpApi):
    """Bodies are JSON: who it goes `to`, and a `class`. A recipient `bad...` is declined alone."""

    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=SEND, operation=Operation.SEND),
        HttpRoute(method="PUT", path=SEND, operation=Operation.SEND),
        HttpRoute(method="GET", path=ME, operation=Operation.QUERY),
        HttpRoute(method="GET", path=THING, operation=Operation.QUERY),
        HttpRoute(method="POST", path=TOKEN, operation=Operation.OPEN, endpoint="token"),
        HttpRoute(method="GET", path=ME, operation=Operation.QUERY, endpoint="token"),
    )
    max_body_bytes = MOST_BYTES
    idempotent_for_s = 0.4

    def __init__(self, limits: Sequence[Limit] = (), *, refuses_suppressed: bool = False) -> None:
        self.limits = limits
        self.refuses_suppressed = refuses_suppressed

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        return accounts.of_secret(bearer(request))

    def unauthorized(self, request: HttpRequest, accounts: Accounts) -> Answer:
        return refusal(401, "who are you?")

    def read(self, request: HttpRequest) -> Submission:
        try:
            content = msgspec.json.decode(request.body, type=dict[str, Any])
        except msgspec.DecodeError:
            return Submission(messages=[LogicalMessage()], declined=refusal(400, "no JSON"))
        carried = Carried(class_=content.get("class"))
        messages = [
            LogicalMessage(
                recipient=each,
                carried=carried,
                declined=refusal(422, "bad recipient") if each.startswith("bad") else None,
            )
            for each in content["to"]
        ]
        return Submission(messages=messages)

    def glimpse(self, request: HttpRequest) -> Submission:
        return Submission(messages=[LogicalMessage()])

    def accepted(self, request: HttpRequest, submission: Submission, ids: Sequence[str]) -> Answer:
        return Answer(
            status=200,
            result=ReceiptResult.ACCEPTED,
            text="taken",
            texts=tuple(ids),
            body=msgspec.json.encode({"ids": list(ids)}),
        )

    def throttled(self, allowance: Allowance) -> Answer:
        wait_ns = round(allowance.wait_s * 1e9)
        return refusal(429, allowance.name, headers=retry_after(allowance.wait_s), retry_after_ns=wait_ns)

    def error(self, status: int, text: str | None, retry_after_s: float | None) -> Answer:
        return refusal(status, text or "an error", headers=retry_after(retry_after_s))

    def too_large(self) -> Answer:
        return refusal(413, "too large")

    def not_found(self, request: HttpRequest) -> Answer:
        return refusal(404, f"nothing at {request.path}")

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer:
        return refusal(405, allowed)

    def query(self, request: HttpRequest, account: Account) -> Answer:
        said = f"{account.username} {request.path_params.get('name', '')} {request.query}"
        return answer(200, said.strip(), ReceiptResult.REFUSED)

    def open(self, request: HttpRequest, accounts: Accounts) -> Answer:
        known = [each.username for each in accounts.known]
        return answer(200, f"a token for one of {known}", ReceiptResult.REFUSED)

    def suppressed(self, message: LogicalMessage) -> Answer | None:
        return refusal(406, "inactive recipient") if self.refuses_suppressed else None

    def idempotency_key(self, request: HttpRequest) -> str | None:
        return request.headers.get("idempotency-key")

    def sdk_retry(self, request: HttpRequest) -> str | None:
        return request.headers.get("x-call")

    def conflicting(self, *, in_progress: bool) -> Answer:
        return refusal(409, "in progress" if in_progress else "another payload")


class SampleEvents:
    begins = "accepted"
    every_s = 0.01
    waits_s = (1.0,)
    gives_up_after_s = None
    stops_at = ()
    secret = ""

    def verifies_with(self, secret: str) -> str:
        return secret

    def posts(self, happenings: Any, signing: Any) -> list[Any]:
        return []


class NoLimits(BaseModel):
    pass


class NoCanary:
    """Nobody asks for it: what speaks to this API is a test."""

    login: Any = None
    message: Any = None


class Sample(Fake):
    def url(self, path: str = SEND, *, rejecting: bool = False) -> str:
        return super().url(path, rejecting=rejecting)

    def events(self) -> list[ProviderEvent]:
        return [
            msgspec.json.decode(line, type=ProviderEvent)
            for line in self.sink.records
            if msgspec.json.decode(line)["kind"] == "provider.event"
        ]

    def beside(self, path: str, *, route: str = "backup", rejecting: bool = False) -> str:
        """A URL of the endpoint `token`."""
        (bound,) = [
            each for each in self.provider.ready.listeners if (each.route, each.endpoint) == (route, "token")
        ]
        return f"http://127.0.0.1:{bound.rejecting_port if rejecting else bound.port}{path}"

    def of_route(self, route: str, path: str = SEND) -> str:
        (bound,) = [
            each for each in self.provider.ready.listeners if (each.route, each.endpoint) == (route, "api")
        ]
        return f"http://127.0.0.1:{bound.port}{path}"


def preset(api: SampleApi) -> HttpPreset:
    return HttpPreset(
        name="sample",
        summary="a sample",
        dated=date(2026, 11, 1),
        scheme="sample+http",
        limits=NoLimits,
        named={"sample.busy": refusal(503, "busy")},
        api=lambda limits, seed: api,
        canary=NoCanary(),
        credential=CredentialShape(),
        events=SampleEvents(),
    )


def listener(route: str = "backup", key: str = KEY, tenant: str = "") -> RouteListener:
    account = Account(username="sender", secret=key, next_secret=NEXT_KEY, tenant=tenant)
    return RouteListener(route=route, account=account)


@asynccontextmanager
async def sample(
    api: SampleApi | None = None, *listeners: RouteListener, sink: MemorySink | None = None
) -> AsyncIterator[Sample]:
    loop = asyncio.get_running_loop()
    config = ProviderConfig(
        name="sample",
        preset="sample",
        listeners=list(listeners) or [listener()],
        canary_account=Account(username="canary", secret=CANARY_KEY, canary=True),
        seed=7,
    )
    sink = sink or MemorySink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets, "load", lambda name: preset(api or SampleApi()))
        provider = await serve(config, Clock(time.time() - loop.time()), sink)
    try:
        yield Sample(provider, sink)
    finally:
        await provider.close()


def headers(key: str | None = KEY, **more: str) -> dict[str, str]:
    own = {name.replace("_", "-"): value for name, value in more.items()}
    return own if key is None else {"Authorization": f"Bearer {key}", **own}


async def send(
    client: httpx.AsyncClient,
    url: str,
    *to: str,
    key: str | None = KEY,
    class_: str = "transactional",
    **more: str,
) -> httpx.Response:
    content = {"to": list(to or [recipient(0)]), "class": class_}
    return await client.post(url, json=content, headers=headers(key, **more))


def raw(content: Any = None, *, key: str = KEY, length: int | None = None, more: str = "") -> bytes:
    """A request to send as it goes over the wire; `length` may lie."""
    body = msgspec.json.encode({"to": [recipient(0)]} if content is None else content)
    head = (
        f"POST {SEND} HTTP/1.1\r\nHost: sample.example\r\nAuthorization: Bearer {key}\r\n{more}"
        f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode() + body
