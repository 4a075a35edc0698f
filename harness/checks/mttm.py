"""MTTM: from the fault to the switch that mitigates it, for every incident.

Switched is the first of k transactional copies in a row on routes other than those the incident began with;
k is such that so many in a row would come about by chance less than once in a thousand, at the shares the
baseline had. Who decided, the system or an operator, does not matter. The value is an interval: the fault
came on in (injecting, active], the copy's time has its provider's clock error.

It proves when customers' mail took another way, by the providers' receipts; not that all of it did. An impact
without a switch took for ever, even if the fault went away by itself. An incident with neither an impact nor
a switch passes: mitigation was not needed, and it says so; nor was it on a route that mail does not usually
take, if nothing was overdue. Inconclusive: no incident on a route, one that was never met, copies that were
read back without exact times, records missing, no transactional message to tell a switch or an impact by, an
impact only of what the driver offered late or of less than the clock error, one that began on a route that
mail does not usually take, where leaving it looks like the usual, or an interval that spans the target.
"""

from __future__ import annotations

import math
from typing import ClassVar

from harness.checks.evidence import left_the_usual, read_back_reason, usual_routes, watched
from harness.checks.finding import MAX_OFFENDERS, Finding, Offender, Verdict
from harness.checks.grounds import clock_error, conclude, grounds
from harness.checks.incidents import Incident, Interval, incidents, number, words
from harness.checks.params import CheckParams
from harness.checks.units import Duration
from harness.history.store import History


class Params(CheckParams):
    """`mttm: 8s`. Without a target it is measured, not judged."""

    TEXT: ClassVar = "target"

    target: Duration | None = None
    """Within which mail must take another route."""


def evaluate(history: History, run: str, params: Params) -> Finding:
    ground = grounds(history, run)
    all_ = incidents(history, run)
    found = [each for each in all_ if each.routes]
    there, usual = watched(history, run), usual_routes(history, run)
    read_back = read_back_reason(history, run)
    [(watch_end,)] = history.con.execute("select watch_end_ns from runs where run = ?", [run]).fetchall()
    unsure = {each.name: reason for each in found if (reason := _unsure(each, usual, there[each.name]))}
    values = {
        each.name: value
        for each in found
        if each.name not in unsure
        and (value := _mitigation(each, usual, ground.finished, watch_end)) is not None
    }
    target = params.target
    verdicts = [value.meets(target) for value in values.values()] if target is not None else []
    finite = [value for value in values.values() if not math.isinf(value.hi_ns)]
    unseen = [name for name, value in values.items() if math.isinf(value.hi_ns)]
    doubts = [
        ground.exposure_reason(),
        ground.gap_reason(),
        read_back,
        "no target was set" if target is None else "",
        "the measurement's error spans the target"
        if target is not None and any(value.meets(target) is Verdict.INCONCLUSIVE for value in finite)
        else "",
        *(
            f"the record ends before any switch away from incident {name}"
            for name in unseen
            if not ground.finished
        ),
        *unsure.values(),
    ]
    verdict, reason = conclude(
        failed=Verdict.FAIL in verdicts and not read_back and not ground.gaps,
        counted=len(found) if values else sum(there[each.name] for each in found),
        nothing=("there was no incident on a route" if all_ else "there was no incident")
        if not found
        else "no transactional message was there to be sent during an incident",
        doubts=doubts,
    )
    error_ns = max((value.hi_ns - value.lo_ns for value in finite), default=0)
    return Finding(
        check="mttm",
        verdict=verdict,
        summary=_summary(found, unsure, list(values.values()), target),
        numbers={
            "mttm_s_max": number(max(value.hi_ns for value in values.values())) if values else None,
            "mttm_s_mean": number(sum(value.middle_ns for value in finite) / len(finite)) if finite else None,
            "target_s": None if target is None else number(target),
            "incidents": len(found),
            "not_needed": len(found) - len(values) - len(unsure),
            "unmitigated": len(unseen),
        },
        formula="MTTM = switched − fault on, for every incident",
        error=f"± {error_ns / 2e9:.3f} s (half the widest interval; {clock_error(ground.error_ns)})",
        counted=len(found),
        offenders=_offenders(found, values, target),
        reason=reason,
    )


def _unsure(incident: Incident, usual: set[str], there: int) -> str:
    """Why it cannot be told whether mail had to take another route and did; empty where it can."""
    at_all, surely = incident.impact_ns is not None, incident.offered.impact_ns is not None
    if incident.switched is not None and (left_the_usual(incident, usual) or at_all):
        return ""
    if not at_all and not surely:
        return (
            "" if there else f"no transactional message was there to be sent during incident {incident.name}"
        )
    if not left_the_usual(incident, usual):
        routes = " or ".join(incident.routes)
        return f"mail did not usually take {routes}, so leaving incident {incident.name} cannot be told"
    if not at_all or not surely:
        return (
            f"what was overdue in incident {incident.name} had been offered late by the driver, "
            "or was so for less than the clock error"
        )
    return ""


def _mitigation(incident: Incident, usual: set[str], finished: bool, watch_end_ns: int) -> Interval | None:
    """None: not needed. What never came took for ever or, if the record was cut, at least so long."""
    if incident.impact_ns is None and not left_the_usual(incident, usual):
        return None
    if incident.switched is not None:
        return Interval.between(incident.on, incident.switched)
    if incident.impact_ns is None:
        return None
    return Interval(math.inf if finished else watch_end_ns - incident.on[1], math.inf)


def _summary(
    found: list[Incident], unsure: dict[str, str], values: list[Interval], target: int | None
) -> str:
    if not found:
        return "there was no incident on a route to switch away from"
    if not values and unsure:
        return "it cannot be told whether mail had to take another route, and did"
    if not values:
        return "switching was not needed: nothing was overdue, and mail kept its route"
    worst = max(values, key=lambda value: value.hi_ns)
    many = " at worst" if len(values) > 1 else ""
    told = (
        "mail never took another route, though messages were overdue"
        if math.isinf(worst.hi_ns)
        else f"mail took another route {words(worst.middle_ns)} after the fault{many}"
    )
    if target is not None and worst.hi_ns > target:
        told += f", the target is {words(target)}"
    return told


def _offenders(found: list[Incident], values: dict[str, Interval], target: int | None) -> list[Offender]:
    if target is None:
        return []
    missed = [each for each in found if each.name in values and values[each.name].hi_ns > target]
    missed.sort(key=lambda each: -values[each.name].hi_ns)
    return [
        Offender(
            subject=f"incident {each.name}",
            why=f"switched {words(values[each.name].middle_ns)} after {each.what}"
            if not math.isinf(values[each.name].hi_ns)
            else f"never switched away from {each.what}, though messages were overdue",
        )
        for each in missed[:MAX_OFFENDERS]
    ]
