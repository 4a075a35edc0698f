"""The embedded server's proxies: what they listen on, where they lead, which toxics they have.

The state and rules of Toxiproxy's API without HTTP; embedded_api.py puts that on top. Changes are serialised
by one lock, and none of them waits for a connection: unlike in Toxiproxy, no client or upstream can hold up a
request.
"""

from __future__ import annotations

import asyncio
import errno
import os
from dataclasses import dataclass
from typing import Any

from harness.testbed.proxy.embedded_address import BACKLOG, Address, AddressError, bound_socket
from harness.testbed.proxy.embedded_connection import Connection
from harness.testbed.proxy.embedded_draws import Draws
from harness.testbed.proxy.embedded_toxics import LiveToxic


class ListenError(Exception):
    """A proxy cannot listen where it should; the text is what Toxiproxy would say."""


@dataclass(frozen=True, slots=True)
class ProxyInput:
    """What a request says of a proxy."""

    name: str
    listen: str
    upstream: str
    enabled: bool


class EmbeddedProxy:
    """One listening address that leads to one upstream, through its toxics."""

    def __init__(self, name: str, listen: str, upstream: str, draws: Draws, dial_timeout_s: float) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.toxics: list[LiveToxic] = []
        self._draws = draws.at(name)
        self._dial_timeout_s = dial_timeout_s
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._accepted = 0

    @property
    def enabled(self) -> bool:
        """Whether it listens."""
        return self._server is not None

    def to_json(self) -> dict[str, Any]:
        """The proxy as replies show it, with the empty Logger that Toxiproxy lets slip."""
        return {
            "name": self.name,
            "listen": self.listen,
            "upstream": self.upstream,
            "enabled": self.enabled,
            "Logger": {},
            "toxics": self.toxics_json(),
        }

    def toxics_json(self) -> list[dict[str, Any]]:
        """The toxics as replies show them: those on the way to the upstream first."""
        return [toxic.to_json() for toxic in sorted(self.toxics, key=lambda toxic: not toxic.upstream)]

    async def differs(self, listen: str, upstream: str) -> bool:
        """Whether it would have to start anew to be as asked. Raises AddressError."""
        wanted = await Address.parse(listen).resolved()
        return self.listen != str(wanted) or self.upstream != upstream

    async def update(self, wanted: ProxyInput) -> None:
        """Become as asked; a changed address or upstream closes all connections.

        Raises ListenError, AddressError.
        """
        if await self.differs(wanted.listen, wanted.upstream):
            self.stop()
            self.listen, self.upstream = wanted.listen, wanted.upstream
        if wanted.enabled and not self.enabled:
            await self.start()
        elif not wanted.enabled:
            self.stop()

    async def start(self) -> None:
        """Listen, unless it does so already. Raises ListenError."""
        if self._server is not None:
            return
        try:
            address = await Address.parse(self.listen).resolved()
        except AddressError as error:
            raise ListenError(f"listen tcp: {error}") from error
        try:
            if address.host:
                server = await asyncio.start_server(self._accept, address.host, address.port, backlog=BACKLOG)
            else:
                sock = bound_socket(address)
                server = await asyncio.start_server(self._accept, sock=sock, backlog=BACKLOG)
        except OSError as error:
            raise ListenError(f"listen tcp {address}: bind: {_reason(error)}") from error
        host, port = server.sockets[0].getsockname()[:2]
        self.listen = str(Address(host, port))
        self._server = server

    def stop(self) -> None:
        """Stop listening and close every connection, at once; the toxics stay."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for connection in list(self._connections):
            connection.abort()

    def toxic(self, name: str) -> LiveToxic | None:
        """The toxic of that name, if there is one."""
        return next((toxic for toxic in self.toxics if toxic.name == name), None)

    def add_toxic(self, toxic: LiveToxic) -> None:
        """Let a toxic act on every connection, also on the open ones."""
        self.toxics.append(toxic)
        for connection in self._connections:
            connection.add(toxic)

    def toxic_changed(self, toxic: LiveToxic) -> None:
        """Tell the connections that a toxic's attributes have changed; its toxicity is drawn anew."""
        toxic.revision += 1
        for connection in self._connections:
            connection.update(toxic)

    def remove_toxic(self, toxic: LiveToxic) -> None:
        """Free every connection of a toxic."""
        self.toxics.remove(toxic)
        for connection in self._connections:
            connection.remove(toxic)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted in the very moment of closing
            writer.transport.abort()
            return
        self._accepted += 1
        connection = Connection(reader, writer, self._draws.at(self._accepted), self._connections.discard)
        self._connections.add(connection)
        connection.open(self.upstream, self._dial_timeout_s, lambda: self.toxics)


class ProxyCollection:
    """All proxies of one server, by name."""

    def __init__(self, seed: int, dial_timeout_s: float) -> None:
        self.proxies: dict[str, EmbeddedProxy] = {}
        self.lock = asyncio.Lock()  # held by whoever changes a proxy
        self._draws = Draws(seed)
        self._dial_timeout_s = dial_timeout_s

    async def add(self, wanted: ProxyInput) -> EmbeddedProxy:
        """A new proxy; it is not kept if it cannot start. Raises ListenError."""
        proxy = self._new(wanted)
        if wanted.enabled:
            await proxy.start()
        self.proxies[proxy.name] = proxy
        return proxy

    async def add_or_replace(self, wanted: ProxyInput) -> EmbeddedProxy:
        """What `populate` does with one entry: an equal proxy stays as it is.

        Raises ListenError, AddressError.
        """
        existing = self.proxies.get(wanted.name)
        if existing is not None:
            if not await existing.differs(wanted.listen, wanted.upstream):
                return existing
            existing.stop()
        return await self.add(wanted)

    async def reset(self) -> None:
        """Enable every proxy and remove all toxics. Raises the first ListenError, after all the others."""
        failed: ListenError | None = None
        for proxy in self.proxies.values():
            try:
                await proxy.start()
            except ListenError as error:
                failed = failed or error
                continue
            for toxic in list(proxy.toxics):
                proxy.remove_toxic(toxic)
        if failed is not None:
            raise failed

    def remove(self, name: str) -> None:
        """Stop a proxy and forget it."""
        self.proxies.pop(name).stop()

    def stop_all(self) -> None:
        """Stop every proxy."""
        for proxy in self.proxies.values():
            proxy.stop()

    def _new(self, wanted: ProxyInput) -> EmbeddedProxy:
        return EmbeddedProxy(wanted.name, wanted.listen, wanted.upstream, self._draws, self._dial_timeout_s)


def _reason(error: OSError) -> str:
    # asyncio and the kernel word their errors each in their own way; the number says it plainly.
    if error.errno == errno.EADDRINUSE:
        return "address already in use"
    return os.strerror(error.errno).lower() if error.errno else str(error)
