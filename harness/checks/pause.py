"""Pause: while a class of mail is paused, no attempt is made for it.

A pause begins with an operator's `pause`, or the signal `paused` (`from: operator`), or with the detection of
a fault on a route that mail usually takes, by the baseline (`from: detection`). An operator's begins with his
request or command, so `grace` has to last for what that takes. The signal names no class: it is about any
that is asked for. A pause ends with the first `resume` or `approve` that is about the class, with `paused`
(that of its route or of none, where it began on a route) or that detection turned off, or with the record. An
attempt counts, refused ones too, if it began more than `grace` after the pause, and before its end; times of
providers are widened by their clock error, and by the delay that a fault puts on the route, so what was under
way by then is no offence.

It proves what reached the providers. It cannot see attempts that nobody received, and says nothing of mail
without a message's token, nor of what goes by SMS or as a note in place of mail. Inconclusive: nobody
paused, nothing of the class was there to be sent meanwhile, pauses no longer than `grace`,
receipts that were read back without exact times, records missing or cut, or a signal that began the pause
and made no sense just before each attempt.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from pydantic import Field

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, count_of, grounds, seconds
from harness.checks.params import CheckParams
from harness.checks.units import NS_PER_S, Duration
from harness.history.store import History


class PausedBy(StrEnum):
    OPERATOR = "operator"
    DETECTION = "detection"


class Params(CheckParams):
    """`pause: marketing`, or `{class: marketing, from: detection, grace: 2s}`."""

    TEXT: ClassVar = "class"

    class_: str = Field(alias="class")
    """Whose mail is paused."""
    from_: PausedBy = Field(default=PausedBy.OPERATOR, alias="from")
    """By an operator's word, or by the detection of a fault."""
    grace: Duration = 2 * NS_PER_S
    """How long after the pause began an attempt may still begin."""


NEVER = 2**63 - 1
"""After every time there is: the largest that the history can hold."""

# The pauses that are about the class. `run` null asks for all runs at once. Of those that began alike none
# ends before an earlier one, so the last that began before an instant is the one that lasts longest.
PAUSED = """
select run, number, signal, coalesce(route, '') as of_route, begin_hi, begin_hi + $grace as from_ns, end_ns,
       dense_rank() over (order by run, signal, route) as kind
from pauses($class) where began_by = $by and ($run is null or run = $run)
"""

# One row per receipt of an attempt that began in a pause. `blurred`: the last answer before it made no sense.
OFFENCES = f"""
with paused as ({PAUSED}), kinds as (
    select run, signal, of_route, kind, min(from_ns) as first_ns, max(coalesce(end_ns, {NEVER})) as last_ns
    from paused group by run, signal, of_route, kind
), tried as (
    -- What lies before all pauses or after them is left out first: the asof join puts the rest in order.
    select r.run, r.seq, r.source, r.attempt, r.token, r.recipient, r.route, r.result, r.begin_ns,
           r.begin_ns - r.error_ns - coalesce(d.delay_ns, 0) as earliest_ns,
           r.begin_ns + r.error_ns as latest_ns, k.signal, k.of_route, k.kind
    from receipts r
    join kinds k on k.run = r.run and r.begin_ns > k.first_ns and r.begin_ns < k.last_ns
    left join route_delays d on d.run = r.run and d.route = r.route
    where r.class = $class and not r.baseline and r.canary is null and not r.observed_after
), within_pause as (
    select t.*, p.begin_hi
    from tried t asof join paused p on p.kind = t.kind and t.earliest_ns > p.from_ns
    where p.end_ns is null or t.latest_ns < p.end_ns
), answers as (
    select run, signal, coalesce(route, '') as of_route, t_ns, truth from readings
)
select w.run, w.seq, any_value(w.token) as token, any_value(w.recipient) as recipient,
       any_value(w.route) as route, any_value(w.result) as result, any_value(w.source) as source,
       any_value(w.attempt) as attempt, any_value(w.begin_ns) as begin_ns, min(w.begin_hi) as paused_ns,
       bool_and(a.t_ns is not null and a.truth is null) as blurred
from within_pause w asof left join answers a
  on a.run = w.run and a.signal = w.signal and a.of_route = w.of_route and a.t_ns <= w.begin_ns
group by w.run, w.seq
"""

