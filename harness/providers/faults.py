"""The faults a provider plays at the moment, and who they hit.

The control API puts, lists and deletes them; the engine asks `decide()` once for each attempt and stage.
Selection is deterministic. Of the attempts that a fault is about (`matched`: its route, endpoint, stage,
class, tenant and recipients; one that carries several messages if it is about any of them, and it hits the
attempt as a whole), `share` takes those whose token hashes below it, `every` each n-th of what is
left or `nth` the n-th alone, and `count` ends it. Faults are asked in the order in which they were put; the
first that acts wins and the later ones do not count that attempt. The harness's canary is always hit, by the
newest fault of its route and endpoint, and never counted: it proves that the fault which was put last is in
place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

import msgspec

from harness.providers.errors import FaultRefused
from harness.providers.ids import fraction
from harness.providers.wire import FaultStatus, ProviderFault

Answer = TypeVar("Answer")

AFTERMATH = (
    "aftermath"  # the stage after every answer, in each engine: what becomes of a message that was taken
)
LONGEST_DELAY_S = 3_600
_ATTRIBUTES = (
    "code",
    "text",
    "named",
    "retry_after_s",
    "stage",
    "delay_s",
    "rate",
    "burst",
    "quota",
    "event",
)


class FaultType(StrEnum):
    """What a provider can do wrong. Which attributes each takes is for the engine to say."""

    REFUSE = "refuse"  # an error in place of taking the message
    ACK_LOSS = "ack-loss"  # taken, and the answer never arrives; with an answer: taken, and an error answered
    SLOW_ACK = "slow-ack"  # taken, and the answer comes `delay_s` late
    HANG = "hang"  # no answer, and nothing taken; the connection stays open until the client gives up
    DISCONNECT = "disconnect"  # a reset in place of an answer, and nothing taken
    SILENT_DROP = "silent-drop"  # answered as taken, thrown away, and nobody is told
    THROTTLE = "throttle"  # `rate` and `burst`, or `quota`, in place of the account's own limit
    CERTIFICATE = "certificate"  # new TLS handshakes are shown one that is `named`
    KEY_ROTATED = "key-rotated"  # the account's secret is refused; its `next_secret` is taken
    BOUNCE = "bounce"  # taken, and then what `event` says: bounced, complained, dropped, deferred
    EVENTS_LOST = "events-lost"  # what became of a message is never told
    EVENTS_LATE = "events-late"  # it is told `delay_s` late
    STATUS = "status"  # the status page, or the health feed, tells of an incident: `named`, titled `text`


class Placed(msgspec.Struct, Generic[Answer], frozen=True, kw_only=True):
    """Where in an attempt a fault acts (the engine's own word), and what it answers there."""

    stage: str
    answer: Answer | None = None  # None: there is no answer, as in an acknowledgement loss


class Decision(msgspec.Struct, Generic[Answer], frozen=True, kw_only=True):
    fault: ProviderFault
    answer: Answer | None


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """The attempt that faults are asked about; `key` is its token, or else its attempt id."""

    route: str
    key: str
    endpoint: str = ""  # empty: the one that mail goes through
    class_: str | None = None
    tenant: str = ""
    recipient: str | None = None
    canary: bool = False  # the harness's own
    beside: tuple[Subject, ...] = ()  # the other messages of the same attempt


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that a provider tells of, or told of, by a fault of type `status`; in Unix seconds."""

    id: str
    status: str  # in the provider's own word
    title: str | None
    since_s: float
    updated_s: float
    until_s: float | None = None  # when the fault was taken away; None: it is in place


class _Told(msgspec.Struct):
    fault: ProviderFault
    incident: Announced


class _Active(msgspec.Struct, Generic[Answer], kw_only=True):
    fault: ProviderFault
    placed: Placed[Answer]
    matched: int = 0
    selected: int = 0  # by share; what `every` and `nth` count
    acted: int = 0


Place = Callable[[ProviderFault], Placed[Answer]]
Acts = Callable[[ProviderFault], bool]
WallTime = Callable[[], float]


class FaultTable(Generic[Answer]):
    """`place` is the preset's: it finds stage and answer, or raises FaultRefused with the valid choices.
    `wall_s` gives the times of incidents, in Unix seconds."""

    def __init__(self, place: Place[Answer], routes: Collection[str], seed: int, wall_s: WallTime) -> None:
        self._place = place
        self._routes = sorted(routes)
        self._seed = seed
        self._wall_s = wall_s
        self._active: dict[str, _Active[Answer]] = {}
        self._told: list[_Told] = []

    def put(self, fault: ProviderFault) -> FaultStatus:
        """Put a fault in place. The same fault again keeps its counts; a changed one starts anew."""
        check_selection(fault)
        if fault.route is not None and fault.route not in self._routes:
            raise FaultRefused(f"route {fault.route!r} is not served here; routes: {', '.join(self._routes)}")
        placed = self._place(fault)
        there = self._active.get(fault.id)
        if there is None or there.fault != fault:
            self._active[fault.id] = _Active(fault=fault, placed=placed)
            if fault.type == FaultType.STATUS:
                self._tell(fault)
        return self._status(self._active[fault.id])

    def delete(self, fault_id: str) -> FaultStatus | None:
        """Take a fault away and return its last counts; None if there was none of that name."""
        gone = self._active.pop(fault_id, None)
        if (told := self._going_on(fault_id)) is not None:
            now_s = self._wall_s()
            told.incident = msgspec.structs.replace(told.incident, updated_s=now_s, until_s=now_s)
        return None if gone is None else self._status(gone)

    def list(self) -> list[FaultStatus]:
        return [self._status(active) for active in self._active.values()]

    def announced(self, route: str, endpoint: str) -> tuple[Announced, ...]:
        """The incidents told of there, the resolved ones among them; in the order in which they began."""
        if not self._told:
            return ()
        return tuple(
            told.incident
            for told in self._told
            if told.fault.route in (None, route) and told.fault.endpoint == endpoint
        )

    def _tell(self, fault: ProviderFault) -> None:
        """A changed fault of the same name is news of the same incident, unless that was over."""
        now_s = self._wall_s()
        incident = Announced(
            id=fault.id, status=fault.named or "", title=fault.text, since_s=now_s, updated_s=now_s
        )
        if (told := self._going_on(fault.id)) is None:
            self._told.append(_Told(fault, incident))
        else:
            told.incident = msgspec.structs.replace(incident, since_s=told.incident.since_s)
            told.fault = fault

    def _going_on(self, fault_id: str) -> _Told | None:
        return next(
            (each for each in self._told if each.fault.id == fault_id and each.incident.until_s is None), None
        )

    def are_at(self, stage: str) -> bool:
        """Whether any fault acts at this stage."""
        return any(each.placed.stage == stage for each in self._active.values())

    def decide(self, stage: str, subject: Subject, acts: Acts | None = None) -> Decision[Answer] | None:
        """The fault that hits this attempt here, if any. `acts` has the last word on one that is selected: a
        throttle hits only what is over its limit. It is not asked for the harness's canary."""
        if not self._active:
            return None
        there = [each for each in self._active.values() if _is_there(each.fault, subject)]
        for active in there[-1:] if subject.canary else there:
            if active.placed.stage != stage:
                continue
            about = next((each for each in (subject, *subject.beside) if _is_about(active.fault, each)), None)
            if subject.canary or (about is not None and self._counts(active, about, acts)):
                return Decision(fault=active.fault, answer=active.placed.answer)
        return None

    def _counts(self, active: _Active[Answer], subject: Subject, acts: Acts | None) -> bool:
        fault = active.fault
        active.matched += 1
        if fault.share < 1 and fraction(self._seed, fault.id, subject.key) >= fault.share:
            return False
        active.selected += 1
        if fault.every is not None and active.selected % fault.every != 0:
            return False
        if fault.nth is not None and active.selected != fault.nth:
            return False
        if fault.count is not None and active.acted >= fault.count:
            return False
        if acts is not None and not acts(fault):
            return False
        active.acted += 1
        return True

    @staticmethod
    def _status(active: _Active[Answer]) -> FaultStatus:
        return FaultStatus(fault=active.fault, matched=active.matched, acted=active.acted)


def _is_there(fault: ProviderFault, subject: Subject) -> bool:
    if fault.type == FaultType.STATUS:  # what a status page says does nothing to a request
        return False
    return fault.route in (None, subject.route) and fault.endpoint == subject.endpoint


def _is_about(fault: ProviderFault, subject: Subject) -> bool:
    if fault.recipient is not None and not fnmatchcase(
        (subject.recipient or "").lower(), fault.recipient.lower()
    ):
        return False
    return fault.class_ in (None, subject.class_) and fault.tenant in (None, subject.tenant)


def check_selection(fault: ProviderFault) -> None:
    """Refuse a selection that means nothing, for any engine."""
    if not 0 < fault.share <= 1:
        raise FaultRefused(f"share {fault.share} is not in (0, 1]")
    if fault.every is not None and fault.every < 1:
        raise FaultRefused(f"every {fault.every} is below 1; `every: 3` means each third attempt")
    if fault.nth is not None and fault.nth < 1:
        raise FaultRefused(f"nth {fault.nth} is below 1; `nth: 3` means the third attempt alone")
    if fault.nth is not None and (fault.every is not None or fault.count is not None):
        raise FaultRefused("nth hits one attempt; leave out every and count")
    if fault.count is not None and fault.count < 1:
        raise FaultRefused(f"count {fault.count} is below 1; leave it out for no end")


def check_attributes(fault: ProviderFault, takes: Collection[str]) -> None:
    """Refuse what this type of fault has no use for, for any engine; selections are for all."""
    given = [name for name in _ATTRIBUTES if getattr(fault, name) is not None]
    if strange := [name for name in given if name not in takes]:
        valid = ", ".join(sorted(takes)) or "nothing but a selection"
        raise FaultRefused(f"{fault.type} has no use for {', '.join(strange)}; it takes {valid}")


def unknown_answer(named: str, preset: str, valid: Collection[str]) -> FaultRefused:
    return FaultRefused(
        f"preset {preset} has no answer named {named!r}; it has: {', '.join(sorted(valid)) or 'none'}"
    )


def unknown_type(fault: ProviderFault, preset: str, valid: Collection[str]) -> FaultRefused:
    return FaultRefused(f"preset {preset} cannot play {fault.type!r}; it can: {', '.join(sorted(valid))}")
