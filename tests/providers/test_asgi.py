"""An ASGI application in the running loop, as its clients see it."""

from __future__ import annotations

from typing import cast

import httpx
from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from harness.providers.asgi import listen


async def test_a_client_lets_a_silent_connection_go_long_before_the_server_does() -> None:
    """Were both to end it at the same time, a request would be lost on its way now and then."""
    listener = await listen(PlainTextResponse("here"), "127.0.0.1", 0)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{listener.port}", trust_env=False) as client:
        assert (await client.get("/")).text == "here"
        (kept,) = (cast(H11Protocol, each) for each in listener._state.connections)
        clients_s = httpx.Limits().keepalive_expiry
    await listener.close()
    assert clients_s is not None and kept.timeout_keep_alive > 2 * clients_s
