"""What was posted on a route's status page through its provider's own API, beside what faults announce.

The engine keeps it, one board for each route, so that all its listeners show the same and an API stays a
function of the request; what the words mean is for the preset to say. Posting never fails: where a page has
too many incidents, the oldest that is over is forgotten, or else the oldest.
"""

from __future__ import annotations

import msgspec

MOST = 1_000


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of an incident at one time, in Unix seconds."""

    status: str
    body: str
    at_s: float


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """One incident as it stands; `entries`: the latest first."""

    id: str
    name: str
    status: str  # in the provider's own word, as is the impact
    impact: str
    impact_override: str | None
    going_on: bool  # whether the page says by it that something is wrong at the moment
    since_s: float
    updated_s: float
    monitoring_s: float | None = None
    until_s: float | None = None  # when it was over; None: it is not
    entries: tuple[Entry, ...] = ()


class Board:
    def __init__(self) -> None:
        self.posted: tuple[Posted, ...] = ()  # in the order in which they began
        self._by_id: dict[str, Posted] = {}

    @property
    def tells(self) -> bool:
        """Whether it says that something is wrong at the moment."""
        return any(each.going_on for each in self.posted)

    def put(self, posted: Posted) -> None:
        """A new incident, or what has become of one that is there."""
        self._by_id[posted.id] = posted
        if len(self._by_id) > MOST:
            over = (each.id for each in self._by_id.values() if each.until_s is not None)
            del self._by_id[next(over, next(iter(self._by_id)))]
        self.posted = tuple(self._by_id.values())
