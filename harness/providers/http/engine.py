"""The running HTTP provider: for each route and endpoint a listener and its rejecting twin."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from harness.providers.certificates import STAGE, Certificates
from harness.providers.errors import ConfigError
from harness.providers.faults import Decision, Subject
from harness.providers.http.accounts import Accounts
from harness.providers.http.api import HttpApi
from harness.providers.http.board import Board
from harness.providers.http.exchange import ENDPOINT, Exchange
from harness.providers.http.idempotency import Memory
from harness.providers.http.limits import AccountUse, Limit
from harness.providers.http.listener import HttpListener
from harness.providers.http.side import Side
from harness.providers.preset import Context
from harness.providers.wire import BoundListener, RouteListener


class HttpEngine:
    def __init__(self, context: Context, api: HttpApi) -> None:
        self._context = context
        self._api = api
        self._memory = Memory()
        self._boards: dict[str, Board] = {}  # by route
        self._uses: dict[tuple[str, str], AccountUse] = {}
        self._listeners: dict[str, list[HttpListener]] = {}  # by route

    async def start(self) -> list[BoundListener]:
        """Listen for every route of the configuration; raises ConfigError."""
        endpoints = dict.fromkeys(["", *(route.endpoint for route in self._api.routes)])
        return [
            await self._start(listener, endpoint)
            for listener in self._context.config.listeners
            for endpoint in endpoints
        ]

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for listeners in self._listeners.values() for each in listeners))

    def connections(self) -> Mapping[str, int]:
        return {route: sum(each.connections for each in all_) for route, all_ in self._listeners.items()}

    async def settle(self, within_s: float) -> bool:
        return True

    def stats(self) -> Mapping[str, Any]:
        return {}

    def _use_of(self, route: str, whose: str, limits: Sequence[Limit]) -> AccountUse:
        """By route as well: where the secret alone says who calls, all accounts have the same user name."""
        key = (route, whose)
        if key not in self._uses:
            self._uses[key] = AccountUse(limits, self._context.clock.now_s())
        return self._uses[key]

    async def _start(self, listener: RouteListener, endpoint: str) -> BoundListener:
        route = listener.route
        own = (listener.port, listener.rejecting_port)
        ports = listener.beside.get(endpoint, (0, 0)) if endpoint else own
        bound = []
        for port, rejecting in zip(ports, (False, True), strict=True):
            each = self._listener(listener, endpoint, rejecting=rejecting)
            self._listeners.setdefault(route, []).append(each)
            bound.append(await each.start(listener.host, port))
        return BoundListener(
            route=route, endpoint=endpoint or ENDPOINT, port=bound[0], rejecting_port=bound[1]
        )

    def _listener(self, listener: RouteListener, endpoint: str, *, rejecting: bool) -> HttpListener:
        route, clock, shown = listener.route, self._context.clock, endpoint or ENDPOINT

        def lost(connection: str, how: str) -> None:
            self._context.ledger.connections_closed(
                route=route, endpoint=shown, connections=[connection], reason=how
            )

        name = f"{route}-{shown}-rejecting" if rejecting else f"{route}-{shown}"
        exchange = Exchange(
            self._context, self._api, self._side(listener, endpoint, rejecting=rejecting), self._memory
        )
        return HttpListener(exchange, clock=clock, name=name, on_loss=lost, tls=self._tls(listener, endpoint))

    def _tls(self, listener: RouteListener, endpoint: str) -> ssl.SSLContext | None:
        if not listener.https:
            return None
        context = self._context
        certificates = Certificates.load(context.config.tls_cert_path, context.config.tls_key_path)
        if certificates is None:
            raise ConfigError(f"route {listener.route} is HTTPS: it needs tls_cert_path and tls_key_path")

        def decide() -> Decision[Any] | None:
            key = context.ids.next_hex("handshake", 16)
            return context.faults.decide(STAGE, Subject(route=listener.route, endpoint=endpoint, key=key))

        return certificates.choosing(decide)

    def _side(self, listener: RouteListener, endpoint: str, *, rejecting: bool) -> Side:
        return Side(
            route=listener.route,
            endpoint=endpoint,
            accounts=Accounts([listener.account, self._context.config.canary_account]),
            rejecting=rejecting,
            use_of=partial(self._use_of, listener.route),
            board=self._boards.setdefault(listener.route, Board()),
        )
