"""A reader at work on some readings, its journal beside it: what tests of signals share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from harness.history.events import Signal
from harness.history.journal import Journal
from harness.testbed.signals.reader import Reading, SignalReader

SOON_NS = 10_000_000
Journalled = Callable[[], list[Signal]]


@asynccontextmanager
async def at_work(
    folder: Path, *readings: Reading, journal: Journal | None = None
) -> AsyncIterator[tuple[SignalReader, Journalled]]:
    """The reader, polling, and what it has journalled so far."""
    journal = journal or new_journal(folder)
    reader = SignalReader(readings, journal)
    polling = asyncio.create_task(reader.run())
    try:
        yield reader, lambda: events(journal.path)
    finally:
        polling.cancel()
        (ended,) = await asyncio.gather(polling, return_exceptions=True)
        journal.close()
    assert isinstance(ended, asyncio.CancelledError), ended


def new_journal(folder: Path) -> Journal:
    loop = asyncio.get_running_loop()
    started = loop.time()
    return Journal(folder / "history.jsonl", "r", lambda: int((loop.time() - started) * 1e9))


def events(path: Path) -> list[Signal]:
    return [msgspec.json.decode(line, type=Signal) for line in path.read_bytes().splitlines()]