# What was there to be sent while it was paused, after the grace: not refused, nor taken, nor expired by then.
IN_PLAY = f"""
with paused as (from ({PAUSED}) where end_ns is null or end_ns > from_ns), kinds as (
    select run, kind, min(from_ns) as first_ns, max(coalesce(end_ns, {NEVER})) as last_ns
    from paused group by run, kind
), there as (
    select f.run, f.message, f.scheduled_ns, k.kind,
           coalesce(least(coalesce(f.copy_ns, f.taken_ns, f.fallback_taken_ns), f.expires_ns),
                    {NEVER}) as until_ns
    from fates f join kinds k on k.run = f.run and f.scheduled_ns < k.last_ns
    where f.class = $class and not f.baseline and f.result <> 'refused' and until_ns > k.first_ns
)
select t.run, count(distinct t.message)
from there t asof join paused p on p.kind = t.kind and t.until_ns > p.from_ns
where p.end_ns is null or t.scheduled_ns < p.end_ns
group by t.run
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    timed = {"run": run, "class": params.class_, "by": params.from_.value, "grace": params.grace}
    [(pauses, open_)] = con.execute(
        f"select count(*), count(*) filter (end_ns is null) from ({PAUSED})", timed
    ).fetchall()
    in_play = sum(messages for _, messages in con.execute(IN_PLAY, timed).fetchall())
    # Where no attempt is certain, all that there are were blurred.
    [(attempts, messages, perhaps)] = con.execute(
        "select count(distinct (source, attempt)) filter (not blurred), count(distinct token) filter "
        f"(not blurred), count(*) from ({OFFENCES})",
        timed,
    ).fetchall()
    kind = f"{params.class_} message"
    verdict, reason = conclude(
        failed=attempts > 0,
        counted=in_play,
        nothing="nobody paused anything, and the system did not say that it was paused"
        if not pauses and params.from_ is PausedBy.OPERATOR
        else "nothing was detected on a route that mail usually takes"
        if not pauses
        else f"no {kind} was there to be sent while they were paused",
        doubts=[
            ground.gap_reason(),
            f"receipts of {', '.join(sorted(ground.read_back_routes))} have no exact times"
            if ground.read_back_routes
            else "",
            f"the signal made no sense before {count_of(perhaps, 'attempt')}" if perhaps else "",
            "the record ends in a pause" if open_ and not ground.finished else "",
        ],
    )
    return Finding(
        check="pause",
        verdict=verdict,
        summary=f"{count_of(attempts, 'attempt was', 'attempts were')} made for {params.class_} while paused"
        if attempts
        else f"no attempt was made for {params.class_} in {count_of(pauses, 'pause')}"
        if pauses
        else "there was no pause",
        numbers={
            "pauses": pauses,
            "in_play": in_play,
            "attempts": attempts,
            "messages": messages,
            "grace_s": seconds(params.grace),
        },
        formula=f"no attempt for {params.class_} begins later than {seconds(params.grace):g} s after a pause "
        f"by {params.from_} and before its end",
        error=clock_error(ground.error_ns),
        counted=in_play,
        offenders=_offenders(history, timed) if attempts else [],
        reason=reason,
    )


def _offenders(history: History, timed: dict[str, Any]) -> list[Offender]:
    """Attempts in a pause, in order."""
    rows = history.con.execute(
        "select token, recipient, route, result, begin_ns - paused_ns "
        f"from ({OFFENCES}) where not blurred order by begin_ns, seq limit $most",
        timed | {"most": MAX_OFFENDERS},
    ).fetchall()
    return [
        Offender(
            token=token,
            recipient=recipient,
            why=f"tried by {route}, {seconds(after_ns):.3f} s after the pause began: {result}",
            cause=f"{result} while paused",
        )
        for token, recipient, route, result, after_ns in rows
    ]
