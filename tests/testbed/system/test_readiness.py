"""When a system is up; whether its port is answered, also behind a forwarder that takes every connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from harness.testbed.commands import Surround
from harness.testbed.system.reach import is_answered
from harness.testbed.system.readiness import AtOnce, CommandEnds, PathAnswers, PortAnswers
from tests.scenario.writing import loaded


@asynccontextmanager
async def listening(serve) -> AsyncIterator[tuple[str, int]]:
    serving: list[asyncio.Task[None]] = []

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.append(asyncio.current_task())
        await serve(reader, writer)

    server = await asyncio.start_server(tracked, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[:2]
    server.close()
    await asyncio.gather(*serving)
    await asyncio.sleep(0)  # what was aborted is closed by the loop


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        await reader.read()
    writer.transport.abort()


async def greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 ready\r\n")
    await silent(reader, writer)


async def dropping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
    await writer.wait_closed()


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize(
    ("serve", "answered"), [(silent, True), (greeting, True), (dropping, False), (resetting, False)]
)
async def test_a_port_is_answered_by_who_keeps_the_connection(serve, answered: bool):
    async with listening(serve) as address:
        assert await is_answered(address) is answered


async def test_a_port_on_which_nobody_listens_is_not():
    assert not await is_answered(("127.0.0.1", 1))
    async with httpx.AsyncClient() as client:
        assert await PortAnswers(("127.0.0.1", 1)).complaint(client) == "nothing listens on 127.0.0.1:1"


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (httpx.Response(200), None),
        (httpx.Response(204), None),
        (httpx.Response(503), "GET /health answered 503"),
        (httpx.ConnectError(""), "GET /health: ConnectError"),
    ],
)
async def test_a_path_must_answer_2xx(answer: httpx.Response | Exception, complaint: str | None):
    def respond(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with httpx.AsyncClient(transport=httpx.MockTransport(respond), base_url="http://s") as client:
        assert await PathAnswers("/health").complaint(client) == complaint


async def test_a_command_must_end_with_0(tmp_path: Path):
    here = Surround(dict(os.environ), tmp_path, "ready")
    not_yet = (sys.executable, "-c", "raise SystemExit('not yet')")
    async with httpx.AsyncClient() as client:
        assert await CommandEnds((sys.executable, "-c", ""), here).complaint(client) is None
        assert (await CommandEnds(not_yet, here).complaint(client)).endswith("exited with code 1: not yet")
        assert "no-such-program" in await CommandEnds(("no-such-program",), here).complaint(client)
        assert await AtOnce().complaint(client) is None


DETECTED = "  signals:\n    detected: {http: /status, when: \"routes.primary.state == 'down'\"}\n"
HTTP = 'http: "POST /messages"'


@pytest.mark.parametrize(
    ("changes", "spoken_to"),
    [
        ([], True),
        ([(DETECTED, "")], True),
        ([(HTTP, "command: [submit]")], True),
        ([(HTTP, "command: [submit]"), (DETECTED, "")], False),
        ([(HTTP, 'smtp: "{{ system.port }}"'), (DETECTED, "")], True),
        ([(HTTP, 'smtp: "2525"'), (DETECTED, "")], False),
        ([(HTTP, "command: [submit]"), (DETECTED, '  operator: {approve: {http: "POST /a"}}\n')], True),
        ([(HTTP, "command: [submit]"), (DETECTED, "  events: {grid: POST /events}\n")], True),
    ],
)
def test_who_is_not_spoken_to_on_its_port_need_not_listen_there(changes, spoken_to: bool):
    assert loaded(*changes).system.is_spoken_to is spoken_to
