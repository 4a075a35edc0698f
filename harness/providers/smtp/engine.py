"""The SMTP engine: for each route a listener and its rejecting twin; the book of connections and accounts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from harness.providers.asgi import open_server
from harness.providers.certificates import Certificates
from harness.providers.preset import Context
from harness.providers.smtp.conversation import Conversation
from harness.providers.smtp.limits import AccountUse, Greylist, SmtpLimits, Throttle
from harness.providers.smtp.relay import Relay
from harness.providers.smtp.service import ENDPOINT, Manners, Service
from harness.providers.smtp.voice import seeded_hosts
from harness.providers.smtp.wire import Wire
from harness.providers.wire import BoundListener, ProviderFault, RouteListener

STOPPING = "provider stopped"


class SmtpEngine:
    def __init__(
        self,
        context: Context,
        manners: Manners,
        limits: SmtpLimits,
        certificates: Certificates | None,
        minute_s: float,
    ) -> None:
        self._context = context
        self._manners = manners
        self._limits = limits
        self._certificates = certificates
        self._minute_s = minute_s
        self._hosts = seeded_hosts(dict(manners.hosts), context.ids)
        config = context.config
        self._relay = Relay(config.relay, config.name) if config.relay else None
        self._servers: list[asyncio.Server] = []
        self._open: dict[object, Wire] = {}
        self._per_route: Counter[str] = Counter()
        self._numbered = 0
        self._uses: dict[str, AccountUse] = {}
        self._throttles: dict[tuple[ProviderFault, str], Throttle] = {}
        self._greylist = Greylist(limits.greylisting_s)

    async def start(self) -> list[BoundListener]:
        if self._relay:
            self._relay.start()
        return [
            BoundListener(
                route=listener.route,
                endpoint=ENDPOINT,
                port=await self._listen(listener, listener.port, rejecting=False),
                rejecting_port=await self._listen(listener, listener.rejecting_port, rejecting=True),
            )
            for listener in self._context.config.listeners
        ]

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        connections = list(self._open.values())
        for connection in connections:
            connection.stop(STOPPING)
        for connection in connections:
            await connection.wait_ended()
        for server in self._servers:
            await server.wait_closed()
        if self._relay:
            await self._relay.close()

    def connections(self) -> Mapping[str, int]:
        routes = (listener.route for listener in self._context.config.listeners)
        return {route: self._per_route[route] for route in routes}

    async def settle(self, within_s: float) -> bool:
        return self._relay is None or await self._relay.settle(within_s)

    def stats(self) -> Mapping[str, Any]:
        return {"relay": msgspec.to_builtins(self._relay.counts)} if self._relay else {}

    def closed(self, route: str, connection: object) -> None:
        if self._open.pop(connection, None) is not None:
            self._per_route[route] -= 1

    def use_of(self, account: str) -> AccountUse:
        if account not in self._uses:
            self._uses[account] = AccountUse(self._limits, self._minute_s, self._context.clock.now_s())
        return self._uses[account]

    def throttle(self, fault: ProviderFault, account: str) -> Throttle:
        key = (fault, account)
        if key not in self._throttles:
            self._throttles[key] = Throttle(fault)
        return self._throttles[key]

    def greylisted_s(self, sender: str, recipient: str) -> float:
        return self._greylist.left_s(sender, recipient, self._context.clock.now_s())

    async def _listen(self, listener: RouteListener, port: int, *, rejecting: bool) -> int:
        service = Service(
            context=self._context,
            manners=self._manners,
            hosts=self._hosts,
            limits=self._limits,
            listener=listener,
            rejecting=rejecting,
            certificates=self._certificates,
            registry=self,
            relay=self._relay,
        )
        loop = asyncio.get_running_loop()
        server = await open_server(lambda: Wire(service, loop, self._converse), listener.host, port)
        self._servers.append(server)
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    def _converse(self, wire: Wire) -> Conversation:
        service = wire.service
        self._numbered += 1
        self._open[wire] = wire
        self._per_route[service.route] += 1
        return Conversation(service, wire, f"c{self._numbered}")
