"""What the parts of one conversation share: who is there, how it is spoken to, what is recorded, and what
faults make of it.
"""

from __future__ import annotations

from harness.providers.faults import Acts, Decision, FaultType, Subject
from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.attempt import CUT, NO_ANSWER, Recorder, Reply
from harness.providers.smtp.limits import AccountUse
from harness.providers.smtp.service import Service
from harness.providers.smtp.voice import Voice
from harness.providers.smtp.wire import Wire


class Session:
    """`connection` is the connection's id in receipts."""

    def __init__(self, service: Service, wire: Wire, connection: str) -> None:
        context = service.context
        self.id = connection
        self.service = service
        self.wire = wire
        self.clock = context.clock
        self.texts = service.manners.texts
        self.recorder = Recorder(service, connection)
        self.voice = Voice(
            self.texts,
            service.hosts,
            clock=context.clock,
            ids=context.ids,
            ip=wire.ip,
            session=context.ids.next_hex("session", 12).upper(),
        )
        self.goodbye = False  # the end was announced, by either side
        self.leaving = False
        self.greeted = False
        self.logged_in = False
        self.use: AccountUse | None = None  # of the account; without a login, of the nameless one

    async def say(self, template: str, **fields: str) -> None:
        await self.wire.push(self.voice.say(template, **fields))

    async def answer(self, reply: Reply, *, last: bool = False) -> None:
        """Send what was recorded. A 421 is the last word, and so is an answer in place of the greeting."""
        if last or reply.code == 421:
            self.goodbye = self.leaving = True
        await self.wire.push(str(reply))

    def reply(self, template: str, **fields: str) -> Reply:
        return Reply.of(self.voice.say(template, **fields))

    # --- the account ---

    def count_in(self, account: str) -> None:
        """From now on what happens here counts for this account."""
        self.count_out()
        self.use = self.service.registry.use_of(account)
        if not self.recorder.canary_account:
            self.use.logged_in(self.id)

    def count_out(self) -> None:
        if self.use is not None:
            self.use.gone(self.id)
        self.use = None

    # --- faults ---

    def subject(
        self, *, key: str, class_: str | None = None, recipient: str | None = None, canary: bool | None = None
    ) -> Subject:
        """`canary` where the account alone does not tell."""
        return Subject(
            route=self.service.route,
            key=key,
            class_=class_,
            tenant=self.recorder.tenant,
            recipient=recipient,
            canary=self.recorder.canary_account if canary is None else canary,
        )

    def decide(self, stage: Stage, subject: Subject, acts: Acts | None = None) -> Decision[SmtpAnswer] | None:
        """The fault that hits this attempt here."""
        return self.service.context.faults.decide(stage, subject, acts)

    async def refused(self, stage: Stage, begin_ns: int, *, key: str, **fields: str) -> bool:
        """Let a fault answer an attempt that has no recipient yet; true if one did."""
        decision = self.decide(stage, self.subject(key=key))
        if decision is None:
            return False
        await self.refuse(decision, stage, begin_ns, **fields)
        return True

    async def refuse(
        self, decision: Decision[SmtpAnswer], stage: Stage, begin_ns: int, **fields: str
    ) -> None:
        reply = self.reply_of(decision, **fields)
        self.recorder.refusal(reply, begin_ns, fault=decision.fault.id)
        await self.act(decision, reply, last=stage is Stage.CONNECT)

    def reply_of(self, decision: Decision[SmtpAnswer], **fields: str) -> Reply:
        """What is recorded of an attempt that is not taken because of this fault."""
        match FaultType(decision.fault.type):
            case FaultType.HANG:
                return NO_ANSWER
            case FaultType.DISCONNECT:
                return CUT
        answer = decision.answer
        assert answer is not None, f"{decision.fault.type} without an answer"
        return Reply.of(str(answer) if answer.literal else self.voice.say(str(answer), **fields))

    async def act(self, decision: Decision[SmtpAnswer], reply: Reply, *, last: bool = False) -> None:
        """Let the client have what was recorded: the reply, a reset, or nothing until it gives up."""
        if reply.code is not None:
            await self.answer(reply, last=last)
            return
        self.end_by(decision)
        if reply is CUT:
            self.wire.cut()
        else:
            await self.wire.hold_until_gone()

    def end_by(self, decision: Decision[SmtpAnswer]) -> None:
        self.wire.end = f"fault {decision.fault.id}"
        self.leaving = True
