"""Signals that the system posts: a small HTTP server of the harness, one address for each name.

A post is JSON and is the document. It says when: the instant is that of its arrival, not of a poll. Who posts
is answered 204, or what was wrong with the post; the address is `{{ webhooks.NAME }}` in a scenario.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from harness.providers.asgi import AsgiListener, listen
from harness.testbed.signals.source import POLL, Garbage, parse_json

LARGEST_POST = 1024 * 1024


@dataclass(frozen=True)
class Post:
    """One post, or what was wrong with it. It arrived in (begin_ns, end_ns]."""

    document: Any
    error: Garbage | None
    begin_ns: int
    end_ns: int


class Webhook:
    """One name that the system posts to. `told` is called for every post."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.told: Callable[[Post], None] | None = None

    @property
    def how(self) -> str:
        return f"webhook {self.name}"


class Webhooks:
    """The server; nothing listens where a scenario has no webhooks."""

    def __init__(self, names: Iterable[str], now_ns: Callable[[], int]) -> None:
        self.hooks = {name: Webhook(name) for name in names}
        self._now_ns = now_ns
        self._listener: AsgiListener | None = None
        self._base_url = ""

    async def open(self, host: str = "127.0.0.1", port: int = 0, base_url: str | None = None) -> None:
        """Listen; port 0 picks one. `base_url` is what the system knows it by, if not by this address.

        Raises ConfigError when the port cannot be had.
        """
        if self.hooks:
            application = Starlette(routes=[Route("/webhooks/{name}", self._post, methods=["POST"])])
            self._listener = await listen(application, host, port)
            self._base_url = base_url or f"http://{host}:{self._listener.port}"

    @property
    def port(self) -> int | None:
        return None if self._listener is None else self._listener.port

    def urls(self) -> dict[str, str]:
        """The address of each name, for templates."""
        return {name: f"{self._base_url}/webhooks/{name}" for name in self.hooks}

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()
            self._listener = None

    async def _post(self, request: Request) -> Response:
        begin_ns = self._now_ns()
        hook = self.hooks.get(request.path_params["name"])
        if hook is None:
            return PlainTextResponse(f"there is no such webhook; there is {', '.join(self.hooks)}\n", 404)
        error: Garbage | None = None
        document: Any = None
        status = 400
        try:
            async with asyncio.timeout(POLL.timeout_s):
                document = parse_json(await _body(request))
        except TimeoutError:
            error = Garbage(f"a post that was not whole within {POLL.timeout_s:g} s")
        except ClientDisconnect:
            error = Garbage("a post that broke off")
        except _TooLong as caught:
            error, status = caught, 413
        except Garbage as caught:
            error = caught
        if hook.told is not None:
            hook.told(Post(document, error, begin_ns, self._now_ns()))
        return Response(status_code=204) if error is None else PlainTextResponse(f"{error}\n", status)


class _TooLong(Garbage):
    pass


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_POST:
            raise _TooLong(f"a post of more than {LARGEST_POST} bytes")
    return bytes(body)
