"""Whether a provider takes responsibility for a message whose body is there, and what its client hears.

A message whose last byte has arrived is taken, whether or not its client is still there to hear it. First
come faults in place of an answer, then the account's limits; what is taken is recorded before it is answered.
"""

from __future__ import annotations

import msgspec

from harness.history.events import Receipt, ReceiptResult
from harness.providers.faults import Acts, Decision, FaultType
from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.attempt import Attempt, Reply, Stored
from harness.providers.smtp.session import Session
from harness.providers.tokens import NOTHING_CARRIED, Canary, Carried, identify, read_message
from harness.providers.wire import ProviderFault

CANARY_WAIT_S = 2.0


class Handover:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._service = session.service
        self._wire = session.wire
        self._texts = session.texts
        self._recorder = session.recorder

    async def refused(self, attempt: Attempt, stage: Stage, carried: Carried = NOTHING_CARRIED) -> bool:
        """Let a fault answer for all recipients; true if one did."""
        decision = self._decide_for(attempt, stage, carried)
        if decision is None:
            return False
        reply = self._session.reply_of(decision, sender=attempt.sender, recipient=attempt.recipients[0])
        await self._settle(attempt, reply, carried, decision)
        return True

    async def complete(self, attempt: Attempt, message: bytes | None) -> None:
        """The whole message is here (None: it was too big): refuse it, or take responsibility for it."""
        session = self._session
        if message is None:
            await self._settle(attempt, session.reply(self._texts.too_big))
            return
        carried = read_message(message)
        if await self.refused(attempt, Stage.BODY, carried):
            return
        decision, refusal = await self._limited(attempt, carried)
        if refusal is not None:
            await self._settle(attempt, session.reply(refusal), carried, decision)
            return
        await self._take(attempt, message, carried, held=decision)

    def _decide_for(
        self, attempt: Attempt, stage: Stage, carried: Carried, acts: Acts | None = None
    ) -> Decision[SmtpAnswer] | None:
        if not self._service.context.faults.are_at(stage):
            return None
        first, *others = [
            self._session.subject(
                key=identify(each, carried).token or attempt.id,
                class_=carried.class_,
                recipient=each,
                canary=self._recorder.canary(each) is Canary.HARNESS,
            )
            for each in attempt.recipients
        ]
        return self._session.decide(stage, msgspec.structs.replace(first, beside=tuple(others)), acts)

    async def _settle(
        self,
        attempt: Attempt,
        reply: Reply,
        carried: Carried = NOTHING_CARRIED,
        decision: Decision[SmtpAnswer] | None = None,
    ) -> None:
        """Refuse the whole message: record, then answer, or do as the fault does."""
        fault = decision.fault.id if decision else None
        self._recorder.outcome(attempt, reply, attempt.recipients, carried=carried, fault=fault)
        attempt.settled = True
        if decision is None:
            await self._session.answer(reply)
        else:
            await self._session.act(decision, reply)

    async def _limited(
        self, attempt: Attempt, carried: Carried
    ) -> tuple[Decision[SmtpAnswer] | None, str | None]:
        """Hold the message until its turn has come, or say which limit refuses it: a fault's, or its own."""
        recipients, now_s = len(attempt.recipients), self._session.clock.now_s()
        by_harness = self._recorder.canary(attempt.recipients[0]) is Canary.HARNESS
        held_s = 0.0

        def exceeds(fault: ProviderFault) -> bool:
            nonlocal held_s
            throttle = self._service.registry.throttle(fault, self._recorder.account or self._service.route)
            if fault.rate is None or self._texts.throttled is not None:
                return throttle.exceeded(recipients, now_s)
            held_s = throttle.wait_s(now_s)
            return held_s > 0

        decision = self._decide_for(attempt, Stage.LIMIT, carried, exceeds)
        if decision is not None:
            if decision.fault.quota is not None:
                return decision, self._texts.quota_exceeded
            if self._texts.throttled is not None:
                return decision, self._texts.throttled
            # The harness's canary has no place in the row; it is to see that others wait.
            await self._wire.hold(
                min(1 / (decision.fault.rate or 1), CANARY_WAIT_S) if by_harness else held_s
            )
            return decision, None
        if by_harness:
            return None, None
        use = self._session.use
        assert use is not None
        if use.too_many_connections(self._session.id):
            return None, self._texts.connections_exceeded
        if self._texts.throttled is not None and use.too_fast(recipients, now_s):
            return None, self._texts.throttled
        if use.over_quota(recipients, now_s):
            return None, self._texts.quota_exceeded
        if (wait_s := use.wait_s(now_s)) > 0:
            await self._wire.hold(wait_s)
        return None, None

    async def _take(
        self, attempt: Attempt, message: bytes, carried: Carried, held: Decision[SmtpAnswer] | None
    ) -> None:
        """Take responsibility, or seem to: the record, what becomes of the message, the answer.

        An answer that is late on purpose is recorded once it is known whether its client is still there.
        """
        session = self._session
        reply = session.reply(self._texts.accepted, sender=attempt.sender)
        dropped = self._decide_for(attempt, Stage.TAKEN, carried)
        late = None if dropped is not None else self._acknowledged_by_fault(attempt, carried)
        decision = dropped or late or held
        lost = late is not None and late.fault.type == FaultType.ACK_LOSS
        end_ns = session.clock.now_ns()
        if late is not None and not lost:
            await self._wire.hold(late.fault.delay_s or 0.0)
        client_left = self._wire.gone.is_set()
        stored = Stored(self._service.context.pack.append(message), len(message))
        receipts = self._recorder.outcome(
            attempt,
            reply,
            attempt.recipients,
            result=ReceiptResult.ACK_LOST if lost or client_left else None,
            carried=carried,
            stored=stored,
            fault=decision.fault.id if decision is not None else None,
            end_ns=end_ns,
        )
        attempt.settled = True
        self._afterwards(attempt, message, receipts, carried, dropped=dropped is not None)
        if late is not None and lost:
            await self._lose(late, reply)
        elif client_left:
            session.leaving = True
            self._wire.cut()
        else:
            await self._wire.push(str(reply))

    def _acknowledged_by_fault(self, attempt: Attempt, carried: Carried) -> Decision[SmtpAnswer] | None:
        for stage in (Stage.ACK, Stage.MID_REPLY):
            if (decision := self._decide_for(attempt, stage, carried)) is not None:
                return decision
        return None

    def _afterwards(
        self, attempt: Attempt, message: bytes, receipts: list[Receipt], carried: Carried, *, dropped: bool
    ) -> None:
        aftermath = self._service.context.aftermath
        for receipt in receipts:
            if dropped:
                aftermath.thrown_away(receipt)
            else:
                aftermath.taken(receipt, {}, carried.class_)
        if self._service.relay is not None and not dropped:
            self._service.relay.offer(attempt.sender, self._recorder.customers(attempt), message)

    async def _lose(self, decision: Decision[SmtpAnswer], reply: Reply) -> None:
        """The message is taken; the client hears an error, half of the answer, or a reset."""
        session = self._session
        if decision.answer is not None:
            await session.answer(session.reply_of(decision))
            return
        session.end_by(decision)
        if decision.fault.stage == Stage.MID_REPLY:
            self._wire.break_off(str(reply))
        else:
            self._wire.cut()
