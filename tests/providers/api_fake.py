"""A fake of an HTTP API in the test's own loop, a client for it, and an endpoint for its events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.history.events import ProviderEvent, Receipt
from harness.providers.asgi import listen
from harness.providers.wire import ProviderFault, RouteListener
from tests.providers.running import ROUTE, Provider, provider
from tests.waiting import until


class ApiFake:
    def __init__(self, fake: Provider, http: httpx.AsyncClient) -> None:
        self._fake = fake
        self.http = http  # knows where the fake is

    @property
    def port(self) -> int:
        return self._fake.port

    @property
    def receipts(self) -> list[Receipt]:
        return self._fake.receipts

    @property
    def events(self) -> list[ProviderEvent]:
        return [each for each in self._fake.records if isinstance(each, ProviderEvent)]

    def put(self, **fault: Any) -> None:
        self._fake.running.faults.put(ProviderFault(id="f", **fault))

    def clear(self) -> None:
        self._fake.running.faults.delete("f")

    @property
    def acted(self) -> int:
        """How often the fault that was put last has acted."""
        return self._fake.running.faults.list()[0].acted

    async def until_events(self, *events: str) -> None:
        """Until the journal has these, in whatever order, and no others."""
        await until(lambda: sorted(each.event for each in self.events) == sorted(events))


@asynccontextmanager
async def api_fake(
    preset: str, *, events_url: str | None = None, events_secret: str = "", **config: Any
) -> AsyncIterator[ApiFake]:
    listener = RouteListener(
        route="primary", account=ROUTE, events_url=events_url, events_secret=events_secret
    )
    async with provider(preset, listeners=[listener], **config) as fake:
        url = f"http://127.0.0.1:{fake.port}"
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as http:
            yield ApiFake(fake, http)


@dataclass
class Told:
    """What was posted to a sender's endpoint, in the order in which it came."""

    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def objects(self) -> list[Any]:
        return [msgspec.json.decode(body) for body in self.bodies]


@asynccontextmanager
async def event_inbox(answers: Sequence[int] = ()) -> AsyncIterator[Told]:
    """It answers what is next in `answers`, then 204."""
    told, left = Told(), list(answers)

    async def take(request: Request) -> Response:
        told.bodies.append(await request.body())
        told.headers.append(dict(request.headers))
        return Response(status_code=left.pop(0) if left else 204)

    listener = await listen(Starlette(routes=[Route("/events", take, methods=["POST"])]), "127.0.0.1", 0)
    told.url = f"http://127.0.0.1:{listener.port}/events"
    try:
        yield told
    finally:
        await listener.close()
