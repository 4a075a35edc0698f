"""When each incident was met: impact, restored, drained, detected, acknowledged, switched, failed back."""

from __future__ import annotations

from dataclasses import dataclass

from tests.checks.model.mail import overdue, suppressed_since
from tests.checks.model.pace import switch
from tests.checks.model.record import Incident, Record, S

Stretch = tuple[int, int | None]


@dataclass(frozen=True)
class Instants:
    """Of one incident; None where it did not happen."""

    impact: int | None
    endless: bool
    restored: int | None
    any_overdue: bool
    never_drained: bool
    drained: int | None
    offered: tuple[int | None, int | None, bool, int | None]  # the same, of messages as they were offered
    detected: tuple[int, int] | None
    acknowledged: tuple[int, int] | None
    switched: int | None
    failed_back: int | None


def impacts(run: Record, at_least: int, *, as_offered: bool = False) -> list[Stretch]:
    """Maximal stretches with so many overdue at once; the end is None where it never came."""
    late = overdue(run)
    if as_offered:
        late = [
            (
                token,
                begins + run.offered_late(token),
                until and until - run.error * _by_a_provider(run, token),
            )
            for token, begins, until in late
        ]
    late = [(token, begins, until) for token, begins, until in late if until is None or until > begins]
    steps = sorted({at for _, begins, until in late for at in (begins, until) if at is not None})
    found: list[Stretch] = []
    begun: int | None = None
    for at in steps:
        now = sum(begins <= at and (until is None or at < until) for _, begins, until in late)
        if now >= at_least and begun is None:
            begun = at
        elif now < at_least and begun is not None:
            found.append((begun, at))
            begun = None
    return found if begun is None else [*found, (begun, None)]


def _by_a_provider(run: Record, token: str) -> bool:
    """Whether a provider's clock has its say in when a message was overdue last."""
    return bool(run.copies_of(token) or run.beside(run.copies, token) or suppressed_since(run, token))


def instants(run: Record, at_least: int) -> dict[str, Instants]:
    return {incident.name: _of(run, incident, at_least) for incident in run.incidents}


def watched(run: Record) -> dict[str, int]:
    """How many transactional messages with a time to keep were there to be late, of each incident."""
    return {
        incident.name: sum(_there(run, incident, token) for token in run.tokens())
        for incident in run.incidents
    }


def _there(run: Record, incident: Incident, token: str) -> bool:
    message, ends = run.messages[token][0], [copy.end_ns for copy in run.copies_of(token)[:1]]
    if message.class_ != "transactional" or message.within_ns is None:
        return False
    suppressed = suppressed_since(run, token)
    if any(at <= message.scheduled_ns for at in suppressed):
        return False
    return message.scheduled_ns <= incident.off_hi and all(at >= incident.on_lo for at in ends + suppressed)


def failbacks(run: Record) -> dict[str, int]:
    """When mail first took a route of the incident again, of each that it came back to."""
    return {
        incident.name: back for incident in run.incidents if (back := _failed_back(run, incident)) is not None
    }


def _failed_back(run: Record, incident: Incident) -> int | None:
    switched = switch(run, incident)
    back = [
        copy.end_ns
        for copy in run.copies
        if switched is not None
        and run.counted(copy.token)
        and run.transactional(copy)
        and copy.route in incident.lead_routes
        and copy.end_ns >= incident.off_lo
        and copy.end_ns > switched
        and incident.before_next(copy.end_ns)
    ]
    return min(back, default=None)


def _of(run: Record, incident: Incident, at_least: int) -> Instants:
    impact, endless, restored = _span(run, incident, at_least)
    any_overdue, never_drained, drained = _span(run, incident, 1)
    own, _, own_restored = _span(run, incident, at_least, as_offered=True)
    own_any, _, own_drained = _span(run, incident, 1, as_offered=True)
    return Instants(
        impact, endless, restored, any_overdue is not None, never_drained, drained,
        (own, own_restored, own_any is not None, own_drained),
        _noticed(run, incident, "detected"), _noticed(run, incident, "acknowledged"),
        switch(run, incident), _failed_back(run, incident),
    )  # fmt: skip


def _span(
    run: Record, incident: Incident, at_least: int, *, as_offered: bool = False
) -> tuple[int | None, bool, int | None]:
    """(first impact, whether the last never ended, its end) of those that begin before the next incident."""
    mine = [
        (begins, until)
        for begins, until in impacts(run, at_least, as_offered=as_offered)
        if incident.before_next(begins)
        and (begins >= incident.on_lo or (incident.first and (until is None or until > incident.on_lo)))
    ]
    ends = [until for _, until in mine]
    endless = None in ends
    restored = None if endless else max((end for end in ends if end is not None), default=None)
    return min((begins for begins, _ in mine), default=None), endless, restored


def _noticed(run: Record, incident: Incident, signal: str) -> tuple[int, int] | None:
    """Turned on within the time that counts, for a route it began with, or for none in particular."""
    until = incident.off_hi + 5 * S
    later = run.incidents[run.incidents.index(incident) + 1 :]
    rivals = [other.on_lo for other in later if set(other.lead_routes) & set(incident.lead_routes)]
    until = min([until, *rivals])
    mine = [
        edge
        for edge in run.edges
        if edge.signal == signal
        and edge.rising
        and incident.on_lo <= edge.hi <= until
        and (edge.route in incident.lead_routes or (edge.route is None and incident.before_next(edge.hi)))
    ]
    return (min(edge.lo for edge in mine), min(edge.hi for edge in mine)) if mine else None
