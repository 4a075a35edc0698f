"""What the proxy tests stand on: a server of either kind, upstreams that behave, a client that measures."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

GENEROUS_S = 5.0  # longer than anything here takes on a busy machine

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Bench:
    """One proxy server under test."""

    api: httpx.AsyncClient
    api_host: str
    api_port: int
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def proxy(self, upstream: int, **fields: Any) -> Proxied:
        """A new proxy that leads to a local port."""
        name = f"p{next(self._numbers)}"
        body = {"name": name, "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{upstream}", **fields}
        reply = await self.api.post("/proxies", json=body)
        assert reply.status_code == 201, reply.text
        return Proxied(self, name, reply.json()["listen"])


@dataclass
class Proxied:
    """A proxy of the server under test."""

    bench: Bench
    name: str
    listen: str

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    async def add(
        self, type_: str, stream: str = "downstream", toxicity: float = 1.0, **attributes: int
    ) -> str:
        """Add a toxic; returns its name."""
        body = {"type": type_, "stream": stream, "toxicity": toxicity, "attributes": attributes}
        reply = await self.bench.api.post(f"/proxies/{self.name}/toxics", json=body)
        assert reply.status_code == 200, reply.text
        name: str = reply.json()["name"]
        return name

    async def change(self, toxic: str, **attributes: int) -> None:
        reply = await self.bench.api.patch(
            f"/proxies/{self.name}/toxics/{toxic}", json={"attributes": attributes}
        )
        assert reply.status_code == 200, reply.text

    async def remove(self, toxic: str) -> None:
        reply = await self.bench.api.delete(f"/proxies/{self.name}/toxics/{toxic}")
        assert reply.status_code == 204, reply.text

    async def update(self, **fields: Any) -> dict[str, Any]:
        reply = await self.bench.api.patch(f"/proxies/{self.name}", json=fields)
        assert reply.status_code == 200, reply.text
        shown: dict[str, Any] = reply.json()
        return shown

    async def shown(self) -> dict[str, Any]:
        reply = await self.bench.api.get(f"/proxies/{self.name}")
        assert reply.status_code == 200, reply.text
        shown: dict[str, Any] = reply.json()
        return shown

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Caller]:
        """A client's connection through the proxy."""
        async with asyncio.timeout(GENEROUS_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Caller(reader, writer)
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@dataclass
class Caller:
    """A client that notes how long things take."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self, size: int) -> tuple[bytes, float]:
        """Exactly `size` bytes, or what came before the end; and the seconds it took."""
        began_s = asyncio.get_running_loop().time()
        async with asyncio.timeout(GENEROUS_S):
            try:
                data = await self.reader.readexactly(size)
            except asyncio.IncompleteReadError as error:
                data = error.partial
        return data, asyncio.get_running_loop().time() - began_s

    async def round_trip(self, data: bytes = b"ping") -> float:
        """Send and get the same back; the seconds it took."""
        await self.send(data)
        answer, took_s = await self.receive(len(data))
        assert answer == data
        return took_s

    async def hears_nothing_for(self, quiet_s: float) -> bool:
        """Whether neither data nor an end comes for so long."""
        try:
            async with asyncio.timeout(quiet_s):
                await self.reader.read(1)
        except TimeoutError:
            return True
        return False

    async def end(self) -> float:
        """Wait for the end of the stream, with nothing before it; the seconds it took."""
        rest, took_s = await self.receive(1)
        assert rest == b""
        return took_s


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what it hears."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hears everything, says nothing."""
    while await reader.read(65536):
        pass


def tells(data: bytes) -> Serve:
    """An upstream that speaks first, and then only listens."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await swallow(reader, writer)

    return serve


def tells_and_closes(data: bytes) -> Serve:
    """An upstream that speaks once and hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return serve


@contextlib.asynccontextmanager
async def upstream(serve: Serve) -> AsyncIterator[int]:
    """A local server that treats each connection as `serve` says; gives its port."""
    open_writers: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            await serve(reader, writer)
        except OSError:
            pass  # the proxy reset the connection, which is what many of these tests are about
        finally:
            open_writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in list(open_writers):
            writer.transport.abort()


@contextlib.contextmanager
def taken_port() -> Any:
    """A local port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]
