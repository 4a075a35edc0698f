"""Analytics: every event that a provider had to tell reached the system in the end, also those of a gap.

How well that can be told depends on what the system says. Where its states name the events that it knows of,
message by message, those decide, however it learnt of them: one that was lost on its way and asked for later
is known, one that was answered 2xx and thrown away is not. Some call a soft bounce a deferral: known(e) ⇔
e ∈ names, or e = bounced, deferred ∈ names, and no `deferred` was to be told of that message. What only says
that a message was taken has a word of each provider's own, and is left out. Else a signal `events_seen`, the
number of events that the system has taken note of, must come to as many as there were, of every kind and with
those of the baseline, however it learnt of them; one that it counts twice hides one that it lost. Else the
provider's word is all there is: which events were answered 2xx, and which it gave up.

It proves that the system knows of the events, or, by the provider's word alone, that it was told; not what it
makes of them. Inconclusive: no event was to be told, states or signal that could not be read, or do not speak
of every message, events that came through after the last reading, a fault that was never met, or records
missing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from harness.checks.ending import states_unread
from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import conclude, count_of, grounds
from harness.checks.params import CheckParams
from harness.history.store import History

SIGNAL = "events_seen"


class Kind(StrEnum):
    """What becomes of a message, in the words that all providers' events are recorded in."""

    DEFERRED = "deferred"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    DROPPED = "dropped"


class Params(CheckParams):
    """`analytics: all`, or `{at_most_lost: 3, events: [delivered, bounced]}`."""

    WORDS: ClassVar = {"all": {}}

    at_most_lost: Annotated[int, Field(strict=True, ge=0)] = 0
    """So many events may never reach the system."""
    events: tuple[Kind, ...] = ()
    """Only these; empty: all of them, and without states whatever else the provider tells."""


# One row per event. `known` is null where the states say nothing of its message. What some call a soft
# bounce is a deferral to others, unless there was a deferral besides; an SMS is to somebody else than its
# message, so that is known by its token. `run` null asks for all runs.
EVENTS = """
with told as not materialized (
    select e.*, f.message, f.events_known as names, f.state_read_ns
    from events e join fates f
      on f.run = e.run and f.token = e.token
         and (e.recipient is null or f.rkey = lower(e.recipient) or not contains(e.recipient, '@'))
    where e.kind = 'provider.event' and e.webhook <> 'none' and e.canary is null and not f.baseline
      and ($run is null or e.run = $run)
)
select run, token, recipient, event, route, t_ns as at_ns, webhook = 'late' as late,
       webhook = 'lost' as lost, coalesce(delay_ns, 0) as delay_ns,
       list_contains(names, event)
           or event = 'bounced' and list_contains(names, 'deferred')
              and message not in (select message from told where event = 'deferred') as known,
       state_read_ns < t_ns as after_reading
from told where len($events) = 0 or list_contains($events, event)
"""

