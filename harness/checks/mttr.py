"""MTTR: from the fault to the end of its impact, for every incident.

Impact holds while at least `min_overdue` transactional messages are overdue: past scheduled + `within`,
without a copy, a valid hold or suppression, a bounce or their expiry. A suppression is valid from when the
recipient of another message was refused for good, bounced or complained, and the system could know; one that
was refused for good itself stays overdue, and so does one that is suppressed for a reason from before the
run. Restored is the end of the last impact that begins before the next incident; with `measure: drained` it
is when no message at all is overdue. Lateness counts from the first scheduled time, so a system that refuses
messages is late with them. Where the driver itself was late with its first offer the value reaches down to
what counts from there: how the system would have done otherwise is not known.

It proves how long customers waited, by the providers' receipts. It says nothing of a fault without impact:
recovery was not needed then, which passes and says so. An impact that never ended is infinite.
Inconclusive: no incident, one that was never met, one in which no transactional message was there to be late,
records missing, receipts that were read back, or an interval that spans the target.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from harness.checks.evidence import read_back_reason, watched
from harness.checks.finding import MAX_OFFENDERS, Finding, Offender, Verdict
from harness.checks.grounds import clock_error, conclude, count_of, grounds, listed, seconds
from harness.checks.incidents import MIN_OVERDUE, Incident, Interval, incidents, number, words
from harness.checks.params import CheckParams
from harness.checks.units import Duration
from harness.history.store import History


class Measure(StrEnum):
    RESTORED = "restored"
    DRAINED = "drained"


class Params(CheckParams):
    """`mttr: 15s`, or `{target: 15s, min_overdue: 2, measure: drained}`. Without a target, measured only."""

    TEXT: ClassVar = "target"

    target: Duration | None = None
    """Within which every impact must have ended."""
    min_overdue: Annotated[int, Field(ge=1)] = MIN_OVERDUE
    """So many overdue messages at once are an impact."""
    measure: Measure = Measure.RESTORED
    """Until the impact ended, or until nothing was overdue any more."""


def evaluate(history: History, run: str, params: Params) -> Finding:
    ground = grounds(history, run)
    found = incidents(history, run, params.min_overdue)
    there, read_back = watched(history, run), read_back_reason(history, run)
    [(watch_end,)] = history.con.execute("select watch_end_ns from runs where run = ?", [run]).fetchall()
    values = {
        each.name: value
        for each in found
        if (value := recovery(each, params.measure, ground.error_ns, ground.finished, watch_end)) is not None
    }
    unseen = [f"incident {each.name}" for each in found if each.name not in values and not there[each.name]]
    target = params.target
    verdicts = [value.meets(target) for value in values.values()] if target is not None else []
    never = any(math.isinf(value.lo_ns) for value in values.values())
    blurred = bool(read_back) and not never
    doubts = [
        ground.exposure_reason(),
        ground.gap_reason(),
        read_back if blurred else "",
        f"no transactional message had a time to keep during {listed(unseen)}" if unseen else "",
        "no target was set" if target is None else "",
        "the measurement's error spans the target" if Verdict.INCONCLUSIVE in verdicts else "",
    ]
    verdict, reason = conclude(
        failed=Verdict.FAIL in verdicts and not blurred and not ground.gaps,
        counted=len(found) if values else sum(there.values()),
        nothing="there was no incident" if not found else "no transactional message had a time to keep",
        doubts=doubts,
    )
    finite = [value.middle_ns for value in values.values() if not math.isinf(value.hi_ns)]
    error_ns = max((v.hi_ns - v.lo_ns for v in values.values() if not math.isinf(v.hi_ns)), default=0)
    return Finding(
        check="mttr",
        verdict=verdict,
        summary=_summary(found, values, params, unseen),
        numbers={
            "mttr_s_max": number(max(value.hi_ns for value in values.values())) if values else None,
            "mttr_s_mean": number(sum(finite) / len(finite)) if finite else None,
            "target_s": None if target is None else number(target),
            "incidents": len(found),
            "with_impact": len(values),
            **_overdue_numbers(history, run),
        },
        formula=f"MTTR = {params.measure} − fault on, impact being ≥ {params.min_overdue} overdue at once"
        if params.measure is Measure.RESTORED
        else "MTTR = drained − fault on, drained being when nothing is overdue any more",
        error=f"± {error_ns / 2e9:.3f} s (half the widest interval; {clock_error(ground.error_ns)})",
        counted=len(found),
        offenders=_offenders(history, run, found, values, target),
        reason=reason,
    )


def recovery(
    incident: Incident, measure: Measure, error_ns: int, finished: bool, watch_end_ns: int
) -> Interval | None:
    """None: not needed. What has no end took for ever, or, if the record was cut, at least so long."""
    as_offered = incident.offered
    if measure is Measure.DRAINED:
        needed, until_ns = incident.any_overdue, incident.drained_ns
        own, own_until_ns = as_offered.any_overdue, as_offered.drained_ns
    else:
        needed, until_ns = incident.impact_ns is not None, incident.restored_ns
        own, own_until_ns = as_offered.impact_ns is not None, as_offered.restored_ns
    if not needed and not own:
        return None
    # What is surely the system's own ends as early as its clock error allows.
    own_until_ns = None if own_until_ns is None else own_until_ns + error_ns
    ends = [
        _since(incident, each_ns, error_ns, finished, watch_end_ns)
        for there, each_ns in ((needed, until_ns), (own, own_until_ns))
        if there
    ]
    # Of messages that the driver offered late it is not known how long they would have waited otherwise.
    lowest = min(each.lo_ns for each in ends) if needed and own else 0
    return Interval(lowest, max(each.hi_ns for each in ends))


def _since(
    incident: Incident, until_ns: int | None, error_ns: int, finished: bool, watch_end_ns: int
) -> Interval:
    if until_ns is None:
        lowest = math.inf if finished else watch_end_ns - error_ns - incident.on[1]
        return Interval(lowest, math.inf)
    return Interval.between(incident.on, (until_ns - error_ns, until_ns + error_ns))


def _overdue_numbers(history: History, run: str) -> dict[str, float | int | None]:
    [(overdue, never, worst)] = history.con.execute(
        "select count(*), count(*) filter (until_ns is null), max(until_ns - scheduled_ns) "
        "from overdue where run = ?",
        [run],
    ).fetchall()
    return {
        "overdue": overdue,
        "overdue_for_ever": never,
        "worst_late_s": None if worst is None else seconds(worst),
    }


def _summary(found: list[Incident], values: dict[str, Interval], params: Params, unseen: list[str]) -> str:
    if not found:
        return "there was no incident to recover from"
    if len(unseen) == len(found):
        return "no transactional message had a time to keep"
    if not values and unseen:
        return "it cannot be told whether recovery was needed in every incident"
    if not values:
        return (
            f"recovery was not needed: never were {count_of(params.min_overdue, 'message')} overdue at once"
        )
    worst = max(values.values(), key=lambda value: value.hi_ns)
    many = " at worst" if len(values) > 1 else ""
    told = (
        "mail never flowed in time again"
        if math.isinf(worst.hi_ns)
        else f"mail flowed in time again {words(worst.middle_ns)} after the fault{many}"
    )
    if params.target is not None and worst.hi_ns > params.target:
        told += f", the target is {words(params.target)}"
    return told


def _offenders(
    history: History, run: str, found: list[Incident], values: dict[str, Interval], target: int | None
) -> list[Offender]:
    """The incidents that missed the target, then the messages that waited longest."""
    if target is None:
        return []
    missed = [each for each in found if each.name in values and values[each.name].hi_ns > target]
    missed.sort(key=lambda each: -values[each.name].hi_ns)
    if not missed:
        return []
    offenders = [
        Offender(
            subject=f"incident {each.name}",
            why=f"restored {words(values[each.name].middle_ns)} after {each.what}"
            if not math.isinf(values[each.name].hi_ns)
            else f"never restored after {each.what}",
        )
        for each in missed
    ]
    late = history.con.execute(
        "select token, recipient, until_ns - scheduled_ns from overdue where run = ? "
        "order by until_ns - scheduled_ns desc nulls first, scheduled_ns, token limit ?",
        [run, MAX_OFFENDERS],
    ).fetchall()
    offenders += [
        Offender(
            token=token,
            recipient=recipient,
            why="never arrived"
            if late_ns is None
            else f"arrived {words(late_ns)} after it was due to be sent",
            cause="overdue",
        )
        for token, recipient, late_ns in late
    ]
    return offenders[:MAX_OFFENDERS]
