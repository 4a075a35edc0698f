"""The journal: events go in, in order; lines on disk and a stream to subscribers come out.

Each `append` is one unbuffered write to `history.jsonl`, so whatever was appended is readable after the
harness is killed. Subscribers follow through a bounded ring; one that falls behind re-reads the file from
where it was. `append` never waits for anybody. A journal belongs to one thread, that of the event loop.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from harness.history.errors import JournalError
from harness.history.events import AnyEvent

RING_SIZE = 4096
_CATCH_UP_BYTES = 256 * 1024


class _Stamp(msgspec.Struct):
    seq: int


class Journal:
    """Appends to `path`, which must not exist yet. `clock_ns` tells nanoseconds since the run's start."""

    def __init__(
        self, path: str | Path, run: str, clock_ns: Callable[[], int], *, ring_size: int = RING_SIZE
    ) -> None:
        self.path = Path(path)
        self.run = run
        self._clock_ns = clock_ns
        self._encode = msgspec.json.Encoder().encode
        self._prefix = b'{"run":' + msgspec.json.encode(run) + b',"seq":'
        self._seq = 0
        self._ring: deque[tuple[int, AnyEvent]] = deque(maxlen=ring_size)
        self._waiting: list[asyncio.Future[None]] = []
        self._failure: JournalError | None = None
        try:
            self._fd: int | None = os.open(
                self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644
            )
        except OSError as error:
            raise JournalError(f"cannot start the journal {self.path}: {error.strerror}") from error

    @property
    def seq(self) -> int:
        """Of the last event appended; 0 before the first."""
        return self._seq

    def now_ns(self) -> int:
        """Nanoseconds since the run's start, for an event's `t_ns`."""
        return self._clock_ns()

    def append(self, event: AnyEvent) -> int:
        """Write one event and return its `seq`, counted from 1. Raises JournalError if it cannot be written.

        After the first failure every append fails: a history with a hole in it would be believed.
        """
        if self._failure is not None:
            raise self._failure
        if self._fd is None:
            raise JournalError(f"the journal {self.path} is closed; {type(event).__name__} came too late")
        seq = self._seq + 1
        line = b"%b%d,%b\n" % (self._prefix, seq, self._encode(event)[1:])
        try:
            written = os.write(self._fd, line)
            while written < len(line):  # a short write: usually the disk is full and the next one says so
                written += os.write(self._fd, line[written:])
        except OSError as error:
            self._failure = JournalError(f"cannot write to the journal {self.path}: {error.strerror}")
            raise self._failure from error
        self._seq = seq
        self._ring.append((seq, event))
        if self._waiting:
            self._wake()
        return seq

    def close(self) -> None:
        """Subscribers get what they have not seen yet, then end. Closing twice is fine."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
            self._wake()

    async def subscribe(self, after_seq: int = 0) -> AsyncIterator[tuple[int, AnyEvent]]:
        """Every event with `seq` > `after_seq`, once and in order, until the journal is closed."""
        catching_up = _FileReader(self.path)
        try:
            while True:
                if after_seq < self._seq:
                    for seq, event in self._after(after_seq) or catching_up.read(after_seq):
                        after_seq = seq
                        yield seq, event
                    # Let the others run: a subscriber that is always behind would hold the loop.
                    await asyncio.sleep(0)
                elif self._fd is None:
                    return
                else:
                    woken = asyncio.get_running_loop().create_future()
                    self._waiting.append(woken)
                    await woken
        finally:
            catching_up.close()

    def _after(self, after_seq: int) -> list[tuple[int, AnyEvent]]:
        """From the ring, or nothing if the ring has forgotten the next one."""
        first_kept = self._ring[0][0]
        if after_seq + 1 < first_kept:
            return []
        count = self._seq - after_seq
        newest = [self._ring[-i] for i in range(1, min(count, len(self._ring)) + 1)]
        return newest[::-1]

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class _FileReader:
    """Reads the journal's own file piecewise, remembering where it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        self._rest = b""
        self._stamp = msgspec.json.Decoder(_Stamp)
        self._event: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)

    def read(self, after_seq: int) -> list[tuple[int, AnyEvent]]:
        """The next events after `after_seq`, at least one; the caller knows that there are some."""
        if self._fd is None:
            self._fd = os.open(self._path, os.O_RDONLY)
        found: list[tuple[int, AnyEvent]] = []
        while not found:
            chunk = os.read(self._fd, _CATCH_UP_BYTES)
            if not chunk:
                raise JournalError(f"{self._path} ends before event {after_seq + 1}, which was written to it")
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                seq = self._stamp.decode(line).seq
                if seq > after_seq:
                    found.append((seq, self._event.decode(line)))
        return found

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)


def write_events(path: str | Path, run: str, events: list[AnyEvent]) -> None:
    """Write a whole history at once, for tests and for histories that come from elsewhere."""
    encode = msgspec.json.Encoder().encode
    prefix = b'{"run":' + msgspec.json.encode(run) + b',"seq":'
    with Path(path).open("ab") as file:
        for seq, event in enumerate(events, 1):
            file.write(b"%b%d,%b\n" % (prefix, seq, encode(event)[1:]))
