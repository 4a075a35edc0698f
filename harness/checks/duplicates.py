"""Duplicates: nobody got a message twice, over all providers together.

A copy is a hand-off that was neither dropped nor bounced; the unit is (token, recipient): one by mail
and one by SMS have two recipients, and are no duplicate; two SMS are. Each extra copy is put down to a cause,
judged by the copy before it: its acknowledgement was lost; the system ended in between; a fault delayed it,
or kept its answer from a system that was paused or parted (a timeout); a fault ended in between (a replay);
else plainly the same route, or another one.

It proves what the providers took. It cannot see a provider that delivers one hand-off twice, and the cause
is what the history makes likely, not what went on inside the system. Inconclusive: no copies at all,
records missing, or a fault that was never met.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any, ClassVar

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import conclude, count_of, grounds
from harness.checks.params import CheckParams
from harness.checks.units import Share
from harness.history.store import History


class Cause(StrEnum):
    LOST_ACK = "lost-ack"
    RESTART = "restart"
    TIMEOUT = "timeout"
    REPLAY = "replay"
    SAME_ROUTE = "same-route"
    CROSS_ROUTE = "cross-route"


class Params(CheckParams):
    """`duplicates: none`, or `{at_most: 1%, only: lost-ack}` for a system that cannot do better."""

    WORDS: ClassVar = {"none": {}}

    at_most: Share = 0.0
    """So many of the messages that arrived may have arrived more than once."""
    only: Cause | tuple[Cause, ...] = ()
    """Only for this cause, or these; empty: whatever the cause."""

    def excuses(self, cause: str) -> bool:
        return not self.only or cause in ((self.only,) if isinstance(self.only, Cause) else self.only)


# One row per copy after the first. `run` null asks for all runs at once.
EXTRA_COPIES = """
with several as (
    -- Those with one copy need not be numbered, which is costly.
    select run, token, rkey from fates
    where copies > 1 and not baseline and ($run is null or run = $run)
    union all
    -- On another channel, whose recipients are no message's own.
    select run, token, rkey
    from copies anti join (select run, token from messages where baseline) using (run, token)
    where known and scheduled_ns is null and ($run is null or run = $run)
    group by run, token, rkey having count(*) > 1
), numbered as (
    select c.run, c.token, c.recipient, c.rkey, c.route, c.seq, c.begin_ns, c.end_ns, c.error_ns,
           row_number() over told as copy, lag(c.seq) over told as before_seq,
           lag(c.route) over told as before_route, lag(c.begin_ns) over told as before_begin_ns,
           lag(c.end_ns) over told as before_end_ns, lag(c.error_ns) over told as before_error_ns
    from copies c join several using (run, token, rkey)
    window told as (partition by run, token, rkey order by c.end_ns, c.seq)
)
select run, token, recipient, rkey, copy, before_route, route, before_end_ns, end_ns,
       case
           when exists (select 1 from lost_acks l where l.run = n.run and l.seq = n.before_seq)
                and begin_ns + error_ns >= before_end_ns - before_error_ns then 'lost-ack'
           when exists (select 1 from restarts k where k.run = n.run
                        and k.t_ns > n.before_begin_ns and k.t_ns < n.begin_ns) then 'restart'
           when exists (select 1 from faults f where f.run = n.run
                        and (f.target = n.before_route
                             and f.type in ('latency', 'blackhole', 'bandwidth', 'slice', 'slow-ack')
                             or f.type in ('pause', 'partition'))
                        and f.on_lo <= n.before_end_ns and f.off_hi >= n.before_begin_ns) then 'timeout'
           when exists (select 1 from incidents i where i.run = n.run
                        and n.before_end_ns < i.off_lo and i.off_lo <= n.begin_ns) then 'replay'
           when route = before_route then 'same-route'
           else 'cross-route'
       end as cause
from numbered n where copy > 1
order by run, token, rkey, copy
"""


def cause_words(cause: str, crossed: bool) -> str:
    """What a report calls it."""
    route = "cross-route" if crossed else "same route"
    match Cause(cause):
        case Cause.LOST_ACK:
            return f"{route} after a lost acknowledgement"
        case Cause.RESTART:
            return "after a restart"
        case Cause.TIMEOUT:
            return "after a timeout"
        case Cause.REPLAY:
            return "replay"
        case _:
            return route


def evaluate(history: History, run: str, params: Params) -> Finding:
    ground = grounds(history, run)
    ((messages, copies),) = history.con.execute(
        "select count(*), coalesce(sum(copies), 0) + (select count(*) from copies anti join "
        "(select run, token from messages where baseline) using (run, token) "
        "where run = $run and known and scheduled_ns is null) "
        "from fates where run = $run and not baseline and (copies > 0 or fallback_ns is not null)",
        {"run": run},
    ).fetchall()
    extra = history.con.execute(EXTRA_COPIES, {"run": run}).fetchall()
    causes = [(cause, cause_words(cause, before != route)) for *_, before, route, _, _, cause in extra]
    duplicated = len({(token, rkey) for _, token, _, rkey, *_ in extra})
    unwanted = [cause for cause, _ in causes if not params.excuses(cause)]
    too_many = duplicated > params.at_most * messages + 1e-9
    verdict, reason = conclude(
        failed=bool(unwanted) or too_many,
        counted=messages,
        nothing="no message arrived at all",
        doubts=[ground.exposure_reason(), ground.gap_reason()],
    )
    numbers: dict[str, float | int | str | None] = {
        "messages": messages,
        "duplicated": duplicated,
        "copies": int(copies),
        "duplicated_share": round(duplicated / messages, 6) if messages else 0.0,
    }
    split = Counter(words for _, words in causes)
    for words, count in sorted(split.items()):
        numbers[_key(words)] = count
    return Finding(
        check="duplicates",
        verdict=verdict,
        summary=f"{duplicated:,} of {count_of(messages, 'message')} arrived twice",
        numbers=numbers,
        formula="copies per (token, recipient) ≤ 1 over all providers",
        error="none: receipts are counted, not timed",
        counted=messages,
        offenders=_offenders(extra),
        reason=reason,
    )


def _key(words: str) -> str:
    """`cross-route after a lost acknowledgement` as the name of a number."""
    short = words.replace("a lost acknowledgement", "lost_ack").replace("a ", "")
    return short.replace("-", "_").replace(" ", "_")


def _offenders(extra: list[tuple[Any, ...]]) -> list[Offender]:
    by_message: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for row in extra:
        by_message.setdefault((row[1], row[3]), []).append(row)
    worst = sorted(by_message.values(), key=lambda rows: (-len(rows), rows[0][8]))[:MAX_OFFENDERS]
    found = []
    for rows in worst:
        _, token, recipient, _, _, before, route, before_ns, at_ns, cause = rows[0]
        later = (at_ns - before_ns) / 1e9
        found.append(
            Offender(
                token=token,
                recipient=recipient,
                why=f"{len(rows) + 1} copies: {before}, then {route} {later:.1f} s later",
                cause=cause_words(cause, before != route),
            )
        )
    return found
