"""The journal: every append is on disk at once, subscribers miss nothing, nobody is waited for."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.history import journal as journal_module
from harness.history.errors import JournalError
from harness.history.events import HarnessWarning
from harness.history.journal import Journal


def warning(n: int = 0) -> HarnessWarning:
    return HarnessWarning(t_ns=n, warning="test", detail="ü" * 10)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "history.jsonl", "run-1", lambda: 42, ring_size=16)


async def collected(journal: Journal, after_seq: int = 0) -> list[int]:
    return [seq async for seq, _ in journal.subscribe(after_seq)]


def test_a_line_holds_the_stamp_then_the_event(journal: Journal) -> None:
    assert journal.append(HarnessWarning(t_ns=journal.now_ns(), warning="late-driver")) == 1
    line = journal.path.read_text()
    assert line == '{"run":"run-1","seq":1,"kind":"harness.warning","t_ns":42,"warning":"late-driver"}\n'


def test_what_was_appended_is_on_disk_before_anything_is_closed(journal: Journal) -> None:
    for n in range(100):
        journal.append(warning(n))
    assert [json.loads(line)["seq"] for line in journal.path.read_text().splitlines()] == list(range(1, 101))


def test_an_existing_history_is_never_touched(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text("precious\n")
    with pytest.raises(JournalError, match="cannot start the journal"):
        Journal(path, "run-1", lambda: 0)
    assert path.read_text() == "precious\n"


def test_appending_to_a_closed_journal_is_an_error(journal: Journal) -> None:
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="is closed; HarnessWarning came too late"):
        journal.append(warning())


class TestNoSpace:
    def test_a_full_disk_is_an_error_and_stays_one(
        self, journal: Journal, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        journal.append(warning())

        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(journal_module.os, "write", full)
        with pytest.raises(JournalError, match="No space left on device"):
            journal.append(warning())
        monkeypatch.undo()
        with pytest.raises(JournalError, match="No space left on device"):
            journal.append(warning())
        assert journal.seq == 1

    def test_a_real_full_device(self) -> None:
        full = Path("/dev/full")
        if not full.exists():
            pytest.skip("no /dev/full here")
        journal = Journal.__new__(Journal)
        with pytest.raises(JournalError):
            journal.__init__(full, "run-1", lambda: 0)  # type: ignore[misc]

    def test_short_writes_are_completed(self, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
        write: Callable[[int, bytes], int] = os.write
        monkeypatch.setattr(journal_module.os, "write", lambda fd, data: write(fd, data[:7]))
        journal.append(warning())
        monkeypatch.undo()
        assert json.loads(journal.path.read_text())["seq"] == 1


class TestSubscribers:
    async def test_get_everything_once_and_in_order(self, journal: Journal) -> None:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(collected(journal))
            for n in range(100):
                journal.append(warning(n))
                await asyncio.sleep(0)
            journal.close()
        assert reader.result() == list(range(1, 101))

    async def test_resume_after_any_event(self, journal: Journal) -> None:
        for n in range(100):
            journal.append(warning(n))
        journal.close()
        for after in (0, 1, 83, 84, 85, 99, 100):
            assert await collected(journal, after) == list(range(after + 1, 101))

    async def test_from_the_future_wait_for_it(self, journal: Journal) -> None:
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(collected(journal, 5))
            for n in range(8):
                journal.append(warning(n))
                await asyncio.sleep(0)
            journal.close()
        assert reader.result() == [6, 7, 8]

    async def test_the_events_are_equal_from_the_ring_and_from_the_file(self, journal: Journal) -> None:
        for n in range(50):
            journal.append(warning(n))
        journal.close()
        assert [event async for _, event in journal.subscribe()] == [warning(n) for n in range(50)]

    async def test_a_slow_one_is_not_waited_for_and_misses_nothing(self, journal: Journal) -> None:
        seen: list[int] = []
        first = asyncio.Event()
        go_on = asyncio.Event()

        async def slow() -> None:
            async for seq, _ in journal.subscribe():
                seen.append(seq)
                first.set()
                await go_on.wait()

        async with asyncio.TaskGroup() as group:
            group.create_task(slow())
            journal.append(warning())
            await first.wait()
            for n in range(1, 1000):  # far more than the ring holds, without giving up control once
                journal.append(warning(n))
            assert seen == [1]
            go_on.set()
            journal.close()
        assert seen == list(range(1, 1001))

    async def test_many_at_once_each_get_all(self, journal: Journal) -> None:
        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(collected(journal)) for _ in range(5)]
            await asyncio.sleep(0)
            for n in range(60):
                journal.append(warning(n))
            journal.close()
        assert all(reader.result() == list(range(1, 61)) for reader in readers)

    async def test_one_that_leaves_is_forgotten(self, journal: Journal) -> None:
        async for _ in self.first(journal):
            pass
        journal.append(warning())
        journal.close()

    async def first(self, journal: Journal):  # type: ignore[no-untyped-def]
        journal.append(warning())
        stream = journal.subscribe()
        yield await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
