"""What the parts of one conversation share: who is there, how it is spoken to, what is recorded, and what
faults make of it.
"""

from __future__ import annotations

from harness.providers.faults import Decision, Subject
from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.attempt import Recorder, Reply
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

    def decide(
        self, stage: Stage, *, key: str, class_: str | None = None, canary: bool | None = None
    ) -> Decision[SmtpAnswer] | None:
        return self.service.context.faults.decide(
            stage,
            Subject(
                route=self.service.route,
                key=key,
                class_=class_,
                canary=self.recorder.canary_account if canary is None else canary,
            ),
        )

    async def refused(self, stage: Stage, begin_ns: int, *, key: str) -> bool:
        """Let a fault answer an attempt that has no recipient yet; true if one did."""
        decision = self.decide(stage, key=key)
        if decision is None:
            return False
        reply = self.reply_of(decision)
        self.recorder.refusal(reply, begin_ns, fault=decision.fault.id)
        await self.answer(reply, last=stage == Stage.CONNECT)
        return True

    def reply_of(self, decision: Decision[SmtpAnswer], **fields: str) -> Reply:
        answer = decision.answer
        assert answer is not None
        return Reply.of(str(answer) if answer.literal else self.voice.say(str(answer), **fields))
