"""Whatever comes over the wire: one answer or none, a record of each message that was taken, bounded memory,
and everybody else is served.

One provider for all examples of a test, since starting one takes longer than what is asked of it here. A
client's last request is always a good one of its own, on a connection of its own: the provider lives.
"""

from __future__ import annotations

import asyncio
import logging
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.history.events import ReceiptResult
from tests.providers.http_provider import KEY, SEND, TOKEN, Fake, mail, request_bytes, reset, sendgrid
from tests.waiting import until

PATIENCE_S = 30
SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
TAKEN = (ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST)
World = tuple[asyncio.Runner, Fake]


@pytest.fixture
def world(caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    """Nothing that a client does is an error of ours: one in the log fails the test."""
    with asyncio.Runner() as runner:
        provider = sendgrid()
        yield runner, runner.run(provider.__aenter__())
        runner.run(provider.__aexit__(None, None, None))
    errors = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert not errors, errors[0].getMessage()


async def answers(port: int, *pieces: bytes, count: int = 1) -> list[int]:
    """The codes of so many answers to what is written piece by piece; fewer if the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    codes: list[int] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while len(codes) < count:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"HTTP/1.1 100 "):
                    continue
                codes.append(int(head.split(maxsplit=2)[1]))
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # the answers before it count
    finally:
        writer.transport.abort()
    return codes


async def lives(fake: Fake) -> None:
    """Somebody else is served."""
    token = "zzzzzzzzzzzzzzzz"
    assert await answers(fake.port, request_bytes(mail(f"c.{token}@customer.example"))) == [202]


def taken(fake: Fake) -> int:
    return sum(1 for receipt in fake.receipts() if receipt.result in TAKEN and receipt.token == TOKEN)


def chunked(body: bytes, sizes: list[int], *, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    """A request in chunks of these sizes, over and over."""
    head = (
        f"POST {SEND} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunks, at, turn = b"", 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        piece = body[at : at + size]
        chunks += b"%x%s\r\n%s\r\n" % (len(piece), extension, piece)
        at, turn = at + size, turn + 1
    return head + chunks + b"0\r\n" + trailer + b"\r\n"


def split(whole: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % len(whole) for cut in cuts})
    return [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]


class TestGoodRequestsInAnyForm:
    @SETTINGS
    @given(
        cuts=st.lists(st.integers(0, 10_000), max_size=12),
        count=st.integers(1, 6),
    )
    def test_pipelined_and_cut_anywhere_each_is_taken_once(
        self, world: World, cuts: list[int], count: int
    ) -> None:
        runner, fake = world
        fake.sink.records.clear()
        pieces = split(request_bytes(mail()) * count, cuts)
        assert runner.run(answers(fake.port, *pieces, count=count)) == [202] * count
        assert taken(fake) == count

    @SETTINGS
    @given(
        sizes=st.lists(st.integers(1, 200), min_size=1, max_size=5),
        extension=st.sampled_from([b"", b";name=value", b";x"]),
        trailer=st.sampled_from([b"", b"X-Trailer: 1\r\n"]),
    )
    def test_in_chunks_of_any_size(
        self, world: World, sizes: list[int], extension: bytes, trailer: bytes
    ) -> None:
        runner, fake = world
        fake.sink.records.clear()
        body = msgspec.json.encode(mail())
        request = chunked(body, sizes, extension=extension, trailer=trailer)
        assert runner.run(answers(fake.port, request)) == [202]
        assert taken(fake) == 1 and fake.receipts()[0].body_bytes == len(body)


class TestBadRequests:
    @SETTINGS
    @given(
        method=st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=12),
        target=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=40),
        version=st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "ICY"]),
        name=st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=10),
        value=st.text(st.characters(min_codepoint=0x00, max_codepoint=0xFF), max_size=30),
    )
    def test_any_first_line_and_header(
        self, world: World, method: str, target: str, version: str, name: str, value: str
    ) -> None:
        runner, fake = world
        fake.sink.records.clear()
        request = f"{method} /{target} {version}\r\nHost: x\r\n{name}: {value}\r\n\r\n"
        codes = runner.run(once(fake.port, request.encode("latin-1")))
        assert all(400 <= code < 500 or code in (501, 505) for code in codes)
        runner.run(lives(fake))

    @SETTINGS
    @given(blob=st.binary(max_size=400))
    def test_any_bytes_at_all(self, world: World, blob: bytes) -> None:
        runner, fake = world
        codes = runner.run(once(fake.port, blob))
        assert all(400 <= code < 500 or code == 501 for code in codes)
        runner.run(lives(fake))

    @SETTINGS
    @given(body=st.binary(max_size=200) | st.text(max_size=60).map(lambda text: text.encode("utf-16")))
    def test_any_body_is_answered_400_and_recorded(self, world: World, body: bytes) -> None:
        runner, fake = world
        fake.sink.records.clear()
        assert runner.run(answers(fake.port, request_bytes(body or b"."))) == [400]
        assert [receipt.code for receipt in fake.receipts()] == [400]

    @SETTINGS
    @given(
        kept=st.integers(0, 300),
        junk=st.sampled_from([b"zz\r\n", b"-1\r\n", b"5\r\nab\r\n0\r\n\r\n", b"\xff\xff\r\n", b"1" * 50]),
    )
    def test_broken_chunks_are_never_taken(self, world: World, kept: int, junk: bytes) -> None:
        runner, fake = world
        fake.sink.records.clear()
        head, _, chunks = chunked(msgspec.json.encode(mail()), [50]).partition(b"\r\n\r\n")
        whole_chunks = chunks[: kept // 56 * 56]
        runner.run(once(fake.port, head + b"\r\n\r\n" + whole_chunks + junk))
        runner.run(until(lambda: not any(fake.provider.engine.connections().values())))
        assert all(receipt.result is ReceiptResult.ABORTED for receipt in fake.receipts())
        assert len(fake.receipts()) == 1

    @pytest.mark.parametrize("declared", ["-1", "abc", "1, 2", "99999999999999999999", "+5", "0x10", "\xb2"])
    def test_a_length_that_is_none(self, world: World, declared: str) -> None:
        runner, fake = world
        head = f"POST {SEND} HTTP/1.1\r\nHost: x\r\nContent-Length: {declared}\r\n\r\n"
        codes = runner.run(once(fake.port, head.encode("latin-1") + b"hello"))
        assert codes in ([400], [413])
        runner.run(lives(fake))

    @pytest.mark.parametrize("shorter", [1, 100])
    def test_a_length_that_is_too_short(self, world: World, shorter: int) -> None:
        """What is beyond it is the beginning of another request, and no good one."""
        runner, fake = world
        fake.sink.records.clear()
        request = request_bytes(mail())
        body = len(request.partition(b"\r\n\r\n")[2])
        codes = runner.run(once(fake.port, request_bytes(mail(), declared=body - shorter)))
        assert codes[0] == 400
        assert taken(fake) == 0
        runner.run(lives(fake))

    def test_both_a_length_and_chunks_are_one_request_at_most(self, world: World) -> None:
        runner, fake = world
        fake.sink.records.clear()
        request = chunked(msgspec.json.encode(mail()), [50])
        smuggled = request.replace(b"Transfer-Encoding", b"Content-Length: 4\r\nTransfer-Encoding")
        runner.run(once(fake.port, smuggled))
        assert taken(fake) <= 1
        runner.run(lives(fake))

    def test_headers_without_end_are_refused_before_they_fill_the_memory(self, world: World) -> None:
        runner, fake = world
        head = f"POST {SEND} HTTP/1.1\r\nHost: x\r\n".encode()
        line = b"X-Much: " + b"y" * 1_000 + b"\r\n"
        assert runner.run(once(fake.port, head + line * 1_000)) == [431]
        assert runner.run(once(fake.port, head + b"X-One: " + b"y" * 1_000_000)) == [431]
        runner.run(lives(fake))

    @pytest.mark.parametrize("header", ["Upgrade: websocket\r\nConnection: Upgrade", "Expect: 100-continue"])
    def test_offers_of_something_else_are_passed_over(self, world: World, header: str) -> None:
        runner, fake = world
        fake.sink.records.clear()
        request = request_bytes(mail()).replace(b"Host", header.encode() + b"\r\nHost", 1)
        assert runner.run(answers(fake.port, request)) == [202]
        assert taken(fake) == 1

    def test_a_tunnel_is_not_dug(self, world: World) -> None:
        runner, fake = world
        assert runner.run(once(fake.port, b"CONNECT mail.example:25 HTTP/1.1\r\nHost: x\r\n\r\n")) == [404]
        runner.run(lives(fake))


async def once(port: int, request: bytes) -> list[int]:
    """Write it, say that this is all, and read what is answered: nothing at all counts, too."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    codes: list[int] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            writer.write(request)
            await writer.drain()
            # Not `write_eof`: whoever closes one direction is taken for gone.
            await until_answered_or_idle(reader)
            buffered = bytes(reader._buffer)  # type: ignore[attr-defined]
    except ConnectionError:
        buffered = bytes(reader._buffer)  # type: ignore[attr-defined]
    finally:
        writer.transport.abort()
    for line in buffered.split(b"\r\n"):
        if line.startswith(b"HTTP/1.1 "):
            codes.append(int(line.split(maxsplit=2)[1]))
    return codes


async def until_answered_or_idle(reader: asyncio.StreamReader) -> None:
    """Until the other side has said something, or ended, or has had time to look at what it got."""
    for _ in range(20):
        if reader._buffer or reader.at_eof() or reader.exception():  # type: ignore[attr-defined]
            return
        await asyncio.sleep(0.002)


class TestHowConnectionsEnd:
    @SETTINGS
    @given(
        cut=st.integers(1, 2 * len(request_bytes(mail()))),
        hard=st.booleans(),
        pause=st.booleans(),
    )
    def test_a_connection_cut_anywhere_loses_no_receipt(
        self, world: World, cut: int, hard: bool, pause: bool
    ) -> None:
        runner, fake = world
        one = request_bytes(mail())
        fake.sink.records.clear()

        async def play() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            writer.write((one * 2)[:cut])
            await writer.drain()
            if pause:
                await asyncio.sleep(0.002)
            if hard:
                reset(writer)
            else:
                writer.close()
            await until(lambda: not any(fake.provider.engine.connections().values()))

        runner.run(play())
        results = [receipt.result for receipt in fake.receipts()]
        whole = cut // len(one)
        if not hard or pause:  # a reset may overtake what was on its way
            assert results.count(ReceiptResult.ACCEPTED) == whole
        assert results.count(ReceiptResult.ABORTED) <= 1
        assert len(results) <= whole + 1

    def test_half_open_connections_hold_up_nobody(self, world: World) -> None:
        runner, fake = world

        async def play() -> None:
            halves = [await asyncio.open_connection("127.0.0.1", fake.port) for _ in range(60)]
            request = request_bytes(mail())
            for number, (_, writer) in enumerate(halves):
                writer.write(request[: 1 + number * len(request) // 61])
            for _ in range(5):
                await lives(fake)
            for _, writer in halves:
                writer.transport.abort()
            await until(lambda: not any(fake.provider.engine.connections().values()))

        fake.sink.records.clear()
        runner.run(play())
        assert taken(fake) == 0


class TestLoad:
    def test_200_idle_connections_do_not_stop_a_busy_one(self, world: World) -> None:
        runner, fake = world

        async def rate(requests: int) -> float:
            loop = asyncio.get_running_loop()
            reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            began_s = loop.time()
            for _ in range(requests):
                writer.write(request_bytes(mail()))
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 202")
            writer.close()
            return requests / (loop.time() - began_s)

        async def play() -> tuple[float, float]:
            alone = max([await rate(200) for _ in range(3)])
            idle = [await asyncio.open_connection("127.0.0.1", fake.port) for _ in range(200)]
            for _, writer in idle[:100]:
                writer.write(b"POST /v3/mail")  # half of them in the middle of something
            crowded = max([await rate(200) for _ in range(3)])
            for _, writer in idle:
                writer.transport.abort()
            return alone, crowded

        alone, crowded = runner.run(play())
        assert crowded > alone / 5  # by far not 1/200, on however busy a machine

    def test_10_000_recipients_are_refused_with_a_record_of_each(self, world: World) -> None:
        runner, fake = world
        fake.sink.records.clear()
        many = [f"c.{number:016d}@customer.example".translate(DIGITS) for number in range(10_000)]
        assert runner.run(answers(fake.port, request_bytes(mail(*many)))) == [400]
        assert len({receipt.recipient for receipt in fake.receipts()}) == 10_000
        assert all(receipt.result is ReceiptResult.REFUSED for receipt in fake.receipts())

    def test_1_000_recipients_are_taken_with_a_receipt_each(self, world: World) -> None:
        runner, fake = world
        fake.sink.records.clear()
        many = [f"c.{number:016d}@customer.example".translate(DIGITS) for number in range(1_000)]
        assert runner.run(answers(fake.port, request_bytes(mail(*many)))) == [202]
        assert len({receipt.token for receipt in fake.receipts()}) == 1_000
        assert {receipt.body_offset is None for receipt in fake.receipts()} == {False}

    def test_a_body_that_never_ends_is_not_kept(self, world: World) -> None:
        """30 MB may be kept of one request; ten times as much goes by here."""
        runner, fake = world

        async def play() -> int:
            reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            head = chunked(b"", [1]).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            writer.write(head)
            chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
            for _ in range(31):
                writer.write(chunk)
                await writer.drain()
            assert (await asyncio.wait_for(reader.readline(), PATIENCE_S)).startswith(b"HTTP/1.1 413")
            tracemalloc.start()
            for _ in range(100):
                writer.write(chunk)
                await writer.drain()
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            writer.transport.abort()
            return peak

        assert runner.run(play()) < 20 * 2**20
        runner.run(lives(fake))

    def test_a_client_that_does_not_read_is_not_answered_without_end(self, world: World) -> None:
        runner, fake = world
        fake.sink.records.clear()

        async def play() -> int:
            _, writer = await asyncio.open_connection("127.0.0.1", fake.port, limit=1_024)
            writer.transport.pause_reading()
            probe = b"GET /v3/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
            tracemalloc.start()
            for _ in range(60):
                writer.write(probe * 2_000)
                try:
                    async with asyncio.timeout(0.5):
                        await writer.drain()
                except TimeoutError:
                    break  # it has stopped to take requests
            else:
                pytest.fail("it took 120,000 requests and none of its answers was read")
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            writer.transport.abort()
            return peak

        assert runner.run(play()) < 50 * 2**20
        runner.run(lives(fake))


DIGITS: Any = str.maketrans("0189", "abcd")
