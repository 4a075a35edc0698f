"""Delivered: nothing that was submitted got lost.

Per message, the first that holds: a copy arrived (stale if after its `expires`) · a copy for another channel,
an SMS or a note in the application, was taken: by fallback · it bounced · the system refused every offer:
undelivered · the system suppressed it · it expired · the system gave it back to its sender, by a notice that
a provider took: returned · it is held, and its fate is unknown to the system, so holding is right · the
system never gave a clear answer: unknown · else it was accepted and is missing. Missing is lost when the run
was quiet at its end (no receipt for twice the longest retry interval, queue empty) and no record is missing;
otherwise it may still come, and that is inconclusive. What a provider took and dropped is missing too.
Undelivered and returned fail as lost ones do: the sender knows, the customer has nothing. Stale or not is
undecided where the driver offered a message late, or its one offer was answered late, and the system may have
counted from then; so it is of one that was offered past its time.

It proves what the providers took, not what they deliver later. A hold is valid only where the history shows
that the acknowledgement was lost, the body aborted, or a kill met the attempt, or that the answer came while
the system was paused or parted from its routes, or that a request could vanish before anybody read it: in a
blackhole, by a cut, at its head. A restart excuses no hold: a system that is asked to end can wait for the
answers it is owed. A request that vanished in a blackhole without trace does not show, and stays within what
`held_at_most` would otherwise have allowed.
"""

from __future__ import annotations

from typing import ClassVar

from harness.checks.ending import restless, states_unread
from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, count_of, grounds
from harness.checks.params import CheckParams
from harness.checks.units import Share
from harness.history.store import History


class Params(CheckParams):
    """`delivered: all`, or `{at_least: 99.9%}`."""

    WORDS: ClassVar = {"all": {}}

    at_least: Share = 1.0
    """So many of the messages must have arrived or be accounted for."""
    held_at_most: Share = 0.01
    """So many may be held, for good reason, without a copy."""


# One row per message with its fate. `run` null asks for all runs at once. The system was told of an
# expiry with an offer: it may count from as late as that came, and one past its time is no fault of its.
FATES = """
with told as (
    select *, case when first_offer_ns < expires_ns
                   then expires_ns + greatest(0, first_offer_ns - scheduled_ns, accepted_ns - scheduled_ns)
              end as good_until_ns
    from fates where not baseline and ($run is null or run = $run)
)
select f.run, f.token, f.recipient, f.rkey, f.stream, f.class, f.copy_ns, f.expires_ns, f.state,
       f.unknown_fate, f.attempts, f.dropped, f.accepted_ns,
       case
           when f.copy_ns - f.error_ns > f.good_until_ns then 'stale'
           when f.copy_ns + f.error_ns > f.expires_ns then 'perhaps stale'
           when f.copy_ns is not null then 'arrived'
           when f.fallback_ns - f.fallback_error_ns > f.good_until_ns then 'stale'
           when f.fallback_ns + f.fallback_error_ns > f.expires_ns then 'perhaps stale'
           when f.fallback_ns is not null then 'by fallback'
           when f.bounced or f.fallback_bounced then 'bounced'
           when f.result = 'refused' then 'undelivered'
           when f.state = 'suppressed' then 'suppressed'
           when f.expires_ns <= r.watch_end_ns and coalesce(f.state, 'expired') = 'expired' then 'expired'
           when f.returned then 'returned'
           when f.state = 'held' and f.unknown_fate is not null then 'held'
           when f.result = 'indeterminate' then 'unknown'
           else 'missing'
       end as fate
from told f join runs r using (run)
"""

