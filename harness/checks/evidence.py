"""What the mail can tell of an incident: whether any was there to be late, by exact times, on a usual route.

The checks of time ask it where no signal tells them what happened. Where it can tell nothing, they have
measured nothing.
"""

from __future__ import annotations

from harness.checks.incidents import Incident
from harness.history.store import History

# How many messages there were to tell an impact by, of each incident. What was suppressed from the start was
# not there to be late. `run` null asks for all runs at once.
WATCHED = """
select i.run, i.incident, count(f.token)
from incidents i left join fates f
  on f.run = i.run and ($run is null or f.run = $run) and f.class = 'transactional'
     and f.within_ns is not null and not f.baseline
     and f.scheduled_ns <= i.off_hi and (f.copy_ns is null or f.copy_ns >= i.on_lo)
     and (f.suppressed_ns is null or f.suppressed_ns > f.scheduled_ns and f.suppressed_ns >= i.on_lo)
where $run is null or i.run = $run group by i.run, i.incident
"""

# Whether any of them was read back. `run` null asks for all runs at once.
READ_BACK = """
select run, bool_or(observed_after) from fates
where not baseline and class = 'transactional' and ($run is null or run = $run) group by run
"""


def watched(history: History, run: str) -> dict[str, int]:
    """By the incident's name."""
    rows = history.con.execute(WATCHED, {"run": run}).fetchall()
    return {str(incident): int(count) for _, incident, count in rows}


def read_back_reason(history: History, run: str) -> str:
    rows = history.con.execute(READ_BACK, {"run": run}).fetchall()
    blurred = any(after for _, after in rows)
    return "copies were read back from the provider, without exact times" if blurred else ""


def usual_routes(history: History, run: str) -> set[str]:
    rows = history.con.execute("select route from usual_routes where run = ?", [run]).fetchall()
    return {str(route) for (route,) in rows}


def left_the_usual(incident: Incident, usual: set[str]) -> bool:
    """Whether copies elsewhere are news: mail would take one of these routes if nothing were wrong."""
    return not usual or bool(usual.intersection(incident.routes))
