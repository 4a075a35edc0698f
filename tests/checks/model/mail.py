"""What became of the mail: duplicates, delivered, unexpected, suppression, flapping."""

from __future__ import annotations

import itertools
import math
import re
from typing import NamedTuple

from harness.history import events as ev
from tests.checks.model.record import MS, Fault, Record

Unknown = dict[str, int]
"""Why the system cannot know a message's fate, and the last moment of each reason."""


def extra_copies(run: Record) -> set[tuple[str, str, int, str]]:
    """(token, recipient, number of the copy, cause) of each copy after the first."""
    found = set()
    for token in run.tokens():
        others = run.beside(run.copies, token)
        each_ones = [[c for c in others if c.recipient == who] for who in {c.recipient for c in others}]
        for copies in [run.copies_of(token), *each_ones]:
            for number, (before, copy) in enumerate(itertools.pairwise(copies), start=2):
                whose = str(copy.recipient).lower()
                found.add((token, whose, number, _cause(run, before, copy)))
    return found


def _cause(run: Record, before: ev.Receipt, copy: ev.Receipt) -> str:
    if run.lost(before) and copy.begin_ns + run.error >= before.end_ns - run.error:
        return "lost-ack"
    if any(before.begin_ns < ended < copy.begin_ns for ended in run.restarts()):
        return "restart"
    for fault in run.faults:
        slow = (
            fault.type in ("latency", "blackhole", "bandwidth", "slice", "slow-ack")
            and fault.target == before.route
        )
        slow = slow or fault.type in ("pause", "partition")
        if slow and fault.on_lo <= before.end_ns and fault.off_hi >= before.begin_ns:
            return "timeout"
    if any(before.end_ns < incident.off_lo <= copy.begin_ns for incident in run.incidents):
        return "replay"
    return "same-route" if copy.route == before.route else "cross-route"


class FinalNo(NamedTuple):
    """In the order in which of several one counts as the first."""

    at: int
    told: bool  # by an event
    route: str
    why: str
    place: int  # in the record
    token: str | None


def fates(run: Record) -> dict[str, str]:
    return {token: _fate(run, token) for token in run.tokens()}


def _fate(run: Record, token: str) -> str:
    copies, expires = run.copies_of(token), run.messages[token][0].expires_ns
    if copies:
        return _staleness(run, token, copies[0].end_ns) or "arrived"
    sms = run.beside(run.copies, token)
    if sms:
        return _staleness(run, token, sms[0].end_ns) or "by fallback"
    if run.bounced(token) or any(_bounced(run, taken) for taken in run.beside(run.handoffs, token)):
        return "bounced"
    if run.result(token) == "refused":
        return "undelivered"
    state = run.state(token)
    if state == "suppressed":
        return "suppressed"
    if expires is not None and expires <= run.watch_end and state in (None, "expired"):
        return "expired"
    if state == "held" and unknown_fate(run, token) is not None:
        return "held"
    return "unknown" if run.result(token) == "indeterminate" else "missing"


def _bounced(run: Record, handoff: ev.Receipt) -> bool:
    """Whether it is this hand-off that a bounce undid."""
    return any(undone is handoff and event.event == "bounced" for undone, event in run.undone)


def _staleness(run: Record, token: str, at: int) -> str:
    """Of what was taken then; empty: in time. The system may count the time from as late as it was told."""
    offers, expires = run.messages[token], run.messages[token][0].expires_ns
    if expires is None or at + run.error <= expires:
        return ""
    if min(offer.t_ns for offer in offers) >= expires:
        return "perhaps stale"
    late = run.offered_late(token)
    if (accepted := run.accepted_at(token)) is not None:
        late = max(late, accepted - offers[0].scheduled_ns)
    return "stale" if at - run.error > expires + late else "perhaps stale"


def unknown_fate(run: Record, token: str) -> int | None:
    """The last moment at which something left the system in doubt about a message; None: it can know."""
    found: list[int] = []
    for receipt in [each for each in run.mail_of(run.receipts, token) if each.canary is None]:
        if receipt.result is ev.ReceiptResult.ABORTED or run.lost(receipt):
            found.append(receipt.end_ns)
        found += [
            killed
            for killed in run.kills()
            if receipt.begin_ns - run.error <= killed <= receipt.end_ns + run.error
        ]
        for fault in run.faults:
            unread = fault.on_lo - run.error <= receipt.end_ns <= fault.off_hi + run.error
            if fault.type in ("pause", "partition") and unread:
                found.append(receipt.end_ns)
    found += [killed for killed in run.kills() if run.state(token, killed) == "sending"]
    tried = [r.end_ns + run.error for r in run.mail_of(run.receipts, token)]
    taken = [r.end_ns + run.error for r in run.mail_of(run.handoffs, token)]
    scheduled = run.messages[token][0].scheduled_ns
    found += [
        max(scheduled, fault.on_lo)
        for fault in run.faults
        if not any(at >= fault.on_lo for at in tried)
        and not any(at < fault.on_lo for at in taken)
        and scheduled <= _swallows_until(run, fault)
    ]
    return max(found) if found else None


def _swallows_until(run: Record, fault: Fault) -> float:
    """Until when a request can vanish in it before anybody has read whose it was; never: long ago."""
    never = -math.inf
    if fault.endpoint is not None or fault.aside:
        return never
    match fault.type:
        case "blackhole" | "partition" | "kill" | "reset":
            return fault.off_hi
        case "outage" | "auth-failure":
            return fault.on_hi
        case "cut" if fault.attributes.get("stream") == "upstream":
            return fault.off_hi
        case "hang" | "disconnect" if fault.attributes.get("stage") == "head":
            return fault.off_hi
        case "restart" if any(fault.on_lo <= killed <= fault.off_hi for killed in run.kills()):
            return fault.off_hi
    return never


