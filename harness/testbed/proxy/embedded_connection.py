"""One client's connection through a proxy: dials the upstream and joins the two by a link each way.

Closing follows Toxiproxy: the end of one direction closes that direction's destination altogether (a
half-close becomes a full one), which ends the reading of the other direction; what that one has on its way
still arrives.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from functools import partial
from socket import SO_LINGER, SOL_SOCKET
from typing import cast

from harness.testbed.proxy.embedded_address import Address
from harness.testbed.proxy.embedded_draws import Draws
from harness.testbed.proxy.embedded_link import Link
from harness.testbed.proxy.embedded_toxics import LiveToxic

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connection:
    """A client, its upstream, and the links between them. `on_end` is called once both are closed."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        draws: Draws,
        on_end: Callable[[Connection], None],
    ) -> None:
        self._client_reader = reader
        self._client = writer
        self._upstream: asyncio.StreamWriter | None = None
        self._draws = draws
        self._on_end = on_end
        self._links: dict[bool, Link] = {}  # by whether it carries what the client sends
        self._open_links = 0
        self._opening: asyncio.Task[None] | None = None
        # Until the upstream answers, its data waits in the kernel: closing then resets, as it should.
        _reading(writer).pause_reading()

    def open(self, upstream: str, dial_timeout_s: float, toxics: Callable[[], Sequence[LiveToxic]]) -> None:
        """Dial and join, in a task of its own; the client is closed if the upstream does not answer."""
        self._opening = asyncio.get_running_loop().create_task(self._open(upstream, dial_timeout_s, toxics))

    def add(self, toxic: LiveToxic) -> None:
        """Make a new toxic act on this connection."""
        if link := self._links.get(toxic.upstream):
            link.add(toxic)

    def update(self, toxic: LiveToxic) -> None:
        """Make a changed toxic act anew on this connection."""
        if link := self._links.get(toxic.upstream):
            link.update(toxic)

    def remove(self, toxic: LiveToxic) -> None:
        """Free this connection of a toxic."""
        if link := self._links.get(toxic.upstream):
            link.remove(toxic)

    def abort(self) -> None:
        """Close both sides now, dropping what is on its way."""
        if self._opening is not None:
            self._opening.cancel()
        for link in self._links.values():
            link.stop()
        self._client.transport.abort()
        if self._upstream is not None:
            self._upstream.transport.abort()
        self._on_end(self)

    async def _open(
        self, upstream: str, dial_timeout_s: float, toxics: Callable[[], Sequence[LiveToxic]]
    ) -> None:
        try:
            address = Address.parse(upstream)
            async with asyncio.timeout(dial_timeout_s):
                reader, writer = await asyncio.open_connection(address.host or "localhost", address.port)
        except (OSError, ValueError):  # unreachable, too slow (TimeoutError is an OSError), or no address
            self._client.transport.abort()
            self._on_end(self)
            return
        self._upstream = writer
        present = toxics()
        for side in (self._client, writer):
            side.transport.set_write_buffer_limits(high=0)  # a drained write is with the kernel
            if any(toxic.type.resets for toxic in present):
                _reset_on_close(side)
        self._open_links = 2
        for to_upstream, source, destination in (
            (True, self._client_reader, writer),
            (False, reader, self._client),
        ):
            self._links[to_upstream] = Link(
                source,
                destination,
                [toxic for toxic in present if toxic.upstream == to_upstream],
                self._draws.at("up" if to_upstream else "down"),
                partial(self._link_ended, to_upstream),
            )
        _reading(self._client).resume_reading()

    def _link_ended(self, to_upstream: bool) -> None:
        destination = self._upstream if to_upstream else self._client
        if destination is not None:
            destination.transport.abort()  # what was written has been drained, so nothing is lost
        self._links[to_upstream].stop()
        self._links[not to_upstream].source_closed()
        self._open_links -= 1
        if self._open_links == 0:
            self._on_end(self)


def _reading(side: asyncio.StreamWriter) -> asyncio.ReadTransport:
    return cast(asyncio.ReadTransport, side.transport)  # of a stream it is both


def _reset_on_close(side: asyncio.StreamWriter) -> None:
    sock = side.get_extra_info("socket")
    if sock is not None:  # transports of a simulated network may have none
        sock.setsockopt(SOL_SOCKET, SO_LINGER, _RESET_ON_CLOSE)
