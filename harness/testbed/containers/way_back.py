"""From containers to a port of this machine: a forwarder on the edge network's own address here.

A system that is a process listens on 127.0.0.1, which containers cannot reach; so can the harness's own
webhooks. The proxies, and they alone, are on the edge network and lead there. Where the engine runs in a
virtual machine (Docker Desktop) that address is not ours; there a name leads to our 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib

from harness.testbed.containers.ground import THIS_MACHINE, Ground, Net

CHUNK_BYTES = 65536
LINGER_S = 0.5


class WayBack:
    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._servers: list[asyncio.Server] = []
        self._links: set[asyncio.Task[None]] = set()

    async def to(self, host: str, port: int) -> str:
        """`host:port` by which containers on the edge network get there; nothing need listen there yet."""

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._links.add(task)
            try:
                await _link(reader, writer, host, port)
            finally:
                self._links.discard(task)

        gateway = await self._ground.gateway(Net.EDGE)
        try:
            server = await asyncio.start_server(forward, gateway, 0)
        except OSError:
            return f"{THIS_MACHINE}:{port}"
        self._servers.append(server)
        return f"{gateway}:{server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for link in self._links:
            link.cancel()
        await asyncio.gather(*self._links, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()


async def _link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, port: int) -> None:
    """Both directions until each has ended. Where nothing listens the caller's connection is closed."""
    onward: asyncio.StreamWriter | None = None
    try:
        back, onward = await asyncio.open_connection(host, port)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(reader, onward))
            both.create_task(_pump(back, writer))
    except* OSError:
        pass  # either side has gone: so does the other
    finally:
        await asyncio.gather(_end(writer), _end(onward))


async def _end(writer: asyncio.StreamWriter | None) -> None:
    """What is written already gets a moment to leave."""
    if writer is None:
        return
    writer.close()
    try:
        async with asyncio.timeout(LINGER_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        writer.transport.abort()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(CHUNK_BYTES):
        sink.write(chunk)
        await sink.drain()
    with contextlib.suppress(OSError):
        sink.write_eof()
