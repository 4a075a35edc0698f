"""One client connection: uvicorn's own HTTP/1.1 protocol, and the four things a fake has to know about it.

It has a name for the receipts; it knows when the first byte of a request came; it can be torn down in place
of an answer; and it tells its watcher when it ended without a goodbye. Requests reach the application with
the connection in their ASGI scope. There is no uvicorn `Server` around it: that one takes signals and wall
time.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import MutableMapping
from typing import Any, Protocol

import h11
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from harness.providers.clock import Clock

SCOPE_KEY = "harness.connection"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class Watcher(Protocol):
    """Who is told of connections; the listener."""

    @property
    def clock(self) -> Clock: ...

    def opened(self, connection: ProviderConnection) -> str:
        """Take note of a new connection and give it its name."""
        ...

    def closed(self, connection: ProviderConnection, without_goodbye: str | None) -> None:
        """`without_goodbye` says how, if it was not an orderly end between two requests."""
        ...


class ProviderConnection(H11Protocol):
    def __init__(self, config: Config, server_state: ServerState, watcher: Watcher) -> None:
        super().__init__(config, server_state, app_state={})
        self.access_log = False
        self.name = ""
        self._watcher = watcher
        self._served = self.app
        self.app = self._serve
        self._last_bytes_ns = 0
        self._next_began_ns: int | None = None  # first byte of the request that is not parsed yet
        self._torn_down = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.name = self._watcher.opened(self)

    def data_received(self, data: bytes) -> None:
        self._last_bytes_ns = self._watcher.clock.now_ns()
        if self._next_began_ns is None and self.conn.their_state is not h11.SEND_BODY:
            self._next_began_ns = self._last_bytes_ns
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        without_goodbye = self._without_goodbye(exc)
        super().connection_lost(exc)
        self._watcher.closed(self, without_goodbye)

    def begin_request(self) -> int:
        """When the request that now reaches the application began, in ns; ask once for each request.

        For one that came pipelined behind another it is when the last bytes came, at most one read too late.
        """
        began, self._next_began_ns = self._next_began_ns, None
        return self._last_bytes_ns if began is None else began

    def tear_down(self) -> None:
        """End the connection by a reset, with nothing more sent. The request gets no answer."""
        self._torn_down = True
        if self.cycle is not None:
            self.cycle.disconnected = True  # or uvicorn would answer 500 for the application's silence
        # Under TLS, a transport that is closing may have no socket to tell of any more.
        closing = self.transport.is_closing()
        peer: socket.socket | None = None if closing else self.transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.transport.abort()

    def break_off(self, said: bytes) -> None:
        """Say this much of an answer, and end the connection."""
        self._torn_down = True
        if self.cycle is not None:
            self.cycle.disconnected = True
        self.transport.write(said)
        self.transport.close()

    async def _serve(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        state: MutableMapping[str, Any] = scope  # type: ignore[assignment]
        state[SCOPE_KEY] = self
        await self._served(scope, receive, send)

    def _without_goodbye(self, exc: Exception | None) -> str | None:
        if self._torn_down:
            return None
        if self.cycle is not None and not self.cycle.response_complete:
            return "during a request"
        if exc is not None:
            return f"reset ({type(exc).__name__})"
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            return "inside a request's headers"
        return None
