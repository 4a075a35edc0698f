"""Signals out of a log that is followed: a line sets one, another ends it, or a line tells its value.

Every read takes what was written since the one before, also over a rotation (the old file to its end, then
the new one) and a truncation. A line counts once it is complete. Nothing is read twice.
"""

from __future__ import annotations

import asyncio
import os
import re
from dataclasses import dataclass
from pathlib import Path

from harness.testbed.signals.file import open_plain
from harness.testbed.signals.question import VALUE_GROUP, captured, sensible
from harness.testbed.signals.source import Garbage, Unreachable, Value

CHUNK_BYTES = 64 * 1024
LONGEST_LINE = 16 * 1024
"""Bytes of one line that are looked at; the rest of it is passed over."""
MOST_CHANGES = 50
"""Of one signal in one read; of more, the first ones and the last are told."""


@dataclass(frozen=True)
class _Identity:
    """Which file it is, and how long."""

    device: int
    inode: int
    size: int

    @classmethod
    def of(cls, found: os.stat_result) -> _Identity:
        return cls(found.st_dev, found.st_ino, found.st_size)

    @classmethod
    def at(cls, path: Path) -> _Identity | None:
        """None where there is no file of this name."""
        try:
            return cls.of(path.stat())
        except OSError:
            return None


class Lines:
    """Bytes in, complete lines out, however the bytes are cut."""

    def __init__(self) -> None:
        self._partial = bytearray()

    def feed(self, chunk: bytes) -> list[str]:
        *ends, rest = chunk.split(b"\n")
        lines = []
        for end in ends:
            self._keep(end)
            lines.append(self._partial.decode("utf-8", "replace").rstrip("\r"))
            self._partial.clear()
        self._keep(rest)
        return lines

    def _keep(self, piece: bytes) -> None:
        self._partial += piece[: LONGEST_LINE - len(self._partial)]

    def forget(self) -> None:
        """What has begun will not be completed."""
        self._partial.clear()


class LogWatch:
    """One signal's question to the lines: true from `begins` to `until`, or what the group `value` tells.

    A line that both match ends it: `until` is the more particular one.
    """

    def __init__(self, begins: str, until: str | None = None) -> None:
        self._begins = re.compile(begins)
        self._until = None if until is None else re.compile(until)
        self.is_condition = VALUE_GROUP not in self._begins.groupindex
        self._now: Value = False if self.is_condition else None
        self._changes: list[Value] = []

    def take(self, line: str) -> None:
        value: Value
        if self._until is not None and self._until.search(line):
            value = False
        elif (found := self._begins.search(line)) is None:
            return
        else:
            value = True if self.is_condition else captured(found)
        if value is None or value == self._now:
            return
        self._now = value
        if len(self._changes) == MOST_CHANGES:
            self._changes.pop()
        self._changes.append(value)

    def values(self, _: object) -> list[Value]:
        """What it has been since the last time it was asked, in order; the last one holds."""
        changes, self._changes = self._changes, []
        if self._now is None:
            raise Unreachable("no line has told a value yet")
        return [sensible(value, self._begins.pattern, self.is_condition) for value in changes or [self._now]]


class LogFollower:
    """`whole`: the run's own log, kept by the pump, from its beginning. Otherwise what is in the file by now
    belongs to an earlier time.
    """

    def __init__(self, path: Path, *, whole: bool, name: str = "") -> None:
        self._path = path
        self._name = name
        self._fd: int | None = None
        self._offset = 0
        self._lines = Lines()
        self._watches: list[LogWatch] = []
        self._whole = whole
        self._skipped = None if whole else _Identity.at(path)

    @property
    def how(self) -> str:
        return f"log {self._name}".strip()

    def watch(self, begins: str, until: str | None = None) -> LogWatch:
        watch = LogWatch(begins, until)
        self._watches.append(watch)
        return watch

    async def read(self) -> None:
        """Show the new lines to the watches. Raises Unreadable while the file is not there, and where lines
        were lost: the watches know of those before and after.
        """
        if self._fd is None:
            self._open()
        await self._catch_up()
        if self._was_replaced():
            # Whoever replaced it has written the last to it by now.
            await self._catch_up()
            has_lost = self._has_lost_a_file()
            # What there is of a line is kept: the rotation may have cut it, and the new file has the rest.
            await self.close()
            self._open()
            await self._catch_up()
            if has_lost:
                raise Garbage("so much was written that a part was rotated away before it could be read")

    def _open(self) -> None:
        self._fd = open_plain(self._path)
        now, skipped = _Identity.of(os.fstat(self._fd)), self._skipped
        same = skipped is not None and (skipped.device, skipped.inode) == (now.device, now.inode)
        self._offset = skipped.size if skipped is not None and same and skipped.size <= now.size else 0
        self._skipped = None

    def _was_replaced(self) -> bool:
        """Whether another file has its name; none has in the middle of a rotation."""
        assert self._fd is not None
        here, named = os.fstat(self._fd), _Identity.at(self._path)
        return named is not None and (named.device, named.inode) != (here.st_dev, here.st_ino)

    def _has_lost_a_file(self) -> bool:
        """Whether the pump has rotated twice: it keeps one file, and that is not the one read so far."""
        assert self._fd is not None
        here, kept = os.fstat(self._fd), _Identity.at(self._path.with_name(self._path.name + ".1"))
        return self._whole and kept is not None and (kept.device, kept.inode) != (here.st_dev, here.st_ino)

    async def _catch_up(self) -> None:
        """To the file's end as it is now: one that grows faster than it can be read still ends."""
        assert self._fd is not None
        end = os.fstat(self._fd).st_size
        if end < self._offset:
            self._offset = 0
            self._lines.forget()
        while self._offset < end:
            try:
                chunk = os.pread(self._fd, min(CHUNK_BYTES, end - self._offset), self._offset)
            except OSError as error:
                raise Unreachable(f"{self._path}: {error.strerror}") from error
            if not chunk:
                return  # truncated since: the next read sees it
            self._offset += len(chunk)
            for line in self._lines.feed(chunk):
                for watch in self._watches:
                    watch.take(line)
            await asyncio.sleep(0)  # the driver must keep its schedule beside a flood

    async def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
