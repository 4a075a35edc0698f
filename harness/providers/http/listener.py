"""One listening port: connections to one handler, with an eye on who comes and goes.

It reports connections that ended without a goodbye. Closing it lets requests in progress end, for a while.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

from harness.providers.asgi import BACKLOG, GRACE_S, bind
from harness.providers.clock import Clock
from harness.providers.http.connection import Handler, ProviderConnection

Loss = Callable[[str, str], None]  # connection, how it ended


class HttpListener:
    def __init__(
        self,
        handler: Handler,
        *,
        clock: Clock,
        name: str,
        on_loss: Loss,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.handler = handler
        self.clock = clock
        self.port = 0
        self._name = name
        self._on_loss = on_loss
        self._tls = tls
        self._open: set[ProviderConnection] = set()
        self._opened = 0
        self._empty = asyncio.Event()
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        return len(self._open)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; port 0 picks one. Raises ConfigError when it cannot be had."""
        bound = bind(host, port)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ProviderConnection(self), sock=bound, backlog=BACKLOG, ssl=self._tls
        )
        self.port = bound.getsockname()[1]
        return self.port

    async def close(self) -> None:
        """Stop listening and end every connection; a request that is coming in has GRACE_S to end by itself,
        and one that is kept waiting on purpose is cut."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._open):
            connection.wind_up()
        try:
            async with asyncio.timeout(GRACE_S):
                await self._until_empty()
        except TimeoutError:
            for connection in list(self._open):
                connection.tear_down()
            await self._until_empty()
        await self._server.wait_closed()

    def opened(self, connection: ProviderConnection) -> str:
        self._opened += 1
        self._open.add(connection)
        self._empty.clear()
        return f"{self._name}-{self._opened}"

    def closed(self, connection: ProviderConnection, without_goodbye: str | None) -> None:
        self._open.discard(connection)
        if not self._open:
            self._empty.set()
        if without_goodbye is not None:
            self._on_loss(connection.name, without_goodbye)

    async def _until_empty(self) -> None:
        if self._open:
            await self._empty.wait()
