"""The conversation of one SMTP connection: commands in, each answered in its turn; the greeting and the end.

Three rules: whatever decides an attempt is in the ledger before the answer is on the wire; a message whose
last byte has arrived is taken, whether or not its client is still there to hear it; after a refusal, the
commands that a pipelining client has sent ahead are answered one by one, in order.
"""

from __future__ import annotations

import asyncio
import logging

from harness.providers.certificates import flaw_of
from harness.providers.errors import JournalError
from harness.providers.smtp.answers import Stage
from harness.providers.smtp.attempt import Reply
from harness.providers.smtp.login import log_in
from harness.providers.smtp.service import Service
from harness.providers.smtp.session import Session
from harness.providers.smtp.transaction import Transaction
from harness.providers.smtp.wire import Wire

log = logging.getLogger(__name__)


class Conversation:
    """`connection` is the connection's id in receipts."""

    def __init__(self, service: Service, wire: Wire, connection: str) -> None:
        self._session = session = Session(service, wire, connection)
        self._service = service
        self._wire = wire
        self._texts = texts = session.texts
        self._transaction = transaction = Transaction(session)
        wire.idle_text = session.voice.say(texts.idle)
        wire.stopping_text = session.voice.say(texts.stopping)
        self._commands = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": transaction.mail,
            "RCPT": transaction.rcpt,
            "DATA": transaction.data,
            "BDAT": transaction.bdat,
            "RSET": self._rset,
            "QUIT": self._quit,
        }
        self._fixed = {"NOOP": texts.noop, "VRFY": texts.verify, "HELP": texts.help}

    async def run(self) -> None:
        session = self._session
        if await session.refused(Stage.CONNECT, session.clock.now_ns(), key=session.id):
            return
        await session.say(self._texts.greeting)
        while not session.leaving:
            try:
                line = await self._wire.read_line()
                verb, _, argument = line.partition(" ")
                command = self._commands.get(verb.upper())
                if command is None:
                    await session.say(self._fixed.get(verb.upper(), self._texts.unknown_command))
                else:
                    await command(argument.strip())
            except asyncio.LimitOverrunError as overrun:
                await self._wire.skip_line(overrun)
                await session.say(self._texts.line_too_long)
            except JournalError:
                # Not written, so not answered for: the client is told to come again.
                log.exception("a record of %s was not written", session.id)
                self._transaction.forget()
                await session.say(self._texts.internal_error)

    async def _ehlo(self, argument: str) -> None:
        session = self._session
        if not argument:
            await session.say(self._texts.bad_syntax)
            return
        self._transaction.abandon("EHLO")
        session.greeted = True
        lines = self._service.manners.lines(encrypted=self._wire.encrypted)
        lines = (session.voice.say(self._texts.hello), *(session.voice.say(line) for line in lines))
        await self._wire.push("\r\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"]))

    async def _helo(self, argument: str) -> None:
        if not argument:
            await self._session.say(self._texts.bad_syntax)
            return
        self._transaction.abandon("HELO")
        self._session.greeted = True
        await self._session.say("250 " + self._texts.hello)

    async def _starttls(self, argument: str) -> None:
        session = self._session
        certificates = self._service.certificates
        if certificates is None or self._wire.encrypted or argument:
            await session.say(self._texts.bad_syntax if argument else self._texts.unknown_command)
            return
        self._transaction.abandon("STARTTLS")
        session.greeted = session.logged_in = False
        session.count_out()
        begin_ns = session.clock.now_ns()
        decision = session.decide(Stage.TLS, session.subject(key=session.id))
        try:
            await self._wire.upgrade(certificates.shown(decision))
        except ConnectionError:
            if decision is not None:
                shown = flaw_of(decision.fault)
                left = Reply(None, f"the client left at the handshake: the certificate was {shown}")
                session.recorder.refusal(left, begin_ns, fault=decision.fault.id)
            raise

    async def _auth(self, argument: str) -> None:
        session = self._session
        if not session.greeted or session.logged_in or self._transaction.attempt is not None:
            await session.say(self._texts.auth_again if session.greeted else self._texts.hello_first)
            return
        await log_in(session, argument)

    async def _rset(self, argument: str) -> None:
        self._transaction.abandon("RSET")
        await self._session.say(self._texts.reset)

    async def _quit(self, argument: str) -> None:
        self._transaction.abandon("QUIT")
        self._session.goodbye = self._session.leaving = True
        await self._session.say(self._texts.goodbye)

    def conclude(self) -> None:
        """Record the end, and give back what the connection held."""
        session = self._session
        try:
            self._transaction.abandon(self._wire.end)
            if not session.goodbye:
                session.recorder.lost(self._wire.end)
        except JournalError:
            log.exception("the end of %s was not written", session.id)
        session.count_out()
        self._service.registry.closed(self._service.route, self._wire)
