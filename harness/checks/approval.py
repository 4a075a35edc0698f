"""Approval: what had to wait leaves only after a person has approved it, but for `at_most` messages.

Mail waits because of an incident that began on a route it usually takes, by the baseline, or of an operator's
pause (his word, or the signal `paused`). A message waited if it was due 1 s before the incident or pause was
over, and nothing of it left for 1 s of it, plus the delay that a fault puts on the routes. What leaves first,
by mail or another channel, must not leave before the first `approve` after the beginning of each that it
waited in, nor must the mail where that leaves later; an approval that was given before does not count, nor
one about another class. Where nobody ever approves, nothing that waited may leave. What a provider took and
then bounced or dropped has left as well.

It proves the order of hand-offs and approvals, by the providers' receipts. It cannot tell why a message
waited: a campaign that is merely slow waits, too. Nor does it see incidents of a route that only campaigns
take. Nothing waited is a pass: there was nothing to approve, and it says so. Inconclusive: no incident and no
pause, no mail of the class, a fault that was never met, copies without exact times, records missing or cut,
a clock error that hides which came first, or mail that left before and that the system never said clearly
whether it took: such mail did not surely wait.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, count_of, grounds, seconds
from harness.checks.params import CheckParams
from harness.checks.waves import LEAD_NS
from harness.history.store import History


class Params(CheckParams):
    """`approval: marketing`, or `{class: marketing, at_most: 5}`: a few may go ahead, to try the route."""

    TEXT: ClassVar = "class"

    class_: str = Field(alias="class")
    """Whose mail waits for an approval."""
    at_most: Annotated[int, Field(strict=True, ge=0)] = 0
    """So many messages may leave without."""


# One row per leaving of a message that waited: whether it was before its approval, surely and perhaps;
# left_ns null: nothing left. What leaves first counts, and its mail where that leaves later: of a message
# that went to a phone in time the mail is waiting still. `run` null asks for all runs at once.
# Of each line of stops the last that it can have waited in decides. Those that it left before the approval of
# have the same one: between the first of them and its leaving nobody approved anything.
WAITED = """
with stopped as (
    from stops($class) where until_ns >= begin_hi + $lead and ($run is null or run = $run)
), lines as (
    select distinct run, line from stopped
), spread as (
    select run, max(delay_ns) as delay_ns from route_delays group by run
), gone as (
    select run, message, observed_after, scheduled_ns, copy_ns, copy_route, fallback_ns, fallback_route,
           least(taken_ns, fallback_taken_ns) as first_ns, coalesce(copy_ns, taken_ns) as mail_ns,
           result = 'accepted' as accepted
    from fates where class = $class and not baseline and result <> 'refused'
), leaving as (
    select *, unnest(case when mail_ns > first_ns then [first_ns, mail_ns] else [first_ns] end) as left_ns
    from gone
), due as (
    select f.run, l.line, f.message, f.accepted, f.observed_after, f.scheduled_ns, left_ns,
           case left_ns when copy_ns then copy_route when fallback_ns then fallback_route end as route,
           left_ns - r.error_ns as earliest_ns,
           coalesce(left_ns + r.error_ns, 9223372036854775807) as latest_ns,
           $lead + coalesce(d.delay_ns, 0) as needed_ns
    from leaving f join runs r using (run) join lines l on l.run = f.run left join spread d on d.run = f.run
), judged as (
    select d.*, s.stop, s.begin_lo, s.approved_ns,
           s.stop is not null and d.scheduled_ns + $lead <= s.until_ns
               and d.earliest_ns >= d.scheduled_ns + d.needed_ns
               and (s.approved_ns is null or d.latest_ns < s.approved_ns) as before,
           p.approved_ns is null or d.earliest_ns < p.approved_ns as perhaps_before
    from due d
    asof join stopped p on p.run = d.run and p.line = d.line and d.latest_ns - d.needed_ns >= p.begin_hi
    asof left join stopped s
      on s.run = d.run and s.line = d.line and d.earliest_ns - d.needed_ns >= s.begin_hi
    where d.scheduled_ns + $lead <= p.until_ns and d.latest_ns >= d.scheduled_ns + d.needed_ns
)
select run, message, left_ns, any_value(route) as route, any_value(accepted) as accepted,
       any_value(observed_after) as observed_after, bool_or(before) as before,
       bool_or(perhaps_before) as perhaps_before, arg_max(stop, (begin_lo, stop)) filter (before) as stop,
       any_value(approved_ns) filter (before) as approved_ns
