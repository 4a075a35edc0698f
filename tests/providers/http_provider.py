"""A SendGrid fake in the test's own loop, and what the tests need to talk to it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from harness.history.events import ConnectionsClosed, Receipt
from harness.providers.clock import Clock
from harness.providers.ledger import MemorySink
from harness.providers.serve import RunningProvider, serve
from harness.providers.wire import Account, ProviderConfig, ProviderFault, RouteListener

KEY, CANARY_KEY = "SG.route", "SG.canary"
TOKEN = "abcdefghijklmnop"
SEND = "/v3/mail/send"


class Fake:
    def __init__(self, provider: RunningProvider, sink: MemorySink) -> None:
        self.provider = provider
        self.sink = sink
        self.port = provider.ready.listeners[0].port
        self.rejecting_port = provider.ready.listeners[0].rejecting_port

    def url(self, path: str = SEND, *, rejecting: bool = False) -> str:
        return f"http://127.0.0.1:{self.rejecting_port if rejecting else self.port}{path}"

    def receipts(self) -> list[Receipt]:
        return [
            msgspec.json.decode(line, type=Receipt)
            for line in self.sink.records
            if msgspec.json.decode(line)["kind"] == "receipt"
        ]

    def closed(self) -> list[ConnectionsClosed]:
        return [
            msgspec.json.decode(line, type=ConnectionsClosed)
            for line in self.sink.records
            if msgspec.json.decode(line)["kind"] == "connections.closed"
        ]

    def put(self, **fault: Any) -> None:
        self.provider.faults.put(ProviderFault(id="f", **fault))


@asynccontextmanager
async def sendgrid(
    sink: MemorySink | None = None,
    tls: dict[str, str] | None = None,
    *,
    events_url: str | None = None,
    events_secret: str = "",
    **limits: float,
) -> AsyncIterator[Fake]:
    """With `tls`, the files of a certificate, it speaks HTTPS."""
    loop = asyncio.get_running_loop()
    config = ProviderConfig(
        name="sendgrid",
        preset="sendgrid",
        listeners=[
            RouteListener(
                route="backup",
                account=Account(username="apikey", secret=KEY),
                https=tls is not None,
                events_url=events_url,
                events_secret=events_secret,
            )
        ],
        canary_account=Account(username="canary", secret=CANARY_KEY, canary=True),
        system_canaries=["probe@canary.example"],
        limits=limits,
        seed=7,
        **(tls or {}),
    )
    sink = sink or MemorySink()
    provider = await serve(config, Clock(time.time() - loop.time()), sink)
    try:
        yield Fake(provider, sink)
    finally:
        await provider.close()


def mail(*recipients: str, **changes: Any) -> dict[str, Any]:
    """A valid request for these recipients, one personalization each; `changes` replace top-level fields."""
    to = recipients or (f"c.{TOKEN}@customer.example",)
    return {
        "personalizations": [{"to": [{"email": recipient}]} for recipient in to],
        "from": {"email": "shop@shop.example"},
        "subject": "Your order",
        "content": [{"type": "text/plain", "value": f"Thank you.\nref: hn-{TOKEN}-nh\n"}],
        "headers": {"X-Harness-Token": TOKEN},
        **changes,
    }


async def post(client: httpx.AsyncClient, url: str, content: Any, key: str | None = KEY) -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return await client.post(url, json=content, headers=headers)


def request_bytes(content: Any, *, key: str = KEY, declared: int | None = None) -> bytes:
    """A POST as it goes over the wire; `declared` may lie about the length of its body."""
    body = content if isinstance(content, bytes) else msgspec.json.encode(content)
    head = (
        f"POST {SEND} HTTP/1.1\r\nHost: api.sendgrid.com\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {declared or len(body)}\r\n\r\n"
    )
    return head.encode() + body


def reset(writer: asyncio.StreamWriter) -> None:
    """Leave without a goodbye."""
    peer: socket.socket = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def until(condition: Any, within_s: float = 5) -> None:
    """Wait for something that another task does; fails when it takes too long."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
