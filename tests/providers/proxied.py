"""A fake HTTP provider in the test's own loop, with a proxy in front of each of its endpoints."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from harness.history.events import Receipt
from harness.providers import presets
from harness.providers.clock import Clock
from harness.providers.ledger import MemorySink
from harness.providers.serve import RunningProvider, serve
from harness.providers.wire import Account, ProviderConfig, ProviderFault, RouteListener
from harness.testbed.proxy.embedded import serve_embedded
from harness.testbed.proxy.embedded_proxies import EmbeddedProxy, ProxyCollection, ProxyInput
from tests.providers.conftest import Certificates

ROUTE = "primary"
SEED = 7


@dataclass
class Proxied:
    """`proxies` by endpoint, as the provider calls them; `account` is the route's own."""

    provider: RunningProvider
    sink: MemorySink
    account: Account
    canary: Account
    proxies: dict[str, EmbeddedProxy]
    scheme: str
    rejecting: dict[str, int]  # the ports of the twins, by endpoint; no proxy leads there

    def url(self, path: str, endpoint: str = "api") -> str:
        return f"{self.scheme}://{self.proxies[endpoint].listen}{path}"

    def rejecting_url(self, path: str, endpoint: str = "api") -> str:
        return f"{self.scheme}://127.0.0.1:{self.rejecting[endpoint]}{path}"

    def put(self, **fault: Any) -> None:
        self.provider.faults.put(ProviderFault(**{"id": "f", **fault}))

    def heal(self) -> None:
        self.provider.faults.delete("f")

    def acted(self) -> int:
        """How often the fault that was put last has acted."""
        return self.provider.faults.list()[-1].acted

    def receipts(self) -> list[Receipt]:
        return [
            msgspec.json.decode(line, type=Receipt)
            for line in self.sink.records
            if msgspec.json.decode(line)["kind"] == "receipt"
        ]


@asynccontextmanager
async def proxied(
    name: str, certificates: Certificates | None = None, *, tenant: str = "", **limits: float
) -> AsyncIterator[Proxied]:
    """The preset of that name; with certificates it speaks HTTPS."""
    loop = asyncio.get_running_loop()
    shape = presets.load(name).credential
    account = shape.account(SEED, f"app-{ROUTE}", tenant=tenant)
    canary = shape.account(SEED, "harness-canary", canary=True)
    config = ProviderConfig(
        name=name,
        preset=name,
        listeners=[RouteListener(route=ROUTE, account=account, https=certificates is not None)],
        canary_account=canary,
        limits=limits,
        seed=SEED,
        **(certificates.config if certificates else {}),
    )
    sink = MemorySink()
    async with AsyncExitStack() as stack:
        provider = await serve(config, Clock(time.time() - loop.time()), sink)
        stack.push_async_callback(provider.close)
        server = await stack.enter_async_context(serve_embedded(seed=SEED))
        bound = provider.ready.listeners
        yield Proxied(
            provider=provider,
            sink=sink,
            account=account,
            canary=canary,
            proxies={
                each.endpoint: await _in_front(server.collection, each.endpoint, each.port) for each in bound
            },
            scheme="https" if certificates else "http",
            rejecting={each.endpoint: each.rejecting_port for each in bound},
        )


async def _in_front(collection: ProxyCollection, endpoint: str, port: int) -> EmbeddedProxy:
    wanted = ProxyInput(name=endpoint, listen="127.0.0.1:0", upstream=f"127.0.0.1:{port}", enabled=True)
    return await collection.add(wanted)
