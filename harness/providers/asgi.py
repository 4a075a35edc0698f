"""An ASGI application on a listening port of the running loop: uvicorn without its signals, logs and process.

The control API uses it, and so may an HTTP engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from harness.providers.errors import ConfigError

GRACE_S = 2  # how long a request in progress may hold up close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to the process, not to a provider


class AsgiListener:
    def __init__(self, server: _Server, task: asyncio.Task[None], port: int) -> None:
        self.port = port
        self._server = server
        self._task = task

    async def close(self) -> None:
        """Stop listening; requests in progress get GRACE_S to end."""
        self._server.should_exit = True
        await self._task


async def listen(app: ASGIApp, host: str, port: int, tls: ssl.SSLContext | None = None) -> AsgiListener:
    """Serve `app` in the running loop. Port 0 picks one. Raises ConfigError when the port cannot be had."""
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    config.load()
    if tls is not None:
        config.ssl = tls
    bound = bind(host, port)
    server = _Server(config)
    task = asyncio.create_task(server.serve([bound]), name=f"asgi {host}:{bound.getsockname()[1]}")
    listening = asyncio.create_task(server.listening.wait())
    await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        listening.cancel()
        await task
    return AsgiListener(server, task, bound.getsockname()[1])


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
