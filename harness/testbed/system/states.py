"""The system's word on each message: a list of {token or recipient, state}, asked for once at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import jmespath

from harness.testbed.system.reach import whole_answer


class StatesUnreadable(Exception):
    """No answer came, or it is no list of states; the message says which."""


@dataclass(frozen=True)
class Told:
    token: str
    recipient: str | None
    state: str


@dataclass(frozen=True)
class States:
    """Where they are told: a path on the system's port, and JMESPath to the list in its answer."""

    path: str
    items: str

    async def read(self, client: httpx.AsyncClient) -> list[Told]:
        """Raises StatesUnreadable."""
        try:
            answer = await whole_answer(client, self.path)
            answer.raise_for_status()
            return [told(item) for item in jmespath.search(self.items, answer.json()) or []]
        except (httpx.HTTPError, TimeoutError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise StatesUnreadable(f"{self.path}: {error!r}") from error


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
    return Told(str(token), None if recipient is None else str(recipient), str(item["state"]))
