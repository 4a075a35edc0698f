"""A run as its journal tells it: messages, receipts, copies, faults, incidents, readings, processes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from harness.history import events as ev

S = 1_000_000_000
MS = 1_000_000
HANDOFFS = (ev.ReceiptResult.ACCEPTED, ev.ReceiptResult.ACK_LOST)
AFTERWARDS = ("bounce", "events-lost", "events-late")


@dataclass(frozen=True)
class Fault:
    """On from (on_lo, on_hi], off from (off_lo, off_hi]."""

    name: str
    incident: str
    type: str
    target: str
    on_lo: int
    on_hi: int
    off_lo: int
    off_hi: int
    attributes: dict[str, Any]

    @property
    def route(self) -> str | None:
        return None if self.target == "system" else self.target.split(".")[0]

    @property
    def endpoint(self) -> str | None:
        return self.target.split(".")[1] if "." in self.target else None

    @property
    def aside(self) -> bool:
        return self.endpoint == "events" or self.type in AFTERWARDS


@dataclass
class Incident:
    name: str
    routes: list[str]
    lead_routes: list[str]
    on_lo: int
    on_hi: int
    off_lo: int
    off_hi: int
    first: bool = False
    next_on: int | None = None

    def before_next(self, at: int) -> bool:
        return self.next_on is None or at < self.next_on


@dataclass(frozen=True)
class Edge:
    """A signal turned, in (lo, hi]."""

    signal: str
    route: str | None
    rising: bool
    lo: int
    hi: int


@dataclass
class Record:
    """Reads a run's events in the order of its journal. Canaries and notices are no mail."""

    events: list[Any]
    error: int = 0
    watch_end: int = 0
    messages: dict[str, list[ev.MessageSubmitting]] = field(default_factory=dict)
    answers: dict[str, list[ev.Submitted]] = field(default_factory=dict)
    receipts: list[ev.Receipt] = field(default_factory=list)
    copies: list[ev.Receipt] = field(default_factory=list)
    undone: list[tuple[ev.Receipt, ev.ProviderEvent]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for event in self.events:
            match event:
                case ev.RunFinished():
                    self.watch_end = event.t_ns
                case ev.MessageSubmitting():
                    self.messages.setdefault(event.token, []).append(event)
                case ev.MessageSubmitted():
                    self.answers.setdefault(event.token, []).append(event.result)
                case ev.ClockCalibrated():
                    self.error = max(self.error, event.error_ns)
                case ev.Receipt() if event.canary != "harness":
                    self.receipts.append(event)
        self.receipts.sort(key=lambda receipt: receipt.end_ns)  # stable: equal times keep their order
        self.copies = list(self.handoffs)
        for event in self.of(ev.ProviderEvent):
            if event.event in ("bounced", "dropped"):
                self._undo(event)

    def of(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    def _undo(self, event: ev.ProviderEvent) -> None:
        for copy in self.copies:
            whose = event.recipient is None or event.recipient.lower() == (copy.recipient or "").lower()
            if copy.token == event.token and copy.provider == event.provider and whose:
                self.copies = [other for other in self.copies if other is not copy]
                self.undone.append((copy, event))
                return

    # Messages and copies

    @cached_property
    def handoffs(self) -> list[ev.Receipt]:
        return [r for r in self.receipts if r.result in HANDOFFS and r.canary is None]

    def counted(self, token: str | None) -> bool:
        return token in self.messages and not self.messages[token][0].baseline

    def tokens(self) -> list[str]:
        return [token for token in self.messages if self.counted(token)]

    def recipient(self, token: str) -> str:
        return str(self.messages[token][0].recipient).lower()

    def mail_of(self, receipts: list[ev.Receipt], token: str) -> list[ev.Receipt]:
        """Those that are for the message's own recipient."""
        return [
            r for r in receipts if r.token == token and (r.recipient or "").lower() == self.recipient(token)
        ]

    def beside(self, receipts: list[ev.Receipt], token: str) -> list[ev.Receipt]:
        """Those that are for somebody who is no mail address: an SMS, a note."""
        return [r for r in receipts if r.token == token and "@" not in (r.recipient or "@")]

    def copies_of(self, token: str) -> list[ev.Receipt]:
        return self.mail_of(self.copies, token)

    def timed(self, receipt: ev.Receipt) -> bool:
        """Not one that was read back, without exact times."""
        return receipt.observed != "after"

    def transactional(self, copy: ev.Receipt) -> bool:
        known = copy.token in self.messages and copy in self.mail_of([copy], copy.token)
        return known and self.messages[copy.token][0].class_ == "transactional"

    def result(self, token: str) -> str:
        answers = self.answers.get(token, [])
        if ev.Submitted.ACCEPTED in answers:
            return "accepted"
        everything = len(answers) == len(self.messages[token])
        if everything and all(answer is ev.Submitted.REFUSED for answer in answers):
            return "refused"
        return "indeterminate"

    def accepted_at(self, token: str) -> int | None:
        answers = [e for e in self.of(ev.MessageSubmitted) if e.token == token]
        return min((e.t_ns for e in answers if e.result is ev.Submitted.ACCEPTED), default=None)

    def offered_late(self, token: str) -> int:
        """How long after the scheduled time the driver first offered it."""
        offers = self.messages[token]
        return max(0, min(offer.t_ns for offer in offers) - offers[0].scheduled_ns)

    def bounced(self, token: str) -> bool:
        return any(
            e.token == token
            and e.event == "bounced"
            and (e.recipient is None or e.recipient.lower() == self.recipient(token))
            for e in self.of(ev.ProviderEvent)
        )

    def said(self, token: str) -> list[ev.SystemState]:
        return [event for event in self.of(ev.SystemState) if event.token == token]

    def state(self, token: str, until: int | None = None) -> str | None:
        said = [event.state for event in self.said(token) if until is None or event.t_ns <= until]
        return said[-1] if said else None

    # The system's life

    def kills(self) -> list[int]:
        return [event.t_ns for event in self.of(ev.SystemProcess) if event.change in ("killed", "exited")]

    def restarts(self) -> list[int]:
        """Kills, and stops after which it was started again."""
        changes = self.of(ev.SystemProcess)
        return self.kills() + [
            event.t_ns
            for index, event in enumerate(changes)
            if event.change == "stopped" and any(later.change == "started" for later in changes[index:])
        ]

    # Faults

    @cached_property
    def faults(self) -> list[Fault]:
        """In the order in which they were put in place. The end of a kill or restart is the next start."""
        found = []
        for event in self.of(ev.FaultInjecting):
            mine = [
                e
                for e in self.of(ev.FaultActive, ev.FaultRemoving, ev.FaultRemoved)
                if e.fault == event.fault
            ]
            active = [e.t_ns for e in mine if isinstance(e, ev.FaultActive)]
            if not active:
                continue
            removing = [e.t_ns for e in mine if isinstance(e, ev.FaultRemoving)]
            removed = [e.t_ns for e in mine if isinstance(e, ev.FaultRemoved)]
            if event.type in ("kill", "restart"):
                starts = [e.t_ns for e in self.of(ev.SystemProcess) if e.change == "started"]
                back = [at for at in starts if at >= event.t_ns][:1]
                removing, removed = back or removing, back or removed
            found.append(
                Fault(
                    event.fault, event.incident, event.type, event.target, event.t_ns, active[0],
                    removing[0] if removing else self.watch_end, removed[0] if removed else self.watch_end,
                    event.attributes,
                )
            )  # fmt: skip
        return found

    @cached_property
    def incidents(self) -> list[Incident]:
        """In the order in which they began."""
        found = []
        for name in {fault.incident for fault in self.faults if not fault.aside}:
            mine = [fault for fault in self.faults if fault.incident == name and not fault.aside]
            on_hi = min(fault.on_hi for fault in mine)
            routes = {fault.route for fault in mine if fault.route}
            lead = {fault.route for fault in mine if fault.route and fault.on_lo <= on_hi}
            found.append(
                Incident(
                    name, sorted(routes), sorted(lead or routes), min(fault.on_lo for fault in mine), on_hi,
                    max(fault.off_lo for fault in mine), max(fault.off_hi for fault in mine),
                )
            )  # fmt: skip
        found.sort(key=lambda incident: (incident.on_lo, incident.name))
        for incident in found[:1]:
            incident.first = True
        for this, after in itertools.pairwise(found):
            this.next_on = after.on_lo
        return found

    def delay(self, route: str | None) -> int:
        """Delays on at once add up; most of them are on at the moment at which some one begins."""
        sizes = [receipt.body_bytes or 0 for receipt in self.of(ev.Receipt) if receipt.route == route]
        largest = max(sizes) + 8000 if sizes else None
        mine = [f for f in self.faults if f.route == route and f.endpoint is None and not f.aside and route]
        return max(
            (
                sum(_delay(other, largest) for other in mine if other.on_lo <= fault.on_lo <= other.off_hi)
                for fault in mine
            ),
            default=0,
        )

    def lost(self, receipt: ev.Receipt) -> bool:
        return receipt.result is ev.ReceiptResult.ACK_LOST or self.cut(receipt)

    def cut(self, receipt: ev.Receipt) -> bool:
        """Whether its connection ended so soon that the answer may have gone with it. (One attempt each.)"""
        if receipt.result is not ev.ReceiptResult.ACCEPTED or receipt.canary is not None:
            return False
        slow = [f for f in self.faults if f.name == receipt.fault and f.type == "slow-ack"]
        allowed = 100 * MS + self.delay(receipt.route) + sum(MS * f.attributes.get("delay", 0) for f in slow)
        for event in self.of(ev.ConnectionsClosed):
            if event.source == receipt.source and receipt.connection in event.connections:
                broken = any(
                    fault.target in (receipt.route, "system")
                    and fault.on_lo <= event.t_ns <= fault.off_hi + 100 * MS
                    for fault in self.faults
                )
                if broken and 0 <= event.t_ns - receipt.end_ns <= allowed:
                    return True
        return False

    # Signals

    @cached_property
    def edges(self) -> list[Edge]:
        found = []
        readings = self.of(ev.Signal)
        for key in {(reading.signal, reading.route) for reading in readings}:
            was: bool | None = None
            was_read = 0
            since: list[int | None] = []
            for reading in [each for each in readings if (each.signal, each.route) == key]:
                since.append(reading.previous_read_ns)
                truth = truth_of(reading.value)
                if truth is None:
                    continue
                if was is not None and truth is not was:
                    asked = min(was_read if at is None else at for at in since)
                    found.append(Edge(*key, truth, asked, reading.t_ns))
                was, was_read, since = truth, reading.t_ns, []
        return found


def truth_of(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value.lower() not in ("", "false", "no", "off", "0")
    return value != 0


def _delay(fault: Fault, largest: int | None) -> int:
    said = fault.attributes.get
    match fault.type:
        case "latency":
            return MS * int(said("latency", 0) + said("jitter", 0))
        case "bandwidth" if largest is not None:
            return round(Fraction(S * largest, said("rate")))
        case "slice" if largest is not None:
            return MS * int(said("delay")) * math.ceil(Fraction(largest, said("size")))
    return 0
