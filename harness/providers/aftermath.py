"""What becomes of a message once it was taken: decided here, remembered, and handed on to be told.

In go receipts that are written already, from either engine, each with what its sender wants back; out go the
happenings that webhooks.py tells and journals. A message is delivered, unless a fault of the stage
`aftermath` says otherwise, or its recipient is suppressed: whoever bounced for good or complained gets
nothing more from the same account. So it is with every provider that is modelled here; each route has an
account of its own, and a list by route. (Two accounts of one customer do not share a list, and neither do
a real provider's subaccounts.)

The harness's canaries are journalled, so that a fault can be proved, and never told of: the sender never sent
them. Nor do they get on the list. Where nobody listens, the journal has what differs from the usual alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from harness.history.events import Receipt
from harness.providers.clock import Clock
from harness.providers.errors import FaultRefused
from harness.providers.faults import (
    AFTERMATH,
    LONGEST_DELAY_S,
    FaultTable,
    FaultType,
    Placed,
    Subject,
    check_attributes,
)
from harness.providers.ids import SeededIds
from harness.providers.ledger import HAND_OFFS, Ledger
from harness.providers.recollection import Recalled, Recollection
from harness.providers.tokens import Canary
from harness.providers.webhooks import Coming, EventShape, Fate, Happening, Webhook, Webhooks, life
from harness.providers.wire import ProviderFault

# Common answers of a large mailbox provider; a fault can give others.
HARD_BOUNCE = "550 5.1.1 The email account that you tried to reach does not exist."
SOFT_BOUNCE = "452 4.2.2 The email account that you tried to reach is over quota."
DEFERRAL = "450 4.2.1 The user you are trying to contact is receiving mail too quickly."
DROP = "Unsubscribed Address"
SMTP_CODES = range(400, 600)

TAKES: Mapping[FaultType, frozenset[str]] = {
    FaultType.BOUNCE: frozenset({"event", "code", "text"}),
    FaultType.EVENTS_LOST: frozenset(),
    FaultType.EVENTS_LATE: frozenset({"delay_s"}),
}
NO_ECHO: Mapping[str, str] = {}
FATES = (Fate.BOUNCED, Fate.COMPLAINED, Fate.DROPPED, Fate.DEFERRED)


def place(fault: ProviderFault) -> Placed[Any]:
    """Where a fault of these types acts, in any engine; raises FaultRefused that says what is valid.

    `code` and `text` of a bounce or a deferral are what the mailbox's server answered: a 4xx makes a bounce a
    soft one. `text` of a drop is its reason.
    """
    kind = FaultType(fault.type)
    check_attributes(fault, TAKES[kind])
    if fault.endpoint:
        raise FaultRefused(f"{kind} is about mail; endpoint {fault.endpoint!r} carries none")
    if kind is FaultType.BOUNCE:
        if fault.event not in (None, *FATES):
            raise FaultRefused(f"event {fault.event!r} is none of {', '.join(FATES)}")
        answered = (None, Fate.BOUNCED, Fate.DEFERRED)
        if fault.code is not None and (fault.event not in answered or fault.code not in SMTP_CODES):
            raise FaultRefused("code is the mailbox's answer to what bounced or was deferred, 400 to 599")
        if fault.event == Fate.DEFERRED and (fault.code or 400) >= 500:
            raise FaultRefused(f"code {fault.code} is for good; a deferral is 400 to 499")
        if fault.event == Fate.COMPLAINED and fault.text is not None:
            raise FaultRefused("a complaint has no text; leave it out")
    if kind is FaultType.EVENTS_LATE and not 0 < (fault.delay_s or 0) <= LONGEST_DELAY_S:
        raise FaultRefused(f"events-late needs delay_s, above 0 and at most {LONGEST_DELAY_S}")
    return Placed(stage=AFTERMATH)


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one message, and how it is told."""

    fate: Fate = Fate.DELIVERED
    cause: str = ""
    permanent: bool = True
    suppressed_by: Fate | None = None
    telling: Webhook = Webhook.DELIVERED
    delay_s: float = 0.0


USUAL = Course()


