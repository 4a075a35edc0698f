"""Numbered without gaps, on disk before anything else happens, streamed to whoever asks."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from harness.history.events import Receipt, ReceiptResult
from harness.providers.bodies import FilePack
from harness.providers.clock import Clock
from harness.providers.errors import JournalError
from harness.providers.ledger import BATCH_RECORDS, MARK_EVERY, FileSink, Ledger, MemorySink, Sink


def ledger(sink: Sink) -> Ledger:
    return Ledger("fake", Clock(0.0), sink)


def record(book: Ledger, number: int = 1) -> Receipt:
    return book.receipt(
        route="primary", endpoint="smtp", result=ReceiptResult.ACCEPTED, attempt=f"c1.{number}", begin_ns=1
    )


def numbers(lines: bytes) -> list[int]:
    return [msgspec.json.decode(line)["n"] for line in lines.splitlines()]


async def collect(book: Ledger, after: int = 0) -> list[int]:
    return [n async for batch in book.follow(after, endless=False) for n in numbers(batch)]


async def test_a_record_is_in_the_file_when_the_call_returns(tmp_path: Path) -> None:
    sink = FileSink(tmp_path / "journal.jsonl")
    receipt = record(ledger(sink))
    (line,) = (tmp_path / "journal.jsonl").read_bytes().splitlines()
    assert msgspec.json.decode(line, type=Receipt) == receipt
    assert (receipt.n, receipt.source, receipt.t_ns) == (1, "fake", receipt.end_ns)
    sink.close()


async def test_numbers_go_on_where_an_earlier_process_stopped(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = FileSink(path)
    for number in range(3):
        record(ledger(first), number)
    first.close()
    with path.open("ab") as torn:
        torn.write(b'{"kind":"receipt","n":4,')  # killed in the middle of a write
    second = FileSink(path)
    assert record(ledger(second)).n == 4
    second.close()
    assert [msgspec.json.decode(line)["attempt"] for line in path.read_bytes().splitlines()][-1] == "c1.1"


async def test_followers_behind_the_memory_are_served_from_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.providers.ledger.TAIL_RECORDS", 100)
    sink = FileSink(tmp_path / "journal.jsonl")
    book = ledger(sink)
    count = MARK_EVERY * 2 + BATCH_RECORDS + 7
    for number in range(count):
        record(book, number)
    for after in (0, 1, MARK_EVERY - 1, MARK_EVERY, MARK_EVERY + 1, count - 201, count - 1, count):
        assert await collect(book, after) == list(range(after + 1, count + 1))
    sink.close()


async def test_a_follower_sees_what_is_written_later_and_ends_with_the_ledger() -> None:
    book = ledger(MemorySink())
    seen: list[int] = []

    async def follow() -> None:
        async for batch in book.follow(1):
            seen.extend(numbers(batch))

    record(book)
    following = asyncio.create_task(follow())
    for _ in range(3):
        await asyncio.sleep(0)
        record(book)
    book.close()
    await following
    assert seen == [2, 3, 4]


async def test_a_record_that_cannot_be_written_whole_is_an_error_and_takes_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    sink = FileSink(path)
    book = ledger(sink)
    record(book)
    with monkeypatch.context() as full:
        write = os.write
        full.setattr(os, "write", lambda fd, line: write(fd, line[:10]))
        with pytest.raises(JournalError, match="10 of"):
            record(book)
    assert record(book).n == 2
    assert len(path.read_bytes().splitlines()) == 2
    sink.close()


async def test_hand_offs_are_counted_by_route() -> None:
    book = ledger(MemorySink())
    for result in ReceiptResult:
        book.receipt(route="backup", endpoint="api", result=result, attempt="a", begin_ns=1)
    assert book.handed_off == {"backup": 2}  # accepted, and accepted with the acknowledgement lost


def test_the_pack_tells_where_each_body_is(tmp_path: Path) -> None:
    path = tmp_path / "bodies.pack"
    pack = FilePack(path)
    assert [pack.append(b"one"), pack.append(b"three")] == [0, 3]
    pack.close()
    again = FilePack(path)
    assert again.append(b"x") == 8
    again.close()
    assert path.read_bytes() == b"onethreex"
