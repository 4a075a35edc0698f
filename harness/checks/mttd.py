"""MTTD: from the fault to its detection, for every incident.

Detection is the first false-to-true edge of a `detected` signal that names a route the incident began
with, from the injection to the fault's end + 5 s. Where the system offers no such signal it is inferred
from the first switch, and marked so. The value is an interval: the fault came on in (injecting, active],
the signal turned in (previous read, this read].

It proves when the system said so, or acted so; not that it knew why. An impact that nobody detected took
for ever. Inconclusive: no incident on a route, one that was never met, a signal without sense or already
on before the fault, no detection where nothing was overdue either (or only what the driver offered late, or
for less than the clock error), or an interval that spans the target.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender, Verdict
from harness.checks.grounds import clock_error, conclude, grounds
from harness.checks.incidents import NEVER, Incident, Interval, incidents, number, words
from harness.checks.params import CheckParams
from harness.checks.units import Duration
from harness.history.store import History


class Params(CheckParams):
    """`mttd: 5s`. Without a target it is measured, not judged."""

    TEXT: ClassVar = "target"

    target: Duration | None = None
    """Within which every fault must be detected."""


@dataclass(frozen=True)
class _Found:
    """What is known of one incident's detection."""

    incident: Incident
    value: Interval | None  # None: it cannot be told, for this reason
    reason: str = ""
    inferred: bool = False


def evaluate(history: History, run: str, params: Params) -> Finding:
    ground = grounds(history, run)
    all_ = incidents(history, run)
    found = [
        _detection(history, run, each, ground.finished, ground.gap_reason()) for each in all_ if each.routes
    ]
    values = [each.value for each in found if each.value is not None]
    verdicts = [value.meets(params.target) for value in values] if params.target is not None else []
    doubts = [ground.exposure_reason(), *(each.reason for each in found)]
    if params.target is None:
        doubts.append("no target was set")
    elif Verdict.INCONCLUSIVE in verdicts:
        doubts.append("the measurement's error spans the target")
    verdict, reason = conclude(
        failed=Verdict.FAIL in verdicts,
        counted=len(found),
        nothing="there was no incident on a route" if all_ else "there was no incident",
        doubts=doubts,
    )
    known = [value.middle_ns for value in values if not math.isinf(value.middle_ns)]
    error_ns = max((value.hi_ns - value.lo_ns for value in values if not math.isinf(value.hi_ns)), default=0)
    inferred = sum(each.inferred for each in found)
    return Finding(
        check="mttd",
        verdict=verdict,
        summary=_summary(values, inferred, params.target),
        numbers={
            "mttd_s_max": number(max(value.hi_ns for value in values)) if values else None,
            "mttd_s_mean": number(sum(known) / len(known)) if known else None,
            "target_s": None if params.target is None else number(params.target),
            "incidents": len(found),
            "undetected": sum(math.isinf(value.hi_ns) for value in values),
            "inferred": inferred,
        },
        formula="MTTD = detected − fault on, for every incident",
        error=f"± {error_ns / 2e9:.3f} s (half the widest interval; {clock_error(ground.error_ns)})",
        counted=len(found),
        offenders=_offenders(found, params.target),
        reason=reason,
    )


def _detection(history: History, run: str, incident: Incident, finished: bool, gaps: str) -> _Found:
    if incident.detected is not None:
        return _Found(incident, Interval.between(incident.on, incident.detected))
    [(truths, answers, errors_then, was_on)] = history.con.execute(
        """
        select count(truth), count(*),
               count(*) filter (truth is null and t_ns >= $on and t_ns <= $off + 5000000000),
               arg_max(truth, (t_ns, seq)) filter (t_ns <= $on)
        from readings
        where run = $run and signal = 'detected' and (route is null or list_contains($routes, route))
        """,
        {"run": run, "routes": list(incident.routes), "on": incident.on[0], "off": incident.off_ns},
    ).fetchall()
    name = f"incident {incident.name}"
    if errors_then or (answers and not truths):
        return _Found(incident, None, f"the detection signal made no sense during {name}")
    if was_on:
        return _Found(incident, None, f"the detection signal was on before {name} began")
    inferred = not truths
    if inferred and incident.switched is not None:
        return _Found(incident, Interval.between(incident.on, incident.switched), inferred=True)
    if incident.impact_ns is None:
        return _Found(incident, None, f"nothing detected {name}, and nothing was overdue because of it")
    if incident.offered.impact_ns is None:
        late = "what was overdue had been offered late by the driver, or was so for less than the clock error"
        return _Found(incident, None, f"nothing detected {name}, and {late}")
    if not finished:
        return _Found(incident, None, f"the record ends before anything detected {name}")
    if gaps:
        return _Found(incident, None, f"{gaps}, so it is not certain that anything was overdue")
    return _Found(incident, NEVER, inferred=inferred)


def _summary(values: list[Interval], inferred: int, target: int | None) -> str:
    if not values:
        return "it cannot be told when faults were detected"
    worst = max(values, key=lambda value: value.hi_ns)
    many = " at worst" if len(values) > 1 else ""
    told = (
        "a fault was never detected"
        if math.isinf(worst.hi_ns)
        else f"detected in {words(worst.middle_ns)}{many}"
    )
    if inferred:
        told += " (inferred from the switch: there is no detection signal)"
    if target is not None and worst.hi_ns > target:
        told += f", the target is {words(target)}"
    return told


def _offenders(found: list[_Found], target: int | None) -> list[Offender]:
    if target is None:
        return []
    missed = [(each.incident, each.value) for each in found if each.value and each.value.hi_ns > target]
    missed.sort(key=lambda pair: -pair[1].hi_ns)
    return [
        Offender(
            subject=f"incident {incident.name}",
            why=f"{incident.what} was never detected, though messages were overdue"
            if value is NEVER
            else f"detected {words(value.middle_ns)} after {incident.what}",
        )
        for incident, value in missed[:MAX_OFFENDERS]
    ]
