"""What all sources share: a read gives a document, or says why it cannot.

A document is what a question is put to: parsed JSON, a text, a row, Prometheus samples. A source never waits
without a limit, and never takes in more than any sensible answer holds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

LONGEST_TEXT = 200

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Bounds:
    """What one read may cost at most."""

    timeout_s: float
    size_bytes: int = 8 * 1024 * 1024


POLL = Bounds(timeout_s=1.0)


class Unreadable(Exception):
    """Nothing was learnt from this read. `said` is what is journalled in place of a value."""

    kind = ""

    @property
    def said(self) -> str:
        return f"{self.kind}: {storable(str(self)[:LONGEST_TEXT])}"


class Unreachable(Unreadable):
    """Nothing came, or not in time."""

    kind = "unreachable"


class Garbage(Unreadable):
    """Something came and made no sense."""

    kind = "garbage"


class Source(Protocol):
    """Something that is read from time to time; several signals may ask one read."""

    @property
    def how(self) -> str:
        """What is read, for people: `http /status`."""
        ...

    async def read(self) -> Any:
        """The document as it is now. Raises Unreadable."""
        ...

    async def close(self) -> None: ...


def storable(text: str) -> str:
    """A text as the journal can hold it: JSON can spell halves of characters, which no file can."""
    return text.encode("utf-8", "replace").decode()


def parse_json(content: bytes | str) -> Any:
    """Raises Garbage."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Garbage(f"not JSON: {error}") from error