def unexpected(run: Record) -> list[tuple[int, str]]:
    """(end, what) of each hand-off that is not right, by end."""
    baseline = [
        "nonce" in r.carriers
        for r in run.handoffs
        if r.carriers and r.token in run.messages and not run.counted(r.token)
    ]
    judge_bodies = not baseline or any(baseline)
    found = []
    for receipt in run.handoffs:
        if receipt.token not in run.messages:
            found.append((receipt.end_ns, "unexpected"))
        elif (
            run.counted(receipt.token)
            and receipt.carriers
            and "nonce" not in receipt.carriers
            and judge_bodies
        ):
            found.append((receipt.end_ns, "changed"))
    return sorted(found)


ABOUT_THE_RECIPIENT = re.compile(r"5\.(1\.([0-6]|10)|2\.1|4\.1)\b")
ENHANCED = re.compile(r"\d\.\d+\.\d")


def final_noes(run: Record) -> dict[str, list[FinalNo]]:
    """By recipient, the first one first."""
    place = {id(event): number for number, event in enumerate(run.events)}
    found: dict[str, list[FinalNo]] = {}
    for receipt in run.receipts:
        if receipt.result is ev.ReceiptResult.REFUSED and receipt.canary is None and receipt.recipient:
            about = receipt.endpoint != "smtp" or ABOUT_THE_RECIPIENT.match(receipt.text)
            bare = receipt.code in (550, 551, 553) and not ENHANCED.match(receipt.text)
            if about or bare:
                no = FinalNo(receipt.end_ns, False, receipt.route, "", place[id(receipt)], receipt.token)
                found.setdefault(receipt.recipient.lower(), []).append(no)
    for event in run.of(ev.ProviderEvent):
        told = event.event in ("bounced", "complained") and event.webhook in ("delivered", "late")
        if told and event.canary is None and event.recipient:
            no = FinalNo(event.t_ns, True, event.route or "", event.event, place[id(event)], event.token)
            found.setdefault(event.recipient.lower(), []).append(no)
    return {who: sorted(noes) for who, noes in found.items()}


def tried_again(run: Record, grace: int) -> list[tuple[str, int]]:
    """(recipient, begin) of each attempt at one who had said a final no, by begin."""
    unwanted = final_noes(run)
    found = []
    for receipt in run.receipts:
        if receipt.canary is None and receipt.recipient and receipt.recipient.lower() in unwanted:
            first = unwanted[receipt.recipient.lower()][0]
            patience = run.delay(first.route) + (0 if receipt.token == first.token else 100 * MS)
            if receipt.begin_ns - run.error > first.at + run.error + (grace if first.told else patience):
                found.append((receipt.recipient.lower(), receipt.begin_ns))
    return sorted(found, key=lambda each: (each[1], each[0]))


def changes_of_route(run: Record) -> list[tuple[str, str]]:
    """(from, to), by the begin of the attempts."""
    place = {id(event): number for number, event in enumerate(run.events)}
    sent = sorted(
        (copy for copy in run.copies if run.transactional(copy)), key=lambda c: (c.begin_ns, place[id(c)])
    )
    return [
        (before.route, copy.route)
        for before, copy in itertools.pairwise(sent)
        if copy.route != before.route and run.counted(copy.token)
    ]


def overdue(run: Record) -> list[tuple[str, int, int | None]]:
    """(token, from, until) of transactional messages past their time; until None: it never ended."""
    found = []
    for token in run.tokens():
        message = run.messages[token][0]
        if message.class_ != "transactional" or message.within_ns is None:
            continue
        ends = [copy.end_ns for copy in run.copies_of(token)[:1]]
        ends += [copy.end_ns for copy in run.beside(run.copies, token)[:1]]
        ends += [message.expires_ns] if message.expires_ns is not None else []
        ends += held_since(run, token) + suppressed_since(run, token)
        if run.bounced(token):
            ends += [r.end_ns for r in run.mail_of(run.handoffs, token)][:1]
        begins, until = message.scheduled_ns + message.within_ns, min(ends, default=None)
        if begins < run.watch_end and (until is None or until > begins):
            found.append((token, begins, until))
    return found


def read_back(run: Record) -> bool:
    """Whether a copy of transactional mail has no exact time."""
    return any(
        not run.timed(copy)
        for token in run.tokens()
        if run.messages[token][0].class_ == "transactional"
        for copy in run.copies_of(token)
    )


def held_since(run: Record, token: str) -> list[int]:
    """A hold counts from when the system said so; where it never said otherwise, from when it could."""
    doubt = unknown_fate(run, token)
    said = run.said(token)
    if doubt is None or not said or said[-1].state != "held":
        return []
    others = [event.t_ns for event in said if event.state != "held"]
    held = [event.t_ns for event in said if event.state == "held"]
    if not others:
        return [min(held[0], doubt)]
    return [min((at for at in held if at > max(others)), default=held[-1])]


def suppressed_since(run: Record, token: str) -> list[int]:
    """Since its recipient said no to another one; where the system said otherwise, since it no longer did."""
    said, noes = run.said(token), final_noes(run).get(run.recipient(token), [])
    suppressed = bool(said) and said[-1].state == "suppressed"
    if not suppressed or not noes or noes[0].token == token or run.result(token) == "refused":
        return []
    others = [event.t_ns for event in said if event.state != "suppressed"]
    if not others:
        return [noes[0].at]
    since = min((e.t_ns for e in said if e.t_ns > max(others)), default=said[-1].t_ns)
    return [max(since, noes[0].at)]
