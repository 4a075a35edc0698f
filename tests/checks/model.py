"""The checks once more, slowly: plain Python over the events, every rule spelt out, nothing shared with the
views.

It follows the words of the definitions, not the SQL: nested loops, exact fractions, no cleverness.
Agreement of the two on hundreds of random histories is what makes either believable.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from harness.history import events as ev

S = 1_000_000_000
HANDOFFS = (ev.ReceiptResult.ACCEPTED, ev.ReceiptResult.ACK_LOST)


@dataclass
class Incident:
    routes: list[str]
    on: int
    off: int
    next_on: int | None = None


@dataclass
class Model:
    """Reads a run's events in the order of its journal."""

    events: list[Any]
    error: int = 0
    watch_end: int = 0
    messages: dict[str, list[ev.MessageSubmitting]] = field(default_factory=dict)
    answers: dict[str, list[ev.Submitted]] = field(default_factory=dict)
    receipts: list[ev.Receipt] = field(default_factory=list)
    copies: list[ev.Receipt] = field(default_factory=list)

    def __post_init__(self) -> None:
        for event in self.events:
            match event:
                case ev.RunFinished():
                    self.watch_end = event.t_ns
                case ev.MessageSubmitting():
                    self.messages.setdefault(event.token, []).append(event)
                case ev.MessageSubmitted():
                    self.answers.setdefault(event.token, []).append(event.result)
                case ev.ClockCalibrated():
                    self.error = max(self.error, event.error_ns)
                case ev.Receipt():
                    self.receipts.append(event)
        self.receipts.sort(key=lambda receipt: receipt.end_ns)  # stable: equal times keep their order
        self.copies = [receipt for receipt in self.receipts if receipt.result in HANDOFFS]
        for event in self._of(ev.ProviderEvent):
            if event.event in ("bounced", "dropped"):
                self._undo(event)

    def _of(self, *kinds: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kinds)]

    def _undo(self, event: ev.ProviderEvent) -> None:
        for copy in self.copies:
            if copy.token == event.token and copy.provider == event.provider:
                self.copies.remove(copy)
                return

    def counted(self, token: str | None) -> bool:
        return token in self.messages and not self.messages[token][0].baseline

    def copies_of(self, token: str) -> list[ev.Receipt]:
        return [copy for copy in self.copies if copy.token == token]

    def kills(self) -> list[int]:
        return [event.t_ns for event in self._of(ev.SystemProcess) if event.change == "killed"]

    def restarts(self) -> list[int]:
        """Kills, and stops after which it was started again."""
        changes = self._of(ev.SystemProcess)
        return self.kills() + [
            event.t_ns
            for index, event in enumerate(changes)
            if event.change == "stopped" and any(later.change == "started" for later in changes[index:])
        ]

    def faults(self) -> list[tuple[str, str, int, int, dict[str, Any]]]:
        """(type, target, on, off, attributes), the end of a kill or restart being the next start."""
        found = []
        for event in self._of(ev.FaultInjecting):
            ends = [e.t_ns for e in self._of(ev.FaultRemoving) if e.fault == event.fault]
            if event.type in ("kill", "restart"):
                ends = [
                    e.t_ns
                    for e in self._of(ev.SystemProcess)
                    if e.change == "started" and e.t_ns >= event.t_ns
                ][:1]
            off = ends[0] if ends else self.watch_end
            found.append((event.type, event.target, event.t_ns, off, event.attributes))
        return found

    def incidents(self) -> list[Incident]:
        labels = [event.incident for event in self._of(ev.FaultInjecting)]
        found = [
            (label, Incident([] if target == "system" else [target], on, off))
            for label, (_, target, on, off, _) in zip(labels, self.faults(), strict=True)
        ]
        found.sort(key=lambda pair: (pair[1].on, pair[0]))
        incidents = [incident for _, incident in found]
        for this, after in itertools.pairwise(incidents):
            this.next_on = after.on
        return incidents

    def delay(self, route: str) -> int:
        """Latencies on at once add up; most of them are on at the moment at which some one begins."""
        mine = [
            (on, off, 1_000_000 * (attributes.get("latency", 0) + attributes.get("jitter", 0)))
            for type_, target, on, off, attributes in self.faults()
            if target == route and type_ == "latency"
        ]
        return max((sum(d for on, off, d in mine if on <= begins <= off) for begins, _, _ in mine), default=0)

    # duplicates ------------------------------------------------------------------------------------------

    def extra_copies(self) -> set[tuple[str, int, str]]:
        """(token, number of the copy, cause) of each copy after the first."""
        found = set()
        for token in self.messages:
            if self.counted(token):
                mine = self.copies_of(token)
                for index in range(1, len(mine)):
                    found.add((token, index + 1, self._cause(mine[index - 1], mine[index])))
        return found

    def _cause(self, before: ev.Receipt, copy: ev.Receipt) -> str:
        lost = before.result is ev.ReceiptResult.ACK_LOST or self._cut(before)
        if lost and copy.begin_ns + self.error >= before.end_ns - self.error:
            return "lost-ack"
        if any(before.begin_ns < ended < copy.begin_ns for ended in self.restarts()):
            return "restart"
        for type_, target, on, off, _ in self.faults():
            slow = type_ in ("latency", "blackhole") and target == before.route
            slow = slow or type_ in ("pause", "partition")
            if slow and on <= before.end_ns and off >= before.begin_ns:
                return "timeout"
        if any(before.end_ns < incident.off <= copy.begin_ns for incident in self.incidents()):
            return "replay"
        return "same-route" if copy.route == before.route else "cross-route"

    def _cut(self, receipt: ev.Receipt) -> bool:
        for event in self._of(ev.ConnectionsClosed):
            if event.source == receipt.source and receipt.connection in event.connections:
                late = event.t_ns - receipt.end_ns
                broken = any(
                    target in (receipt.route, "system") and on <= event.t_ns <= off + 100_000_000
                    for _, target, on, off, _ in self.faults()
                )
                if broken and 0 <= late <= 100_000_000 + self.delay(receipt.route):
                    return True
        return False

    # delivered -------------------------------------------------------------------------------------------

    def fates(self) -> dict[str, str]:
        return {token: self._fate(token) for token in self.messages if self.counted(token)}

    def result(self, token: str) -> str:
        answers = self.answers.get(token, [])
        if ev.Submitted.ACCEPTED in answers:
            return "accepted"
        everything = len(answers) == len(self.messages[token])
        if everything and all(answer is ev.Submitted.REFUSED for answer in answers):
            return "refused"
        return "indeterminate"

    def state(self, token: str, until: int | None = None) -> str | None:
        said = [
            event.state
            for event in self._of(ev.SystemState)
            if event.token == token and (until is None or event.t_ns <= until)
        ]
        return said[-1] if said else None

    def _unknown_fate(self, token: str) -> bool:
        for receipt in self.receipts:
            if receipt.token != token:
                continue
            if receipt.result in (ev.ReceiptResult.ACK_LOST, ev.ReceiptResult.ABORTED) or (
                receipt in self.copies and self._cut(receipt)
            ):
                return True
            for killed in self.kills():
                if receipt.begin_ns - self.error <= killed <= receipt.end_ns + self.error:
                    return True
            for type_, _, on, off, _ in self.faults():
                unread = on - self.error <= receipt.end_ns <= off + self.error
                if type_ in ("pause", "partition") and unread:
                    return True
        if any(self.state(token, killed) == "sending" for killed in self.kills()):
            return True
        untold = not any(receipt.token == token for receipt in self.receipts)
        scheduled = self.messages[token][0].scheduled_ns
        return untold and any(
            scheduled <= off
            and (
                type_ in ("blackhole", "kill", "partition")
                or (type_ == "restart" and any(on <= killed <= off for killed in self.kills()))
            )
            for type_, _, on, off, _ in self.faults()
        )

    def _fate(self, token: str) -> str:
        copies, expires = self.copies_of(token), self.messages[token][0].expires_ns
        if copies:
            first = copies[0].end_ns
            if expires is not None and first - self.error > expires:
                return "stale"
            if expires is not None and first + self.error > expires:
                return "perhaps stale"
            return "arrived"
        if any(event.token == token and event.event == "bounced" for event in self._of(ev.ProviderEvent)):
            return "bounced"
        if self.result(token) == "refused":
            return "undelivered"
        state = self.state(token)
        if state == "suppressed":
            return "suppressed"
        if expires is not None and expires <= self.watch_end and state in (None, "expired"):
            return "expired"
        if state == "held" and self._unknown_fate(token):
            return "held"
        return "unknown" if self.result(token) == "indeterminate" else "missing"

    # throttle --------------------------------------------------------------------------------------------

    def attempts(self, route: str) -> list[tuple[int, int, bool, int | None]]:
        """(begin, end, refused, retry after), by begin."""
        refusals = (ev.ReceiptResult.DEFERRED, ev.ReceiptResult.REFUSED)
        found = [
            (receipt.begin_ns, receipt.end_ns, receipt.result in refusals, receipt.retry_after_ns)
            for receipt in self.receipts
            if receipt.route == route
        ]
        return sorted(found, key=lambda attempt: attempt[0])

    def peak(self, route: str, rate: Fraction) -> Fraction | None:
        """The most that any stretch of attempts exceeds the rate by."""
        begins = [begin for begin, *_ in self.attempts(route)]
        return max(
            (
                (j - i + 1) - rate * Fraction(begins[j] - begins[i], S)
                for i in range(len(begins))
                for j in range(i, len(begins))
            ),
            default=None,
        )

    def too_early(self, route: str) -> int:
        attempts = self.attempts(route)
        grace = self.delay(route) + 100_000_000
        return sum(
            any(
                refused and patience is not None and end + grace < begin < end + patience
                for _, end, refused, patience in attempts
            )
            for begin, *_ in attempts
        )

    # waves -----------------------------------------------------------------------------------------------

    def releases(self) -> list[int]:
        found = [event.t_ns for event in self._of(ev.Operator)]
        for incident in self.incidents():
            if incident.off < self.watch_end:
                found.append(incident.off)
            switched = self._switch(incident)
            if switched is not None:
                found.append(switched)
        return sorted(found)

    def _switch(self, incident: Incident) -> int | None:
        if not incident.routes:
            return None
        usual = [copy.route for copy in self.copies if not self.counted(copy.token)]
        others = sum(route not in incident.routes for route in usual)
        chance = Fraction(others + 1, len(usual) + 2)
        needed = next(k for k in range(1, 10_000) if chance**k < Fraction(1, 1000))
        in_a_row: list[int] = []
        for copy in self.copies:
            if not self.counted(copy.token) or self.messages[str(copy.token)][0].class_ != "transactional":
                continue
            if copy.end_ns < incident.on or (
                incident.next_on is not None and copy.end_ns >= incident.next_on
            ):
                continue
            in_a_row = [] if copy.route in incident.routes else [*in_a_row, copy.end_ns]
            if len(in_a_row) == needed:
                return in_a_row[0]
        return None

    def left(self, token: str) -> float:
        """When it waited no longer: its first copy, or, without any, the first time that it was taken."""
        taken = [
            receipt.end_ns
            for receipt in self.receipts
            if receipt.token == token and receipt.result in HANDOFFS
        ]
        return min((copy.end_ns for copy in self.copies_of(token)), default=min(taken, default=math.inf))

    def waves(self, share: Fraction, every: int) -> list[tuple[int, int, int]]:
        """(backlog, fullest window, allowed) of each release that had a backlog."""
        spread = max((self.delay(target) for _, target, *_ in self.faults()), default=0)
        length = every - max(math.ceil(Fraction(every, 20)), 100_000_000 + spread)
        releases = self.releases()
        found = []
        owed: dict[str, int] = {}  # the largest backlog that each still waiting message was part of
        for index, at in enumerate(releases):
            until = releases[index + 1] if index + 1 < len(releases) else math.inf
            backlog = [
                token
                for token, offers in self.messages.items()
                if self.counted(token)
                and self.result(token) == "accepted"
                and offers[0].scheduled_ns <= at - S
                and self.left(token) >= at
            ]
            if not backlog:
                continue
            firsts = [int(self.left(token)) for token in backlog if self.left(token) < until]
            fullest = max(
                (sum(begin <= other < begin + length for other in firsts) for begin in firsts if length > 0),
                default=0,
            )
            for token in backlog:
                owed[token] = max(owed.get(token, 0), len(backlog))
            portion = max(owed[token] for token in backlog)
            found.append((len(backlog), fullest, math.ceil(share * portion)))
        return found
