"""What a verdict stands on: was the system exposed, is the record whole, are the times exact?

A pass needs all the grounds a check depends on; a contradiction stands without them. Every check ends in
`conclude`, so that "nothing looked at is never a pass" is said in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.checks.finding import Verdict
from harness.history.store import History

NS_PER_S = 1e9


@dataclass(frozen=True)
class Grounds:
    """One run's. Reasons are sentences for people."""

    unexposed: tuple[str, ...]  # incidents that the system never met
    gaps: tuple[str, ...]  # sources whose record is not whole, and why
    witness: tuple[str, ...]  # what an independent witness disputes, or that it could not be asked
    read_back_routes: frozenset[str]  # routes whose receipts were read back, without exact times
    finished: bool
    error_ns: int

    def exposure_reason(self) -> str:
        return f"the system never met {listed(self.unexposed)}" if self.unexposed else ""

    def gap_reason(self) -> str:
        return listed(self.gaps)


def grounds(history: History, run: str) -> Grounds:
    con = history.con
    unexposed = con.execute(
        "select incident, list(distinct type || ' on ' || target) from exposures where run = ? "
        "group by incident having not bool_or(exposed) order by incident",
        [run],
    ).fetchall()
    gaps = con.execute("select source, missing from gaps where run = ? order by source", [run]).fetchall()
    # The harness saw more than the numbers show: a record cut off at its end.
    warned = con.execute(
        "select distinct coalesce(subject, 'a provider'), cast(detail ->> '$' as varchar) from events "
        "where run = $run and warning = 'receipt-gap' "
        "and coalesce(subject, '') not in (select source from gaps where run = $run) order by all",
        {"run": run},
    ).fetchall()
    witness = _disputed(history, run)
    read_back = con.execute(
        "select distinct route from receipts where run = ? and observed_after", [run]
    ).fetchall()
    ((finished, error_ns),) = con.execute(
        "select outcome in ('completed', 'system-exited'), error_ns from runs where run = ?", [run]
    ).fetchall()
    return Grounds(
        unexposed=tuple(
            f"incident {incident} ({', '.join(sorted(faults))})" for incident, faults in unexposed
        ),
        gaps=(
            *(
                f"{count_of(missing, 'record is', 'records are')} missing from {source}"
                for source, missing in gaps
            ),
            *(f"the record of {subject} is not whole ({detail})" for subject, detail in warned),
            *witness,
        ),
        witness=witness,
        read_back_routes=frozenset(str(route) for (route,) in read_back),
        finished=bool(finished),
        error_ns=int(error_ns),
    )


def _disputed(history: History, run: str) -> tuple[str, ...]:
    rows = history.con.execute(
        "select distinct warning, coalesce(subject, 'a provider'), cast(detail ->> '$' as varchar) "
        "from events where run = ? and warning in ('witness-disagrees', 'witness-unreadable') order by all",
        [run],
    ).fetchall()
    return tuple(
        f"the record of {subject} is in doubt ({detail})"
        if warning == "witness-disagrees"
        else f"the witness of the record could not be asked ({detail})"
        for warning, subject, detail in rows
    )


def doubted(history: History, run: str) -> str:
    """Why no pass of this run stands, whatever it is about; empty where nothing disputes the record."""
    return listed(_disputed(history, run))


def conclude(*, failed: bool, counted: int, nothing: str, doubts: list[str]) -> tuple[Verdict, str]:
    """The verdict and, if inconclusive, why: a contradiction first, then nothing looked at, then doubts."""
    if failed:
        return Verdict.FAIL, ""
    if counted == 0:
        return Verdict.INCONCLUSIVE, nothing
    found = [doubt for doubt in doubts if doubt]
    return (Verdict.INCONCLUSIVE, "; ".join(found)) if found else (Verdict.PASS, "")


def count_of(number: int, singular: str, plural: str | None = None) -> str:
    """`1 message`, `1,250 messages`."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def seconds(ns: float) -> float:
    """For `numbers`: seconds, to the microsecond."""
    return round(ns / NS_PER_S, 6)


def clock_error(error_ns: int) -> str:
    return (
        f"clock error {error_ns / 1e6:.3g} ms" if error_ns else "clocks were not calibrated or agree exactly"
    )


def listed(names: Sequence[str]) -> str:
    """`a, b and c`."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
