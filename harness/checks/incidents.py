"""Incidents as the checks of time see them: values that are intervals, and what a target says of an interval.

The view `instants` flows in, one `Incident` each flows out. An instant read by polling or on another
process's clock is only known to lie in an interval; a target is met if the interval's upper end meets it,
missed if its lower end does not, and open otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.checks.finding import Verdict
from harness.history.store import History

MIN_OVERDUE = 2


@dataclass(frozen=True)
class Interval:
    """Nanoseconds; `hi_ns` is infinite where it never happened, `lo_ns` too where it certainly did not."""

    lo_ns: float
    hi_ns: float

    @classmethod
    def between(cls, since: tuple[int, int], at: tuple[int, int]) -> Interval:
        """From an instant to a later one, each known as (lo, hi); never negative.

        The later one is known to have ended after the earlier one began; not to have begun after it ended.
        """
        return cls(max(0, at[0] - since[1]), at[1] - since[0])

    @property
    def middle_ns(self) -> float:
        return self.hi_ns if math.isinf(self.hi_ns) else (self.lo_ns + self.hi_ns) / 2

    def meets(self, target_ns: int) -> Verdict:
        if self.hi_ns <= target_ns:
            return Verdict.PASS
        return Verdict.FAIL if self.lo_ns > target_ns else Verdict.INCONCLUSIVE


NEVER = Interval(math.inf, math.inf)


@dataclass(frozen=True)
class AsOffered:
    """What was surely overdue, counted from when messages were really offered to the earliest moment that
    their copies' clocks allow; an end that is None never came.

    This is the least that is the system's own; the truth lies between it and what counts from the scheduled
    times.
    """

    impact_ns: int | None
    restored_ns: int | None
    any_overdue: bool
    drained_ns: int | None


@dataclass(frozen=True)
class Incident:
    """Times on the run's clock; None: it did not happen."""

    name: str
    what: str  # "auth-failure on primary, latency on backup"
    routes: tuple[str, ...]  # those it began with; empty for a fault of the system itself
    on: tuple[int, int]
    off_ns: int  # the last moment at which a fault of it may have been on
    impact_ns: int | None  # first moment at which enough messages were overdue
    restored_ns: int | None  # None too where the impact never ended
    any_overdue: bool
    drained_ns: int | None
    offered: AsOffered
    detected: tuple[int, int] | None
    switched: tuple[int, int] | None


def incidents(history: History, run: str, min_overdue: int = MIN_OVERDUE) -> list[Incident]:
    """In the order in which they began."""
    rows = history.con.execute(
        """
        select i.incident, w.what, n.lead_routes, i.on_lo, i.on_hi, i.off_hi, i.impact_ns,
               i.restored_ns, i.any_overdue, i.drained_ns,
               i.detected_lo, i.detected_hi, i.switched_lo, i.switched_hi,
               i.offered_impact_ns, i.offered_restored_ns, i.offered_any_overdue, i.offered_drained_ns
        from instants($min_overdue) i join incidents n using (run, incident)
        join (select run, incident, string_agg(type || ' on ' || target, ', ' order by on_lo, fault) as what
              from faults group by run, incident) w using (run, incident)
        where i.run = $run order by i.number
        """,
        {"run": run, "min_overdue": min_overdue},
    ).fetchall()
    return [
        Incident(
            name=str(row[0]),
            what=str(row[1]),
            routes=tuple(row[2]),
            on=(row[3], row[4]),
            off_ns=row[5],
            impact_ns=row[6],
            restored_ns=row[7],
            any_overdue=row[8],
            drained_ns=row[9],
            detected=None if row[11] is None else (row[10], row[11]),
            switched=None if row[13] is None else (row[12], row[13]),
            offered=AsOffered(*row[14:]),
        )
        for row in rows
    ]


def words(ns: float) -> str:
    """`2.1 s`, or `never`."""
    return "never" if math.isinf(ns) else f"{ns / 1e9:.1f} s"


def number(ns: float) -> float | str:
    """For `numbers`: seconds to the microsecond; infinite as a word, since JSON has no such number."""
    return "infinite" if math.isinf(ns) else round(ns / 1e9, 6)
