"""What a report tells of a run beside its findings, read once from its history.

A judgement flows in, plain frozen facts flow out: phases, fault windows, instants of incidents, who took
which message when, the environment. All times are nanoseconds from the end of the baseline. Definitions
(copy, overdue, incident) are those of the history's views; nothing is defined anew here. A run that ended
early has fewer facts, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from harness.history import events as ev
from harness.history.store import History
from harness.report.words import clock, count

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement


MIN_OVERDUE = 2  # so many overdue at once are an impact, unless a check was told otherwise


@dataclass(frozen=True)
class PhaseSpan:
    name: str
    from_ns: int
    to_ns: int


@dataclass(frozen=True)
class FaultWindow:
    """A fault as it really was. It happened at one instant where `to_ns` equals `from_ns`."""

    id: str
    type: str
    target: str
    incident: str
    from_ns: int
    to_ns: int
    acted: bool
    failed: str
    attributes: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.type} on {self.target}"


@dataclass(frozen=True)
class Instant:
    """A moment worth a mark on the time axis."""

    at_ns: int
    name: str
    incident: str = ""  # empty where there is only one


@dataclass(frozen=True)
class Clock:
    source: str
    error_ns: int


@dataclass(frozen=True)
class Witnessed:
    """What an independent store holds of the messages that one provider took."""

    provider: str
    taken: int
    held: int


@dataclass(frozen=True)
class RunFacts:
    history: History
    run: str
    wall_start: str = ""
    testbed: str = ""
    proxy: str = ""
    binaries: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    resolved: dict[str, Any] = field(default_factory=dict)
    t0_ns: int = 0  # on the run's clock; 0 when the storm was never entered
    began: bool = False  # the storm was entered
    from_ns: int = 0
    to_ns: int = 0
    events: int = 0
    phases: list[PhaseSpan] = field(default_factory=list)
    faults: list[FaultWindow] = field(default_factory=list)
    instants: list[Instant] = field(default_factory=list)
    clocks: list[Clock] = field(default_factory=list)
    witnessed: list[Witnessed] = field(default_factory=list)
    min_overdue: int = MIN_OVERDUE  # as the recovery of this run was judged by

    @property
    def duration_ns(self) -> int:
        return self.to_ns - self.from_ns

    @property
    def witness(self) -> str:
        """`Mailpit holds 325 of 325 messages`; empty where nobody looked."""
        if not self.witnessed:
            return ""
        held, taken = sum(w.held for w in self.witnessed), sum(w.taken for w in self.witnessed)
        by = ", ".join(each.provider for each in self.witnessed)
        return f"Mailpit holds {held:,} of {count(taken, 'message')} that {by} took"

    def in_force(self, at_ns: int) -> list[FaultWindow]:
        """Faults in force at a moment, counted from t0."""
        return [fault for fault in self.faults if fault.from_ns <= at_ns < fault.to_ns]


@contextmanager
def read_facts(judgement: Judgement, history: History | None = None) -> Iterator[RunFacts]:
    """The facts of a judged run; its history stays open inside the `with`. Raises HistoryError.

    `history`: the one it was judged by, while it is open: a long one takes as long to open as to judge.
    """
    if history is not None:
        yield facts_of(history, judgement.run, _min_overdue(judgement))
        return
    with History.open(judgement.run_dir) as history:
        yield facts_of(history, judgement.run, _min_overdue(judgement))


def _min_overdue(judgement: Judgement) -> int:
    for finding in judgement.findings:
        if finding.check == "mttr" and isinstance(finding.params.get("min_overdue"), int):
            return int(finding.params["min_overdue"])
    return MIN_OVERDUE


def facts_of(history: History, run: str, min_overdue: int = MIN_OVERDUE) -> RunFacts:
    rows = history.con.execute("select count(*), max(t_ns) from events where run = ?", [run]).fetchone()
    events, last = (int(rows[0]), int(rows[1] or 0)) if rows else (0, 0)
    started = history.run_started(run)
    phases = _phases(history, run, last)
    storm = next((phase.from_ns for phase in phases if phase.name == ev.Phase.STORM), None)
    t0 = storm or 0
    return RunFacts(
        history=history,
        run=run,
        wall_start=started.wall_start,
        testbed=started.testbed,
        proxy=started.proxy,
        binaries=started.binaries,
        versions=started.versions,
        resolved=started.resolved,
        t0_ns=t0,
        began=storm is not None,
        from_ns=-t0,
        to_ns=last - t0,
        events=events,
        phases=[PhaseSpan(phase.name, phase.from_ns - t0, phase.to_ns - t0) for phase in phases],
        faults=_faults(history, run, t0),
        instants=_instants(history, run, t0, min_overdue),
        min_overdue=min_overdue,
        clocks=_clocks(history, run),
        witnessed=_witnessed(history, run),
    )


def _phases(history: History, run: str, last_ns: int) -> list[PhaseSpan]:
    rows = history.con.execute(
        "select phase, t_ns from events where run = ? and kind = 'phase.entered' order by t_ns, seq", [run]
    ).fetchall()
    ends = [*(int(t) for _, t in rows[1:]), last_ns][: len(rows)]  # none where a run was killed at once
    return [PhaseSpan(str(name), int(t), end) for (name, t), end in zip(rows, ends, strict=True)]


def _faults(history: History, run: str, t0: int) -> list[FaultWindow]:
    """Every fault that anybody tried to put in place; one that never came on has no width."""
    rows = history.con.execute(
        """
        with told as (
            select fault, any_value(type) as type, any_value(target) as target, min(t_ns) as first_ns,
                   any_value(incident) as incident, any_value(attributes) as attributes,
                   bool_or(kind = 'fault.acted') as acted,
                   any_value(stage || ': ' || error) filter (kind = 'fault.failed') as failed
            from events where run = $run and kind like 'fault.%' group by fault
        )
        select t.fault, t.type, t.target, t.incident, t.attributes, t.acted, t.failed,
               coalesce(f.on_lo, t.first_ns), coalesce(f.off_hi, t.first_ns)
        from told t left join faults f on f.run = $run and f.fault = t.fault
        order by t.first_ns, t.fault
        """,
        {"run": run},
    ).fetchall()
    return [
        FaultWindow(
            id=str(fault),
            type=str(type_),
            target=str(target),
            incident=str(incident or fault),
            from_ns=int(begin) - t0,
            to_ns=int(end) - t0,
            acted=bool(acted),
            failed=str(failed or ""),
            attributes=as_mapping(attributes),
        )
        for fault, type_, target, incident, attributes, acted, failed, begin, end in rows
    ]


def _clocks(history: History, run: str) -> list[Clock]:
    rows = history.con.execute(
        "select source, error_ns from clock where run = ? order by source", [run]
    ).fetchall()
    return [Clock(str(source), int(error)) for source, error in rows]


def _witnessed(history: History, run: str) -> list[Witnessed]:
    rows = history.con.execute(
        "select provider, taken, held from events where run = ? and kind = 'witness.compared' order by all",
        [run],
    ).fetchall()
    return [Witnessed(str(provider), int(taken), int(held)) for provider, taken, held in rows]


def as_mapping(value: object) -> dict[str, Any]:
    """A JSON column as a mapping: DuckDB hands it out as text, or as a struct where it inferred one."""
    if isinstance(value, str):
        value = msgspec.json.decode(value)
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


# The moments of an incident, by their column in the view of that name. Where a moment is an interval, its end
# is shown: then at the latest it was so.
_MOMENTS = (
    ("impact_ns", "first impact"),
    ("detected_hi", "detected"),
    ("acknowledged_hi", "acknowledged"),
    ("switched_hi", "switched"),
    ("restored_ns", "restored"),
    ("drained_ns", "drained"),
    ("failed_back_ns", "failed back"),
)


def _instants(history: History, run: str, t0: int, min_overdue: int) -> list[Instant]:
    columns = ", ".join(column for column, _ in _MOMENTS)
    rows = history.con.execute(
        f"select incident, {columns} from instants(?) where run = ? order by number", [min_overdue, run]
    ).fetchall()
    found = []
    for incident, *moments in rows:
        detail = f"incident {incident}" if len(rows) > 1 else ""
        named = zip(moments, _MOMENTS, strict=True)
        # Moments that read the same to the millisecond are one.
        merged: dict[str, tuple[int, list[str]]] = {}
        for at_ns, (_, name) in named:
            if at_ns is not None:
                merged.setdefault(clock(int(at_ns) - t0), (int(at_ns), []))[1].append(name)
        found += [Instant(at - t0, ", ".join(names), detail) for at, names in merged.values()]
    return sorted(found, key=lambda instant: instant.at_ns)
