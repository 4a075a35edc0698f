"""MTTD: from the fault to its detection, for every incident.

Detection is the first false-to-true edge of a `detected` signal that names a route the incident began
with, from the injection to the fault's end + 5 s. Where the system offers no such signal it is inferred
from the first switch, and marked so, where leaving the route does not look like the usual. The value is an
interval: the fault came on in (injecting, active], the signal turned in (previous read, this read].

It proves when the system said so, or acted so; not that it knew why. An impact that nobody detected took
for ever. Inconclusive: no incident on a route, one that was never met, a signal without sense or already
on before the fault, no detection where nothing was overdue either (or only what the driver offered late, or
for less than the clock error), or an interval that spans the target; and where the mail, and no signal, tells
of a detection or of the lack of one, records missing or copies that were read back without exact times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from harness.checks.evidence import left_the_usual, read_back_reason, usual_routes
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
    by_mail: bool = False  # the mail told of it, or of none, and not a signal
    inferred: bool = False

    def surely_misses(self, target_ns: int, blurred: bool) -> bool:
        """`blurred`: what the mail tells is in doubt."""
        missed = self.value is not None and self.value.meets(target_ns) is Verdict.FAIL
        return missed and not (self.by_mail and blurred)


def evaluate(history: History, run: str, params: Params) -> Finding:
    ground = grounds(history, run)
    all_ = incidents(history, run)
    usual = usual_routes(history, run)
    blurs = [each for each in (ground.gap_reason(), read_back_reason(history, run)) if each]
    found = [
        _detection(history, run, each, usual, ground.finished, bool(blurs)) for each in all_ if each.routes
    ]
    values = [each.value for each in found if each.value is not None]
    verdicts = [value.meets(params.target) for value in values] if params.target is not None else []
    doubts = [
        ground.exposure_reason(),
        *(blurs if any(each.by_mail for each in found) else []),
        *(each.reason for each in found),
    ]
    if params.target is None:
        doubts.append("no target was set")
    elif Verdict.INCONCLUSIVE in verdicts:
        doubts.append("the measurement's error spans the target")
    verdict, reason = conclude(
        failed=params.target is not None
        and any(each.surely_misses(params.target, bool(blurs)) for each in found),
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


def _detection(
    history: History, run: str, incident: Incident, usual: set[str], finished: bool, blurred: bool
) -> _Found:
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
    return _by_mail(incident, usual, finished, blurred, inferred=not truths)


def _by_mail(incident: Incident, usual: set[str], finished: bool, blurred: bool, *, inferred: bool) -> _Found:
    """`inferred`: there is no signal, so that a switch tells of a detection."""
    name, impact = f"incident {incident.name}", incident.impact_ns is not None
    if inferred and incident.switched is not None and (impact or left_the_usual(incident, usual)):
        value = Interval.between(incident.on, incident.switched)
        return _Found(incident, value, by_mail=True, inferred=True)
    reason = ""
    if not impact:
        reason = f"nothing detected {name}, and nothing was overdue because of it"
    elif incident.offered.impact_ns is None:
        late = "what was overdue had been offered late by the driver, or was so for less than the clock error"
        reason = f"nothing detected {name}, and {late}"
    elif not finished:
        reason = f"the record ends before anything detected {name}"
    elif blurred:
        reason = f"it is not certain that anything was overdue because of {name}"
    return _Found(incident, None if reason else NEVER, reason, by_mail=True, inferred=not reason and inferred)


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
