"""Cost: no message takes more attempts than allowed, however many layers repeat it.

A client library that repeats by itself, a retry of the system's own, a failover and a fallback channel
multiply: three of each are more than thirty attempts for one message. Every record of a provider that names
the message counts: taken, refused, aborted, answered as a repetition by its idempotency key. What is beyond
the first is split by how it follows the attempt before it: by the same call of a client library, where the
protocol shows that (`sdk_retry`); on the same route; on another route; or it went by a fallback channel.

It proves what the providers saw of each message. It cannot see an attempt that reached nobody, as in an
outage, nor tell whose an attempt was that was refused before it named anybody, at its login: those are
counted beside, with the system's own probes among them. Inconclusive: no attempt named any message, a fault
that was never met, or records missing.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import conclude, count_of, grounds
from harness.checks.params import CheckParams
from harness.history.store import History


class Params(CheckParams):
    """`cost: 3`, or `{attempts_per_message: 3, on_average: 1.2}`."""

    COUNT: ClassVar = "attempts_per_message"

    attempts_per_message: Annotated[int, Field(strict=True, ge=1)]
    """So many may be made of any one message, by all routes together."""
    on_average: Annotated[float, Field(ge=1)] | None = None
    """So many may be made in the mean over all messages that were attempted."""


# One row per message that was attempted. `run` null asks for all runs at once.
ATTEMPTS = """
with beside as (
    select run, token, count(*) as attempts from receipts
    where known and scheduled_ns is null and canary is null and notice is null group by run, token
)
select f.run, f.token, f.recipient, f.rkey, f.attempts + coalesce(b.attempts, 0) as attempts,
       coalesce(b.attempts, 0) as by_fallback
from fates f left join beside b using (run, token)
where not f.baseline and f.attempts + coalesce(b.attempts, 0) > 0 and ($run is null or f.run = $run)
"""

# One row per attempt by mail beyond a message's first, with what it follows.
REPEATS = """
with calls as (
    select run, seq, sdk_retry from events where kind = 'receipt' and sdk_retry is not null
), several as (
    select message from fates where attempts > 1 and not baseline and ($run is null or run = $run)
), numbered as (
    select r.run, r.token, r.rkey, r.route, c.sdk_retry, lag(r.route) over told as before_route,
           lag(c.sdk_retry) over told as before_call, row_number() over told as i
    from receipts r join several s using (message)
    left join calls c on c.run = r.run and c.seq = r.seq
    where r.canary is null
    window told as (partition by message order by r.begin_ns, r.end_ns, r.seq)
)
select run, token, rkey,
       case when route <> before_route then 'failover'
            when sdk_retry = before_call then 'sdk retry'
            else 'same route' end as cause
from numbered where i > 1
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    counted, attempts, worst, too_many, by_fallback = _one_row(
        history,
        "select count(*), coalesce(sum(attempts), 0), coalesce(max(attempts), 0), "
        f"count(*) filter (attempts > $allowed), coalesce(sum(by_fallback), 0) from ({ATTEMPTS})",
        {"run": run, "allowed": params.attempts_per_message},
    )
    causes = dict(
        con.execute(f"select cause, count(*) from ({REPEATS}) group by cause", {"run": run}).fetchall()
    )
    (unnamed,) = _one_row(
        history,
        "select count(*) from receipts where run = $run and token is null and canary is null",
        {"run": run},
    )
    mean = attempts / counted if counted else 0.0
    too_dear = params.on_average is not None and mean > params.on_average + 1e-9
    verdict, reason = conclude(
        failed=too_many > 0 or too_dear,
        counted=counted,
        nothing="no attempt named any message",
        doubts=[ground.exposure_reason(), ground.gap_reason()],
    )
    return Finding(
        check="cost",
        verdict=verdict,
        summary=f"at most {count_of(worst, 'attempt')} of one message, {mean:.2f} in the mean over "
        f"{count_of(counted, 'message')}; {params.attempts_per_message} allowed",
        numbers={
            "messages": counted,
            "attempts": attempts,
            "attempts_per_message_max": worst,
            "attempts_per_message_mean": round(mean, 6),
            "allowed": params.attempts_per_message,
            "too_many": too_many,
            "sdk_retries": causes.get("sdk retry", 0),
            "retries_on_the_same_route": causes.get("same route", 0),
            "failovers": causes.get("failover", 0),
            "by_fallback": by_fallback,
            "without_a_message": unnamed,
        },
        formula="attempts per message, over all routes, ≤ allowed",
        error=f"{count_of(unnamed, 'attempt')} that named no message, as refused logins, are not counted"
        if unnamed
        else "none: receipts are counted, not timed",
        counted=counted,
        offenders=_offenders(history, run, params.attempts_per_message) if too_many else [],
        reason=reason,
    )


def _one_row(history: History, query: str, values: dict[str, Any]) -> tuple[int, ...]:
    row = history.con.execute(query, values).fetchone()
    return tuple(int(value) for value in row or ())


def _offenders(history: History, run: str, allowed: int) -> list[Offender]:
    rows = history.con.execute(
        f"""
        with worst as (
            select * from ({ATTEMPTS}) where attempts > $allowed
            order by attempts desc, token, rkey limit $most
        ), split as (
            select token, rkey, count(*) filter (cause = 'sdk retry') as sdk,
                   count(*) filter (cause = 'same route') as same,
                   count(*) filter (cause = 'failover') as over
            from ({REPEATS}) semi join worst using (token, rkey) group by token, rkey
        )
        select w.token, w.recipient, w.attempts,
               coalesce(s.sdk, 0), coalesce(s.same, 0), coalesce(s.over, 0),
               case when w.attempts = w.by_fallback then w.by_fallback - 1 else w.by_fallback end
        from worst w left join split s using (token, rkey) order by w.attempts desc, w.token, w.rkey
        """,
        {"run": run, "allowed": allowed, "most": MAX_OFFENDERS},
    ).fetchall()
    words = ("by the client library", "on the same route", "on another route", "by a fallback channel")
    found = []
    for token, recipient, attempts, *split in rows:
        parts = [f"{count} {how}" for count, how in zip(split, words, strict=True) if count]
        found.append(
            Offender(
                token=token,
                recipient=recipient,
                why=f"{attempts} attempts; beyond the first, {', '.join(parts)}",
                cause=max(zip(split, words, strict=True), key=lambda each: each[0])[1],
            )
        )
    return found
