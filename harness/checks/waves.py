"""Waves: a backlog is let go in portions, not all at once.

A release is a switch, a fault's end, a resume or an approval. Its backlog B is what the system had
accepted, scheduled at least 1 s before the release (and offered by then, where the driver was late) and
without a copy then; what a provider had taken by then, and bounced or dropped, waits for nothing any more,
nor does what went out by a fallback channel. No window of `every` − max(5 %, 100 ms + delay spread) may hold
the first copies after the release of more than ⌈share·B⌉ of them, also where another release comes in
between; who waited at several goes in portions of the greatest. A word about another class is no release of
this one. The margin keeps a router that is exact to its own clock from failing by a hair. Windows are
half-open and begin at a copy, before the next release; that finds the fullest one.

It proves how the backlog reached the providers, whatever the reason for the pace. It cannot tell waves from
a system that is merely slow. Inconclusive: no release at all, times that were read back, clocks that may
err by more than the margin, records missing, or a fault that was never met. No backlog at any release is a
pass: there was nothing to let go, and it says so.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, grounds, seconds
from harness.checks.params import CheckParams
from harness.checks.units import Duration, Share
from harness.history.store import History

LEAD_NS = 1_000_000_000


class Params(CheckParams):
    """`waves: {class: marketing, share: 10%, every: 2s}`; all classes if none is named."""

    share: Annotated[Share, Field(gt=0)]
    """Of the backlog, at once."""
    every: Annotated[Duration, Field(gt=0)]
    """How far apart."""
    class_: str | None = Field(default=None, alias="class")
    """Whose backlog; all classes together by default."""


# The releases that are about the class. `run` null asks for all runs.
RELEASES = """
select run, number, release, t_ns, lead(t_ns) over (partition by run order by number) as next_ns
from releases
where ($run is null or run = $run) and ($class is null or class is null or class = $class)
"""

# One row per release with a backlog: how large it was, and the window that held the most too many.
WAVES = f"""
with spread as (
    select run, max(delay_ns) as delay_ns from route_delays group by run
), lengths as (
    select run, $every - greatest(cast(ceil(0.05 * $every) as bigint),
                                  100000000 + coalesce(s.delay_ns, 0)) as length_ns
    from runs left join spread s using (run)
), left_ as (
    -- A message leaves with its first copy; one that has none, with what was taken and came to nothing.
    select run, token, rkey, greatest(scheduled_ns, first_offer_ns) as begun_ns,
           coalesce(copy_ns, taken_ns, fallback_taken_ns) as left_ns
    from fates
    where not baseline and result = 'accepted' and ($class is null or class = $class)
      and ($run is null or run = $run)
), backlog as (
    select r.run, r.number, r.release, r.t_ns, r.next_ns, f.token, f.rkey, f.left_ns
    from ({RELEASES}) r join left_ f on f.run = r.run
    where f.begun_ns <= r.t_ns - $lead and (f.left_ns is null or f.left_ns >= r.t_ns)
), sizes as (
    select run, number, any_value(release) as release, any_value(t_ns) as t_ns, count(*) as backlog
    from backlog group by run, number
), waited as (
    -- Who still waits goes on in the portions of the greatest release that began to let them go.
    select run, number, b.next_ns, b.left_ns,
           max(s.backlog) over (partition by run, token, rkey order by number) as largest,
           max(number) over (partition by run, token, rkey) as last
    from backlog b join sizes s using (run, number)
), owed as (
    select run, number, cast(ceil($share * max(largest) - 1e-9) as bigint) as portion
    from waited group by run, number
), firsts as (
    -- A window that began before the next release goes on after it: what leaves there is in its portions.
    select w.run, w.number, w.next_ns, w.left_ns as copy_ns, l.length_ns, o.portion
    from waited w join lengths l using (run) join owed o on o.run = w.run and o.number = w.last
    where w.left_ns is not null and (w.next_ns is null or w.left_ns < w.next_ns + l.length_ns)
), windows as (
    -- Half-open: up to, not including, copy_ns + length_ns. No length at all leaves no window.
    select run, number, next_ns, copy_ns, count(*) over held as held, max(portion) over held as allowed
    from firsts where length_ns > 0
    window held as (partition by run, number order by copy_ns
                    range between current row and (length_ns - 1) following)
), fullest as (
    select run, number, arg_max({{'held': held, 'allowed': allowed, 'copy_ns': copy_ns}},
                                (held - allowed, -copy_ns)) as worst
    from windows where next_ns is null or copy_ns < next_ns
    group by run, number
)
select s.run, s.number, s.release, s.t_ns, s.backlog, coalesce(f.worst.held, 0) as largest,
       f.worst.copy_ns as largest_ns, coalesce(f.worst.allowed, o.portion) as allowed
