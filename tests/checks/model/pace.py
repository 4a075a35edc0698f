"""How fast: throttle, switches, releases, waves."""

from __future__ import annotations

import bisect
import math
from fractions import Fraction

from harness.history import events as ev
from tests.checks.model.record import MS, Incident, Record, S


def attempts(run: Record, route: str) -> list[tuple[int, int, bool, int | None]]:
    """(begin, end, refused, retry after), by begin."""
    refusals = (ev.ReceiptResult.DEFERRED, ev.ReceiptResult.REFUSED)
    found = [
        (receipt.begin_ns, receipt.end_ns, receipt.result in refusals, receipt.retry_after_ns)
        for receipt in run.receipts
        if receipt.route == route
    ]
    return sorted(found, key=lambda attempt: attempt[0])


def peak(run: Record, route: str, rate: Fraction) -> Fraction | None:
    """The most that any stretch of attempts exceeds the rate by."""
    begins = [begin for begin, *_ in attempts(run, route)]
    return max(
        (
            (j - i + 1) - rate * Fraction(begins[j] - begins[i], S)
            for i in range(len(begins))
            for j in range(i, len(begins))
        ),
        default=None,
    )


def too_early(run: Record, route: str) -> int:
    found = attempts(run, route)
    grace = run.delay(route) + 100 * MS
    return sum(
        any(
            refused and patience is not None and end + grace < begin < end + patience
            for _, end, refused, patience in found
        )
        for begin, *_ in found
    )


def hardly_by_chance(run: Record, incident: Incident) -> int:
    """How many copies elsewhere in a row chance would bring about less than once in a thousand."""
    usual = [copy.route for copy in run.copies if copy.token in run.messages and not run.counted(copy.token)]
    others = sum(route not in incident.lead_routes for route in usual)
    chance = Fraction(others + 1, len(usual) + 2)
    return next(k for k in range(1, 10_000) if chance**k < Fraction(1, 1000))


def switches(run: Record) -> dict[str, tuple[int, int, int]]:
    """(its instant, how far clocks may err, how many copies it takes) of each incident with a switch."""
    return {
        incident.name: (at, run.error, hardly_by_chance(run, incident))
        for incident in run.incidents
        if (at := switch(run, incident)) is not None
    }


def switch(run: Record, incident: Incident) -> int | None:
    """The first of so many copies elsewhere in a row."""
    if not incident.routes:
        return None
    needed = hardly_by_chance(run, incident)
    in_a_row: list[int] = []
    for copy in run.copies:
        if not run.counted(copy.token) or not run.transactional(copy):
            continue
        if copy.end_ns < incident.on_lo or not incident.before_next(copy.end_ns):
            continue
        in_a_row = [] if copy.route in incident.lead_routes else [*in_a_row, copy.end_ns]
        if len(in_a_row) == needed:
            return in_a_row[0]
    return None


def releases(run: Record) -> list[int]:
    return [at for at, _ in named_releases(run)]


def named_releases(run: Record) -> list[tuple[int, str]]:
    words = ("resume", "approve", "switch")
    found = [(e.t_ns, str(e.action)) for e in run.of(ev.Operator) if e.action in words]
    found += [(edge.hi, "resume") for edge in run.edges if edge.signal == "paused" and not edge.rising]
    for incident in run.incidents:
        if incident.off_lo < run.watch_end:
            found.append((incident.off_lo, "fault off"))
        switched = switch(run, incident)
        if switched is not None:
            found.append((switched, "switch"))
    return sorted(found)


def left(run: Record, token: str) -> float:
    """When it waited no longer: its first copy, or, without any, the first time that it was taken."""
    taken = [receipt.end_ns for receipt in run.mail_of(run.handoffs, token)]
    if not taken:
        taken = [receipt.end_ns for receipt in run.beside(run.handoffs, token)]
    return min((copy.end_ns for copy in run.copies_of(token)), default=min(taken, default=math.inf))


def waves(run: Record, share: Fraction, every: int) -> list[tuple[int, int, int]]:
    """(backlog, the window that held the most too many, allowed in it) of each release that had a backlog."""
    spread = max((run.delay(fault.route) for fault in run.faults), default=0)
    length = every - max(math.ceil(Fraction(every, 20)), 100 * MS + spread)
    times = releases(run)
    backlogs = [
        {
            token: left(run, token)
            for token in run.tokens()
            if run.result(token) == "accepted"
            and run.messages[token][0].scheduled_ns + run.offered_late(token) <= at - S
            and left(run, token) >= at
        }
        for at in times
    ]
    owed: dict[str, int] = {}  # the largest backlog that each still waiting message was part of
    portions = []
    for backlog in backlogs:
        for token in backlog:
            owed[token] = max(owed.get(token, 0), len(backlog))
        portions.append(math.ceil(share * max((owed[token] for token in backlog), default=0)))
    found = []
    for backlog, portion, until in zip(backlogs, portions, [*times, math.inf][1:], strict=True):
        windows = []
        for begin in backlog.values():
            if begin >= until or length <= 0:
                continue
            held = [time for time in backlog.values() if begin <= time < begin + length]
            allowed = max(portions[bisect.bisect(times, time) - 1] for time in held)
            windows.append((len(held) - allowed, -begin, len(held), allowed))
        if backlog:
            *_, fullest, allowed = max(windows, default=(0, portion))
            found.append((len(backlog), fullest, allowed))
    return found
