"""One listening port: an ASGI application behind `ProviderConnection`, with an eye on who comes and goes.

It reports connections that ended without a goodbye. Closing it lets requests in progress end, for a while.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp
from uvicorn.server import ServerState

from harness.providers.asgi import GRACE_S, bind
from harness.providers.clock import Clock
from harness.providers.http.connection import ProviderConnection

# nginx's own default. Were it shorter than clients keep idle connections (httpx: 5 s), a request could meet
# the close of its connection: an attempt of unknown fate that no fault explains.
KEEP_ALIVE_S = 75
Loss = Callable[[str, str], None]  # connection, how it ended


class HttpListener:
    def __init__(
        self, app: ASGIApp, *, clock: Clock, name: str, on_loss: Loss, tls: ssl.SSLContext | None = None
    ) -> None:
        self.clock = clock
        self.port = 0
        self._name = name
        self._on_loss = on_loss
        self._tls = tls
        self._config = uvicorn.Config(
            app,
            http=ProviderConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        self._state = ServerState()
        self._open: set[ProviderConnection] = set()
        self._opened = 0
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> int:
        return len(self._open)

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port; port 0 picks one. Raises ConfigError when it cannot be had."""
        self._config.load()
        bound = bind(host, port)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: ProviderConnection(self._config, self._state, self),
            sock=bound,
            backlog=self._config.backlog,
            ssl=self._tls,
        )
        self.port = bound.getsockname()[1]
        return self.port

    async def close(self) -> None:
        """Stop listening and end every connection; a request in progress has GRACE_S to end by itself, unless
        it is kept waiting on purpose."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._open):
            if connection.lingers:
                connection.tear_down()
            else:
                connection.shutdown()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=GRACE_S)
        for connection in list(self._open):
            connection.tear_down()
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks))
        await self._server.wait_closed()

    def opened(self, connection: ProviderConnection) -> str:
        self._opened += 1
        self._open.add(connection)
        return f"{self._name}-{self._opened}"

    def closed(self, connection: ProviderConnection, without_goodbye: str | None) -> None:
        self._open.discard(connection)
        if without_goodbye is not None:
            self._on_loss(connection.name, without_goodbye)
