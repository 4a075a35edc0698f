"""Reconciliation: what the system says of its messages agrees with what the providers recorded.

Per message, by the last state that the system told of it: `sent` wants a hand-off; `failed`, `bounced`,
`expired` and `suppressed` want no copy; `held` is right only where the system cannot know the fate (an
acknowledgement lost, a body aborted, in flight at a kill, or a copy whose answer a fault kept back);
`pending` and `sending` are right until the run is quiet, and stuck from then on, or, with a copy, not known
as sent. What is not final (these, and `held`) is only of its reading: of what moved since it says nothing.
`sent` and given back or thrown away by the provider later agrees: the provider had said yes, and whether the
system learnt of the rest is for `analytics` to say. What went out by a fallback channel alone was sent.

It proves that two accounts agree at the end, not that they did so in between, and nothing of messages that
the system names in no state, or in a word of its own. Inconclusive: no state at all, states that could not be
read, or before the last thing moved, accepted messages without one, a run that was not quiet while something
waited, a fault that was never met, or records missing, without which a hand-off may only seem to be absent.
"""

from __future__ import annotations

from typing import ClassVar

from harness.checks.ending import restless, states_unread
from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, count_of, grounds
from harness.checks.params import CheckParams
from harness.history.store import History


class Params(CheckParams):
    """`reconciliation: agrees`; there is nothing to set."""

    WORDS: ClassVar = {"agrees": {}}


# One row per message that was accepted, or of which the system said something. `run` null asks for all runs.
ACCOUNTS = """
with stirred as (
    -- When mail last moved at all.
    select run, max(end_ns) as last_ns from receipts where canary is null group by run
), hidden as (
    -- Copies whose answer a fault may have kept from the system.
    select distinct c.run, c.token, c.rkey
    from fates m join copies c on c.run = m.run and c.token = m.token and c.rkey = m.rkey
    join faults f on f.run = c.run and (f.route = c.route or f.target = 'system') and not f.aside
         and f.on_lo <= c.end_ns + 100_000_000 and c.begin_ns <= f.off_hi + 100_000_000
    where m.state = 'held' and ($run is null or m.run = $run)
)
select m.run, m.token, m.recipient, m.state, m.attempts, m.copies, m.copy_route, m.scheduled_ns,
       case
           when m.state is null then 'unsaid'
           when m.state in ('held', 'pending', 'sending') and m.state_read_ns < s.last_ns
                then 'read too early'
           when m.state = 'sent' then
               case when m.taken_ns is null and m.fallback_taken_ns is null then 'sent without a copy'
                    when m.copies = 0 and m.fallback_ns is null then 'given back' else 'agree' end
           when m.state in ('failed', 'bounced') then
               case when m.copies > 0 or m.fallback_ns is not null then 'failed with a copy' else 'agree' end
           when m.state in ('expired', 'suppressed') then
               case when m.copies > 0 or m.fallback_ns is not null then 'copy not sent' else 'agree' end
           when m.state = 'held' then
               case when m.unknown_fate is not null or h.token is not null then 'held'
                    when m.copies > 0 then 'copy not sent' else 'held without need' end
           when m.state in ('pending', 'sending') then
               case when m.copies > 0 then 'copy not sent yet' else 'in between' end
           else 'other'
       end as account
from fates m left join hidden h using (run, token, rkey) left join stirred s using (run)
where not m.baseline and (m.result = 'accepted' or m.state is not null) and ($run is null or m.run = $run)
"""

_WAITING = ("copy not sent yet", "in between")
_EARLY = "states that are not final were read before the mail had stopped moving"
_WHY = {
    "failed with a copy": "the system says {state}, and {copy_route} took it",
    "sent without a copy": "the system says {state}, and no provider ever took it",
    "copy not sent": "the system says {state}, and {copy_route} took it",
    "copy not sent yet": "the system still says {state} at the end, and {copy_route} took it",
    "in between": "the system still says {state} at the end, with nothing under way",
    "held without need": "held, though nothing kept its fate from the system",
}


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    moving, unread = restless(history, run), states_unread(history, run)
    rows = con.execute(
        f"select account, count(*) from ({ACCOUNTS}) group by account", {"run": run}
    ).fetchall()
    counts = {str(account): int(count) for account, count in rows}
    early = counts.get("read too early", 0)
    judged = sum(counts.values()) - counts.get("unsaid", 0) - counts.get("other", 0) - early
    bad = ["failed with a copy", "copy not sent"]
    if not ground.gaps:
        bad += ["sent without a copy", "held without need"]
    if not moving:
        bad += _WAITING
    contradictions = sum(counts.get(account, 0) for account in bad)
    waiting = sum(counts.get(account, 0) for account in _WAITING)
    verdict, reason = conclude(
        failed=contradictions > 0,
        counted=judged,
        nothing=unread
        or (
            _EARLY
            if early
            else "the states that the system tells are none of those that can be judged"
            if counts.get("other")
            else "the system told no state of any message"
        ),
        doubts=[
            ground.exposure_reason(),
            ground.gap_reason(),
            unread,
            f"{_EARLY}, of {count_of(early, 'message')}" if early else "",
            f"the system told no state of {count_of(counts['unsaid'], 'message')} it had accepted"
            if counts.get("unsaid")
            else "",
            f"the system told a state of its own of {count_of(counts['other'], 'message')}"
            if counts.get("other")
            else "",
            f"{count_of(waiting, 'message')} still waited, but {moving}" if waiting and moving else "",
        ],
    )
    return Finding(
        check="reconciliation",
        verdict=verdict,
        summary=f"the system and its providers disagree on {contradictions:,} of "
        f"{count_of(judged, 'message')}"
        if contradictions
        else f"the system and its providers agree on {count_of(judged, 'message')}",
        numbers={
            "judged": judged,
            "agree": counts.get("agree", 0) + counts.get("given back", 0),
            "sent_and_given_back": counts.get("given back", 0),
            "sent_without_copy": counts.get("sent without a copy", 0),
            "copy_not_sent": counts.get("copy not sent", 0) + counts.get("copy not sent yet", 0),
            "failed_with_copy": counts.get("failed with a copy", 0),
            "stuck": counts.get("in between", 0),
            "held": counts.get("held", 0),
            "held_without_need": counts.get("held without need", 0),
            "unsaid": counts.get("unsaid", 0),
            "other": counts.get("other", 0),
            "read_too_early": early,
            "quiet": "no" if moving else "yes",
        },
        formula="sent ⇔ copy, failed ⇒ no copy, held ⇒ fate unknown, nothing in between at quiescence",
        error=clock_error(ground.error_ns) + " (states are compared at the end, not timed)",
        counted=judged,
        offenders=_offenders(history, run, bad) if contradictions else [],
        reason=reason,
    )


def _offenders(history: History, run: str, bad: list[str]) -> list[Offender]:
    rows = history.con.execute(
        f"select token, recipient, account, state, coalesce(copy_route, 'a fallback channel') "
        f"from ({ACCOUNTS}) where list_contains($bad, account) "
        "order by list_position($bad, account), scheduled_ns, token limit $most",
        {"run": run, "bad": bad, "most": MAX_OFFENDERS},
    ).fetchall()
    return [
        Offender(
            token=token,
            recipient=recipient,
            why=_WHY[account].format(state=state, copy_route=route),
            cause="stuck" if account == "in between" else account.removesuffix(" yet"),
        )
        for token, recipient, account, state, route in rows
    ]
