"""What the system says against what providers recorded: reconciliation, analytics, cost, fallback."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

from harness.history import events as ev
from tests.checks.model.mail import held_since, unknown_fate
from tests.checks.model.record import HANDOFFS, MS, Record

NOT_FINAL = ("held", "pending", "sending")


def reconciled(run: Record) -> dict[str, str]:
    """How the last state of each message and its hand-offs agree."""
    return {
        token: _account(run, token)
        for token in run.tokens()
        if run.result(token) == "accepted" or run.state(token) is not None
    }


def _account(run: Record, token: str) -> str:
    state, copies = run.state(token), run.copies_of(token)
    if state is None:
        return "unsaid"
    out = bool(copies or run.beside(run.copies, token))
    moved = max((r.end_ns for r in run.receipts if r.canary is None), default=0)
    if state in NOT_FINAL and run.said(token)[-1].t_ns < moved:
        return "read too early"
    match state:
        case "sent":
            taken = run.mail_of(run.handoffs, token) + run.beside(run.handoffs, token)
            return "agree" if out else "given back" if taken else "sent without a copy"
        case "failed" | "bounced":
            return "failed with a copy" if out else "agree"
        case "expired" | "suppressed":
            return "copy not sent" if out else "agree"
        case "held":
            hidden = any(_answer_kept_back(run, copy) for copy in copies)
            if unknown_fate(run, token) is not None or hidden:
                return "held"
            return "copy not sent" if copies else "held without need"
        case "pending" | "sending":
            return "copy not sent yet" if copies else "in between"
    return "other"


def _answer_kept_back(run: Record, copy: ev.Receipt) -> bool:
    return any(
        (fault.route == copy.route or fault.target == "system")
        and not fault.aside
        and fault.on_lo <= copy.end_ns + 100 * MS
        and copy.begin_ns <= fault.off_hi + 100 * MS
        for fault in run.faults
    )


def told(run: Record) -> Counter[tuple[str, str | None, str | None]]:
    """(token, event, whether the system's states know it) of every event it was to be told."""
    found = []
    for token in run.tokens():
        said = run.said(token)
        names = said[-1].events_known if said else None
        kinds = [event.event for event in run.of(ev.ProviderEvent) if _to_be_told(run, event, token)]
        for kind in kinds:
            softly = kind == "bounced" and "deferred" not in kinds
            knows = None if names is None else kind in names or (softly and "deferred" in names)
            found.append((token, kind, knows))
    return Counter(found)


def _to_be_told(run: Record, event: ev.ProviderEvent, token: str) -> bool:
    whose = event.recipient
    his = whose is None or "@" not in whose or whose.lower() == run.recipient(token)
    return event.token == token and his and event.webhook != "none" and event.canary is None


def attempts(run: Record) -> dict[str, tuple[int, int]]:
    """(all, those by a fallback channel) of each message that was attempted at all."""
    found = {}
    for token in run.tokens():
        plain = [r for r in run.receipts if r.canary is None]
        mail, other = len(run.mail_of(plain, token)), len(run.beside(plain, token))
        if mail + other:
            found[token] = (mail + other, other)
    return found


def repeats(run: Record) -> Counter[tuple[str, str]]:
    """(token, what it follows) of each attempt by mail beyond a message's first."""
    place = {id(event): number for number, event in enumerate(run.events)}
    found: Counter[tuple[str, str]] = Counter()
    for token in run.tokens():
        mine = run.mail_of([r for r in run.receipts if r.canary is None], token)
        mine.sort(key=lambda r: (r.begin_ns, r.end_ns, place[id(r)]))
        for before, receipt in itertools.pairwise(mine):
            if receipt.route != before.route:
                cause = "failover"
            elif receipt.sdk_retry is not None and receipt.sdk_retry == before.sdk_retry:
                cause = "sdk retry"
            else:
                cause = "same route"
            found[token, cause] += 1
    return found


def by_fallback(run: Record) -> dict[str, tuple[int | None, str | None, int | None, int, bool]]:
    """(first copy, its route, its clock's error, first hand-off, whether one bounced) of each message of
    which somebody who is no mail address was to get something.
    """
    found = {}
    for token in run.messages:
        taken, copies = run.beside(run.handoffs, token), run.beside(run.copies, token)
        if taken:
            first = (copies[0].end_ns, copies[0].route, run.error) if copies else (None, None, None)
            bounced = any(undone in taken and event.event == "bounced" for undone, event in run.undone)
            found[token] = (*first, taken[0].end_ns, bounced)
    return found


def due(run: Record, after: int, within: int, route: str | None) -> dict[str, str]:
    """What became of each transactional message that was due by the fallback."""
    found = {}
    for token in run.tokens():
        message = run.messages[token][0]
        if message.class_ != "transactional" or run.result(token) != "accepted":
            continue
        if run.state(token) == "suppressed":
            continue
        begun = message.scheduled_ns + run.offered_late(token)
        at_due = begun + (message.within_ns or 0) + after
        fate = _fate_of_need(run, token, at_due, at_due + within, route)
        if fate is not None:
            found[token] = fate
    return found


def _fate_of_need(run: Record, token: str, at_due: int, until: int, route: str | None) -> str | None:
    copies = run.copies_of(token)
    ends: list[Any] = [copies[0].end_ns] if copies and (route is None or copies[0].route != route) else []
    ends += held_since(run, token)
    ends += [run.messages[token][0].expires_ns]
    if run.bounced(token):
        ends += [r.end_ns for r in run.mail_of(run.handoffs, token)]
    ended = min((at for at in ends if at is not None), default=None)
    # The clock of a message's copies has its say in whatever ends its need.
    error = run.error if copies else 0
    if at_due >= run.watch_end or (ended is not None and ended - error <= at_due):
        return None
    plain = [r for r in run.receipts if r.canary is None]
    mine = run.mail_of(plain, token) + run.beside(plain, token)
    tried = run.beside(plain, token) if route is None else [r for r in mine if r.route == route]
    at = min((r.end_ns for r in tried if r.result in HANDOFFS), default=None)
    over = False
    if at is None:
        at, over = _told_at(run, route, at_due)
    if at is not None and at + run.error <= until and not over:
        return "in time"
    if ended is not None and ended + error <= until:
        return "ended"
    if (at is not None and at - run.error <= until) or (ended is not None and ended - error <= until):
        return "perhaps late"
    if at is not None:
        return "late"
    return "open" if run.watch_end < until else "missing"


def _told_at(run: Record, route: str | None, at_due: int) -> tuple[int | None, bool]:
    """Since when a status page told of it when it was due, or later, and whether that may have been over."""
    since = None
    calls = [c for c in run.of(ev.EndpointCalled) if c.route == route and c.canary != "harness"]
    for call in sorted(calls, key=lambda c: c.end_ns):
        if call.announced and since is None:
            since = call.end_ns
        elif call.announced is False and since is not None:
            if call.end_ns + run.error > at_due:
                return since, call.end_ns - run.error <= at_due
            since = None
    return since, False
