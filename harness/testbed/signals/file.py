"""Signals out of a file that the system rewrites: JSON or a text.

A file that is missing or half-written is unreadable now, and may be read at the next poll. Only plain files
are read: a pipe or a device could hold the reader for ever.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

from harness.testbed.signals.source import POLL, Bounds, Garbage, Unreachable, parse_json

SECOND_LOOK_S = 0.02
"""Who writes without renaming leaves half a document for a moment; this long later it is mostly whole."""


class FileSource:
    def __init__(self, path: Path, *, is_json: bool, bounds: Bounds = POLL) -> None:
        self._path = path
        self._is_json = is_json
        self._bounds = bounds

    @property
    def how(self) -> str:
        return f"file {self._path}"

    async def read(self) -> Any:
        if not self._is_json:
            return self._content().decode("utf-8", "replace")
        try:
            return parse_json(self._content())
        except Garbage:
            await asyncio.sleep(SECOND_LOOK_S)
            return parse_json(self._content())

    def _content(self) -> bytes:
        fd = open_plain(self._path)
        try:
            with os.fdopen(fd, "rb") as file:
                content = file.read(self._bounds.size_bytes + 1)
        except OSError as error:
            raise Unreachable(f"{self._path}: {error.strerror}") from error
        if len(content) > self._bounds.size_bytes:
            raise Garbage(f"{self._path}: more than {self._bounds.size_bytes} bytes")
        return content

    async def close(self) -> None:
        pass


def open_plain(path: Path) -> int:
    """A descriptor of a plain file. Raises Unreachable, or Garbage where it is something else."""
    try:
        # Without O_NONBLOCK opening a pipe waits for its writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror}") from error
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise Garbage(f"{path}: not a plain file")
