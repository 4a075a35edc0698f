"""What a run looks like at this moment: events are folded into it, one by one, and the live views draw it.

Pure and small: no terminal, no clock of its own. Times are nanoseconds; `t0_ns` is the end of the baseline
on the run's clock, from which people count.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from harness.history import events as ev
from harness.scenario import timeline as tl

RATE_WINDOW_NS = 2_000_000_000
MAX_WARNINGS = 3


@dataclass
class Lane:
    """One fault: planned in the timeline, then injected, proved and removed."""

    id: str
    type: str
    target: str
    planned_from_ns: int  # from t0, as all below
    planned_to_ns: int | None
    injected_ns: int | None = None
    acted: bool = False
    removed_ns: int | None = None
    failed: str = ""


@dataclass
class RouteCount:
    accepted: int = 0
    ack_lost: int = 0
    turned_away: int = 0  # deferred, refused, aborted
    recent: deque[int] = field(default_factory=deque)  # times of the latest hand-offs

    def rate_per_s(self, now_ns: int) -> float:
        """Hand-offs per second over the last two seconds."""
        while self.recent and self.recent[0] <= now_ns - RATE_WINDOW_NS:
            self.recent.popleft()
        return len(self.recent) / (RATE_WINDOW_NS / 1_000_000_000)


@dataclass
class LiveState:
    scenario: str
    seed: int
    baseline_ns: int
    storm_ns: int
    drain_deadline_ns: int
    planned: int  # messages outside the baseline
    lanes: list[Lane]
    testbed: str = ""
    proxy: str = ""
    phase: ev.Phase = ev.Phase.SETUP
    phase_from_ns: int = 0  # on the run's clock
    t0_ns: int | None = None
    offered: int = 0
    taken: int = 0  # accepted by the system under test
    refused: int = 0  # submissions turned down; one that is offered again may still be taken
    routes: dict[str, RouteCount] = field(default_factory=dict)
    signals: dict[tuple[str, str], bool | int | float | str | None] = field(default_factory=dict)
    detections: list[tuple[str, int, bool]] = field(default_factory=list)  # route, time from t0, edge up?
    warnings: deque[str] = field(default_factory=lambda: deque(maxlen=MAX_WARNINGS))
    warned: int = 0
    finished: ev.Outcome | None = None
    detail: str = ""
    _offered: set[tuple[str, str]] = field(default_factory=set)
    _taken: set[tuple[str, str]] = field(default_factory=set)
    _copied: set[tuple[str, str]] = field(default_factory=set)
    _baseline: set[str] = field(default_factory=set)

    @property
    def backlog(self) -> int:
        """Messages that the system has taken and nobody has received."""
        return len(self._taken - self._copied)

    def since_t0(self, t_ns: int) -> int:
        """A time on the run's clock as people count it; before the storm, by the planned baseline."""
        if self.t0_ns is not None:
            return t_ns - self.t0_ns
        if self.phase is ev.Phase.BASELINE:
            return t_ns - self.phase_from_ns - self.baseline_ns
        return t_ns - self.phase_from_ns - self.baseline_ns if self.phase_from_ns else -self.baseline_ns

    def phase_progress(self, now_ns: int) -> tuple[float, float]:
        """How long this phase has lasted and how long it may last, seconds; 0 where nobody knows."""
        allowed = {
            ev.Phase.BASELINE: self.baseline_ns,
            ev.Phase.STORM: self.storm_ns,
            ev.Phase.DRAIN: self.drain_deadline_ns,
        }.get(self.phase, 0)
        return max(0, now_ns - self.phase_from_ns) / 1e9, allowed / 1e9

    def left_s(self, now_ns: int) -> float:
        """Seconds to the end of the storm, or to the drain's deadline, which quiet comes before."""
        done, allowed = self.phase_progress(now_ns)
        rest = max(0.0, allowed - done)
        return rest + self.storm_ns / 1e9 if self.phase is ev.Phase.BASELINE else rest

    def apply(self, event: ev.AnyEvent) -> None:
        match event:
            case ev.RunStarted():
                self.testbed, self.proxy = event.testbed, event.proxy
            case ev.PhaseEntered():
                self.phase, self.phase_from_ns = event.phase, event.t_ns
                if event.phase is ev.Phase.STORM:
                    self.t0_ns = event.t_ns
            case ev.MessageSubmitting():
                if event.baseline:
                    self._baseline.add(event.token)
                elif event.offer == 1:
                    self.offered += 1
            case ev.MessageSubmitted():
                self._submitted(event)
            case ev.Receipt():
                self._receipt(event)
            case ev.Signal():
                self._signal(event)
            case ev.HarnessWarning():
                self.warned += 1
                self.warnings.append(_warning(event))
            case ev.RunFinished():
                self.finished, self.detail = event.outcome, event.detail
            case (
                ev.FaultInjecting()
                | ev.FaultActive()
                | ev.FaultActed()
                | ev.FaultRemoving()
                | ev.FaultRemoved()
                | ev.FaultFailed()
            ):
                self._fault(event)
            case _:
                pass

    def _submitted(self, event: ev.MessageSubmitted) -> None:
        if event.token in self._baseline:
            return
        if event.result is ev.Submitted.ACCEPTED:
            self._taken.add((event.token, event.recipient))
            self.taken = len(self._taken)
        elif event.result is ev.Submitted.REFUSED:
            self.refused += 1

    def _receipt(self, event: ev.Receipt) -> None:
        if event.canary or event.notice:
            return
        route = self.routes.setdefault(event.route, RouteCount())
        if event.result in (ev.ReceiptResult.ACCEPTED, ev.ReceiptResult.ACK_LOST):
            if event.token and event.recipient and event.token not in self._baseline:
                self._copied.add((event.token, event.recipient))
            if event.token not in self._baseline:
                route.accepted += 1
                route.ack_lost += event.result is ev.ReceiptResult.ACK_LOST
                route.recent.append(event.t_ns)
        else:
            route.turned_away += 1

    def _signal(self, event: ev.Signal) -> None:
        key = (event.signal, event.route or "")
        before = self.signals.get(key)
        if event.error is None:
            self.signals[key] = event.value
        if event.signal == "detected" and event.error is None and bool(event.value) != bool(before):
            self.detections.append((event.route or "", self.since_t0(event.t_ns), bool(event.value)))

    def _fault(
        self,
        event: ev.FaultInjecting
        | ev.FaultActive
        | ev.FaultActed
        | ev.FaultRemoving
        | ev.FaultRemoved
        | ev.FaultFailed,
    ) -> None:
        lane = next((lane for lane in self.lanes if lane.id == event.fault), None)
        if lane is None:  # a fault that the plan did not hold, put in place by hand
            lane = Lane(event.fault, event.type, event.target, self.since_t0(event.t_ns), None)
            self.lanes.append(lane)
        match event:
            case ev.FaultInjecting():
                lane.injected_ns = self.since_t0(event.t_ns)
            case ev.FaultActed():
                lane.acted = True
            case ev.FaultRemoved():
                lane.removed_ns = self.since_t0(event.t_ns)
            case ev.FaultFailed():
                lane.failed = f"{event.stage}: {event.error}"
            case _:
                pass


def live_state(timeline: tl.Timeline) -> LiveState:
    """The state before anything happened, from the plan."""
    faults = [entry for entry in timeline.entries if isinstance(entry, tl.Fault)]
    messages = [entry for entry in timeline.entries if isinstance(entry, tl.Message)]
    return LiveState(
        scenario=timeline.scenario,
        seed=timeline.seed,
        baseline_ns=timeline.baseline_ns,
        storm_ns=timeline.storm_ns,
        drain_deadline_ns=timeline.drain_deadline_ns,
        planned=sum(not message.baseline for message in messages),
        lanes=[Lane(fault.id, fault.type, fault.target, fault.at_ns, fault.until_ns) for fault in faults],
    )


def _warning(event: ev.HarnessWarning) -> str:
    about = f" ({event.subject})" if event.subject else ""
    return f"{event.warning}{about}: {event.detail}" if event.detail else f"{event.warning}{about}"
