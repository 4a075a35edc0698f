"""A server of one proxy, for one endpoint; where it runs is a subclass's affair (process.py, or a container).

One server per endpoint, so that two endpoints may use the same port number on different addresses, and
killing one that hangs spares the others. A started server has no proxy; `apply` makes the one it is there
for, and `restart` kills whatever is left of the old server and brings the proxy back on the same port.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from harness.testbed.proxy.client import ProxyClient
from harness.testbed.proxy.errors import ProxyRefused, ProxyServerError
from harness.testbed.proxy.ports import candidate_ports
from harness.testbed.proxy.state import ProxyState

PORT_TIMEOUT_S = 5.0
POLL_S = 0.02


class ProxyServer(ABC):
    """The life of one server. `client` is valid while it runs."""

    def __init__(self) -> None:
        self._client: ProxyClient | None = None

    @property
    def client(self) -> ProxyClient:
        """The client of the running server. Raises ProxyServerError when there is none."""
        if self._client is None:
            raise ProxyServerError("the proxy server is not running")
        return self._client

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """Whether the server that was started is still there; cheap, for it is asked often."""

    @abstractmethod
    async def start(self) -> ProxyClient:
        """Start it and wait for its API. Raises ProxyServerError."""

    @abstractmethod
    async def stop(self) -> None:
        """End it: asked to first, killed if it does not. Never raises for one that is gone."""

    @abstractmethod
    async def kill(self) -> None:
        """End it at once."""

    async def apply(self, wanted: ProxyState) -> ProxyState:
        """Make the proxy on a server that has none, and return it as it came out.

        It listens only when all its toxics are in place, so no connection slips by them. Port 0 means any
        port that no outgoing connection can happen to occupy while the proxy does not listen.
        """
        host, _, port = wanted.listen.rpartition(":")
        if port == "0":
            return await self._apply_on_a_free_port(wanted, host)
        await self.client.create(wanted.name, wanted.listen, wanted.upstream, enabled=False)
        for toxic in wanted.toxics:
            await self.client.add_toxic(wanted.name, toxic)
        if wanted.enabled:
            await self.enable(wanted.name)
        return await self.client.read(wanted.name)

    async def enable(self, name: str) -> None:
        """Let the proxy listen; waits a while for a port that is taken. Raises ProxyRefused."""
        deadline_s = asyncio.get_running_loop().time() + PORT_TIMEOUT_S
        while True:
            try:
                await self.client.set_enabled(name, True)
            except ProxyRefused as error:
                if not error.is_port_in_use or asyncio.get_running_loop().time() > deadline_s:
                    raise
                await asyncio.sleep(POLL_S)
            else:
                return

    async def restart(self, wanted: ProxyState) -> ProxyState:
        """Kill the process, however it is, start another, and bring the proxy back as `wanted`."""
        await self.kill()
        await self.start()
        return await self.apply(wanted)

    async def _apply_on_a_free_port(self, wanted: ProxyState, host: str) -> ProxyState:
        refused: ProxyRefused | None = None
        for port in candidate_ports(wanted.name):
            try:
                await self.client.create(wanted.name, f"{host}:{port}", wanted.upstream)
            except ProxyRefused as error:
                if not error.is_port_in_use:
                    raise
                refused = error
                continue
            for toxic in wanted.toxics:
                await self.client.add_toxic(wanted.name, toxic)
            if not wanted.enabled:
                await self.client.set_enabled(wanted.name, False)
            return await self.client.read(wanted.name)
        raise ProxyServerError(f"no free port for the proxy {wanted.name} on {host}") from refused

    async def drop_client(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None
