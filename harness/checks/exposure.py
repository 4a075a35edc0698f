"""Exposure: did the system under test meet every fault at all?

A fault that nobody met proves nothing, whatever else was fine. For each fault there must be messages in
play (scheduled while it lasted, or waiting when it began) and one of:

- attempts on the faulted route while it was broken. Where the provider plays the fault itself, only those
  that it marked with it; where the way is cut or leads elsewhere, those that were not plainly accepted and
  that no other fault hit; where it merely delays, any;
- a detection signal for that route, turned on during the fault, or a switch away from it: the system had
  decided not to try;
- transactional messages scheduled during the fault that became overdue: an outage, a blackhole, a cut or a
  certificate hides attempts from the provider, but not their effect;
- messages scheduled during an outage that waited and went out by that route after it, with the route
  silent in between.

For a fault of the system itself (a kill), messages in play are enough. For one on an endpoint that mail
needs beside the route's own, such as a token service, an attempt is a request there that met the fault, or
one on the route that was refused for want of a login: what was got before and still holds hides the fault.
For one on the way of events back, there must be events on their way while it lasted, and one that did not
get through at once; where the fault merely delays, any. One that acts on what was taken (a bounce, events
that are lost or late) shows in the events of messages that were taken meanwhile. A fault on a route that
carries no mail, and what a status page says, is not asked about. The harness's and the system's canaries
count for nothing. It cannot prove how hard the system was hit. It never fails: lack of exposure is
inconclusive, here and, if no fault of an incident was met, in every check that depends on it.
"""

from __future__ import annotations

from typing import ClassVar

from harness.checks.finding import MAX_OFFENDERS, Finding, Offender
from harness.checks.grounds import conclude, count_of
from harness.checks.params import CheckParams
from harness.history.store import History


class Params(CheckParams):
    """`exposure: required`; there is nothing to set."""

    WORDS: ClassVar = {"required": {}}


def evaluate(history: History, run: str, params: Params) -> Finding:
    rows = history.con.execute(
        "select fault, type, target, in_play, attempts, detected, switched, overdue, waited, exposed "
        "from exposures where run = ? order by fault",
        [run],
    ).fetchall()
    unmet = [row for row in rows if not row[-1]]
    exposed = len(rows) - len(unmet)
    reason = "; ".join(_why(row) for row in unmet)
    nothing = "no fault was put in place on which mail or its events depend"
    verdict, why = conclude(failed=False, counted=len(rows), nothing=nothing, doubts=[reason])
    summary = (
        nothing
        if not rows
        else "the system met every fault"
        if not unmet
        else f"the system met {exposed} of {count_of(len(rows), 'fault')}"
    )
    return Finding(
        check="exposure",
        verdict=verdict,
        summary=summary,
        numbers={"faults": len(rows), "exposed": exposed},
        formula="in play ∧ (attempt on the broken route ∨ detected ∨ switched ∨ overdue ∨ waited), per fault",
        error="times of providers are widened by their clock error",
        counted=len(rows),
        offenders=[Offender(subject=f"fault {row[0]}", why=_why(row)) for row in unmet][:MAX_OFFENDERS],
        reason=why,
    )


def _why(row: tuple[object, ...]) -> str:
    fault, type_, target, in_play = row[:4]
    name = f"{type_} on {target} ({fault})"
    events = str(target).endswith(".events")
    if not in_play:
        return f"no {'event was on its way' if events else 'message was scheduled or waiting'} during {name}"
    return f"nothing shows that any of {in_play} {'events' if events else 'messages in play'} met {name}"
