"""Much of everything: recipients, bytes, connections that idle or hang half-open; memory stays bounded."""

from __future__ import annotations

import asyncio
import gc
import socket
import struct
import tracemalloc
from contextlib import AsyncExitStack

import pytest

from harness.history.events import ReceiptResult
from harness.providers.wire import ProviderFault
from tests.providers.running import Provider, Raw, message, provider, raw, recipient, token
from tests.waiting import until

MAIL = "MAIL FROM:<sender@sender.example>"


async def send(client: Raw, number: int) -> None:
    for line in (MAIL, f"RCPT TO:<{recipient(number)}>", "DATA"):
        assert (await client.ask(line))[0] in "23"
    assert (await client.ask(message(token(number)) + b".\r\n")).startswith("250")


async def test_ten_thousand_recipients_have_ten_thousand_receipts() -> None:
    count = 10_000
    async with provider() as fake, raw(fake.port) as client:
        await client.ask(MAIL)
        for first in range(0, count, 500):
            numbers = range(first, first + 500)
            client.send("".join(f"RCPT TO:<r{number}@customer.example>\r\n" for number in numbers).encode())
            for _ in numbers:
                assert (await client.reply()).startswith("250")
        await client.ask("DATA")
        client.send(message() + b".\r\n")
        assert (await asyncio.wait_for(client.reader.readline(), 60)).startswith(b"250")
        receipts = fake.receipts
        assert len(receipts) == len({each.recipient for each in receipts}) == count
        assert len({each.attempt for each in receipts}) == len({each.body_offset for each in receipts}) == 1
        assert {each.result for each in receipts} == {ReceiptResult.ACCEPTED}


async def test_recipients_beyond_the_limit_are_deferred_and_the_rest_is_taken() -> None:
    async with provider(limits={"recipients_per_message": 3}) as fake, raw(fake.port) as client:
        await client.ask(MAIL)
        codes = [(await client.ask(f"RCPT TO:<{recipient(number)}>"))[:3] for number in range(5)]
        assert codes == ["250"] * 3 + ["452"] * 2
        await client.ask("DATA")
        assert (await client.ask(message() + b".\r\n")).startswith("250")
        assert [each.result.value for each in fake.receipts] == ["deferred"] * 2 + ["accepted"] * 3


async def test_two_hundred_idle_connections_do_not_stop_a_busy_one() -> None:
    async with provider() as fake, AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(raw(fake.port)) for _ in range(200)]
        for client in idle[:50]:  # in the middle of a body
            for line in (MAIL, f"RCPT TO:<{recipient(0)}>", "DATA"):
                await client.ask(line)
            client.send(b"Subject: never finished\r\n")
        for client in idle[50:100]:  # in the middle of a login
            assert (await client.ask("AUTH LOGIN")).startswith("334")
        for client in idle[100:150]:  # in the middle of a line
            client.send(b"NOO")
        async with raw(fake.port) as busy:
            for number in range(100):
                await send(busy, number)
        assert fake.running.ledger.handed_off == {"primary": 100}
        assert fake.running.engine.connections()["primary"] >= 200
        for client in idle[100:150]:
            assert (await client.ask(b"P\r\n")).startswith("250")
        for client in idle[:50]:
            assert (await client.ask(b".\r\n")).startswith("250")
        assert fake.running.ledger.handed_off == {"primary": 150}


async def test_two_hundred_clients_that_hang_do_not_stop_those_of_another_class() -> None:
    async with provider() as fake, AsyncExitStack() as stack:
        fake.running.faults.put(ProviderFault(id="f", type="hang", class_="marketing"))
        for _ in range(200):
            client = await stack.enter_async_context(raw(fake.port))
            for line in (MAIL, f"RCPT TO:<{recipient(0)}>", "DATA"):
                await client.ask(line)
            client.send(message(class_="marketing") + b".\r\n")
        async with raw(fake.port) as busy:
            for number in range(20):
                await send(busy, number)
        await until(lambda: sum(each.fault == "f" for each in fake.receipts) == 200)
        assert fake.running.ledger.handed_off == {"primary": 20}


@pytest.mark.parametrize("how", ["reset", "half", "closed"])
@pytest.mark.parametrize("after", range(6))
async def test_a_client_that_vanishes_anywhere_leaves_nothing_open(how: str, after: int) -> None:
    lines = [b"EHLO x", MAIL.encode(), f"RCPT TO:<{recipient(1)}>".encode(), b"DATA", message() + b"."]
    async with provider() as fake:
        client = await Raw.connect(fake.port)
        await client.reply()
        for line in lines[:after]:
            await client.ask(line + b"\r\n")
        client.send(b"half a li")
        if how == "half":
            client.writer.write_eof()
        elif how == "reset":
            connected: socket.socket = client.writer.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.writer.transport.abort()
        else:
            client.writer.close()
        await until(lambda: fake.running.engine.connections() == {"primary": 0})
        expected = {2: ["aborted"], 3: ["aborted"], 4: ["aborted"], 5: ["accepted"]}.get(after, [])
        assert [each.result.value for each in fake.receipts] == expected
        assert len(fake.closed) == 1
        await client.close()


@pytest.mark.parametrize(
    ("name", "piece", "answers"),
    [
        ("a command line without end", b"NOOP " + b"y" * 65_531, ["500"]),
        ("a body of one endless line", b"z" * 65_536, ["552"]),
        ("a body of empty lines", b"\r\n" * 32_768, ["552"]),
    ],
)
async def test_memory_is_bounded_whatever_comes(name: str, piece: bytes, answers: list[str]) -> None:
    async with provider(limits={"message_bytes": 1_000_000}) as fake, raw(fake.port) as client:
        end = b"\r\n"
        if "body" in name:
            for line in (MAIL, f"RCPT TO:<{recipient(1)}>", "DATA"):
                await client.ask(line)
            end = b"\r\n.\r\n"
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(320):  # 20 MB
                client.send(piece)
                await client.writer.drain()
            client.send(end)
            assert [(await client.reply())[:3] for _ in answers] == answers
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 6_000_000
        assert (await client.ask("NOOP")).startswith("250")


async def test_a_huge_chunk_that_nobody_can_use_is_not_kept() -> None:
    async with provider() as fake, raw(fake.port) as client:
        size = 20_000_000
        tracemalloc.start()
        try:
            client.send(f"BDAT {size} LAST\r\n".encode())
            for _ in range(size // 50_000):
                client.send(b"x" * 50_000)
                await client.writer.drain()
            assert (await client.reply()).startswith("503")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 6_000_000
        assert fake.receipts == []


async def sends_ahead(fake: Provider, garbage: bytes) -> list[str]:
    async with raw(fake.port) as client:
        client.send(garbage + b"\r\nRSET\r\nQUIT\r\n")
        said = (await asyncio.wait_for(client.reader.read(), 20)).decode().splitlines()
        return [line[:3] for line in said]


async def test_garbage_sent_ahead_is_answered_line_by_line() -> None:
    garbage = b"\x00\x01\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\xff\xfe\r\n" + b"A" * 70_000
    async with provider() as fake:
        assert await sends_ahead(fake, garbage) == ["500"] * 6 + ["250", "221"]
        assert fake.records == []
