"""What stops mail of a class and what lets it go: pause, approval, priority."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from harness.history import events as ev
from tests.checks.model.mail import unknown_fate
from tests.checks.model.pace import left, releases
from tests.checks.model.record import Edge, Record, S, truth_of


@dataclass(frozen=True)
class Pause:
    """Begun in (begin_lo, begin_hi]; its end is None where nothing ended it."""

    begin_lo: int
    begin_hi: int
    signal: str | None
    route: str | None
    end: int | None


def usual_routes(run: Record) -> set[str | None]:
    usual = {copy.route for copy in run.copies if copy.token in run.messages and not run.counted(copy.token)}
    return usual or {copy.route for copy in run.copies}


def words(run: Record, class_: str) -> list[ev.Operator]:
    return [word for word in run.of(ev.Operator) if word.class_ in (None, class_)]


def pauses(run: Record, class_: str, by: str) -> list[Pause]:
    begun: list[tuple[int, int, str | None, str | None]] = []
    if by == "operator":
        begun += [(w.t_ns, w.t_ns, None, None) for w in words(run, class_) if w.action == "pause"]
    for edge in run.edges:
        mine = (by, edge.signal) in (("operator", "paused"), ("detection", "detected"))
        usual = edge.signal == "paused" or edge.route is None or edge.route in usual_routes(run)
        if edge.rising and mine and usual:
            begun.append((edge.lo, edge.hi, edge.signal, edge.route))
    return [Pause(*each, _end(run, class_, *each)) for each in begun]


def _end(run: Record, class_: str, lo: int, hi: int, signal: str | None, route: str | None) -> int | None:
    ends = [w.t_ns for w in words(run, class_) if w.action in ("resume", "approve") and w.t_ns >= lo]
    ends += [
        max(edge.lo, hi)
        for edge in run.edges
        if not edge.rising
        and edge.hi > hi
        and (_ends_any(edge, signal, route) or (edge.signal, edge.route) == (signal, route))
    ]
    return min(ends, default=None)


def _ends_any(edge: Edge, signal: str | None, route: str | None) -> bool:
    if edge.signal != "paused":
        return False
    return signal != "paused" or route is None or edge.route is None


def numbered_pauses(run: Record, class_: str) -> dict[int, tuple[str, Pause]]:
    """Both kinds, in order."""
    both = [(by, pause) for by in ("operator", "detection") for pause in pauses(run, class_, by)]
    both.sort(key=lambda each: (each[1].begin_hi, *_nulls_last(each[1].signal), *_nulls_last(each[1].route)))
    return dict(enumerate(both, start=1))


def _nulls_last(name: str | None) -> tuple[bool, str]:
    return name is None, name or ""


def stops(run: Record, class_: str) -> dict[str, tuple[str, int, int, int, int | None]]:
    """(its line, begin, until, approved) of what mail of a class may have waited because of, by name."""
    found = {}
    for incident in run.incidents:
        if usual_routes(run).intersection(incident.lead_routes):
            name = f"incident {incident.name}"
            found[name] = (name, incident.on_lo, incident.on_hi, incident.off_lo)
    for number, (by, pause) in numbered_pauses(run, class_).items():
        if by == "operator":
            line = " ".join(filter(None, ("paused", pause.signal, pause.route)))
            end = run.watch_end if pause.end is None else pause.end
            found[f"pause {number}"] = (line, pause.begin_lo, pause.begin_hi, end)
    approvals = [word.t_ns for word in words(run, class_) if word.action == "approve"]
    return {
        name: (line, lo, hi, until, min((at for at in approvals if at >= lo), default=None))
        for name, (line, lo, hi, until) in found.items()
    }


def of_class(run: Record, class_: str) -> list[str]:
    return [token for token in run.tokens() if run.messages[token][0].class_ == class_]


def tried_while_paused(run: Record, class_: str, by: str, grace: int) -> list[tuple[int, bool]]:
    """(begin, whether the signal made no sense before it) of each attempt in a pause."""
    found = []
    mine = [r for token in of_class(run, class_) for r in run.mail_of(run.receipts, token)]
    for receipt in mine:
        if receipt.canary is not None or not run.timed(receipt):
            continue
        earliest = receipt.begin_ns - run.error - run.delay(receipt.route)
        latest = receipt.begin_ns + run.error
        blurred = [
            _made_no_sense(run, pause, receipt.begin_ns)
            for pause in pauses(run, class_, by)
            if earliest > pause.begin_hi + grace and (pause.end is None or latest < pause.end)
        ]
        if blurred:
            found.append((receipt.begin_ns, all(blurred)))
    return sorted(found)


def _made_no_sense(run: Record, pause: Pause, at: int) -> bool:
    told = [
        reading.value
        for reading in run.of(ev.Signal)
        if (reading.signal, reading.route) == (pause.signal, pause.route) and reading.t_ns <= at
    ]
    return bool(told) and truth_of(told[-1]) is None


def there_to_be_sent(run: Record, class_: str, by: str, grace: int) -> int:
    """How many messages could have been tried in a pause, after its grace."""

    def there(token: str, pause: Pause) -> bool:
        message, since = run.messages[token][0], pause.begin_hi + grace
        taken = left(run, token)
        return (
            run.result(token) != "refused"
            and (pause.end is None or (pause.end > since and message.scheduled_ns < pause.end))
            and taken > since
            and (message.expires_ns is None or message.expires_ns > since)
        )

    known = pauses(run, class_, by)
    return sum(any(there(token, pause) for pause in known) for token in of_class(run, class_))


def leavings(run: Record, token: str) -> dict[int, str | None]:
    """When anything of a message first left, and its mail; with the route of what came to something."""
    mail, other = run.mail_of(run.handoffs, token), run.beside(run.handoffs, token)
    copies, others = run.copies_of(token), run.beside(run.copies, token)
    times = {receipt.end_ns for receipt in (copies or mail)[:1]}
    times |= {min(receipt.end_ns for receipt in mail + other)} if mail or other else set()
    routes = {copy.end_ns: copy.route for copy in others[:1] + copies[:1]}
    return {at: routes.get(at) for at in times}


Waited = list[tuple[bool, int | None, str | None, bool, bool]]
"""Each leaving: whether the system surely took the mail, when it left, the route, and whether that was before
its approval, surely and perhaps."""


def waited(run: Record, class_: str) -> dict[str, Waited]:
    """Of each message that may have waited; what never left left at no time."""
    stops = [
        (incident.on_lo, incident.on_hi, incident.off_lo)
        for incident in run.incidents
        if usual_routes(run).intersection(incident.lead_routes)
    ]
    for pause in pauses(run, class_, "operator"):
        stops.append((pause.begin_lo, pause.begin_hi, run.watch_end if pause.end is None else pause.end))
    spread = max((run.delay(fault.route) for fault in run.faults), default=0)
    approvals = [word.t_ns for word in words(run, class_) if word.action == "approve"]
    found: dict[str, Waited] = {}
    for token in of_class(run, class_):
        if run.result(token) == "refused":
            continue
        taken = run.result(token) == "accepted"
        for gone, route in sorted(leavings(run, token).items()) or [(math.inf, None)]:
            surely, perhaps, member = False, False, False
            for lo, hi, until in stops:
                long_enough = max(run.messages[token][0].scheduled_ns, hi) + S
                if long_enough > until:
                    continue
                if gone + run.error >= long_enough + spread:
                    member = True
                    approved = min((at for at in approvals if at >= lo), default=math.inf)
                    perhaps |= gone - run.error < approved
                    surely |= gone - run.error >= long_enough + spread and gone + run.error < approved
            if member:
                never = math.isinf(gone)
                left = (None, None, False, False) if never else (int(gone), route, surely, perhaps)
                found.setdefault(token, []).append((taken, *left))
    return found


Turn = tuple[int, int, int, int, int, int]
"""Size of the replay, 95th percentile of its waits, there, turn, passed by, perhaps passed by."""


def turns(run: Record, first: str, then: str, apart: int, error: int) -> dict[tuple[int, str], Turn]:
    """By number of the release and token: each message of the first class that had its turn in a replay."""
    times = releases(run)
    found: dict[tuple[int, str], Turn] = {}
    for index, at in enumerate(times):
        until = times[index + 1] if index + 1 < len(times) else math.inf
        begins = _replayed(run, then, at, until)
        if not begins:
            continue
        waits = sorted(max(0, begin - at) for begin in begins)
        p95 = waits[max(0, math.ceil(Fraction(95, 100) * len(waits)) - 1)]
        for token in of_class(run, first):
            accepted = run.accepted_at(token)
            arrived = [copy.end_ns for copy in run.copies_of(token)]
            if accepted is None or accepted > max(begins) or min(arrived, default=math.inf) < at:
                continue
            there = max(accepted, at)
            tried = [
                r.begin_ns
                for r in run.mail_of(run.receipts, token)
                if r.canary is None and run.timed(r) and r.end_ns >= at
            ]
            if not tried or unknown_fate(run, token) is not None:
                continue
            turn = min(tried)
            passed, perhaps = (
                sum(there + apart + slack < begin < turn - apart - 2 * slack for begin in begins)
                for slack in (error, -error)
            )
            found[index + 1, token] = (len(begins), p95, there, turn, passed, perhaps)
    return found


def _replayed(run: Record, class_: str, at: int, until: float) -> list[int]:
    """When the backlog of a release began to be copied, before the next release."""
    found = []
    for token in of_class(run, class_):
        copies = run.copies_of(token)
        waited = run.result(token) == "accepted" and run.messages[token][0].scheduled_ns <= at - S
        if waited and not any(copy.end_ns < at for copy in copies):
            mine = [copy.begin_ns for copy in copies if copy.end_ns < until and run.timed(copy)]
            found += [min(mine)] if mine else []
    return found
