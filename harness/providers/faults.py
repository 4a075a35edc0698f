"""The faults a provider plays at the moment, and who they hit.

The control API puts, lists and deletes them; the engine asks `decide()` once for each attempt and stage.
Selection is deterministic. Of the attempts at the fault's route, stage and class (`matched`), `share` takes
those whose token hashes below it, `every` takes each n-th of what is left, and `count` ends it. Faults are
asked in the order in which they were put; the first that acts wins and the later ones do not count that
attempt. The harness's canary is always hit, by the newest fault of its route, and never counted: it proves
that the fault which was put last is in place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec

from harness.providers.errors import FaultRefused
from harness.providers.ids import fraction
from harness.providers.wire import FaultStatus, ProviderFault

Answer = TypeVar("Answer")


class FaultType(StrEnum):
    REFUSE = "refuse"
    ACK_LOSS = "ack-loss"


class Placed(msgspec.Struct, Generic[Answer], frozen=True, kw_only=True):
    """Where in an attempt a fault acts (the engine's own word), and what it answers there."""

    stage: str
    answer: Answer | None = None  # None: there is no answer, as in an acknowledgement loss


class Decision(msgspec.Struct, Generic[Answer], frozen=True, kw_only=True):
    fault: ProviderFault
    answer: Answer | None


class _Active(msgspec.Struct, Generic[Answer], kw_only=True):
    fault: ProviderFault
    placed: Placed[Answer]
    matched: int = 0
    selected: int = 0  # by share; what `every` counts
    acted: int = 0


Place = Callable[[ProviderFault], Placed[Answer]]


class FaultTable(Generic[Answer]):
    """`place` is the preset's: it finds stage and answer, or raises FaultRefused with the valid choices."""

    def __init__(self, place: Place[Answer], routes: Collection[str], seed: int) -> None:
        self._place = place
        self._routes = sorted(routes)
        self._seed = seed
        self._active: dict[str, _Active[Answer]] = {}

    def put(self, fault: ProviderFault) -> FaultStatus:
        """Put a fault in place. The same fault again keeps its counts; a changed one starts anew."""
        check_selection(fault)
        if fault.route is not None and fault.route not in self._routes:
            raise FaultRefused(f"route {fault.route!r} is not served here; routes: {', '.join(self._routes)}")
        placed = self._place(fault)
        there = self._active.get(fault.id)
        if there is None or there.fault != fault:
            self._active[fault.id] = _Active(fault=fault, placed=placed)
        return self._status(self._active[fault.id])

    def delete(self, fault_id: str) -> FaultStatus | None:
        """Take a fault away and return its last counts; None if there was none of that name."""
        gone = self._active.pop(fault_id, None)
        return None if gone is None else self._status(gone)

    def list(self) -> list[FaultStatus]:
        return [self._status(active) for active in self._active.values()]

    def decide(
        self, stage: str, *, route: str, key: str, class_: str | None = None, canary: bool = False
    ) -> Decision[Answer] | None:
        """The fault that hits this attempt here, if any; `key` is its token, or else its attempt id."""
        if not self._active:
            return None
        on_route = [each for each in self._active.values() if each.fault.route in (None, route)]
        for active in on_route[-1:] if canary else on_route:
            fault = active.fault
            if active.placed.stage != stage:
                continue
            if canary or (fault.class_ in (None, class_) and self._counts(active, key)):
                return Decision(fault=fault, answer=active.placed.answer)
        return None

    def _counts(self, active: _Active[Answer], key: str) -> bool:
        fault = active.fault
        active.matched += 1
        if fault.share < 1 and fraction(self._seed, fault.id, key) >= fault.share:
            return False
        active.selected += 1
        if fault.every is not None and active.selected % fault.every != 0:
            return False
        if fault.count is not None and active.acted >= fault.count:
            return False
        active.acted += 1
        return True

    @staticmethod
    def _status(active: _Active[Answer]) -> FaultStatus:
        return FaultStatus(fault=active.fault, matched=active.matched, acted=active.acted)


def check_selection(fault: ProviderFault) -> None:
    """Refuse a selection that means nothing, for any engine."""
    if not 0 < fault.share <= 1:
        raise FaultRefused(f"share {fault.share} is not in (0, 1]")
    if fault.every is not None and fault.every < 1:
        raise FaultRefused(f"every {fault.every} is below 1; `every: 3` means each third attempt")
    if fault.count is not None and fault.count < 1:
        raise FaultRefused(f"count {fault.count} is below 1; leave it out for no end")


def unknown_answer(named: str, preset: str, valid: Collection[str]) -> FaultRefused:
    return FaultRefused(
        f"preset {preset} has no answer named {named!r}; it has: {', '.join(sorted(valid)) or 'none'}"
    )


def unknown_type(fault: ProviderFault, preset: str, valid: Collection[str]) -> FaultRefused:
    return FaultRefused(f"preset {preset} cannot play {fault.type!r}; it can: {', '.join(sorted(valid))}")
