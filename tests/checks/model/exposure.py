"""Whether the system met each fault."""

from __future__ import annotations

from harness.history import events as ev
from tests.checks.model.mail import overdue
from tests.checks.model.pace import switch
from tests.checks.model.record import AFTERWARDS, HANDOFFS, Fault, Record, S

PLAYED = (
    "refuse", "ack-loss", "slow-ack", "hang", "disconnect", "silent-drop", "throttle", "certificate",
    "key-rotated",
)  # fmt: skip
DELAYS = ("latency", "bandwidth", "slice", "slow-close")
TRACELESS = ("outage", "blackhole", "reset", "cut", "auth-failure", "certificate")

Exposure = tuple[int, int, bool, bool, int, int, bool]
"""In play, attempts, detected, switched, overdue, waited, exposed."""


def exposures(run: Record) -> dict[str, Exposure]:
    asked = [f for f in run.faults if not f.aside or f.endpoint == "events" or f.type in AFTERWARDS]
    return {fault.name: _of(run, fault) for fault in asked}


def _of(run: Record, fault: Fault) -> Exposure:
    if fault.endpoint == "events":
        told = _events_in_play(run, fault)
        in_play = len(told)
        attempts = sum(e.webhook != "delivered" or fault.type in DELAYS for e in told)
    else:
        in_play, attempts = len(_in_play(run, fault)), 0
    attempts += _met(run, fault) + _became(run, fault) + _called(run, fault) + _refused_without(run, fault)
    attempts += sum(
        run.cut(r) and r.route == fault.target and fault.on_lo <= r.end_ns <= fault.off_hi
        for r in run.handoffs
    )
    detected = not fault.aside and any(
        edge.signal == "detected" and edge.rising and edge.route == fault.route is not None
        and edge.hi >= fault.on_lo and edge.lo <= fault.off_hi
        for edge in run.edges
    )  # fmt: skip
    switched = not fault.aside and any(
        incident.name == fault.incident
        and fault.route in incident.lead_routes
        and (at := switch(run, incident)) is not None
        and at <= fault.off_hi + 5 * S
        for incident in run.incidents
    )
    late = 0
    if not fault.aside and fault.type in TRACELESS:
        due = [run.messages[token][0].scheduled_ns for token, _, _ in overdue(run)]
        late = sum(fault.on_lo <= scheduled <= fault.off_hi for scheduled in due)
    waited = _waited(run, fault)
    shown = fault.target == "system" or attempts or detected or switched or late or waited
    return in_play, attempts, detected, switched, late, waited, bool(in_play and shown)


def _in_play(run: Record, fault: Fault) -> list[str]:
    """Messages that were there to be sent while it lasted."""
    found = []
    for token in run.tokens():
        scheduled = run.messages[token][0].scheduled_ns
        waiting = not any(copy.end_ns < fault.on_hi for copy in run.copies_of(token))
        over = run.result(token) == "refused" or run.bounced(token)
        if scheduled <= fault.off_lo and waiting and (not over or scheduled >= fault.on_lo):
            found.append(token)
    return found


def _events_in_play(run: Record, fault: Fault) -> list[ev.ProviderEvent]:
    return [
        e
        for e in run.of(ev.ProviderEvent)
        if e.webhook != "none" and e.canary is None and e.route == fault.route
        and e.t_ns - (e.delay_ns or 0) <= fault.off_lo and e.t_ns >= fault.on_hi
    ]  # fmt: skip


def _during(run: Record, fault: Fault) -> list[ev.Receipt]:
    """The mail's attempts on its route that may have been under way while it lasted."""
    return [
        r
        for r in run.receipts
        if r.route == fault.route
        and r.canary is None
        and (r.token not in run.messages or run.counted(r.token))
        and r.begin_ns - run.error <= fault.off_hi
        and r.end_ns + run.error >= fault.on_lo
    ]


def _met(run: Record, fault: Fault) -> int:
    if fault.endpoint is not None:
        return 0
    plain = fault.type not in PLAYED and fault.type not in AFTERWARDS
    return sum(
        r.fault == fault.name
        or fault.type in DELAYS
        or (plain and r.result is not ev.ReceiptResult.ACCEPTED and r.fault is None)
        for r in _during(run, fault)
    )


def _became(run: Record, fault: Fault) -> int:
    if fault.type not in AFTERWARDS:
        return 0

    def told(receipt: ev.Receipt) -> bool:
        return any(
            e.route == fault.route
            and e.token == receipt.token
            and (e.recipient is None or e.recipient.lower() == (receipt.recipient or "").lower())
            and e.t_ns >= receipt.end_ns
            and _shows(fault, e)
            for e in run.of(ev.ProviderEvent)
        )

    return sum(
        r.result in HANDOFFS and r.token is not None and r.end_ns - run.error <= fault.off_hi and told(r)
        for r in _during(run, fault)
    )


def _shows(fault: Fault, event: ev.ProviderEvent) -> bool:
    match fault.type:
        case "bounce":
            return event.event == fault.attributes.get("event", "bounced")
        case "events-lost":
            return event.webhook == "lost"
    return event.webhook == "late"


def _called(run: Record, fault: Fault) -> int:
    return sum(
        c.canary != "harness" and c.route == fault.route and c.endpoint == fault.endpoint is not None
        and c.begin_ns - run.error <= fault.off_hi and c.end_ns + run.error >= fault.on_lo
        and (
            c.fault == fault.name
            or (fault.type == "auth-failure" and c.code is not None and c.code >= 400)
            or fault.type in (*DELAYS, "reset")
        )
        for c in run.of(ev.EndpointCalled)
    )  # fmt: skip


def _refused_without(run: Record, fault: Fault) -> int:
    if fault.endpoint is None or fault.aside:
        return 0
    refusals = (ev.ReceiptResult.REFUSED, ev.ReceiptResult.DEFERRED)
    return sum(r.result in refusals and r.code in (401, 403, 530, 535) for r in _during(run, fault))


def _waited(run: Record, fault: Fault) -> int:
    """Messages that came by the route once it was back, if it was silent until then."""
    silent = not any(c.route == fault.route and fault.on_hi < c.end_ns < fault.off_lo for c in run.copies)
    if fault.aside or fault.type not in TRACELESS or not silent:
        return 0
    found = 0
    for token in run.tokens():
        copies, scheduled = run.copies_of(token), run.messages[token][0].scheduled_ns
        if copies and copies[0].route == fault.route and copies[0].end_ns >= fault.off_lo:
            found += fault.on_lo <= scheduled <= fault.off_lo - S
    return found
