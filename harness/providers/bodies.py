"""What the accepted messages looked like: one append-only pack per provider process.

A body is written before the receipt that names it. The pack has no structure of its own: the receipt's
`body_offset` and `body_bytes` say which bytes are whose.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from harness.providers.errors import JournalError


class BodyPack(Protocol):
    def append(self, body: bytes) -> int:
        """Write one body and return its offset; raises JournalError if it could not be written whole."""
        ...


class MemoryPack:
    def __init__(self) -> None:
        self.content = bytearray()

    def append(self, body: bytes) -> int:
        offset = len(self.content)
        self.content += body
        return offset


class FilePack:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        self._size = os.fstat(self._fd).st_size

    def append(self, body: bytes) -> int:
        offset = self._size
        try:
            written = os.write(self._fd, body)
        except OSError as error:
            raise JournalError(f"cannot write {self._path}: {error}") from error
        self._size += written
        if written != len(body):
            raise JournalError(
                f"{self._path} took {written} of {len(body)} bytes of a body; is the disk full?"
            )
        return offset

    def close(self) -> None:
        os.close(self._fd)
