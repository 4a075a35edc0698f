"""The proxy servers under test: the real Toxiproxy, and the embedded one in this process."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from harness.testbed.proxy.embedded import serve_embedded
from harness.testbed.proxy.server import ProxyServer
from harness.testbed.proxy.state import ProxyKind
from tests.requires import require_tool
from tests.testbed.proxy.bench import GENEROUS_S, Bench


def toxiproxy(tmp_path: Path) -> ProxyServer:
    """A real Toxiproxy, not yet started."""
    binary = require_tool("toxiproxy-server")
    return ProxyServer(
        ProxyKind.TOXIPROXY, log_path=tmp_path / "toxiproxy.log", environ=os.environ, binary=binary
    )


@pytest.fixture(params=list(ProxyKind))
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    """A running server of each kind."""
    if request.param is ProxyKind.TOXIPROXY:
        real = toxiproxy(tmp_path)
        client = await real.start()
        host, port = httpx.URL(client.base_url).host, httpx.URL(client.base_url).port
        assert port is not None
        async with _api(host, port) as api:
            yield Bench(api, host, port)
        await real.stop()
    else:
        async with serve_embedded(seed=7) as embedded, _api(embedded.host, embedded.port) as api:
            yield Bench(api, embedded.host, embedded.port)


def _api(host: str, port: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"http://{host}:{port}", timeout=GENEROUS_S, trust_env=False)
