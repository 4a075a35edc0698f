"""Fallback: a message that is too late by mail goes out by another channel in time.

A message is due by the fallback once it has been overdue for `after` (from its schedule and its stream's
`within` on; from its first offer, where the driver was late with that) without a copy by mail. Then a
provider on `route` must have taken it no later than `within` after that: an SMS, a note in the application,
known by the token, whoever of its recipients it is for. Or `route` leads to a status page, which is for
everybody: then it must tell of something that the system announced when the message is due, or no later than
`within` after that. A copy by mail in that time, a valid hold, its expiry and a bounce end the need; who is
suppressed has none. A hand-off before it was due is in time, and counted as early.

It proves that a provider took the message, not that it was read, nor that the channel was the right one for
its customer; and of a status page that it told of something, not of what. Inconclusive: no message was due,
a fault that was never met, records missing, receipts without exact times, a margin within the clocks' error,
or a need that came too shortly before the end of the record.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, count_of, grounds, seconds
from harness.checks.params import CheckParams
from harness.checks.units import Duration
from harness.history.store import History


class Params(CheckParams):
    """`fallback: {after: 30s, within: 10s, route: sms}`."""

    after: Duration
    """How long a message may be overdue by mail before it is due by the fallback."""
    within: Annotated[Duration, Field(gt=0)]
    """How much later, at the most, the fallback has it."""
    route: str | None = None
    """The fallback's. By default whichever goes to somebody who is no mail address; a page must be named."""
    class_: str = Field(default="transactional", alias="class")
    """Whose messages."""


