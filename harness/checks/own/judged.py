"""The verdict on a check of one's own: what it looked at, and the grounds that every check has.

It proves what its author asked, and no more: whether the question is the right one cannot be told here.
Inconclusive: it looked at nothing; it says itself that something cannot be told; records are missing or
disputed; and, unless its `needs` leaves that out, a fault that was never met, or receipts that were read back
without exact times.
"""

from __future__ import annotations

from harness.checks.finding import MAX_OFFENDERS, Finding
from harness.checks.grounds import clock_error, conclude, count_of, grounds
from harness.checks.own import Looked, NotUsable, function, query
from harness.checks.own.params import Need, Params
from harness.history.store import History


def evaluate(history: History, run: str, name: str, params: Params) -> Finding:
    """`name` as in findings, `own.late-mail`. Raises whatever the check itself raises."""
    looked = _ask(history, run, params)
    ground = grounds(history, run)
    offending = len(looked.offenders) if looked.offending is None else looked.offending
    if offending < len(looked.offenders):
        raise NotUsable(
            f"it names {count_of(len(looked.offenders), 'offender')}, and says that {offending} offend",
            "`offending` is how many there are where `offenders` does not name them all.",
        )
    if looked.counted < offending:
        raise NotUsable(
            f"it says that it looked at {looked.counted}, and {offending} of these offend",
            "`counted` is how many things were looked at, the offenders among them.",
        )
    doubts = [*looked.doubts, ground.gap_reason()]
    if Need.EXPOSURE in params.needs:
        doubts.append(ground.exposure_reason())
    if Need.EXACT_TIMES in params.needs and ground.read_back_routes:
        doubts.append(f"receipts of {', '.join(sorted(ground.read_back_routes))} have no exact times")
    verdict, reason = conclude(
        failed=offending > 0, counted=looked.counted, nothing=f"{name} looked at nothing", doubts=doubts
    )
    return Finding(
        check=name,
        verdict=verdict,
        summary=f"{offending:,} of {count_of(looked.counted, 'thing')} that {name} looked at "
        f"{'offends' if offending == 1 else 'offend'}"
        if looked.counted
        else f"{name} looked at nothing",
        numbers={"offending": offending, **looked.numbers},
        formula=params.where,
        error=clock_error(ground.error_ns),
        counted=looked.counted,
        offenders=looked.offenders[:MAX_OFFENDERS],
        reason=reason,
    )


def _ask(history: History, run: str, params: Params) -> Looked:
    if params.sql is not None:
        return query.ask(history, run, params.text, params.params)
    return function.ask(history, run, params.text, params.where, params.params)
