"""One message after the other: MAIL, RCPT, then DATA or BDAT; what becomes of it is said by handover.py."""

from __future__ import annotations

import math

from harness.providers.smtp.answers import Stage
from harness.providers.smtp.attempt import Attempt, Reply
from harness.providers.smtp.handover import Handover
from harness.providers.smtp.paths import BadAddress, BadSyntax, Path, parse_path
from harness.providers.smtp.session import Session
from harness.providers.tokens import Canary, identify

MAIL_PARAMETERS = frozenset({"SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID"})
RCPT_PARAMETERS = frozenset({"NOTIFY", "ORCPT"})
MOST_RECIPIENTS = 50_000  # of one message, where the provider has no limit of its own: memory has one


class Transaction:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._service = session.service
        self._wire = session.wire
        self._texts = session.texts
        self._recorder = session.recorder
        self._handover = Handover(session)
        self._begun: Attempt | None = None

    @property
    def attempt(self) -> Attempt | None:
        """The message under way."""
        return None if self._begun is None or self._begun.settled else self._begun

    def forget(self) -> None:
        """Nothing of what was begun can be written down."""
        self._begun = None

    def abandon(self, reason: str) -> None:
        if (attempt := self.attempt) is not None:
            attempt.settled = True
            self._recorder.aborted(attempt, reason)

    # --- the envelope ---

    async def mail(self, argument: str) -> None:
        session = self._session
        if not session.greeted or self.attempt is not None:
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
        key = self._recorder.next_attempt_id
        if await session.refused(Stage.MAIL, begin_ns, key=key, sender=path.address):
            return
        if session.use is None:
            session.count_in("")
        self._begun = self._recorder.begin(path.address, begin_ns)
        await session.say(self._texts.mail_ok, sender=path.address)

    async def rcpt(self, argument: str) -> None:
        session, attempt = self._session, self.attempt
        if attempt is None or attempt.chunks is not None:
            await session.say(self._texts.mail_first if attempt is None else self._texts.bad_chunks)
            return
        path = await self._path(argument, "TO", RCPT_PARAMETERS)
        if path is None:
            return
        recipient = path.address
        by_harness = self._recorder.canary(recipient) is Canary.HARNESS
        key = identify(recipient).token or attempt.id
        decision = session.decide(
            Stage.RCPT, session.subject(key=key, recipient=recipient, canary=by_harness)
        )
        if decision is not None:
            reply = session.reply_of(decision, sender=attempt.sender, recipient=recipient)
            self._recorder.outcome(attempt, reply, [recipient], fault=decision.fault.id)
            attempt.refused += 1
            await session.act(decision, reply)
            return
        refusal = self._recipient_refused(attempt, recipient, by_harness=by_harness)
        if refusal is None:
            attempt.recipients.append(recipient)
            await session.say(self._texts.rcpt_ok, recipient=recipient)
            return
        self._recorder.outcome(attempt, refusal, [recipient])
        attempt.refused += 1
        await session.answer(refusal)

    def _recipient_refused(self, attempt: Attempt, recipient: str, *, by_harness: bool) -> Reply | None:
        if len(attempt.recipients) >= (self._service.limits.recipients_per_message or MOST_RECIPIENTS):
            return self._session.reply(self._texts.too_many_recipients, recipient=recipient)
        left_s = 0.0 if by_harness else self._service.registry.greylisted_s(attempt.sender, recipient)
        if left_s > 0:
            minutes, seconds = divmod(math.ceil(left_s), 60)
            wait = f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
            return self._session.reply(self._texts.greylisted, recipient=recipient, wait=wait)
        return None

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
        if await self._handover.refused(attempt, Stage.DATA):
            return
        await self._session.say(self._texts.go_ahead)
        message = await self._wire.read_dotted(self._service.limits.message_bytes)
        await self._handover.complete(attempt, message)

    async def bdat(self, argument: str) -> None:
        words = argument.upper().split()
        if not words or not words[0].isdecimal() or len(words[0]) > 10 or words[1:] not in ([], ["LAST"]):
            await self._session.say(self._texts.bad_syntax)
            return
        size = int(words[0])
        # The chunk follows whatever the answer will be; it is kept where it can be of use.
        attempt = self.attempt
        room = 0
        if attempt is not None and attempt.recipients:
            room = self._service.limits.message_bytes - len(attempt.chunks or b"")
        chunk = await self._wire.read_chunk(size, room)
        attempt = await self._ready_for_body()
        if attempt is None:
            return
        if attempt.chunks is None:
            if await self._handover.refused(attempt, Stage.DATA):
                return
            attempt.chunks = bytearray()
        if chunk is None:
            await self._handover.complete(attempt, None)
        elif len(words) == 2:
            await self._handover.complete(attempt, bytes(attempt.chunks) + chunk)
        else:
            attempt.chunks += chunk
            await self._session.say(self._texts.chunk_ok)

    async def _ready_for_body(self) -> Attempt | None:
        attempt = self.attempt
        if attempt is not None and attempt.recipients:
            return attempt
        await self._session.say(self._texts.mail_first if attempt is None else self._texts.no_recipients)
        return None
