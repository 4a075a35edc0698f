"""The system's word on each message: a list of {token or recipient, state, events}, asked for at the end.

`events` may be left out: the kinds of events of the message that the system knows of, as a list or as a text
with commas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.testbed.signals.question import search
from harness.testbed.signals.source import Source, Unreadable, storable


class StatesUnreadable(Exception):
    """No answer came, or it is no list of states; the message says which."""


@dataclass(frozen=True)
class Told:
    token: str
    recipient: str | None
    state: str
    events: list[str] | None = None


@dataclass(frozen=True)
class States:
    """Where they are told, and JMESPath to the list in what is read there; None: it is the list."""

    source: Source
    items: str | None

    async def read(self) -> list[Told]:
        """Raises StatesUnreadable."""
        try:
            document = await self.source.read()
            found = document if self.items is None else search(self.items, document)
            return [told(item) for item in found or []]
        except Unreadable as error:
            raise StatesUnreadable(f"{self.source.how}: {error.said}") from error
        except (TypeError, KeyError) as error:
            raise StatesUnreadable(f"{self.source.how}: {error!r}") from error

    async def close(self) -> None:
        await self.source.close()


def told(item: Any) -> Told:
    """One item of the list. Raises KeyError or TypeError when it is not one."""
    if not isinstance(item, dict):
        raise TypeError(f"an item of states is {item!r:.200}, not an object")
    recipient = item.get("recipient")
    token = item.get("token")
    if token is None and recipient is not None:
        token = str(recipient).partition("@")[0].removeprefix("c.")
    if token is None:
        raise KeyError("neither `token` nor `recipient` in an item of states")
    return Told(
        storable(str(token)),
        None if recipient is None else storable(str(recipient)),
        storable(str(item["state"])),
        _events(item.get("events")),
    )


def _events(said: Any) -> list[str] | None:
    """Raises TypeError."""
    if said is None:
        return None
    words = said.replace(",", " ").split() if isinstance(said, str) else said
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise TypeError(f"`events` of an item of states is {said!r:.200}, neither a list of words nor a text")
    return [storable(word) for word in words]
