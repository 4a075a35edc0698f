"""Unexpected: every copy is of a message that was submitted, and its body is the one that was submitted.

It proves that each hand-off's token and recipient belong together and were offered to the system. A body
counts as changed where its nonce is missing; where not even the healthy baseline's bodies kept theirs, the
system rewrites bodies as a rule and nothing is said about them. It cannot see changes that leave the nonce
in place. Inconclusive: no hand-offs, or records missing.
"""

from __future__ import annotations

from typing import ClassVar

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import conclude, count_of, grounds
from harness.checks.params import CheckParams
from harness.history.store import History


class Params(CheckParams):
    """`unexpected: none`; there is nothing to set."""

    WORDS: ClassVar = {"none": {}}


# One row per hand-off that is not right. `run` null asks for all runs at once.
UNEXPECTED = """
with keeps as (
    select run, bool_or(nonce) as keeps_nonce from handoffs where baseline group by run
)
select h.run, h.seq, h.token, h.recipient, h.provider, h.route, h.end_ns,
       case when not h.known then 'unexpected' else 'changed' end as what
from handoffs h left join keeps k using (run)
where (not h.known or (not h.baseline and h.nonce = false and coalesce(k.keeps_nonce, true)))
  and ($run is null or h.run = $run)
order by h.run, h.end_ns, h.seq
"""


def evaluate(history: History, run: str, params: Params) -> Finding:
    con = history.con
    ground = grounds(history, run)
    ((counted, keeps_nonce),) = con.execute(
        "select count(*) filter (not baseline), bool_or(nonce) filter (baseline) from handoffs where run = ?",
        [run],
    ).fetchall()
    rows = con.execute(UNEXPECTED, {"run": run}).fetchall()
    unexpected = sum(1 for *_, what in rows if what == "unexpected")
    changed = len(rows) - unexpected
    bodies = "; bodies are rewritten even in the baseline and were not judged" if keeps_nonce is False else ""
    verdict, reason = conclude(
        failed=bool(rows), counted=counted, nothing="no message arrived at all", doubts=[ground.gap_reason()]
    )
    summary = (
        f"{count_of(unexpected, 'copy was', 'copies were')} never submitted, "
        f"{count_of(changed, 'body', 'bodies')} changed"
        if rows
        else "nothing arrived that was not sent, and nothing was changed" + bodies
    )
    return Finding(
        check="unexpected",
        verdict=verdict,
        summary=summary,
        numbers={"handoffs": counted, "unexpected": unexpected, "changed": changed},
        formula="each hand-off's (token, recipient) was submitted, and its body carries the token's nonce",
        error="none: receipts are matched, not timed",
        counted=counted,
        offenders=[
            Offender(
                token=token,
                recipient=recipient,
                why=f"{provider} took it by {route}, and nobody submitted it"
                if what == "unexpected"
                else f"{provider} took it by {route} with its body changed: the nonce is missing",
                cause=what,
            )
            for _, _, token, recipient, provider, route, _, what in rows[:MAX_OFFENDERS]
        ],
        reason=reason,
    )
