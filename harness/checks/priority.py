"""Priority: while a backlog is replayed, mail that matters more goes first.

A replay is a release (a switch, a fault's end, a resume or an approval) at which mail of the later class
waited, accepted and scheduled at least 1 s before it; it lasts until the last copy of that backlog before the
next release.
Mail of the first class is judged if it was there meanwhile: it waited at the release, or was accepted during
the replay. Its turn is its first attempt then, whatever came of that; what has had its turn and must be tried
again is not judged for it. Nor is one whose fate the system cannot know: it does well to find out first.

- Without a `ratio`: no message of the backlog passes it. One passes if its attempt began more than `grace`
  after the other was there, and more than `grace` before that one's turn; so what is under way at the same
  time, or begins at equal times, has no order. What comes in during the replay must not be starved, either.
- With a `ratio`: in no replay is the 95th percentile of waits of the first class, from being there to their
  turn, above that share of the 95th percentile of the backlog's, from the release to their attempt.

Delays that a fault puts on the routes, and clock errors, widen what is allowed. It proves the order at the
providers' doors. It cannot see attempts that nobody received: who was never tried at all is for `delivered`.
Inconclusive: no release, no backlog or nothing of the first class there in a replay, receipts without exact
times, records missing, a fault that was never met, or a clock error that hides the order.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, count_of, grounds, seconds
from harness.checks.params import CheckParams
from harness.checks.units import NS_PER_MS, Duration
from harness.checks.waves import LEAD_NS
from harness.history.store import History


class Params(CheckParams):
    """`priority: transactional`, or `{first: transactional, then: marketing, ratio: 0.5}`."""

    TEXT: ClassVar = "first"

    first: str = "transactional"
    """Whose mail goes first."""
    then: str = "marketing"
    """Whose backlog has to wait for it."""
    grace: Duration = 250 * NS_PER_MS
    """How far apart two attempts must begin for one to have passed the other."""
    ratio: Annotated[float, Field(gt=0)] | None = None
    """In place of a strict order: of the waits' 95th percentiles, the first class's to the backlog's."""


# The replays, whose mail was there in them (`due`), and what left of the backlog (`replayed`). A turn may
# come before the driver has read that the message was accepted: then it waited for nothing.
_REPLAYS = """
backlog as (
    select r.run, r.number, r.t_ns, r.next_ns, f.message
    from releases r join fates f on f.run = r.run
    where f.class = $then and not f.baseline and f.result = 'accepted' and f.scheduled_ns <= r.t_ns - $lead
      and (f.copy_ns is null or f.copy_ns >= r.t_ns) and ($run is null or r.run = $run)
), replayed as (
    select b.run, b.number, b.t_ns, b.next_ns, min(c.begin_ns) as begin_ns
    from backlog b join copies c using (message)
    where (b.next_ns is null or c.end_ns < b.next_ns) and not c.observed_after
    group by b.run, b.number, b.t_ns, b.next_ns, message
), replays as (
    select run, number, t_ns, max(begin_ns) as last_ns, count(*) as size,
           quantile_disc(greatest(0, begin_ns - t_ns), 0.95) as p95_ns
    from replayed group by run, number, t_ns
), due as (
    select p.run, p.number, p.t_ns, p.size, p.p95_ns, f.message, f.token, f.recipient,
           greatest(f.accepted_ns, p.t_ns) as there_ns
    from replays p join fates f on f.run = p.run
    where f.class = $first and not f.baseline and f.accepted_ns <= p.last_ns and f.unknown_fate is null
      and (f.copy_ns is null or f.copy_ns >= p.t_ns)
), turns as (
    select d.run, d.number, any_value(d.token) as token, any_value(d.size) as size,
           any_value(d.p95_ns) as then_ns, any_value(d.recipient) as recipient,
           any_value(d.there_ns) as there_ns, min(r.begin_ns) as turn_ns
    from due d join (from receipts semi join due using (message)) r using (message)
    where r.canary is null and not r.observed_after and r.end_ns >= d.t_ns
    group by d.run, d.number, message
)
"""

# One row per message of the first class and replay: how many of the backlog passed it, surely and perhaps.
PASSED = f"""
with {_REPLAYS}, steps as (
    select run, number, begin_ns, cast(sum(count(*)) over told as bigint) as up_to
    from replayed group by run, number, begin_ns
    window told as (partition by run, number order by begin_ns)
), bounds as (
    -- Strictly after `since` and before `until`; perhaps between the wider ones.
    select *, there_ns + $apart + $error as since, turn_ns - $apart - 2 * $error as until,
           there_ns + $apart - $error as wide_since, turn_ns - $apart + 2 * $error as wide_until
    from turns
)
select b.run, b.number, b.size, b.then_ns, b.token, b.recipient, b.there_ns, b.turn_ns,
       greatest(0, coalesce(u.up_to, 0) - coalesce(s.up_to, 0)) as passed,
       greatest(0, coalesce(wu.up_to, 0) - coalesce(ws.up_to, 0)) as perhaps
from bounds b
asof left join steps s on s.run = b.run and s.number = b.number and s.begin_ns <= b.since
asof left join steps u on u.run = b.run and u.number = b.number and u.begin_ns < b.until
asof left join steps ws on ws.run = b.run and ws.number = b.number and ws.begin_ns <= b.wide_since
asof left join steps wu on wu.run = b.run and wu.number = b.number and wu.begin_ns < b.wide_until
"""