from judged group by run, message, left_ns
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    asked = {"run": run, "class": params.class_}
    timed = asked | {"lead": LEAD_NS}
    [(stops, unapproved)] = con.execute(
        "select count(*), count(*) filter (approved_ns is null) from stops($class) where run = $run",
        asked,
    ).fetchall()
    [(sent,)] = con.execute(
        "select count(*) from fates where run = $run and not baseline and class = $class "
        "and result <> 'refused'",
        asked,
    ).fetchall()
    [(waited, before, unclear, perhaps, read_back)] = con.execute(
        "select count(distinct message) filter (accepted), "
        "count(distinct message) filter (accepted and before and not observed_after), "
        "count(distinct message) filter (not accepted and before and not observed_after), "
        "count(distinct message) filter (left_ns is not null and perhaps_before), bool_or(observed_after) "
        f"from ({WAITED})",
        timed,
    ).fetchall()
    failed = before > params.at_most
    open_, hidden = perhaps > params.at_most, perhaps - before - unclear
    verdict, reason = conclude(
        failed=failed,
        counted=stops if sent else 0,
        nothing=f"no {params.class_} messages were accepted"
        if not sent
        else "no mail was stopped: no incident on a route that it usually takes, and no pause",
        doubts=[
            ground.exposure_reason(),
            ground.gap_reason(),
            "copies were read back from the provider, without exact times" if read_back else "",
            f"the clock error hides whether {count_of(hidden, 'message')} left before the approval"
            if open_ and hidden and not read_back
            else "",
            f"the system never said clearly whether it took {count_of(unclear, 'message')} that left before "
            "the approval"
            if open_ and unclear
            else "",
            "" if ground.finished or not unapproved else "the record ends before an approval",
        ],
    )
    return Finding(
        check="approval",
        verdict=verdict,
        summary=f"not needed: no {params.class_} messages had to wait"
        if not waited and not perhaps
        else f"no {params.class_} messages surely had to wait"
        if not waited
        else f"{before:,} of {waited:,} waiting {params.class_} messages left before an approval, "
        f"{params.at_most:,} allowed",
        numbers={
            "stops": stops,
            "without_approval": unapproved,
            "waited": waited,
            "left_before": before,
            "allowed": params.at_most,
        },
        formula=f"messages of {params.class_} that waited {seconds(LEAD_NS):g} s, and left before the first "
        "approval since the incident or pause ≤ at_most",
        error=clock_error(ground.error_ns),
        counted=waited,
        offenders=_offenders(history, timed) if failed else [],
        reason=reason,
    )


def _offenders(history: History, timed: dict[str, Any]) -> list[Offender]:
    """Those that surely left before their approval, in order."""
    rows = history.con.execute(
        f"select token, recipient, left_ns, route, stop, approved_ns from ({WAITED}) join messages "
        "using (message) where accepted and before and not observed_after "
        "qualify row_number() over (partition by message order by left_ns) = 1 "
        "order by left_ns, token limit $most",
        timed | {"most": MAX_OFFENDERS},
    ).fetchall()
    return [
        Offender(
            token=token,
            recipient=recipient,
            why=f"left{f' by {route}' if route else ''} after {stop}, "
            + (
                "which nobody ever approved"
                if approved_ns is None
                else f"{seconds(approved_ns - left_ns):.3f} s before the approval"
            ),
            cause="never approved" if approved_ns is None else "before the approval",
        )
        for token, recipient, left_ns, route, stop, approved_ns in rows
    ]