from sizes s join owed o using (run, number) left join fullest f using (run, number)
order by s.run, s.number
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    ((spread_ns,),) = con.execute(
        "select coalesce(max(delay_ns), 0) from route_delays where run = ?", [run]
    ).fetchall()
    margin_ns = max(-(-params.every // 20), 100_000_000 + int(spread_ns))
    asked = {"run": run, "class": params.class_}
    ((released,),) = con.execute(f"select count(*) from ({RELEASES})", asked).fetchall()
    ((sent,),) = con.execute(
        "select count(*) from fates where run = $run and not baseline and ($class is null or class = $class)",
        asked,
    ).fetchall()
    rows = con.execute(
        WAVES,
        asked | {"share": params.share, "every": params.every, "lead": LEAD_NS},
    ).fetchall()
    broken = [row for row in rows if row[5] > row[7]]
    blurred = 2 * ground.error_ns > margin_ns
    doubts = [ground.exposure_reason(), ground.gap_reason()]
    if rows and ground.read_back_routes:
        routes = ", ".join(sorted(ground.read_back_routes))
        doubts.append(f"receipts of {routes} were read back, without exact times")
    if rows and margin_ns >= params.every:
        doubts.append("the injected delay is as long as `every`, so no window is left to look at")
    if rows and blurred:
        doubts.append("the clock error is wider than the margin of a window")
    kind = f"{params.class_} messages" if params.class_ else "messages"
    verdict, reason = conclude(
        failed=bool(broken) and not ground.read_back_routes and not blurred,
        counted=released if sent else 0,
        nothing="there was no release: no switch, no fault's end, no resume, no approval"
        if sent
        else f"no {kind} were sent",
        doubts=doubts,
    )
    worst = max(rows, key=lambda row: (max(0, row[5] - row[7]), row[5], row[4]), default=None)
    return Finding(
        check="waves",
        verdict=verdict,
        summary=_summary(worst, kind, params),
        numbers={
            "releases": released,
            "backlog": 0 if worst is None else worst[4],
            "largest_wave": 0 if worst is None else worst[5],
            "allowed": None if worst is None else worst[7],
            "window_s": seconds(max(0, params.every - margin_ns)),
        },
        formula="copies in [t, t + every − max(5 %, 100 ms + spread)) ≤ ⌈share · B⌉, for every release",
        error=f"margin {seconds(margin_ns):.3f} s; {clock_error(ground.error_ns)}",
        counted=sum(row[4] for row in rows),
        offenders=[_offender(row) for row in sorted(broken, key=lambda row: row[7] - row[5])][:MAX_OFFENDERS],
        reason=reason,
    )


def _summary(worst: tuple[Any, ...] | None, kind: str, params: Params) -> str:
    if worst is None:
        return f"not needed: no {kind} were waiting at any release"
    return f"at most {worst[5]:,} of {worst[4]:,} waiting {kind} left in any {seconds(params.every):g} s"


def _offender(row: tuple[Any, ...]) -> Offender:
    _, number, release, t_ns, backlog, largest, largest_ns, allowed = row
    return Offender(
        subject=f"release {number} ({release})",
        why=f"{largest} of {backlog} at once, {(largest_ns - t_ns) / 1e9:.3f} s after it; {allowed} allowed",
        cause="too many at once",
    )