_WHY = {
    "missing": "accepted by the system, and no provider ever took it",
    "undelivered": "the system refused it to the end",
    "returned": "the system gave it up, and told its sender so",
    "stale": "arrived after it had expired",
}


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    counts = dict(con.execute(f"select fate, count(*) from ({FATES}) group by fate", {"run": run}).fetchall())
    total = sum(counts.values())
    moving, unread = restless(history, run), states_unread(history, run)
    certain = not moving and not ground.gaps and not unread
    missing = counts.get("missing", 0)
    bad = sum(counts.get(fate, 0) for fate in ("undelivered", "returned", "stale")) + (
        missing if certain else 0
    )
    open_ = (0 if certain else missing) + counts.get("unknown", 0) + counts.get("perhaps stale", 0)
    allowed = (1 - params.at_least) * total + 1e-9
    held = counts.get("held", 0)
    held_too_many = held > params.held_at_most * total + 1e-9
    doubts = [ground.exposure_reason()]
    if held_too_many and not certain:
        doubts.append(
            f"{count_of(held, 'message is', 'messages are')} held, more than allowed, "
            f"but {ground.gap_reason() or unread or moving}"
        )
    if bad + open_ > allowed:
        doubts += [
            f"{count_of(missing, 'message is', 'messages are')} missing, "
            f"but {ground.gap_reason() or unread or moving}"
            if missing and not certain
            else "",
            f"{count_of(counts['unknown'], 'message')} got no clear answer from the system"
            if counts.get("unknown")
            else "",
            f"{count_of(counts['perhaps stale'], 'message')} arrived too close to the expiry to tell, "
            "or had been offered too late"
            if counts.get("perhaps stale")
            else "",
        ]
    verdict, reason = conclude(
        failed=bad > allowed or (held_too_many and certain),
        counted=total,
        nothing="no message was submitted",
        doubts=doubts,
    )
    lost = missing if certain else 0
    return Finding(
        check="delivered",
        verdict=verdict,
        summary=_summary(total, lost, 0 if certain else missing, counts, held_too_many),
        numbers={
            "messages": total,
            "arrived": counts.get("arrived", 0) + counts.get("stale", 0) + counts.get("perhaps stale", 0),
            "by_fallback": counts.get("by fallback", 0),
            "lost": lost,
            "missing": missing,
            "undelivered": counts.get("undelivered", 0),
            "returned": counts.get("returned", 0),
            "held": held,
            "stale": counts.get("stale", 0),
            "bounced": counts.get("bounced", 0),
            "suppressed": counts.get("suppressed", 0),
            "expired": counts.get("expired", 0),
            "unknown": counts.get("unknown", 0),
            "quiet": "no" if moving else "yes",
        },
        formula="accepted ⇒ copy by any channel, bounce, suppression, expiry or valid hold at quiescence",
        error=clock_error(ground.error_ns) + " (only expiries are timed)",
        counted=total,
        offenders=_offenders(history, run, held_too_many),
        reason=reason,
    )


def _summary(total: int, lost: int, missing: int, counts: dict[str, int], held_too_many: bool) -> str:
    parts = []
    if lost:
        parts.append(f"{lost:,} of {count_of(total, 'message')} were lost")
    if missing:
        parts.append(f"{missing:,} of {count_of(total, 'message')} are missing")
    if counts.get("undelivered"):
        parts.append(f"the system refused {counts['undelivered']:,} to the end")
    if counts.get("returned"):
        parts.append(f"{counts['returned']:,} were given back to their sender")
    if counts.get("stale"):
        parts.append(f"{counts['stale']:,} arrived after their expiry")
    if held_too_many:
        parts.append(f"{counts['held']:,} are held without a copy, more than allowed")
    if parts:
        return ", ".join(parts)
    kept = ", ".join(
        f"{counts[fate]:,} {fate}"
        for fate in ("by fallback", "bounced", "suppressed", "expired", "held", "unknown")
        if counts.get(fate)
    )
    return f"0 of {count_of(total, 'message')} were lost" + (f" ({kept})" if kept else "")


def _offenders(history: History, run: str, held_too_many: bool) -> list[Offender]:
    bad = ["missing", "undelivered", "returned", "stale", *(["held"] if held_too_many else [])]
    rows = history.con.execute(
        f"select token, recipient, fate, state, attempts, dropped, unknown_fate, accepted_ns, "
        "(select min(k.t_ns) from restarts k where k.run = f.run and k.t_ns > f.accepted_ns) as killed_ns "
        f"from ({FATES}) f where list_contains($bad, fate) "
        "order by list_position($bad, fate), accepted_ns, token limit $most",
        {"run": run, "bad": bad, "most": MAX_OFFENDERS},
    ).fetchall()
    found = []
    for token, recipient, fate, state, attempts, dropped, unknown_fate, _, killed_ns in rows:
        why = _WHY.get(fate, f"held, because of: {unknown_fate}")
        cause = fate
        if fate == "missing":
            if state is not None:
                why += f"; the system says it is {state}"
            cause = (
                "dropped by the provider"
                if dropped
                else "held though its fate is known"
                if state == "held"
                else "never attempted, accepted before a restart"
                if not attempts and killed_ns is not None
                else "never attempted"
                if not attempts
                else "attempted without success"
            )
        found.append(Offender(token=token, recipient=recipient, why=why, cause=cause))
    return found
