"""One message after the other: MAIL, RCPT, DATA or BDAT, and whether the provider takes responsibility.

A message whose last byte has arrived is taken, whether or not its client is still there to hear it.
"""

from __future__ import annotations

from harness.history.events import ReceiptResult
from harness.providers.faults import Decision
from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.attempt import Attempt, Reply, Stored
from harness.providers.smtp.paths import BadAddress, BadSyntax, Path, parse_path
from harness.providers.smtp.session import Session
from harness.providers.tokens import NOTHING_CARRIED, Canary, Carried, identify, read_message

MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID"})
RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT"})


class Transaction:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._service = session.service
        self._wire = session.wire
        self._texts = session.texts
        self._recorder = session.recorder
        self._attempt: Attempt | None = None

    @property
    def is_open(self) -> bool:
        return self._attempt is not None

    def forget(self) -> None:
        """Nothing of what was begun can be written down."""
        self._attempt = None

    def abandon(self, reason: str) -> None:
        if self._attempt is not None:
            attempt, self._attempt = self._attempt, None
            self._recorder.aborted(attempt, reason)

    # --- the envelope ---

    async def mail(self, argument: str) -> None:
        session = self._session
        if not session.greeted or self._attempt is not None:
            await session.say(self._texts.mail_nested if session.greeted else self._texts.hello_first)
            return
        path = await self._path(argument, "FROM", MAIL_PARAMETERS)
        if path is None:
            return
        begin_ns = session.clock.now_ns()
        refusal = None
        if self._service.login_needed and not session.logged_in:
            refusal = self._texts.auth_needed
        elif int(path.parameters.get("SIZE") or 0) > self._service.limits.message_bytes:
            refusal = self._texts.too_big
        if refusal is not None:
            reply = session.reply(refusal, sender=path.address)
            self._recorder.refusal(reply, begin_ns)
            await session.answer(reply)
            return
        if await session.refused(Stage.MAIL, begin_ns, key=self._recorder.next_attempt_id):
            return
        if session.use is None:
            session.count_in("")
        self._attempt = self._recorder.begin(path.address, begin_ns)
        await session.say(self._texts.mail_ok, sender=path.address)

    async def rcpt(self, argument: str) -> None:
        session, attempt = self._session, self._attempt
        if attempt is None or attempt.chunks is not None:
            await session.say(self._texts.mail_first if attempt is None else self._texts.bad_chunks)
            return
        path = await self._path(argument, "TO", RCPT_PARAMETERS)
        if path is None:
            return
        recipient = path.address
        decision = session.decide(
            Stage.RCPT,
            key=identify(recipient).token or attempt.id,
            canary=self._recorder.canary(recipient) is Canary.HARNESS,
        )
        most = self._service.limits.recipients_per_message
        if decision is not None:
            reply = session.reply_of(decision, recipient=recipient)
        elif most is not None and len(attempt.recipients) >= most:
            reply = session.reply(self._texts.too_many_recipients, recipient=recipient)
        else:
            attempt.recipients.append(recipient)
            await session.say(self._texts.rcpt_ok, recipient=recipient)
            return
        self._recorder.outcome(attempt, reply, [recipient], fault=decision.fault.id if decision else None)
        attempt.refused += 1
        await session.answer(reply)

    async def _path(self, argument: str, keyword: str, known: frozenset[str]) -> Path | None:
        try:
            path = parse_path(argument, keyword)
            if not path.parameters.get("SIZE", "0").isdecimal():
                raise BadSyntax
        except BadAddress:
            await self._session.say(self._texts.bad_address)
            return None
        except BadSyntax:
            await self._session.say(self._texts.bad_syntax)
            return None
        if not known.issuperset(path.parameters):
            await self._session.say(self._texts.unknown_parameter)
            return None
        return path

    # --- the body ---

    async def data(self, argument: str) -> None:
        attempt = await self._ready_for_body()
        if attempt is None:
            return
        if argument or attempt.chunks is not None:
            await self._session.say(self._texts.bad_syntax if argument else self._texts.bad_chunks)
            return
        if await self._body_refused(attempt, Stage.DATA, NOTHING_CARRIED):
            return
        await self._session.say(self._texts.go_ahead)
        message = await self._wire.read_dotted(self._service.limits.message_bytes)
        await self._end_of_body(attempt, message)

    async def bdat(self, argument: str) -> None:
        words = argument.upper().split()
        if not words or not words[0].isdecimal() or len(words[0]) > 10 or words[1:] not in ([], ["LAST"]):
            await self._session.say(self._texts.bad_syntax)
            return
        size = int(words[0])
        first = self._attempt is not None and self._attempt.chunks is None
        # The chunk follows whatever the answer will be.
        chunk = await self._wire.read_chunk(size, self._service.limits.message_bytes)
        attempt = await self._ready_for_body()
        if attempt is None:
            return
        if first and await self._body_refused(attempt, Stage.DATA, NOTHING_CARRIED):
            return
        if attempt.chunks is None:
            attempt.chunks = bytearray()
        if chunk is None or len(attempt.chunks) + size > self._service.limits.message_bytes:
            await self._end_of_body(attempt, None)
        elif len(words) == 2:
            await self._end_of_body(attempt, bytes(attempt.chunks) + chunk)
        else:
            attempt.chunks += chunk
            await self._session.say(self._texts.chunk_ok)

    async def _ready_for_body(self) -> Attempt | None:
        attempt = self._attempt
        if attempt is not None and attempt.recipients:
            return attempt
        await self._session.say(self._texts.mail_first if attempt is None else self._texts.no_recipients)
        return None

    async def _body_refused(self, attempt: Attempt, stage: Stage, carried: Carried) -> bool:
        """Let a fault answer for all recipients; true if one did."""
        decision = self._decide_for(attempt, stage, carried)
        if decision is None:
            return False
        reply = self._session.reply_of(decision, sender=attempt.sender)
        await self._settle(attempt, reply, carried, decision)
        return True

    def _decide_for(self, attempt: Attempt, stage: Stage, carried: Carried) -> Decision[SmtpAnswer] | None:
        first = attempt.recipients[0]
        return self._session.decide(
            stage,
            key=identify(first, carried).token or attempt.id,
            class_=carried.class_,
            canary=self._recorder.canary(first) is Canary.HARNESS,
        )

    async def _settle(
        self,
        attempt: Attempt,
        reply: Reply,
        carried: Carried = NOTHING_CARRIED,
        decision: Decision[SmtpAnswer] | None = None,
    ) -> None:
        """Refuse the whole message: record, then answer."""
        fault = decision.fault.id if decision else None
        self._recorder.outcome(attempt, reply, attempt.recipients, carried=carried, fault=fault)
        self._attempt = None
        await self._session.answer(reply)

    # --- after the last byte ---

    async def _end_of_body(self, attempt: Attempt, message: bytes | None) -> None:
        """The whole message is here (None: it was too big): refuse it, or take responsibility for it."""
        session = self._session
        if message is None:
            await self._settle(attempt, session.reply(self._texts.too_big))
            return
        carried = read_message(message)
        if await self._body_refused(attempt, Stage.BODY, carried):
            return
        if self._recorder.canary(attempt.recipients[0]) is not Canary.HARNESS:
            refusal = await self._limit(len(attempt.recipients))
            if refusal is not None:
                await self._settle(attempt, session.reply(refusal), carried)
                return
        await self._take(attempt, message, carried)

    async def _limit(self, recipients: int) -> str | None:
        """Hold the message until its minute has come, or say which limit refuses it."""
        use, now_s = self._session.use, self._session.clock.now_s()
        assert use is not None
        if use.too_many_connections(self._session.id):
            return self._texts.connections_exceeded
        if use.over_quota(recipients, now_s):
            return self._texts.quota_exceeded
        wait_s = use.wait_s(now_s)
        if wait_s > 0:
            await self._wire.hold(wait_s)
        return None

    async def _take(self, attempt: Attempt, message: bytes, carried: Carried) -> None:
        reply = self._session.reply(self._texts.accepted, sender=attempt.sender)
        loss = self._decide_for(attempt, Stage.ACK, carried)
        client_left = self._wire.gone.is_set()
        stored = Stored(self._service.context.pack.append(message), len(message))
        self._recorder.outcome(
            attempt,
            reply,
            attempt.recipients,
            result=ReceiptResult.ACK_LOST if loss or client_left else None,
            carried=carried,
            stored=stored,
            fault=loss.fault.id if loss else None,
        )
        self._attempt = None
        if self._service.relay is not None:
            self._service.relay.offer(attempt.sender, self._recorder.customers(attempt), message)
        if loss or client_left:
            if loss:
                self._wire.end = f"fault {loss.fault.id}"
            self._session.leaving = True
            self._wire.cut()
        else:
            await self._wire.push(str(reply))
