"""Toxiproxy in a container: one for each endpoint, and one more, the gate, for the harness's own ways in."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from harness.testbed.containers.ground import LOOPBACK, ContainerError, Ground, Net, Part, Started
from harness.testbed.proxy.client import TIMEOUT_S, ProxyClient
from harness.testbed.proxy.errors import ProxyServerError, ProxyTimeout, ProxyUnreachable
from harness.testbed.proxy.server import ProxyServer

API_PORT = 8474
GATE = "gate"
ANY = "0.0.0.0"


class ProxyContainer(ProxyServer):
    """`start` may be called early, and again: there is one container, and its ports stay."""

    def __init__(
        self,
        ground: Ground,
        name: str,
        image: str,
        networks: Mapping[Net, tuple[str, ...]],
        listens: tuple[int, ...],
        publish_at: Mapping[int, int] | None = None,
    ) -> None:
        """`networks` besides the edge, with its names on them; `listens`: the ports of its proxies, each
        published at any port of 127.0.0.1 that is free, or at that of `publish_at`."""
        super().__init__()
        self._ground = ground
        self._part = Part(
            name=f"proxy-{name}",
            image=image,
            networks={Net.EDGE: (), **networks},
            command=(f"-host={ANY}",),
            publish=(API_PORT, *listens),
            publish_at=publish_at or {},
        )
        self._started: Started | None = None
        self._is_up = False
        self._lock = asyncio.Lock()

    @property
    def part(self) -> str:
        return self._part.name

    @property
    def is_running(self) -> bool:
        return self._is_up

    def published(self, port: int) -> tuple[str, int]:
        """Where the harness reaches a port of it; known once started."""
        assert self._started is not None, "the proxy's container is not started"
        return LOOPBACK, self._started.ports[port]

    async def start(self) -> ProxyClient:
        async with self._lock:
            if not self._is_up:
                try:
                    await self._bring_up()
                except ContainerError as error:
                    raise ProxyServerError(str(error)) from error
            return self.client

    async def _bring_up(self) -> None:
        if self._started is None:
            self._started = await self._ground.start(self._part)
        else:
            await self._ground.start_again(self._started)
        self._client = ProxyClient(*self.published(API_PORT), TIMEOUT_S)
        await self._ground.until_ready(self._started, self._answers)
        self._is_up = True

    async def _answers(self) -> bool:
        try:
            await self.client.version()
        except (ProxyUnreachable, ProxyTimeout):
            return False
        return True

    async def kill(self) -> None:
        self._is_up = False
        await self.drop_client()
        if self._started is not None:
            try:
                await self._ground.kill(self._started)
            except ContainerError as error:
                raise ProxyServerError(str(error)) from error

    async def stop(self) -> None:
        self._is_up = False
        await self.drop_client()
        if self._started is not None:
            await self._ground.remove(self._started)


class Gate:
    """The harness's ways to what is on internal networks alone: control ports, Mailpit, the system's port."""

    FIRST_PORT = 9001

    def __init__(self, ground: Ground, image: str, ways: int) -> None:
        """`ways`: how many there will be at most; their ports are published when the container is made."""
        self._ports = iter(range(self.FIRST_PORT, self.FIRST_PORT + ways))
        listens = tuple(range(self.FIRST_PORT, self.FIRST_PORT + ways))
        self._server = ProxyContainer(
            ground, GATE, image, {Net.PROVIDERS: (), Net.FRONT: (GATE,), Net.ROUTES: ()}, listens
        )

    async def way_to(self, name: str, upstream: str) -> tuple[str, int]:
        """(host, port) that lead to `upstream`, a `name:port` on one of the networks. Raises ProxyError."""
        client = await self._server.start()
        inside = next(self._ports)
        await client.create(name, f"{ANY}:{inside}", upstream)
        return self._server.published(inside)

    async def lead(self, name: str, upstream: str) -> None:
        """The way leads here from now on, and is open. Raises ProxyError."""
        client = await self._server.start()
        if (await client.read(name)).upstream != upstream:
            await client.set_upstream(name, upstream)
        await client.set_enabled(name, True)

    async def shut(self, name: str) -> None:
        """Who comes this way is turned away at once, as by a machine on which nothing listens."""
        await (await self._server.start()).set_enabled(name, False)

    async def way_out(self, name: str, port: int, upstream: str) -> str:
        """The address by which the system, on the front network, gets to `upstream` through the gate."""
        client = await self._server.start()
        await client.create(name, f"{ANY}:{port}", upstream)
        return f"{GATE}:{port}"

    async def stop(self) -> None:
        await self._server.stop()
