"""Suppression: who was refused for good, bounced or complained is not written to again, by any route.

A refusal counts where it is about the recipient: an HTTP provider's refusal of the message, or in SMTP
5.1.0 to 5.1.6, 5.1.10 or 5.2.1 (RFC 3463, RFC 7505: address, mailbox), 5.4.1 (Exchange Online's word for an
unknown recipient), or a bare 550, 551 or 553. A refusal of a login, a sender (5.1.7, 5.1.8) or a quota is the
route's, and another route may have the message. A refusal counts from when its answer can have arrived, after
the delay that a fault puts on its route; for his other messages 100 ms later: they may be under way. A bounce
or complaint counts from when its event had reached the system, plus `grace`. What began by then is excused.

It proves what the providers saw. It cannot judge what the system was never told: an event that was lost, or
that nobody posts. Inconclusive: nobody was refused, bounced or complained, or records are missing.
"""

from __future__ import annotations

from typing import ClassVar

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import clock_error, conclude, count_of, grounds, seconds
from harness.checks.params import CheckParams
from harness.checks.units import NS_PER_S, Duration
from harness.history.store import History


class Params(CheckParams):
    """`suppression: kept`, or with a grace of your own: `{grace: 5s}`."""

    WORDS: ClassVar = {"kept": {}}

    grace: Duration = NS_PER_S
    """How long after an event has arrived an attempt may still begin."""


UNDER_WAY_NS = 100_000_000

# One row per attempt at a recipient who was not to be tried again. `run` null asks for all runs at once.
# Nothing of the refused message itself was under way: it was its answer that was waited for.
TRIED_AGAIN = """
select r.run, r.token, r.recipient, r.route, r.begin_ns, u.why, u.route as by_route, u.at_ns
from unwanted u join receipts r on r.run = u.run and r.rkey = u.rkey
left join route_delays d on d.run = u.run and d.route = u.route
where r.canary is null and ($run is null or r.run = $run)
  and r.begin_ns - r.error_ns > u.at_ns + u.error_ns
      + case when u.told then $grace
             else coalesce(d.delay_ns, 0) + case when r.token = u.token then 0 else $under_way end end
order by r.run, r.begin_ns, r.seq
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    ((counted,),) = con.execute("select count(*) from unwanted where run = ?", [run]).fetchall()
    asked = {"run": run, "grace": params.grace, "under_way": UNDER_WAY_NS}
    rows = con.execute(TRIED_AGAIN, asked).fetchall()
    recipients = len({recipient.lower() for _, _, recipient, *_ in rows})
    elsewhere = sum(1 for _, _, _, route, _, _, by_route, _ in rows if route != by_route)
    verdict, reason = conclude(
        failed=bool(rows),
        counted=counted,
        nothing="nobody was refused for good, bounced or complained",
        doubts=[ground.gap_reason()],
    )
    summary = (
        f"{count_of(recipients, 'recipient was', 'recipients were')} tried again after a final no"
        if rows
        else f"{count_of(counted, 'recipient', 'recipients')} with a final no, none tried again"
    )
    return Finding(
        check="suppression",
        verdict=verdict,
        summary=summary,
        numbers={
            "unwanted": counted,
            "tried_again": recipients,
            "attempts": len(rows),
            "on_another_route": elsewhere,
        },
        formula="no attempt at a recipient begins later than the injected delay after a refusal for good "
        f"(another message: + {seconds(UNDER_WAY_NS):g} s), or later than {seconds(params.grace):g} s after "
        "the event of a bounce or complaint had arrived",
        error=clock_error(ground.error_ns),
        counted=counted,
        offenders=[
            Offender(
                token=token,
                recipient=recipient,
                why=f"{why} on {by_route}, and tried on {route} {(begin_ns - at_ns) / 1e9:.3f} s later",
                cause=why,
            )
            for _, token, recipient, route, begin_ns, why, by_route, at_ns in rows[:MAX_OFFENDERS]
        ],
        reason=reason,
    )
