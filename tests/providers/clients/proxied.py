"""A proxy between a client library and a fake, as in a run: no client meets the provider's own port."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from harness.testbed.proxy.embedded import serve_embedded


@asynccontextmanager
async def proxied(port: int) -> AsyncIterator[int]:
    """The port of a proxy that leads to this port of 127.0.0.1."""
    async with (
        serve_embedded(seed=7) as server,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as api,
    ):
        body = {"name": "route", "listen": "127.0.0.1:0", "upstream": f"127.0.0.1:{port}"}
        made = await api.post("/proxies", json=body)
        assert made.status_code == 201, made.text
        yield int(made.json()["listen"].rpartition(":")[2])
