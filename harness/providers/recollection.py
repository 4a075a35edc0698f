"""What a provider still knows of the messages that it took, for senders who ask for one by its id.

In go receipts with what becomes of their messages; out comes what the provider would say of one by now. The
latest are kept, so that memory is bounded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from harness.history.events import Receipt

KEPT = 10_000


class Recalled(msgspec.Struct, frozen=True, kw_only=True):
    """One message; `told` are its events with their wall times (Unix seconds), those to come as well."""

    receipt: Receipt
    taken_s: float  # wall time
    told: Sequence[tuple[str, float]]
    permanent: bool = True  # of a bounce
    echo: Mapping[str, str] = {}

    def until(self, now_s: float) -> list[tuple[str, float]]:
        """What has happened by this wall time, the first first."""
        return [(event, at_s) for event, at_s in self.told if at_s <= now_s]


class Recollection:
    """One provider's; a message is found by its route and its id, which is the text of its receipt."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], Recalled] = {}

    def keep(self, recalled: Recalled) -> None:
        self._kept[recalled.receipt.route, recalled.receipt.text] = recalled
        if len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]

    def find(self, route: str, message: str) -> Recalled | None:
        return self._kept.get((route, message))
