"""The running HTTP provider: for each route a listener and its rejecting twin, around one provider's API."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from starlette.routing import Route, Router
from starlette.types import ASGIApp

from harness.providers.errors import ConfigError
from harness.providers.http.exchange import ENDPOINT, Exchange, Side
from harness.providers.http.limits import TokenBucket
from harness.providers.http.listener import HttpListener
from harness.providers.http.messages import HttpApi
from harness.providers.preset import Context
from harness.providers.tls import server_context
from harness.providers.wire import BoundListener, RouteListener


class HttpEngine:
    def __init__(self, context: Context, api: HttpApi) -> None:
        self._context = context
        self._api = api
        self._listeners: dict[str, list[HttpListener]] = {}  # by route

    async def start(self) -> list[BoundListener]:
        """Listen for every route of the configuration; raises ConfigError."""
        return [await self._start(listener) for listener in self._context.config.listeners]

    async def close(self) -> None:
        for pair in self._listeners.values():
            for listener in pair:
                await listener.close()

    def connections(self) -> Mapping[str, int]:
        return {route: sum(each.connections for each in pair) for route, pair in self._listeners.items()}

    async def settle(self, within_s: float) -> bool:
        return True

    def stats(self) -> Mapping[str, Any]:
        return {}

    async def _start(self, listener: RouteListener) -> BoundListener:
        route = listener.route
        real, twin = (self._listener(listener, rejecting=rejecting) for rejecting in (False, True))
        pair = self._listeners.setdefault(route, [])
        pair.append(real)
        port = await real.start(listener.host, listener.port)
        pair.append(twin)
        rejecting_port = await twin.start(listener.host, listener.rejecting_port)
        return BoundListener(route=route, endpoint=ENDPOINT, port=port, rejecting_port=rejecting_port)

    def _listener(self, listener: RouteListener, *, rejecting: bool) -> HttpListener:
        route, clock = listener.route, self._context.clock

        def lost(connection: str, how: str) -> None:
            self._context.ledger.connections_closed(
                route=route, endpoint=ENDPOINT, connections=[connection], reason=how
            )

        name = f"{route}-{ENDPOINT}-rejecting" if rejecting else f"{route}-{ENDPOINT}"
        app = self._app(listener, rejecting=rejecting)
        return HttpListener(app, clock=clock, name=name, on_loss=lost, tls=self._tls(listener))

    def _tls(self, listener: RouteListener) -> ssl.SSLContext | None:
        if not listener.https:
            return None
        config = self._context.config
        tls = server_context(config.tls_cert_path, config.tls_key_path)
        if tls is None:
            raise ConfigError(f"route {listener.route} is HTTPS: it needs tls_cert_path and tls_key_path")
        return tls

    def _app(self, listener: RouteListener, *, rejecting: bool) -> ASGIApp:
        limit = self._api.rate_limit
        bucket = None
        if limit is not None and not rejecting:
            bucket = TokenBucket(limit.rate_per_s, limit.burst, self._context.clock.now_s())
        accounts = (listener.account, self._context.config.canary_account)
        side = Side(
            route=listener.route,
            accounts={account.secret: account for account in accounts},
            rejecting=rejecting,
            bucket=bucket,
        )
        paths = dict.fromkeys(route.path for route in self._api.routes)
        exchanges = {
            path: Exchange(
                self._context, self._api, side, [route for route in self._api.routes if route.path == path]
            )
            for path in paths
        }
        return Router(
            routes=[Route(path, exchange) for path, exchange in exchanges.items()],
            redirect_slashes=False,
            default=Exchange(self._context, self._api, side, []),
        )
