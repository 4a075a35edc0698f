"""A stand-in for toxiproxy-server that misbehaves: `hanging_server.py BEHAVIOUR -host H -port P`.

Behaviours: `hang-delete`, `hang-patch` (no answer, ever), `ignore-toxics` (says yes and does nothing),
`exit` (ends at once), `mute` (never listens). It ignores SIGTERM, as a hanging server does.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from harness.testbed.proxy.embedded_api import create_app
from harness.testbed.proxy.embedded_proxies import ProxyCollection


class Misbehaving:
    """The embedded server's API, spoilt."""

    def __init__(self, app: ASGIApp, behaviour: str) -> None:
        self._app = app
        self._behaviour = behaviour

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope.get("method"), scope.get("path", "")
        if self._behaviour == f"hang-{str(method).lower()}":
            await asyncio.Event().wait()
        if self._behaviour == "ignore-toxics" and method == "POST" and path.endswith("/toxics"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})
            return
        await self._app(scope, receive, send)


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("behaviour")
    parser.add_argument("-host")
    parser.add_argument("-port", type=int)
    given = parser.parse_args()
    if given.behaviour == "exit":
        sys.exit("this server does not feel like it")
    if given.behaviour == "mute":
        await asyncio.Event().wait()
    app = Misbehaving(create_app(ProxyCollection(seed=0, dial_timeout_s=5)), given.behaviour)
    config = uvicorn.Config(app, host=given.host, port=given.port, lifespan="off", ws="none", http="h11")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    await serving


if __name__ == "__main__":
    asyncio.run(main())
