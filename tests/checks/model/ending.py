"""What was said without a reason, and how still it was at the end: false alarms, quiescence."""

from __future__ import annotations

from harness.history import events as ev
from tests.checks.model.record import Record, truth_of


def false_alarms(run: Record, grace: int) -> list[tuple[str | None, int, int]]:
    """(route, lo, hi) of each alarm that no fault explains."""
    return sorted(
        (
            (edge.route, edge.lo, edge.hi)
            for edge in run.edges
            if edge.signal == "detected"
            and edge.rising
            and edge.lo <= run.watch_end
            and not _explained(run, edge.route, edge.lo, edge.hi, grace)
        ),
        key=lambda alarm: (alarm[2], alarm[0] or ""),
    )


def _explained(run: Record, route: str | None, lo: int, hi: int, grace: int) -> bool:
    return any(
        (fault.route is None or route is None or fault.route == route)
        and hi >= fault.on_lo
        and lo <= fault.off_hi + grace
        for fault in run.faults
        if not fault.aside
    )


def unreadable(run: Record, grace: int) -> int:
    """Readings that made no sense, for too long, at times at which an alarm would have been a false one."""
    readings = [r for r in run.of(ev.Signal) if r.signal == "detected" and r.t_ns <= run.watch_end]
    found = 0
    for route in {reading.route for reading in readings}:
        mine = [reading for reading in readings if reading.route == route]
        sensible = [reading.t_ns for reading in mine if truth_of(reading.value) is not None]
        for reading in mine:
            if truth_of(reading.value) is None:
                since = max((at for at in sensible if at < reading.t_ns), default=mine[0].t_ns)
                until = min((at for at in sensible if at > reading.t_ns), default=run.watch_end)
                unexplained = not _explained(run, route, reading.t_ns, reading.t_ns, grace)
                found += until - since > grace and unexplained
    return found


def silence(run: Record) -> tuple[int, int] | None:
    """(since anything moved, since the system was left alone) at the end; None: nothing was offered."""
    if not run.messages:
        return None
    offered = [min(offer.t_ns for offer in offers) for offers in run.messages.values()]
    offered += [at for token in run.messages if (at := run.accepted_at(token)) is not None]
    left_alone = max(offered + [fault.off_hi for fault in run.faults])
    moved = [receipt.end_ns for receipt in run.receipts if receipt.canary is None]
    return run.watch_end - max([left_alone, *moved]), run.watch_end - left_alone


def missing(run: Record) -> dict[str, int]:
    """How many numbers each provider's record lacks."""
    numbers: dict[str, set[int]] = {}
    for event in run.events:
        if getattr(event, "n", None) is not None:
            numbers.setdefault(event.source, set()).add(event.n)
    return {source: max(ns) - len(ns) for source, ns in numbers.items() if max(ns) > len(ns)}