# One row per replay with somebody to judge: who was passed, and the waits' 95th percentiles.
JUDGED = f"""
select p.number, any_value(r.release) as release, any_value(p.size) as size, count(*) as judged,
       count(*) filter (p.passed > 0) as passed, count(*) filter (p.perhaps > 0) as perhaps,
       max(p.passed) as most, quantile_disc(greatest(0, p.turn_ns - p.there_ns), 0.95) as first_ns,
       any_value(p.then_ns) as then_ns
from ({PASSED}) p join releases r using (run, number)
group by p.run, p.number order by p.number
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    [(spread_ns,)] = con.execute(
        "select coalesce(max(delay_ns), 0) from route_delays where run = ?", [run]
    ).fetchall()
    timed = {
        "run": run,
        "first": params.first,
        "then": params.then,
        "lead": LEAD_NS,
        "apart": params.grace + spread_ns,
        "error": ground.error_ns,
    }
    [(releases,)] = con.execute("select count(*) from releases where run = ?", [run]).fetchall()
    replays = con.execute(JUDGED, timed).fetchall()
    judged, passed, perhaps = (sum(row[column] for row in replays) for column in (3, 4, 5))
    shares = [_Share(row, spread_ns + 2 * ground.error_ns) for row in replays]
    highest = max(shares, key=lambda share: share.middle, default=None)
    if params.ratio is None:
        failed, unclear = passed > 0, perhaps > passed
        summary = (
            f"{passed:,} of {count_of(judged, f'{params.first} message')} were passed by a backlog of "
            f"{params.then}"
        )
        formula = (
            f"no attempt for the backlog of {params.then} begins more than {seconds(params.grace):g} s after "
            f"a {params.first} message was there and more than that before its turn"
        )
    else:
        failed = any(share.lo > params.ratio for share in shares)
        unclear = any(share.lo <= params.ratio < share.hi for share in shares)
        summary = (
            f"nothing of {params.first} was there while a backlog of {params.then} was replayed"
            if highest is None
            else f"{params.first} waited {highest.middle:.2f} times as long as a backlog of {params.then}, "
            f"{params.ratio:g} allowed"
        )
        formula = f"p95(waits of {params.first}) ÷ p95(waits of the backlog of {params.then}) ≤ ratio"
    verdict, reason = conclude(
        failed=failed,
        counted=judged,
        nothing="there was no release: no switch, no fault's end, no resume, no approval"
        if not releases
        else f"no {params.first} message was there while a backlog of {params.then} was replayed",
        doubts=[
            ground.exposure_reason(),
            ground.gap_reason(),
            f"receipts of {', '.join(sorted(ground.read_back_routes))} have no exact times"
            if ground.read_back_routes
            else "",
            "clock errors and injected delays hide the order" if unclear else "",
        ],
    )
    return Finding(
        check="priority",
        verdict=verdict,
        summary=summary,
        numbers={
            "replays": len(replays),
            "backlog": sum(row[2] for row in replays),
            "judged": judged,
            "passed": passed,
            "passed_by_most": max((row[6] for row in replays), default=0),
            "first_wait_s_p95": None if highest is None else seconds(highest.first_ns),
            "then_wait_s_p95": None if highest is None else seconds(highest.then_ns),
            "ratio": None if highest is None else round(highest.middle, 6),
        },
        formula=formula,
        error=f"{clock_error(ground.error_ns)}; injected delay up to {seconds(spread_ns):g} s",
        counted=judged,
        offenders=_offenders(history, params, timed, shares) if failed else [],
        reason=reason,
    )


class _Share:
    """How long the first class waited in one replay, as a share of the backlog's wait; an interval."""

    def __init__(self, row: tuple[Any, ...], error_ns: int) -> None:
        number, release, *_, self.first_ns, self.then_ns = row
        self.subject = f"release {number} ({release})"
        self.middle = _ratio(self.first_ns, self.then_ns)
        self.lo = _ratio(self.first_ns - error_ns, self.then_ns + error_ns)
        self.hi = _ratio(self.first_ns + error_ns, self.then_ns - error_ns)


def _ratio(part_ns: int, whole_ns: int) -> float:
    """What did not wait at all is taken for a nanosecond."""
    return part_ns / max(1, whole_ns)


def _offenders(
    history: History, params: Params, timed: dict[str, Any], shares: list[_Share]
) -> list[Offender]:
    if params.ratio is not None:
        broken = sorted((s for s in shares if s.lo > params.ratio), key=lambda share: -share.middle)
        return [
            Offender(
                subject=share.subject,
                why=f"95 % of {params.first} had their turn within {seconds(share.first_ns):.3f} s, "
                f"95 % of the backlog of {params.then} within {seconds(share.then_ns):.3f} s",
                cause="waited too long",
            )
            for share in broken[:MAX_OFFENDERS]
        ]
    rows = history.con.execute(
        f"select token, recipient, passed, turn_ns - there_ns, number from ({PASSED}) where passed > 0 "
        "order by passed desc, turn_ns - there_ns desc, token limit $most",
        timed | {"most": MAX_OFFENDERS},
    ).fetchall()
    return [
        Offender(
            token=token,
            recipient=recipient,
            why=f"waited {seconds(wait_ns):.3f} s for its turn after release {number}, "
            f"while {count_of(by, 'message')} of {params.then} went first",
            cause="passed by the backlog",
        )
        for token, recipient, by, wait_ns, number in rows
    ]
