"""The harness's own fakes behind the router's routes: providers in this loop, and routes that lead there."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mailrouter.clock import Clock
from mailrouter.config import endpoint
from mailrouter.message import Message
from mailrouter.route import Route, open_route

from harness.history.events import Receipt
from harness.providers import presets
from harness.providers.credentials import fill
from harness.providers.wire import ProviderFault, RouteListener
from tests.providers.running import RECIPIENT, TOKEN, Provider, provider

SEED = 7
OWNER = "app-primary"


@dataclass
class Fake:
    """A provider of some preset; `url` is what a router is configured with."""

    preset: str
    provider: Provider
    query: str

    @property
    def url(self) -> str:
        return self.url_at(self.provider.port)

    @property
    def rejecting_url(self) -> str:
        return self.url_at(self.provider.rejecting_port)

    def url_at(self, port: int) -> str:
        account = presets.load(self.preset).credential.account(SEED, OWNER, scope="route")
        login = f"{quote(account.username, safe='')}:{quote(account.secret, safe='')}"
        return f"{presets.load(self.preset).scheme}://{login}@127.0.0.1:{port}{self.query}"

    @property
    def receipts(self) -> list[Receipt]:
        return self.provider.receipts

    def put(self, **fault: Any) -> None:
        self.provider.running.faults.put(ProviderFault(id="f", **fault))

    def clear(self) -> None:
        self.provider.running.faults.delete("f")


@asynccontextmanager
async def fake(
    preset: str,
    *,
    query: str = "",
    events_url: str | None = None,
    events_secret: str = "",
    https: bool = False,
    **config: Any,
) -> AsyncIterator[Fake]:
    listener = RouteListener(
        route="primary",
        account=presets.load(preset).credential.account(SEED, OWNER, scope="route"),
        events_url=events_url,
        events_secret=events_secret,
        https=https,
    )
    async with provider(preset, listeners=[listener], seed=SEED, **config) as running:
        yield Fake(preset, running, query)


def events_secret(preset: str) -> tuple[str, str]:
    """What this preset signs its events with, and what a receiver checks them with."""
    shape = presets.load(preset).events
    assert shape is not None
    account = presets.load(preset).credential.account(SEED, OWNER, scope="route")
    if shape.secret == "{account}":  # Twilio signs with the account's own
        return account.secret, shape.verifies_with(account.secret)
    secret = fill(shape.secret, str(SEED), "events", "primary")
    return secret, shape.verifies_with(secret)


def real_clock() -> Clock:
    """Signatures are good for some minutes only, so the fakes and the router must agree on the time."""
    return Clock(epoch_s=time.time() - asyncio.get_running_loop().time())


@asynccontextmanager
async def route_to(
    url: str, timeout_s: float = 10.0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Route]:
    context = tls or ssl.create_default_context()
    route = open_route(endpoint(url), real_clock(), context, timeout_s, connections=3)
    try:
        yield route
    finally:
        await route.close()


def message(**changes: Any) -> Message:
    wanted = {
        "key": TOKEN, "to": RECIPIENT, "sender": "shop@shop.example", "subject": "Your order",
        "text": f"Thank you.\nref: hn-{TOKEN}-nh\n", "class_": "transactional",
        "headers": {"X-Harness-Token": TOKEN, "X-Harness-Class": "transactional"},
    }  # fmt: skip
    return Message(**{**wanted, **changes})
