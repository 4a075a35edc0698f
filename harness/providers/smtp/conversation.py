"""The conversation of one SMTP connection: what the client says, what the preset answers, what faults make of
it.

Three rules: whatever decides an attempt is in the ledger before the answer is on the wire; a message whose
last byte has arrived is taken, whether or not its client is still there to hear it; after a refusal, the
commands that a pipelining client has sent ahead are answered one by one, in order.
"""

from __future__ import annotations

import asyncio
import logging

from harness.history.events import ReceiptResult
from harness.providers.errors import JournalError
from harness.providers.faults import Decision, Subject
from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.attempt import Attempt, Recorder, Reply, Stored
from harness.providers.smtp.auth import MECHANISMS, CancelledAuth, MalformedAuth, exchange
from harness.providers.smtp.limits import AccountUse
from harness.providers.smtp.paths import BadAddress, BadSyntax, Path, parse_path
from harness.providers.smtp.service import Service
from harness.providers.smtp.voice import Voice
from harness.providers.smtp.wire import Wire
from harness.providers.tokens import NOTHING_CARRIED, Canary, Carried, identify, read_message

log = logging.getLogger(__name__)

MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID"})
RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT"})


class Conversation:
    """`connection` is the connection's id in receipts."""

    def __init__(self, service: Service, wire: Wire, connection: str) -> None:
        context = service.context
        self.id = connection
        self._service = service
        self._wire = wire
        self._clock = context.clock
        self._texts = service.manners.texts
        self._faults = context.faults
        self._recorder = Recorder(service, connection)
        self._voice = Voice(
            self._texts,
            service.hosts,
            clock=context.clock,
            ids=context.ids,
            ip=wire.ip,
            session=context.ids.next_hex("session", 12).upper(),
        )
        wire.idle_text = self._voice.say(self._texts.idle)
        wire.stopping_text = self._voice.say(self._texts.stopping)
        self._goodbye = False  # the end was announced, by either side
        self._leaving = False
        self._greeted = False
        self._logged_in = False
        self._use: AccountUse | None = None  # of the account; without a login, of the nameless one
        self._attempt: Attempt | None = None
        self._commands = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "BDAT": self._bdat,
            "RSET": self._rset,
            "QUIT": self._quit,
        }
        texts = self._texts
        self._fixed = {"NOOP": texts.noop, "VRFY": texts.verify, "HELP": texts.help}

    async def run(self) -> None:
        if await self._refused(Stage.CONNECT, self._clock.now_ns(), key=self.id):
            return
        await self._say(self._texts.greeting)
        while not self._leaving:
            try:
                line = await self._wire.read_line()
                verb, _, argument = line.partition(" ")
                command = self._commands.get(verb.upper())
                if command is None:
                    await self._say(self._fixed.get(verb.upper(), self._texts.unknown_command))
                else:
                    await command(argument.strip())
            except asyncio.LimitOverrunError as overrun:
                await self._wire.skip_line(overrun)
                await self._say(self._texts.line_too_long)
            except JournalError:
                # Not written, so not answered for: the client is told to come again.
                log.exception("a record of %s was not written", self.id)
                self._attempt = None
                await self._say(self._texts.internal_error)

    async def _say(self, template: str, **fields: str) -> None:
        await self._wire.push(self._voice.say(template, **fields))

    def _decide(
        self, stage: Stage, *, key: str, class_: str | None = None, canary: bool | None = None
    ) -> Decision[SmtpAnswer] | None:
        return self._faults.decide(
            stage,
            Subject(
                route=self._service.route,
                key=key,
                class_=class_,
                canary=self._recorder.canary_account if canary is None else canary,
            ),
        )

    async def _refused(self, stage: Stage, begin_ns: int, *, key: str) -> bool:
        """Let a fault answer an attempt that has no recipient yet; true if one did."""
        decision = self._decide(stage, key=key)
        if decision is None:
            return False
        reply = self._reply_of(decision)
        self._recorder.refusal(reply, begin_ns, fault=decision.fault.id)
        await self._answer(reply, last=stage == Stage.CONNECT)
        return True

    def _reply_of(self, decision: Decision[SmtpAnswer], **fields: str) -> Reply:
        answer = decision.answer
        assert answer is not None
        return Reply.of(str(answer) if answer.literal else self._voice.say(str(answer), **fields))

    async def _answer(self, reply: Reply, *, last: bool = False) -> None:
        """Send what was recorded. A 421 is the last word, and so is an answer in place of the greeting."""
        if last or reply.code == 421:
            self._goodbye = self._leaving = True
        await self._wire.push(str(reply))

    # --- before a message ---

    async def _ehlo(self, argument: str) -> None:
        if not argument:
            await self._say(self._texts.bad_syntax)
            return
        self._abandon("EHLO")
        self._greeted = True
        lines = self._service.manners.lines(encrypted=self._wire.encrypted)
        lines = (self._voice.say(self._texts.hello), *(self._voice.say(line) for line in lines))
        await self._wire.push("\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))

    async def _helo(self, argument: str) -> None:
        if not argument:
            await self._say(self._texts.bad_syntax)
            return
        self._abandon("HELO")
        self._greeted = True
        await self._say("250 " + self._texts.hello)

    async def _starttls(self, argument: str) -> None:
        if self._service.tls is None or self._wire.encrypted or argument:
            await self._say(self._texts.bad_syntax if argument else self._texts.unknown_command)
            return
        self._abandon("STARTTLS")
        self._greeted = self._logged_in = False
        self._count_out()
        await self._wire.upgrade()

    async def _auth(self, argument: str) -> None:
        begin_ns = self._clock.now_ns()
        if not self._greeted or self._logged_in or self._attempt is not None:
            await self._say(self._texts.auth_again if self._greeted else self._texts.hello_first)
            return
        name, _, initial = argument.partition(" ")
        try:
            if name.upper() not in self._service.manners.mechanisms(encrypted=self._wire.encrypted):
                refusal = self._texts.auth_unknown
            else:
                credentials = await exchange(MECHANISMS[name.upper()](initial.strip() or None), self._wire)
                refusal = self._texts.auth_refused
                self._recorder.claim(credentials.username)
                if await self._refused(Stage.AUTH, begin_ns, key=self.id):
                    return
                if self._service.account(credentials.username, credentials.secret) is not None:
                    self._logged_in = True
                    self._count_in(credentials.username)
                    await self._say(self._texts.auth_ok)
                    return
        except MalformedAuth:
            refusal = self._texts.auth_malformed
        except CancelledAuth:
            refusal = self._texts.auth_cancelled
        reply = Reply.of(self._voice.say(refusal, mechanism=name))
        self._recorder.refusal(reply, begin_ns)
        await self._answer(reply)

    def _count_in(self, account: str) -> None:
        self._count_out()
        self._use = self._service.registry.use_of(account)
        if not self._recorder.canary_account:
            self._use.logged_in(self.id)

    def _count_out(self) -> None:
        if self._use is not None:
            self._use.gone(self.id)
        self._use = None

    # --- a message ---

    async def _mail(self, argument: str) -> None:
        if not self._greeted or self._attempt is not None:
            await self._say(self._texts.mail_nested if self._greeted else self._texts.hello_first)
            return
        path = await self._path(argument, "FROM", MAIL_PARAMETERS)
        if path is None:
            return
        begin_ns = self._clock.now_ns()
        refusal = None
        if self._service.login_needed and not self._logged_in:
            refusal = self._texts.auth_needed
        elif int(path.parameters.get("SIZE") or 0) > self._service.limits.message_bytes:
            refusal = self._texts.too_big
        if refusal is not None:
            reply = Reply.of(self._voice.say(refusal, sender=path.address))
            self._recorder.refusal(reply, begin_ns)
            await self._answer(reply)
            return
        if await self._refused(Stage.MAIL, begin_ns, key=self._recorder.next_attempt_id):
            return
        if self._use is None:
            self._count_in("")
        self._attempt = self._recorder.begin(path.address, begin_ns)
        await self._say(self._texts.mail_ok, sender=path.address)

    async def _rcpt(self, argument: str) -> None:
        attempt = self._attempt
        if attempt is None or attempt.chunks is not None:
            await self._say(self._texts.mail_first if attempt is None else self._texts.bad_chunks)
            return
        path = await self._path(argument, "TO", RCPT_PARAMETERS)
        if path is None:
            return
        recipient = path.address
        decision = self._decide(
            Stage.RCPT,
            key=identify(recipient).token or attempt.id,
            canary=self._recorder.canary(recipient) is Canary.HARNESS,
        )
        most = self._service.limits.recipients_per_message
        if decision is not None:
            reply = self._reply_of(decision, recipient=recipient)
        elif most is not None and len(attempt.recipients) >= most:
            reply = Reply.of(self._voice.say(self._texts.too_many_recipients, recipient=recipient))
        else:
            attempt.recipients.append(recipient)
            await self._say(self._texts.rcpt_ok, recipient=recipient)
            return
        self._recorder.outcome(attempt, reply, [recipient], fault=decision.fault.id if decision else None)
        attempt.refused += 1
        await self._answer(reply)

    async def _path(self, argument: str, keyword: str, known: frozenset[str]) -> Path | None:
        try:
            path = parse_path(argument, keyword)
            if not path.parameters.get("SIZE", "0").isdecimal():
                raise BadSyntax
        except BadAddress:
            await self._say(self._texts.bad_address)
            return None
        except BadSyntax:
            await self._say(self._texts.bad_syntax)
            return None
        if not known.issuperset(path.parameters):
            await self._say(self._texts.unknown_parameter)
            return None
        return path

    async def _data(self, argument: str) -> None:
        attempt = await self._ready_for_body()
        if attempt is None:
            return
        if argument or attempt.chunks is not None:
            await self._say(self._texts.bad_syntax if argument else self._texts.bad_chunks)
            return
        if await self._body_refused(attempt, Stage.DATA, NOTHING_CARRIED):
            return
        await self._say(self._texts.go_ahead)
        message = await self._wire.read_dotted(self._service.limits.message_bytes)
        await self._end_of_body(attempt, message)

    async def _bdat(self, argument: str) -> None:
        words = argument.upper().split()
        if not words or not words[0].isdecimal() or len(words[0]) > 10 or words[1:] not in ([], ["LAST"]):
            await self._say(self._texts.bad_syntax)
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
            await self._say(self._texts.chunk_ok)

    async def _ready_for_body(self) -> Attempt | None:
        attempt = self._attempt
        if attempt is not None and attempt.recipients:
            return attempt
        await self._say(self._texts.mail_first if attempt is None else self._texts.no_recipients)
        return None

    async def _body_refused(self, attempt: Attempt, stage: Stage, carried: Carried) -> bool:
        """Let a fault answer for all recipients; true if one did."""
        decision = self._decide_for(attempt, stage, carried)
        if decision is None:
            return False
        await self._settle(attempt, self._reply_of(decision, sender=attempt.sender), carried, decision)
        return True

    def _decide_for(self, attempt: Attempt, stage: Stage, carried: Carried) -> Decision[SmtpAnswer] | None:
        first = attempt.recipients[0]
        return self._decide(
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
        await self._answer(reply)

    async def _end_of_body(self, attempt: Attempt, message: bytes | None) -> None:
        """The whole message is here (None: it was too big): refuse it, or take responsibility for it."""
        if message is None:
            await self._settle(attempt, Reply.of(self._voice.say(self._texts.too_big)))
            return
        carried = read_message(message)
        if await self._body_refused(attempt, Stage.BODY, carried):
            return
        if self._recorder.canary(attempt.recipients[0]) is not Canary.HARNESS:
            refusal = await self._limit(len(attempt.recipients))
            if refusal is not None:
                await self._settle(attempt, Reply.of(self._voice.say(refusal)), carried)
                return
        await self._take(attempt, message, carried)

    async def _limit(self, recipients: int) -> str | None:
        """Hold the message until its minute has come, or say which limit refuses it."""
        use, now_s = self._use, self._clock.now_s()
        assert use is not None
        if use.too_many_connections(self.id):
            return self._texts.connections_exceeded
        if use.over_quota(recipients, now_s):
            return self._texts.quota_exceeded
        wait_s = use.wait_s(now_s)
        if wait_s > 0:
            await self._wire.hold(wait_s)
        return None

    async def _take(self, attempt: Attempt, message: bytes, carried: Carried) -> None:
        reply = Reply.of(self._voice.say(self._texts.accepted, sender=attempt.sender))
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
            self._leaving = True
            self._wire.cut()
        else:
            await self._wire.push(str(reply))

    # --- the rest ---

    async def _rset(self, argument: str) -> None:
        self._abandon("RSET")
        await self._say(self._texts.reset)

    async def _quit(self, argument: str) -> None:
        self._abandon("QUIT")
        self._goodbye = self._leaving = True
        await self._say(self._texts.goodbye)

    def _abandon(self, reason: str) -> None:
        if self._attempt is not None:
            attempt, self._attempt = self._attempt, None
            self._recorder.aborted(attempt, reason)

    def conclude(self) -> None:
        """Record the end, and give back what the connection held."""
        try:
            self._abandon(self._wire.end)
            if not self._goodbye:
                self._recorder.lost(self._wire.end)
        except JournalError:
            log.exception("the end of %s was not written", self.id)
        self._count_out()
        self._service.registry.closed(self._service.route, self._wire)