class Aftermath:
    """One provider's. `shape` is the preset's, also where nobody listens."""

    def __init__(
        self,
        shape: EventShape | None,
        webhooks: Webhooks,
        *,
        clock: Clock,
        ledger: Ledger,
        ids: SeededIds,
        faults: FaultTable[Any],
    ) -> None:
        self._shape = shape
        self._webhooks = webhooks
        self._clock = clock
        self._ledger = ledger
        self._ids = ids
        self._faults = faults
        self.recollection = Recollection()
        self._suppressed: dict[tuple[str, str], tuple[float, Fate]] = {}  # since when, and by what

    def is_suppressed(self, route: str, recipient: str | None) -> bool:
        """Whether this recipient bounced for good or complained before."""
        return self._suppressed_by(route, recipient) is not None

    def taken(self, receipt: Receipt, echo: Mapping[str, str], class_: str | None = None) -> None:
        """A receipt is written; if it is a hand-off, what becomes of its message begins now."""
        if receipt.result not in HAND_OFFS:
            return
        course = self._course(receipt, class_)
        self._keep(receipt, echo, course)
        by_harness = receipt.canary == Canary.HARNESS
        listens = self._webhooks.listens(receipt.route)
        telling = course.telling
        if by_harness:
            telling = Webhook.NONE if telling is Webhook.DELIVERED else telling
            is_told_of = self._shape is not None or course != USUAL
        else:
            telling = telling if listens else Webhook.NONE
            is_told_of = listens or course.fate is not Fate.DELIVERED
        if not is_told_of:
            return
        happenings = self._happenings(receipt, echo, course)
        if not by_harness:
            self._suppress(happenings[-1])
        posted = listens and not by_harness and telling is not Webhook.LOST
        self._webhooks.expect(
            receipt.route,
            [
                Coming(happening=each, posted=posted, telling=telling, delay_s=course.delay_s)
                for each in happenings
            ],
        )

    def thrown_away(self, receipt: Receipt, echo: Mapping[str, str] = NO_ECHO) -> None:
        """It seemed to be taken, and was not; nobody is told, and who asks hears that it is on its way."""
        self._keep(receipt, echo, None)
        self._ledger.event(
            Fate.DROPPED,
            route=receipt.route,
            token=receipt.token,
            recipient=receipt.recipient,
            canary=receipt.canary,
            webhook=Webhook.NONE,
        )

    def _keep(self, receipt: Receipt, echo: Mapping[str, str], course: Course | None) -> None:
        """`course` is None where nothing will become of it."""
        now_s = self._clock.wall_s()
        begins = None if self._shape is None else self._shape.begins
        on_its_way = [] if begins is None else [(begins, 0.0)]
        told = on_its_way if course is None else life(course.fate, begins)
        self.recollection.keep(
            Recalled(
                receipt=receipt,
                taken_s=now_s,
                told=[(event, now_s + after_s) for event, after_s in told],
                permanent=course is None or course.permanent,
                echo=echo,
            )
        )

    def _course(self, receipt: Receipt, class_: str | None) -> Course:
        by_harness = receipt.canary == Canary.HARNESS
        if not by_harness and (by := self._suppressed_by(receipt.route, receipt.recipient)) is not None:
            return Course(fate=Fate.DROPPED, suppressed_by=by)
        if not self._faults.are_at(AFTERMATH):
            return USUAL
        subject = Subject(
            route=receipt.route,
            key=receipt.token or receipt.attempt,
            class_=class_,
            tenant=receipt.tenant,
            recipient=receipt.recipient,
            canary=by_harness,
        )
        decision = self._faults.decide(AFTERMATH, subject)
        return USUAL if decision is None else _by_fault(decision.fault)

    def _happenings(self, receipt: Receipt, echo: Mapping[str, str], course: Course) -> list[Happening]:
        now_s = self._clock.now_s()
        begins = None if self._shape is None else self._shape.begins
        return [
            Happening(
                event=event,
                id=self._ids.next_hex("webhook-event", 32),
                at_s=now_s + after_s,
                epoch_s=self._clock.epoch_s + now_s + after_s,
                receipt=receipt,
                echo=dict(echo),
                cause=course.cause if event == course.fate else "",
                permanent=course.permanent,
                suppressed_by=course.suppressed_by,
            )
            for event, after_s in life(course.fate, begins)
        ]

    def _suppress(self, last: Happening) -> None:
        """From the moment of a hard bounce or a complaint on."""
        recipient = last.receipt.recipient
        for_good = last.event == Fate.COMPLAINED or (last.event == Fate.BOUNCED and last.permanent)
        if for_good and recipient is not None:
            self._suppressed.setdefault(
                (last.receipt.route, recipient.lower()), (last.at_s, Fate(last.event))
            )

    def _suppressed_by(self, route: str, recipient: str | None) -> Fate | None:
        if not self._suppressed or recipient is None:
            return None
        since_s, fate = self._suppressed.get((route, recipient.lower()), (float("inf"), None))
        return fate if since_s <= self._clock.now_s() else None


def _by_fault(fault: ProviderFault) -> Course:
    match FaultType(fault.type):
        case FaultType.EVENTS_LOST:
            return Course(telling=Webhook.LOST)
        case FaultType.EVENTS_LATE:
            return Course(telling=Webhook.LATE, delay_s=fault.delay_s or 0.0)
        case _:
            fate = Fate(fault.event or Fate.BOUNCED)
            permanent = fault.code is None or fault.code >= 500
            return Course(fate=fate, permanent=permanent, cause=_cause(fault, fate, permanent))


def _cause(fault: ProviderFault, fate: Fate, permanent: bool) -> str:
    """What the mailbox's server said; of a drop, why."""
    usual = {
        Fate.BOUNCED: HARD_BOUNCE if permanent else SOFT_BOUNCE,
        Fate.DEFERRED: DEFERRAL,
        Fate.DROPPED: DROP,
    }.get(fate, "")
    code, _, said = usual.partition(" ")
    if fate in (Fate.BOUNCED, Fate.DEFERRED):
        return f"{fault.code or code} {fault.text or said}"
    return fault.text or usual