# One row per message that was due by the fallback, with what became of it. `run` null asks for all runs.
DUE = """
with channel as (
    select run, token, min(end_ns) filter (result in ('accepted', 'ack-lost')) as at_ns,
           arg_min(error_ns, (end_ns, seq)) filter (result in ('accepted', 'ack-lost')) as channel_error_ns,
           count(*) as attempts,
           coalesce(arg_min(route, (end_ns, seq)) filter (result in ('accepted', 'ack-lost')),
                    arg_min(route, (end_ns, seq))) as route
    from receipts
    where known and canary is null and notice is null and ($run is null or run = $run)
      and case when $route is null then scheduled_ns is null else route = $route end
    group by run, token
), page as (
    select a.run, a.from_ns, a.until_ns, a.error_ns,
           coalesce(a.until_ns + a.error_ns, r.watch_end_ns) as perhaps_until_ns
    from announcements a join runs r using (run) where a.route = $route
), asked as (
    select run, token, recipient, greatest(scheduled_ns, first_offer_ns) as begun_ns,
           begun_ns + coalesce(within_ns, 0) + $after as due_ns,
           case when copy_route is distinct from $route then copy_ns end as mail_ns, error_ns,
           held_ns, expires_ns, case when bounced then taken_ns end as bounced_ns
    from fates
    where not baseline and result = 'accepted' and class = $class and state is distinct from 'suppressed'
      and ($run is null or run = $run)
), needs as (
    select a.*, a.due_ns + $within as until_ns, least(mail_ns, held_ns, expires_ns, bounced_ns) as ended_ns,
           r.watch_end_ns
    from asked a join runs r using (run)
    where due_ns < watch_end_ns and (ended_ns is null or ended_ns - a.error_ns > due_ns)
), reached as (
    -- Of a status page the first span that is not surely over by then; it may be over all the same.
    select n.*, coalesce(c.at_ns, p.from_ns) as at_ns,
           coalesce(c.channel_error_ns, p.error_ns) as channel_error_ns, c.attempts, c.route,
           p.run is not null as announced,
           coalesce(p.until_ns - p.error_ns <= n.due_ns, false) as perhaps_over
    from needs n left join channel c on c.run = n.run and c.token = n.token
    asof left join page p on p.run = n.run and n.due_ns < p.perhaps_until_ns
)
select *,
       case
           when at_ns + channel_error_ns <= until_ns and not perhaps_over then 'in time'
           when ended_ns + error_ns <= until_ns then 'ended'
           when at_ns - channel_error_ns <= until_ns or ended_ns - error_ns <= until_ns then 'perhaps late'
           when at_ns is not null then 'late'
           when watch_end_ns < until_ns then 'open'
           else 'missing'
       end as fate
from reached
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    ground = grounds(history, run)
    values: dict[str, Any] = {
        "run": run,
        "route": params.route,
        "class": params.class_,
        "after": params.after,
        "within": params.within,
    }
    rows = history.con.execute(
        "select fate, count(*), count(*) filter (at_ns < due_ns and not announced), "
        "count(*) filter (at_ns is not null and mail_ns is not null and not announced), "
        f"max(at_ns - due_ns) from ({DUE}) group by fate",
        values,
    ).fetchall()
    counts = {str(fate): int(count) for fate, count, *_ in rows}
    bad = ["late"] if ground.gaps else ["missing", "late"]
    failed = sum(counts.get(fate, 0) for fate in bad)
    due = sum(counts.values()) - counts.get("ended", 0)
    where = _where(history, run, params.route)
    worst_ns = max((worst for *_, worst in rows if worst is not None), default=None)
    doubts = [
        ground.exposure_reason(),
        ground.gap_reason(),
        f"{count_of(counts['perhaps late'], 'message')} went out too close to the limit to tell"
        if counts.get("perhaps late")
        else "",
        f"the record ends before {count_of(counts['open'], 'message')} had to be out"
        if counts.get("open")
        else "",
    ]
    if ground.read_back_routes:
        doubts.append(f"receipts of {', '.join(sorted(ground.read_back_routes))} have no exact times")
    verdict, reason = conclude(
        failed=failed > 0 and not ground.read_back_routes,
        counted=due,
        nothing=f"no {params.class_} message was so late by mail that it had to go out {where}",
        doubts=doubts,
    )
    return Finding(
        check="fallback",
        verdict=verdict,
        summary=f"{counts.get('in time', 0):,} of {count_of(due, 'message')} that mail could not carry in "
        f"time went out {where} within {seconds(params.within):g} s",
        numbers={
            "due": due,
            "in_time": counts.get("in time", 0),
            "late": counts.get("late", 0),
            "missing": counts.get("missing", 0),
            "early": sum(int(row[2]) for row in rows),
            "also_by_mail": sum(int(row[3]) for row in rows),
            "by_mail_after_all": counts.get("ended", 0),
            "after_due_s_max": None if worst_ns is None else seconds(max(0, worst_ns)),
        },
        formula=f"no copy by offer + within + {seconds(params.after):g} s ⇒ out {where} within "
        f"{seconds(params.within):g} s",
        error=clock_error(ground.error_ns),
        counted=due,
        offenders=_offenders(history, values, bad, where) if failed else [],
        reason=reason,
    )


def _where(history: History, run: str, route: str | None) -> str:
    if route is None:
        return "by another channel"
    is_page = history.con.execute(
        "select count(*) from runs where run = ? and list_contains(routes_without_mail, ?)", [run, route]
    ).fetchall() == [(1,)]
    return f"on {route}" if is_page else f"by {route}"


def _offenders(history: History, values: dict[str, Any], bad: list[str], where: str) -> list[Offender]:
    rows = history.con.execute(
        "select token, recipient, fate, coalesce('by ' || route, $where), attempts, "
        f"at_ns - until_ns, until_ns - begun_ns from ({DUE}) where list_contains($bad, fate) "
        "order by list_position($bad, fate), at_ns - until_ns desc, begun_ns, token limit $most",
        values | {"bad": bad, "where": where, "most": MAX_OFFENDERS},
    ).fetchall()
    found = []
    for token, recipient, fate, where, attempts, late_ns, allowed_ns in rows:
        if fate == "late":
            why, cause = f"out {where} {late_ns / 1e9:.3f} s too late", "too late"
        elif attempts:
            why = f"{count_of(attempts, 'attempt')} {where}, and none was taken"
            cause = "tried in vain"
        else:
            why = f"neither by mail nor {where} {allowed_ns / 1e9:.1f} s after it was offered"
            cause = "never tried"
        found.append(Offender(token=token, recipient=recipient, why=why, cause=cause))
    return found
