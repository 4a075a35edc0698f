"""One connection: how long it lives, what ends it, what is left of a request that it took with it."""

from __future__ import annotations

import asyncio

import pytest

from harness.history.events import ReceiptResult
from harness.providers.errors import JournalError
from harness.providers.http import connection
from harness.providers.http.connection import header_lines
from harness.providers.ledger import MemorySink
from tests.providers.http.sample import Sample, raw, sample
from tests.waiting import until

PATIENCE_S = 15


async def said(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the connection ends."""
    return await asyncio.wait_for(reader.read(), PATIENCE_S)


@pytest.mark.parametrize("more", ["Connection: close\r\n", "Connection: Close, TE\r\n"])
async def test_it_ends_when_the_client_asks_for_that(fake: Sample, more: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    writer.write(raw(more=more) + raw())
    answered = await said(reader)
    assert answered.startswith(b"HTTP/1.1 200") and b"connection: close" in answered.lower()
    assert answered.count(b"HTTP/1.1") == 1
    assert len(fake.receipts()) == 1
    writer.close()


async def test_an_old_client_is_answered_and_let_go(fake: Sample) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    writer.write(raw().replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert (await said(reader)).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_who_falls_silent_inside_a_request_is_let_go_with_a_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.2)
    async with sample() as fake:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw(length=10_000))
        assert await said(reader) == b""
        await until(lambda: len(fake.receipts()) == 1)
        assert fake.receipts()[0].result is ReceiptResult.ABORTED
        writer.close()


async def test_a_request_that_hangs_is_not_taken_for_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.1)
    async with sample() as fake:
        fake.put(type="slow-ack", delay_s=0.6)
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw())
        assert (await asyncio.wait_for(reader.readline(), PATIENCE_S)).startswith(b"HTTP/1.1 200")
        assert [receipt.result for receipt in fake.receipts()] == [ReceiptResult.ACCEPTED]
        writer.close()


async def test_a_request_that_is_coming_in_may_end_when_the_provider_closes() -> None:
    async with sample() as fake:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        whole = raw()
        writer.write(whole[:-5])
        listener = fake.provider.engine._listeners["backup"][0]  # type: ignore[attr-defined]
        await until(lambda: any(each._attempt is not None for each in listener._open))
        closing = asyncio.create_task(fake.provider.engine.close())
        await asyncio.sleep(0)
        writer.write(whole[-5:] + whole)
        answered = await said(reader)
        await closing
        assert answered.startswith(b"HTTP/1.1 200") and answered.count(b"HTTP/1.1") == 1
        assert [receipt.result for receipt in fake.receipts()] == [ReceiptResult.ACCEPTED]
        writer.close()


async def test_without_a_record_there_is_no_late_answer_either() -> None:
    class Full(MemorySink):
        def record(self, line: bytes) -> None:
            raise JournalError("disk full")

    async with sample(sink=Full()) as fake:
        fake.put(type="slow-ack", delay_s=0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw())
        with pytest.raises(ConnectionResetError):
            await said(reader)
        writer.close()


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "a\rb"])
def test_a_header_is_one_line(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        header_lines((("X-Id", value),))
    assert header_lines((("X-Id", "a"), ("Connection", "close"))) == b"X-Id: a\r\n"
