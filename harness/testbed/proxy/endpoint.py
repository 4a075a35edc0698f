"""One endpoint's proxy as the rest of the harness uses it: ask for a change, get it confirmed, or an error.

Each change is read back. A server that hangs, dies or answers nonsense is killed and replaced by one in the
state that the change asked for; open connections are lost by that, so it is reported as a warning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from harness.testbed.proxy.client import ProxyClient
from harness.testbed.proxy.errors import (
    ProxyNotAsAsked,
    ProxyRefused,
    ProxyServerError,
    ProxyTimeout,
    ProxyUnreachable,
)
from harness.testbed.proxy.server import ProxyServer
from harness.testbed.proxy.state import ProxyState, Toxic

RESTARTED = "proxy-restarted"

Detail = dict[str, Any]


class ProxiedEndpoint:
    """A proxy with a server process of its own. Changes are made one at a time."""

    def __init__(
        self,
        name: str,
        server: ProxyServer,
        *,
        upstream: str,
        listen: str = "127.0.0.1:0",
        published: Callable[[], tuple[str, int]] | None = None,
        on_warning: Callable[[str, str], None] | None = None,
    ) -> None:
        """`upstream` and `listen` are `host:port` as the server sees them; port 0 is any that is free.

        `published` tells where the harness reaches a proxy that was started, if not there; `on_warning` gets
        (warning, detail).
        """
        self._clean = ProxyState(name=name, listen=listen, upstream=upstream)
        self._wanted = self._clean
        self._published = published
        self._on_warning = on_warning
        self._lock = asyncio.Lock()
        self._started = False
        self._server = server

    @property
    def name(self) -> str:
        """The proxy's name."""
        return self._clean.name

    @property
    def host(self) -> str:
        """Where the harness connects to."""
        return self._published()[0] if self._published else self._wanted.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port that the harness connects to; known once started, and then the same for good."""
        return self._published()[1] if self._published else int(self._wanted.listen.rpartition(":")[2])

    @property
    def wanted(self) -> ProxyState:
        """The state as last asked for."""
        return self._wanted

    @property
    def is_lost(self) -> bool:
        """Whether the server ended by itself: there should be one, and nobody is just replacing it."""
        return self._started and not self._lock.locked() and not self._server.is_running

    async def start(self) -> Detail:
        """Start the server and the proxy, without toxics. Raises ProxyError."""
        async with self._lock:
            await self._server.start()
            made = await self._server.apply(self._clean)
            self._clean = self._wanted = replace(self._clean, listen=made.listen)
            self._started = True
            return self._confirmed(made, self._wanted)

    async def stop(self) -> None:
        """End the server."""
        async with self._lock:
            self._started = False
            await self._server.stop()

    async def set_enabled(self, enabled: bool) -> Detail:
        """Listen or refuse; refusing also closes the open connections."""

        async def change(client: ProxyClient) -> None:
            if enabled:
                await self._server.enable(self.name)
            else:
                await client.set_enabled(self.name, False)

        return await self._change(lambda state: replace(state, enabled=enabled), change)

    async def set_upstream(self, upstream: str) -> Detail:
        """Lead to `host:port`; closes the open connections."""
        return await self._change(
            lambda state: replace(state, upstream=upstream),
            lambda client: client.set_upstream(self.name, upstream),
        )

    async def add_toxic(
        self, name: str, type_: str, stream: str, attributes: dict[str, int], toxicity: float = 1.0
    ) -> Detail:
        """Let a toxic act, on open connections too; `stream` is upstream or downstream."""
        toxic = Toxic(name=name, type=type_, stream=stream, attributes=attributes, toxicity=toxicity)
        return await self._change(
            lambda state: state.with_toxic(toxic), lambda client: client.add_toxic(self.name, toxic)
        )

    async def remove_toxic(self, name: str) -> Detail:
        """End a toxic; one that is not there is no error, as it is gone."""

        async def change(client: ProxyClient) -> None:
            try:
                await client.remove_toxic(self.name, name)
            except ProxyRefused as error:
                if error.status != 404:
                    raise

        return await self._change(lambda state: state.without_toxic(name), change)

    async def restore(self) -> Detail:
        """Back to the state of the start, whatever happened since: enabled, first upstream, no toxics."""

        async def change(client: ProxyClient) -> None:
            for toxic in await client.toxics(self.name):
                await client.remove_toxic(self.name, toxic.name)
            await client.set_upstream(self.name, self._clean.upstream)
            await self._server.enable(self.name)

        return await self._change(lambda state: self._clean, change)

    async def confirm(self) -> Detail:
        """Read the proxy back. Raises ProxyNotAsAsked where it is not as last asked for."""
        return await self._change(lambda state: state, _no_change)

    async def _change(
        self,
        wanted_from: Callable[[ProxyState], ProxyState],
        change: Callable[[ProxyClient], Awaitable[None]],
    ) -> Detail:
        # A change that was begun is brought to its end, even for a caller that was cancelled meanwhile: else
        # nobody could tell what state to heal from.
        changing = asyncio.create_task(self._settle(wanted_from, change))
        try:
            return await asyncio.shield(changing)
        except asyncio.CancelledError:
            await asyncio.wait({changing})
            if not changing.cancelled() and (error := changing.exception()) is not None:
                raise error from None
            raise

    async def _settle(
        self,
        wanted_from: Callable[[ProxyState], ProxyState],
        change: Callable[[ProxyClient], Awaitable[None]],
    ) -> Detail:
        async with self._lock:
            if not self._started:
                raise ProxyServerError(f"the proxy {self.name} is not started")
            wanted = wanted_from(self._wanted)
            try:
                await change(self._server.client)
                actual = await self._server.client.read(self.name)
            except (ProxyTimeout, ProxyUnreachable, ProxyServerError) as error:
                # It cannot be known whether the change took effect: a new server settles it.
                actual = await self._server.restart(wanted)
                if self._on_warning is not None:
                    self._on_warning(
                        RESTARTED, f"{self.name}: {error}; its connections were closed, its state is as asked"
                    )
            self._wanted = wanted
            return self._confirmed(actual, wanted)

    def _confirmed(self, actual: ProxyState, wanted: ProxyState) -> Detail:
        if differences := wanted.differences(actual):
            raise ProxyNotAsAsked(f"{self.name}: {'; '.join(differences)}")
        return actual.to_detail()


async def _no_change(client: ProxyClient) -> None:
    return None
