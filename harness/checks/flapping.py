"""Flapping: transactional mail changed its route no more often than allowed.

Copies in the order in which their attempts began; each whose route is not that of the one before is a change.
A failover and its failback are two. What was under way on the old route when the system left it began before,
so it makes no change of its own.

It proves what customers' mail did, not what the system thought: a state that flips between two messages is
not seen. Two copies on different routes no further apart than the clocks may err have no certain order; each
such pair may account for two changes, and a failure has to stand without them. Inconclusive: no transactional
copies after the baseline, a fault that was never met, a route whose receipts were read back without exact
times, more changes than allowed only by such pairs, or records missing.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, count_of, grounds, seconds
from harness.checks.params import CheckParams
from harness.history.store import History


class Params(CheckParams):
    """`flapping: {at_most: 2}`: one failover and one failback; `flapping: none` allows no change at all."""

    WORDS: ClassVar = {"none": {"at_most": 0}}

    at_most: Annotated[int, Field(strict=True, ge=0)] = 2
    """Changes of the route."""


# One row per change of the route. `run` null asks for all runs at once.
CHANGES = """
with sent as (
    -- Whose each is, is looked up afterwards: to put that in order as well costs three times as much.
    select run, seq, route, begin_ns, baseline, error_ns, lag(route) over told as before,
           begin_ns - error_ns <= lag(begin_ns + error_ns) over told as open
    from copies where class = 'transactional' and ($run is null or run = $run)
    window told as (partition by run order by begin_ns, seq)
), changes as (
    from sent where route <> before and not baseline
)
select s.run, c.token, c.recipient, s.before, s.route, s.begin_ns, s.open and s.error_ns > 0 as open
from changes s join copies c on c.run = s.run and c.seq = s.seq
order by s.run, s.begin_ns, s.seq
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    ((counted,),) = con.execute(
        "select count(*) from copies where run = ? and class = 'transactional' and not baseline",
        [run],
    ).fetchall()
    rows = con.execute(CHANGES, {"run": run}).fetchall()
    certain = len(rows) - 2 * sum(1 for *_, unordered in rows if unordered)
    doubts = [ground.exposure_reason(), ground.gap_reason()]
    if len(rows) > params.at_most:
        doubts.append("the clock error leaves open in which order copies on different routes began")
    if ground.read_back_routes:
        doubts.append(f"receipts of {', '.join(sorted(ground.read_back_routes))} have no exact times")
    verdict, reason = conclude(
        failed=certain > params.at_most,
        counted=counted,
        nothing="no transactional message arrived after the baseline",
        doubts=doubts,
    )
    return Finding(
        check="flapping",
        verdict=verdict,
        summary=f"transactional mail changed its route {count_of(len(rows), 'time')}, "
        f"{params.at_most} allowed",
        numbers={"changes": len(rows), "allowed": params.at_most},
        formula="transactional copies by the begin of their attempts, on another route than the one before",
        error=clock_error(ground.error_ns),
        counted=counted,
        offenders=[
            Offender(
                token=token,
                recipient=recipient,
                why=f"change {number}: from {before} to {route} at {seconds(begin_ns):.3f} s of the run",
                cause=f"{before} to {route}",
            )
            for number, (_, token, recipient, before, route, begin_ns, _) in enumerate(
                rows[:MAX_OFFENDERS], start=1
            )
        ]
        if len(rows) > params.at_most
        else [],
        reason=reason,
    )
