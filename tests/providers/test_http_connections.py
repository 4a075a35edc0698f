"""Connections to the HTTP engine: who ends them, when, and what is written down of it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from itertools import pairwise

import httpx
import pytest

from harness.history.events import ReceiptResult
from harness.providers.errors import ConfigError
from harness.providers.http import connection
from tests.providers.http_provider import (
    KEY,
    TOKEN,
    Fake,
    mail,
    post,
    request_bytes,
    reset,
    sendgrid,
    until,
)


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    async with sendgrid() as fake:
        yield fake


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


class TestConnections:
    async def test_keep_alive_is_one_connection_with_one_name(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        for _ in range(5):
            await post(client, fake.url(), mail())
        assert {receipt.connection for receipt in fake.receipts()} == {"backup-api-1"}
        assert len({receipt.attempt for receipt in fake.receipts()}) == 5

    async def test_an_idle_connection_is_kept_longer_than_clients_keep_theirs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert connection.KEEP_ALIVE_S > 60
        monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.2)
        async with sendgrid() as fake:
            loop = asyncio.get_running_loop()
            reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            for _ in range(3):
                writer.write(request_bytes(mail()))
                await reader.readuntil(b"\r\n\r\n")
            answered_s = loop.time()
            assert await reader.read() == b""
            assert loop.time() - answered_s > 0.15
            writer.close()
            assert fake.closed() == []

    async def test_pipelined_requests_are_answered_in_order(self, fake: Fake) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        subjects = [f"number {number}" for number in range(5)]
        writer.write(b"".join(request_bytes(mail(subject=subject)) for subject in subjects))
        ids = []
        while len(ids) < 5:
            line = await reader.readline()
            if line.lower().startswith(b"x-message-id:"):
                ids.append(line.split()[1].decode())
        receipts = fake.receipts()
        assert [receipt.text for receipt in receipts] == ids
        assert all(earlier.end_ns <= later.end_ns for earlier, later in pairwise(receipts))
        assert all(receipt.begin_ns <= receipt.end_ns for receipt in receipts)
        writer.close()

    async def test_a_client_that_leaves_inside_the_body_leaves_an_aborted_receipt(self, fake: Fake) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        raw = request_bytes(mail(), declared=10_000)
        writer.write(raw)
        await writer.drain()
        writer.close()
        await until(fake.receipts)
        (receipt,) = fake.receipts()
        assert (receipt.result, receipt.code) == (ReceiptResult.ABORTED, None)
        assert (receipt.token, receipt.recipient) == (TOKEN, f"c.{TOKEN}@customer.example")
        assert receipt.carriers == ["recipient", "header", "nonce"]
        assert receipt.body_offset is None
        (lost,) = fake.closed()
        assert (lost.connections, lost.reason) == (["backup-api-1"], "during a request")

    async def test_a_client_that_leaves_right_after_the_whole_body_has_sent_it(self, fake: Fake) -> None:
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            writer.write(request_bytes(mail()))
            writer.close()
        await until(lambda: len(fake.receipts()) == 20)
        assert {receipt.result for receipt in fake.receipts()} == {ReceiptResult.ACCEPTED}

    async def test_how_a_connection_ended_without_a_goodbye(self, fake: Fake) -> None:
        _, inside = await asyncio.open_connection("127.0.0.1", fake.port)
        inside.write(b"POST /v3/mail/send HTTP/1.1\r\nHost: x")
        await inside.drain()
        await until(lambda: fake.provider._engine.connections() == {"backup": 1})
        inside.close()
        await until(lambda: len(fake.closed()) == 1)
        reader, idle = await asyncio.open_connection("127.0.0.1", fake.port)
        idle.write(request_bytes(mail()))
        await reader.readuntil(b"\r\n\r\n")
        reset(idle)
        await until(lambda: len(fake.closed()) == 2)
        assert [closed.reason for closed in fake.closed()] == [
            "inside a request's headers",
            "reset (ConnectionResetError)",
        ]

    async def test_an_orderly_end_between_requests_is_no_event(self, fake: Fake) -> None:
        async with httpx.AsyncClient() as client:
            await post(client, fake.url(), mail())
        await until(lambda: fake.provider._engine.connections() == {"backup": 0})
        assert fake.closed() == []

    async def test_a_large_body_in_many_pieces_is_read_whole(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        big = mail(content=[{"type": "text/plain", "value": "x" * 2_000_000}])
        assert (await post(client, fake.url(), big)).status_code == 202
        assert fake.receipts()[0].body_bytes == len(json.dumps(big, separators=(",", ":")))

    async def test_closing_does_not_wait_for_idle_clients_and_records_the_cut_off(self) -> None:
        async with sendgrid() as fake:
            _, idle = await asyncio.open_connection("127.0.0.1", fake.port)
            _, sending = await asyncio.open_connection("127.0.0.1", fake.port)
            sending.write(request_bytes(mail(), declared=10_000))
            await sending.drain()
            listener = fake.provider._engine._listeners["backup"][0]  # type: ignore[attr-defined]
            await until(lambda: [each for each in listener._open if each._attempt is not None])
            loop = asyncio.get_running_loop()
            began = loop.time()
        assert loop.time() - began < 4
        assert [receipt.result for receipt in fake.receipts()] == [ReceiptResult.ABORTED]
        idle.close()
        sending.close()

    async def test_a_taken_port_is_an_error_that_names_it(self, fake: Fake) -> None:
        listener = fake.provider._engine._listener(  # type: ignore[attr-defined]
            fake.provider._engine._context.config.listeners[0],  # type: ignore[attr-defined]
            "",
            rejecting=False,
        )
        with pytest.raises(ConfigError, match=str(fake.port)):
            await listener.start("127.0.0.1", fake.port)

    @pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not here")
    async def test_curl_with_expect_continue(self, fake: Fake) -> None:
        body = json.dumps(mail(content=[{"type": "text/plain", "value": "y" * 1_200_000}]))
        curl = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "-o", "-", "-w", "%{http_code}", "--noproxy", "*", "-H", "Expect: 100-continue"),
            *("-H", f"Authorization: Bearer {KEY}", "-H", "Content-Type: application/json"),
            *("--data-binary", "@-", fake.url()),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await curl.communicate(body.encode())
        assert output == b"202"
