"""What the end of a run lets checks conclude: was it quiet, and are the system's states known?

What is missing from a run that was not quiet may still come, and a state that was not read may be any. Each
function returns a reason for people, empty where there is none.
"""

from __future__ import annotations

from harness.checks.grounds import seconds
from harness.history.store import History


def restless(history: History, run: str) -> str:
    """Why something may still move after the end of the record; empty where the run was quiet."""
    row = history.con.execute(
        "select quiet, quiet_ns, needed_ns, queue_depth from quiescence where run = ?", [run]
    ).fetchone()
    if row is None:
        return "no message was submitted"
    quiet, quiet_ns, needed_ns, depth = row
    if quiet:
        return ""
    if needed_ns is None:
        return "the system's longest retry interval is not known, so they may still come"
    if depth:
        return f"the system's queue still held {depth:.0f} at the end, so they may still come"
    if quiet_ns >= needed_ns:
        return "the last reading of the system's queue made no sense, so they may still come"
    return (
        f"the last {seconds(quiet_ns):.1f} s were quiet where {seconds(needed_ns):.1f} s are needed, "
        "so they may still come"
    )


def states_unread(history: History, run: str) -> str:
    """Why nobody knows what the system says of its messages."""
    rows = history.con.execute(
        "select cast(detail ->> '$' as varchar) from events "
        "where run = ? and warning = 'states-unreadable' order by seq",
        [run],
    ).fetchall()
    return f"what the system holds could not be read ({rows[0][0]})" if rows else ""
