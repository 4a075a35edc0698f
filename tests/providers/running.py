"""A provider in the test's own loop, and raw lines to talk to it with."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from harness.history.events import AnyEvent, ConnectionsClosed, Receipt
from harness.providers.clock import Clock
from harness.providers.ledger import MemorySink
from harness.providers.serve import RunningProvider, serve
from harness.providers.wire import Account, ProviderConfig, RouteListener
from tests.waiting import until

TOKEN = "abcdefghij234567"
RECIPIENT = f"c.{TOKEN}@customer.example"
ROUTE = Account(username="route@sender.example", secret="route-secret")
CANARY = Account(username="canary@harness.example", secret="canary-secret", canary=True)


def token(number: int) -> str:
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    return "t" * 14 + letters[number // 32] + letters[number % 32]


def recipient(number: int) -> str:
    return f"c.{token(number)}@customer.example"


def message(token: str = TOKEN, class_: str = "transactional", text: str = "hello") -> bytes:
    return (
        f"From: sender@sender.example\r\nTo: someone@customer.example\r\nSubject: test\r\n"
        f"X-Harness-Token: {token}\r\nX-Harness-Class: {class_}\r\n\r\n{text}\r\nref: hn-{token}-nh\r\n"
    ).encode()


@dataclass
class Provider:
    running: RunningProvider
    sink: MemorySink

    @property
    def port(self) -> int:
        return self.running.ready.listeners[0].port

    @property
    def rejecting_port(self) -> int:
        return self.running.ready.listeners[0].rejecting_port

    @property
    def control(self) -> str:
        return f"http://127.0.0.1:{self.running.ready.control_port}"

    @property
    def records(self) -> list[Any]:
        return [msgspec.json.decode(line, type=AnyEvent) for line in self.sink.records]

    @property
    def receipts(self) -> list[Receipt]:
        return [record for record in self.records if isinstance(record, Receipt)]

    @property
    def closed(self) -> list[ConnectionsClosed]:
        return [record for record in self.records if isinstance(record, ConnectionsClosed)]

    async def until_records(self, count: int) -> list[Any]:
        await until(lambda: len(self.sink.records) >= count)
        return self.records


@asynccontextmanager
async def provider(
    preset: str = "smtp", sink: MemorySink | None = None, **config: Any
) -> AsyncIterator[Provider]:
    loop = asyncio.get_running_loop()
    sink = MemorySink() if sink is None else sink
    config.setdefault("listeners", [RouteListener(route="primary", account=ROUTE)])
    running = await serve(
        ProviderConfig(name="fake", preset=preset, canary_account=CANARY, **config),
        Clock(time.time() - loop.time(), loop),
        sink,
    )
    try:
        yield Provider(running, sink)
    finally:
        await running.close()


@asynccontextmanager
async def control_client(provider: Provider) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=provider.control, timeout=5, trust_env=False) as client:
        yield client


class Raw:
    """A client that sends what it is told, when it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> Raw:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def reply(self) -> str:
        """One reply, its lines joined by newlines; "" at the end of the connection."""
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def ask(self, line: str | bytes) -> str:
        self.send(line)
        return await self.reply()

    def send(self, line: str | bytes) -> None:
        self.writer.write(line if isinstance(line, bytes) else line.encode() + b"\r\n")

    async def start_tls(self, context: ssl.SSLContext) -> None:
        assert (await self.ask("STARTTLS")).startswith("220")
        await self.writer.start_tls(context, server_hostname="localhost")

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return


@asynccontextmanager
async def raw(port: int, hello: bool = True) -> AsyncIterator[Raw]:
    client = await Raw.connect(port)
    try:
        if hello:
            assert (await client.reply()).startswith("220")
            assert (await client.ask("EHLO client.example")).startswith("250")
        yield client
    finally:
        await client.close()
