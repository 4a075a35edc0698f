"""Quiescence: at its end nothing moves any more, so what is missing then is missing for good.

Two things must hold: no receipt for twice the longest retry interval that the system declares, and a queue
depth of 0 where the system tells one. The signal `queue_depth` must leave out what is held: that waits for a
person, not for time. Probes of the system's own do not count as movement.

It proves that the system had time for its last attempt and made none. It cannot see a retry that comes later
than the system says. Inconclusive: the longest retry interval is not declared, the record was cut or the
system exited before it could become quiet, the record ends too soon after the last message was offered or the
last fault was over for the system to be quiet for so long, records are missing, receipts were read back
without exact times, the queue's depth could not be read, or a clock error hides whether the silence was long
enough.
"""

from __future__ import annotations

from typing import Any, ClassVar

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, grounds, seconds
from harness.checks.params import CheckParams
from harness.history.store import History


class Params(CheckParams):
    """`quiescence: reached`; there is nothing to set."""

    WORDS: ClassVar = {"reached": {}}


# What the system last said of its queue; `number` is null where that made no sense.
DEPTH = """
select last(number order by t_ns, seq), last(error order by t_ns, seq)
from readings join runs using (run)
where run = $run and signal = 'queue_depth' and t_ns <= watch_end_ns
having count(*) > 0
"""

# The last that moved, where it moved too late. One row per attempt, the latest first.
RESTLESS = """
select r.token, r.recipient, r.route, r.result, r.code, u.watch_end_ns - r.end_ns as before_ns
from receipts r join runs u using (run)
where r.run = $run and r.canary is null and r.end_ns > u.watch_end_ns - 2 * u.longest_retry_ns
order by r.end_ns desc, r.seq desc limit $most
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    row = con.execute("select quiet_ns, needed_ns, given_ns from quiescence where run = ?", [run]).fetchone()
    quiet_ns, needed_ns, given_ns = (None, None, None) if row is None else row
    told = con.execute(DEPTH, {"run": run}).fetchone()
    depth, depth_error = (None, None) if told is None else told
    ((outcome, counted),) = con.execute(
        "select (select outcome from runs where run = $run), count(*) from messages where run = $run",
        {"run": run},
    ).fetchall()
    read_back = bool(ground.read_back_routes)
    complete = outcome == "completed"
    too_short = needed_ns is not None and needed_ns - quiet_ns > ground.error_ns
    hurried = needed_ns is not None and given_ns < needed_ns
    blurred = needed_ns is not None and not too_short and quiet_ns - ground.error_ns < needed_ns
    waiting = depth is not None and depth > 0
    doubts = [
        "" if complete else "the record does not go to the end of a run, so it shows no quiet end",
        ground.gap_reason(),
        "the system's longest retry interval is not declared" if row and needed_ns is None else "",
        f"the queue's depth could not be read at the end ({depth_error or 'it was no number'})"
        if told is not None and depth is None
        else "",
        f"the record ends {seconds(given_ns):.1f} s after the last message was offered or the last fault over"
        if hurried
        else "",
        f"the silence was {seconds(quiet_ns):.3f} s, and the clock error hides whether that is enough"
        if blurred
        else "",
        "receipts were read back from the provider, without exact times" if read_back else "",
    ]
    verdict, reason = conclude(
        failed=complete
        and needed_ns is not None
        and not hurried
        and (waiting or (too_short and not read_back)),
        counted=counted,
        nothing="no message was submitted",
        doubts=doubts,
    )
    offenders = _restless(history, run) if too_short else []
    if waiting:
        offenders.insert(0, Offender(subject="the queue", why=f"{depth:,.0f} waited at the end"))
    return Finding(
        check="quiescence",
        verdict=verdict,
        summary=_summary(quiet_ns, needed_ns, too_short, depth),
        numbers={
            "quiet_s": None if quiet_ns is None else seconds(quiet_ns),
            "needed_s": None if needed_ns is None else seconds(needed_ns),
            "queue_depth": depth,
        },
        formula="watched until − last receipt ≥ 2 × longest_retry, and queue_depth = 0 where it is told",
        error=clock_error(ground.error_ns),
        counted=counted,
        offenders=offenders[:MAX_OFFENDERS],
        reason=reason,
    )


def _summary(quiet_ns: int | None, needed_ns: int | None, too_short: bool, depth: float | None) -> str:
    if quiet_ns is None:
        return "no message was submitted, so nothing ever moved"
    if needed_ns is None:
        return f"the last {seconds(quiet_ns):.1f} s were silent; how long would be enough is not declared"
    parts = [
        f"only the last {seconds(quiet_ns):.1f} s were silent where {seconds(needed_ns):.1f} s are needed"
        if too_short
        else f"nothing moved in the last {seconds(quiet_ns):.1f} s, {seconds(needed_ns):.1f} s are needed"
    ]
    if depth:
        parts.append(f"the queue still held {depth:,.0f}")
    elif depth is not None:
        parts.append("the queue was empty")
    return ("; " if too_short or depth else ", ").join(parts)


def _restless(history: History, run: str) -> list[Offender]:
    rows: list[tuple[Any, ...]] = history.con.execute(
        RESTLESS, {"run": run, "most": MAX_OFFENDERS}
    ).fetchall()
    return [
        Offender(
            token=token,
            recipient=recipient,
            subject=None if token else f"an attempt on {route}",
            why=f"{result}{f' ({code})' if code else ''} by {route}, "
            f"{seconds(before_ns):.3f} s before the end",
            cause="still tried" if result in ("deferred", "refused", "aborted") else "still arriving",
        )
        for token, recipient, route, result, code, before_ns in rows
    ]
