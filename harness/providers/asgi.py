"""An ASGI application on a listening port of the running loop: uvicorn's protocol without its server.

uvicorn's own `Server` takes signals, polls ten times a second and reads the wall clock, which a provider
may not.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from harness.providers.errors import ConfigError

BACKLOG = 1024
GRACE_S = 2  # how long a request in progress may hold up close()
# Clients drop a silent connection earlier (httpx after 5 s): at the same time, a request could meet its end.
KEEP_IDLE_S = 60


class AsgiListener:
    def __init__(self, server: asyncio.Server, state: ServerState) -> None:
        self.port: int = server.sockets[0].getsockname()[1]
        self._server = server
        self._state = state

    async def close(self) -> None:
        """Stop listening; requests in progress get GRACE_S to end."""
        self._server.close()
        for connection in list(self._state.connections):
            cast(H11Protocol, connection).shutdown()
        tasks = set(self._state.tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._state.connections):
            cast(H11Protocol, connection).transport.abort()
        await self._server.wait_closed()


async def listen(app: ASGIApp, host: str, port: int) -> AsgiListener:
    """Serve `app` in the running loop. Port 0 picks one. Raises ConfigError when the port cannot be had."""
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_keep_alive=KEEP_IDLE_S,
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await open_server(
        lambda: H11Protocol(config=config, server_state=state, app_state={}, _loop=loop), host, port
    )
    return AsgiListener(server, state)


async def open_server(protocol: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> asyncio.Server:
    """A server of the running loop, whatever network that loop has; raises ConfigError."""
    try:
        return await asyncio.get_running_loop().create_server(protocol, host, port, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error}") from error


def bind(host: str, port: int) -> socket.socket:
    """A bound TCP socket; raises ConfigError when the address is taken or not ours."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error}") from error
    bound.setblocking(False)
    return bound