# How each judges: null is not to be told. What was given up was given up by the end, whenever that was noted.
_JUDGED = {
    "states": "case when known then 'reached' when known is null then 'unsaid' when lost then 'lost' "
    "when after_reading then 'open' else 'thrown away' end",
    "signal": "case when lost then 'lost' else 'reached' end",
    "answers": "case when lost then 'lost' else 'reached' end",
}
_HOW = {
    "states": "by the system's states",
    "signal": f"by the signal {SIGNAL}",
    "answers": "by the provider's word alone",
}


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    how = _how(history, run)
    kinds = params.events or (tuple(Kind) if how == "states" else ())
    values = {"run": run, "events": [kind.value for kind in kinds]}
    rows = con.execute(
        f"select {_JUDGED[how]} as fate, count(*), count(*) filter (late) from ({EVENTS}) group by fate",
        values,
    ).fetchall()
    counts = {str(fate): int(count) for fate, count, _ in rows}
    total, late = sum(counts.values()), sum(int(row[2]) for row in rows)
    lost, thrown_away, uncounted = counts.get("lost", 0), counts.get("thrown away", 0), ""
    if how == "signal":
        lost, thrown_away, uncounted = _uncounted(history, run, values, lost)
    missing = lost + thrown_away
    open_ = counts.get("open", 0) + counts.get("unsaid", 0)
    doubts = [ground.exposure_reason(), ground.gap_reason(), uncounted]
    doubts.append(states_unread(history, run))
    if missing + open_ > params.at_most_lost:
        doubts += [
            f"{count_of(counts['open'], 'event')} came through after the states had been read"
            if counts.get("open")
            else "",
            f"the system's states say nothing of {count_of(counts['unsaid'], 'event')}"
            if counts.get("unsaid")
            else "",
        ]
    verdict, reason = conclude(
        failed=missing > params.at_most_lost,
        counted=total,
        nothing="no event was to be told to the system",
        doubts=doubts,
    )
    return Finding(
        check="analytics",
        verdict=verdict,
        summary=f"{missing:,} of {count_of(total, 'event')} never reached the system, {_HOW[how]}",
        numbers={
            "events": total,
            "missing": missing,
            "allowed": params.at_most_lost,
            "lost_on_their_way": lost,
            "thrown_away": thrown_away,
            "late": late,
            "after_the_last_reading": counts.get("open", 0),
            "unsaid": counts.get("unsaid", 0),
            "judged_by": how,
        },
        formula="events that a provider tells, and the system never knew of, ≤ allowed",
        error="none: events are counted, not timed",
        counted=total,
        offenders=_offenders(history, how, values) if missing > params.at_most_lost else [],
        reason=reason,
    )


def _how(history: History, run: str) -> str:
    ((by_states, by_signal),) = history.con.execute(
        "select bool_or(events_known is not null), bool_or(signal = $signal) from events "
        "where run = $run and kind in ('system.state', 'signal')",
        {"run": run, "signal": SIGNAL},
    ).fetchall()
    return "states" if by_states else "signal" if by_signal else "answers"


def _uncounted(history: History, run: str, values: dict[str, Any], lost: int) -> tuple[int, int, str]:
    """Of how many it certainly knows nothing, lost and thrown away; and why that cannot be told in full.

    The count is of all kinds: by so many as others were told of, what is short may be theirs.
    """
    ((events, others, number, stale),) = history.con.execute(
        """
        with told as (
            select count(*) as events,
                   count(*) filter (len($events) > 0 and not list_contains($events, event)) as others,
                   max(t_ns) filter (webhook <> 'lost') as last_ns from events
            where run = $run and kind = 'provider.event' and webhook <> 'none' and canary is null
              and token is not null
        ), seen as (
            select last(number order by t_ns, seq) as number, max(t_ns) as read_ns from readings
            where run = $run and signal = $signal
        )
        select t.events, t.others, s.number, s.read_ns < t.last_ns from told t, seen s
        """,
        values | {"signal": SIGNAL},
    ).fetchall()
    if number is None:
        return lost, 0, f"the last reading of {SIGNAL} is no number"
    short = int(events - number)
    if short > lost and stale:
        return lost, 0, f"events came through after the last reading of {SIGNAL}"
    certain = max(0, short - int(others))
    unsure = f"{SIGNAL} does not tell which kinds of events it counts" if certain < short else ""
    return min(lost, certain), max(0, certain - lost), unsure


def _offenders(history: History, how: str, values: dict[str, Any]) -> list[Offender]:
    rows = history.con.execute(
        f"select token, recipient, event, route, fate, delay_ns from (select *, {_JUDGED[how]} as fate "
        f"from ({EVENTS})) where fate in ('lost', 'thrown away') "
        "order by fate = 'lost', delay_ns desc, at_ns, token, event, route limit $most",
        values | {"most": MAX_OFFENDERS},
    ).fetchall()
    return [
        Offender(
            token=token,
            recipient=recipient,
            why=f"the system never knew that it was {event} on {route}: "
            + (
                f"given up after {delay_ns / 1e9:.1f} s"
                if fate == "lost"
                else f"it was told, {delay_ns / 1e9:.1f} s after it happened, and said yes"
            ),
            cause=f"{event}, {fate}",
        )
        for token, recipient, event, route, fate, delay_ns in rows
    ]
