"""A server that behaves like Toxiproxy, in asyncio: for machines without it and for simulated runs.

In go a host, a port and a seed; out comes a server that speaks Toxiproxy's HTTP API and proxies TCP. Time
comes from the running loop and chance from the seed, so the same code runs on a virtual clock. It and the
real one pass the same conformance suite. It differs on purpose where the real one hangs (dialling without a
timeout, removing toxics under load) or panics (a negative rate, slices of no size), in that `reset` sees to
all proxies although one fails, in that a connection's draw against a toxicity is repeated only when that
toxic changes, and in that latencies behind one another always add up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import uvicorn

from harness.testbed.proxy.embedded_address import Address, AddressError, bound_socket
from harness.testbed.proxy.embedded_api import create_app
from harness.testbed.proxy.embedded_proxies import ProxyCollection

DIAL_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server: where its API listens, and its proxies."""

    host: str
    port: int
    collection: ProxyCollection


class _ApiServer(uvicorn.Server):
    """uvicorn as a guest in somebody else's process: signals are not its business, and it does not tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told_to_stop = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.told_to_stop.wait()


@contextlib.asynccontextmanager
async def serve_embedded(
    host: str = "127.0.0.1", port: int = 0, *, seed: int, dial_timeout_s: float = DIAL_TIMEOUT_S
) -> AsyncIterator[EmbeddedServer]:
    """Serve for as long as the context lasts; port 0 picks one. At its end every connection is closed.

    Raises OSError if the API's address cannot be had.
    """
    try:
        sock = bound_socket(await Address(host, port).resolved())
    except AddressError as error:
        raise OSError(str(error)) from error
    collection = ProxyCollection(seed, dial_timeout_s)
    config = uvicorn.Config(
        create_app(collection),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=1,
    )
    server = _ApiServer(config)
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    try:
        yield EmbeddedServer(host, sock.getsockname()[1], collection)
    finally:
        collection.stop_all()
        server.told_to_stop.set()
        await serving
