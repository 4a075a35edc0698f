"""False alarm: the detection signal turns on only where a fault explains it.

An edge from false to true is explained by a fault on the route that the signal names, on any route if it
names none, or of the system itself, from its injection to its end + `grace`. A fault that holds up no mail
(on the way of events, on a status page, or of what becomes of mail that was taken) explains none. Each signal
is judged by itself, one for each route as they are told; an edge lies between two readings, and a false alarm
is one that lies wholly outside.

It proves what the signal said at the times at which it was read: an alarm between two readings is not seen,
nor one behind readings without sense. It cannot tell whether the system knew why. Inconclusive: no detection
signal was ever read, it was on from the first reading, or it made no sense for longer than `grace` at a time
at which no fault would have explained an alarm.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import conclude, count_of, seconds
from harness.checks.params import CheckParams
from harness.checks.units import NS_PER_S, Duration
from harness.history.store import History


class Params(CheckParams):
    """`false-alarm: none`, or `{at_most: 1, grace: 10s}`."""

    WORDS: ClassVar = {"none": {}}

    at_most: Annotated[int, Field(strict=True, ge=0)] = 0
    """So many alarms may have no reason."""
    grace: Duration = 5 * NS_PER_S
    """How long after a fault's end an alarm may still be because of it, and how long the signal may make no
    sense."""


# When an alarm of a route would be explained, or of any where that is null: the fault is the system's.
# Both ends are in it.
_EXPLAINED = """
    select run, route, on_lo as from_ns, off_hi + $grace as until_ns
    from faults where not aside and ($run is null or run = $run)
"""

# One row per edge that nothing explains, whichever moment between the two readings it was at.
ALARMS = f"""
with explained as ({_EXPLAINED})
select a.run, a.route, a.lo, a.hi from signal_edges a join runs r using (run)
where a.signal = 'detected' and a.rising and a.hi <= r.watch_end_ns and ($run is null or a.run = $run)
  and not exists (select 1 from explained e where e.run = a.run
                  and (e.route is null or a.route is null or e.route = a.route)
                  and a.hi >= e.from_ns and a.lo <= e.until_ns)
"""

# Readings without sense for longer than the grace, at times at which an alarm would have been a false one.
UNREADABLE = f"""
with explained as ({_EXPLAINED}), told as (
    -- Each reading that made sense begins a stretch, in which those that made none follow it.
    select q.run, q.route, q.t_ns, q.truth, r.watch_end_ns,
           count(q.truth) over (partition by q.run, q.route order by q.t_ns, q.seq) as stretch
    from readings q join runs r using (run)
    where q.signal = 'detected' and q.t_ns <= r.watch_end_ns and ($run is null or q.run = $run)
), stretches as (
    select run, route, stretch, min(t_ns) as from_ns,
           coalesce(lead(min(t_ns)) over (partition by run, route order by stretch),
                    any_value(watch_end_ns)) as to_ns
    from told group by run, route, stretch
)
select t.run, count(*)
from told t join stretches s
  on s.run = t.run and s.route is not distinct from t.route and s.stretch = t.stretch
where t.truth is null and s.to_ns - s.from_ns > $grace
  and not exists (select 1 from explained e where e.run = t.run
                  and (e.route is null or t.route is null or e.route = t.route)
                  and t.t_ns between e.from_ns and e.until_ns)
group by t.run
"""

READ = """
select count(*), count(distinct coalesce(route, '')), count(*) filter (first and truth),
       count(*) filter (rising)
from (
    select route, truth, row_number() over told = 1 as first,
           truth and not lag(truth) over told as rising
    from readings join runs using (run)
    where run = $run and signal = 'detected' and truth is not null and t_ns <= watch_end_ns
    window told as (partition by route order by t_ns, seq)
)
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    asked = {"run": run, "grace": params.grace}
    ((read, signals, on_from_the_first, alarms),) = con.execute(READ, {"run": run}).fetchall()
    unreadable = sum(times for _, times in con.execute(UNREADABLE, asked).fetchall())
    ((false,),) = con.execute(f"select count(*) from ({ALARMS})", asked).fetchall()
    rows = con.execute(
        f"select a.route, a.hi, a.hi - max(f.off_hi) from ({ALARMS}) a left join faults f on f.run = a.run "
        "and not f.aside and f.off_hi <= a.lo and (a.route is null or f.route is null or f.route = a.route) "
        "group by a.route, a.lo, a.hi order by a.hi, a.route limit $most",
        asked | {"most": MAX_OFFENDERS},
    ).fetchall()
    failed = false > params.at_most
    verdict, reason = conclude(
        failed=failed,
        counted=read,
        nothing="no detection signal was ever read",
        doubts=[
            f"the detection signal was on from the first reading of {count_of(on_from_the_first, 'signal')}"
            if on_from_the_first
            else "",
            f"the detection signal made no sense {count_of(unreadable, 'time')} when nothing was broken"
            if unreadable
            else "",
        ],
    )
    return Finding(
        check="false-alarm",
        verdict=verdict,
        summary=f"{false:,} of {count_of(alarms, 'alarm')} had no fault to explain "
        f"{'it' if alarms == 1 else 'them'}, {params.at_most:,} allowed",
        numbers={
            "alarms": alarms,
            "false_alarms": false,
            "allowed": params.at_most,
            "signals": signals,
            "readings": read,
        },
        formula="edges of `detected` outside of all [fault on, fault off + "
        f"{seconds(params.grace):g} s] ≤ at_most",
        error="each edge lies between two readings of the signal",
        counted=read,
        offenders=[
            Offender(
                subject=f"route {route}" if route else "the system",
                why=f"an alarm at {seconds(hi):.3f} s of the run, "
                + (
                    "before any fault that could explain it"
                    if after_ns is None
                    else f"{seconds(after_ns):.3f} s after the last fault that could explain it"
                ),
                cause="without a fault" if after_ns is None else "after the fault",
            )
            for route, hi, after_ns in rows
        ]
        if failed
        else [],
        reason=reason,
    )
