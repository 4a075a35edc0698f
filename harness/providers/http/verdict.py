"""What becomes of one request: the order in which it can fail is that of a provider's gateway.

Credential, limits, what is wrong with the request, an idempotency key that was used before, then the faults
of the moment. A fault that acts at one of these stages is asked in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.faults import Decision, FaultType, Subject
from harness.providers.http.accounts import Accounts
from harness.providers.http.answers import Stage
from harness.providers.http.api import HttpApi, in_ns, retry_after
from harness.providers.http.idempotency import Memory, Remembered
from harness.providers.http.limits import Exhausted
from harness.providers.http.messages import (
    Allowance,
    Answer,
    Headers,
    HttpRequest,
    HttpRoute,
    LogicalMessage,
    Operation,
    Submission,
)
from harness.providers.http.side import Side
from harness.providers.preset import Context
from harness.providers.tokens import Canary, Identity, canary_of, identify
from harness.providers.wire import Account, ProviderFault

NO_ANSWER = Answer(status=0, result=ReceiptResult.ABORTED, text="no answer was given")
CUT = Answer(status=0, result=ReceiptResult.ABORTED, text="the connection was reset in place of an answer")


class Deed(Enum):
    """What the client gets to see."""

    ANSWER = "the answer"
    RESET = "a reset in its place"
    HALF = "half of it, and the end"
    NOTHING = "nothing, until it goes"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """`answer` is what the receipts say; `shown` what the client gets, where that is something else."""

    answer: Answer
    shown: Answer | None = None
    deed: Deed = Deed.ANSWER
    wait_s: float = 0.0
    fault: str | None = None
    lost: bool = False  # taken, and the client is not told so
    dropped: bool = False  # thrown away after all
    remembered: Remembered | None = None  # by its idempotency key, where the answer is still to be noted
    announced: bool | None = None  # of a change to a status page: whether it tells of what was posted there
    standing: Headers = ()  # what every answer to this caller tells of its limits

    def told(self) -> Answer:
        """What the client gets, with what it is told of its limits; what the answer says itself stands."""
        answer = self.shown or self.answer
        if not self.standing:
            return answer
        own = {name.lower() for name, _ in answer.headers}
        more = tuple(each for each in self.standing if each[0].lower() not in own)
        return msgspec.structs.replace(answer, headers=answer.headers + more)

    def unheard(self) -> Verdict:
        """The client left before it was told."""
        taken = self.answer.result is ReceiptResult.ACCEPTED
        return msgspec.structs.replace(self, deed=Deed.NOTHING, lost=taken)


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a request, and whose it is."""

    message: LogicalMessage
    identity: Identity
    canary: Canary | None


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Whose request it is: the account that its credentials name, right or no longer right."""

    account: Account | None
    subject: Subject


class Valid(msgspec.Struct, frozen=True, kw_only=True):
    """What opens something at the moment, and the fault that says so, if one does."""

    accounts: Accounts
    fault: str | None


class Judge:
    """Judges the requests of one side."""

    def __init__(self, context: Context, api: HttpApi, side: Side, memory: Memory) -> None:
        self._context = context
        self._memory = memory
        self._api = api
        self._side = side
        self._about_mail = api.carries_mail and not side.endpoint
        self._system_canaries = {recipient.lower() for recipient in context.config.system_canaries}

    def account(self, request: HttpRequest) -> Account | None:
        """Whose credentials a request presents, right or no longer right."""
        return self._api.identify(request, self._side.credentials)

    def named(self, message: LogicalMessage, account: Account | None) -> Named:
        return Named(
            message=message,
            identity=identify(message.recipient, message.carried),
            canary=canary_of(
                message.recipient,
                canary_account=account is not None and account.canary,
                system_canaries=self._system_canaries,
            ),
        )

    def caller(self, account: Account | None, attempt: str, messages: Sequence[Named] = ()) -> Caller:
        """`messages` that a request carries, if that can be told yet."""
        if not messages:
            by_harness = account is not None and account.canary
            return Caller(account=account, subject=self._subject(account, attempt, by_harness))
        first, *others = [
            self._subject(
                account, each.identity.token or attempt, each.canary is Canary.HARNESS, each.message
            )
            for each in messages
        ]
        subject = msgspec.structs.replace(first, beside=tuple(others)) if others else first
        return Caller(account=account, subject=subject)

    def _subject(
        self, account: Account | None, key: str, canary: bool, message: LogicalMessage | None = None
    ) -> Subject:
        return Subject(
            route=self._side.route,
            endpoint=self._side.endpoint,
            key=key,
            class_=message.carried.class_ if message else None,
            tenant=account.tenant if account else "",
            recipient=message.recipient if message else None,
            canary=canary,
        )

    def _with_standing(self, verdict: Verdict, caller: Caller) -> Verdict:
        if caller.account is None:
            return verdict
        left = self._side.use_of(caller.account.username, self._api.limits).standing(
            self._context.clock.now_s()
        )
        headers = () if left is None else self._api.standing(self._allowance(left))
        return msgspec.structs.replace(verdict, standing=headers) if headers else verdict

    def at_head(self, head: HttpRequest, attempt: str) -> Verdict | None:
        """Before the body is read. This is the gateway's trouble: it hits a request to send and a probe
        alike."""
        faults = self._context.faults
        if not faults.are_at(Stage.HEAD):
            return None
        decision = faults.decide(Stage.HEAD, self.caller(self.account(head), attempt).subject)
        return None if decision is None else self._by_fault(decision)

    def asked(self, request: HttpRequest, route: HttpRoute, caller: Caller) -> Verdict:
        """A request that is no sending. Faults of an endpoint that takes mail are about mail, and leave it
        alone, but for those that are about the credential."""
        return self._with_standing(self._asked(request, route, caller), caller)

    def sent(self, request: HttpRequest, submission: Submission, caller: Caller) -> Verdict:
        """A whole request to send."""
        return self._with_standing(self._sent(request, submission, caller), caller)

    def _asked(self, request: HttpRequest, route: HttpRoute, caller: Caller) -> Verdict:
        valid = self._valid(caller)
        if isinstance(valid, Verdict):
            return valid
        is_open = route.operation is Operation.OPEN
        if not is_open and (refused := self._credential(request, caller, valid)) is not None:
            return refused
        if (refused := self._limits_of(route, caller)) is not None:
            return refused
        decide = self._context.faults.decide
        if not self._about_mail and (decision := decide(Stage.BODY, caller.subject)) is not None:
            return self._by_fault(decision)
        if is_open:
            answer = self._api.open(request, valid.accounts)
        else:
            assert caller.account is not None
            answer = self._api.query(self._recalling(request), caller.account)
        announced = self._post(answer, caller)
        verdict = Verdict(answer=answer)
        for stage in () if self._about_mail else (Stage.REPLY, Stage.MID_REPLY):
            if (decision := decide(stage, caller.subject)) is not None:
                verdict = self._by_fault(decision, answer)
                break
        return verdict if announced is None else msgspec.structs.replace(verdict, announced=announced)

    def _post(self, answer: Answer, caller: Caller) -> bool | None:
        """What an answer promises to tell the public is told from now on, whether or not it is heard. The
        harness's canary announces nothing."""
        if answer.posted is None or caller.subject.canary:
            return None
        self._side.board.put(answer.posted)
        return self._side.board.tells

    def _recalling(self, request: HttpRequest) -> HttpRequest:
        id_ = self._api.about(request)
        if id_ is None:
            return request
        recalled = self._context.aftermath.recollection.find(self._side.route, id_)
        return msgspec.structs.replace(request, recalled=recalled)

    def _sent(self, request: HttpRequest, submission: Submission, caller: Caller) -> Verdict:
        faults, count = self._context.faults, len(submission.messages)
        valid = self._valid(caller)
        if isinstance(valid, Verdict):
            return valid
        if (refused := self._credential(request, caller, valid)) is not None:
            return refused
        if (refused := self._limits(caller, count, len(request.body))) is not None:
            return refused
        if submission.declined is not None:
            return Verdict(answer=submission.declined)
        assert caller.account is not None
        now_s = self._context.clock.now_s()
        remembered = self._memory.look_up(self._api, self._side.route, request, now_s)
        if remembered is not None and remembered.is_known:
            return Verdict(answer=remembered.answer(self._api))
        if (decision := faults.decide(Stage.BODY, caller.subject)) is not None:
            if remembered is not None:
                self._memory.forget(remembered)
            return self._by_fault(self._addressed(decision, request, submission))
        ids = [self._context.ids.next_hex("message-id", 32) for _ in submission.messages]
        answer = self._api.accepted(request, submission, ids)
        if answer.result is not ReceiptResult.ACCEPTED:  # every message of it was declined
            if remembered is not None:
                self._memory.forget(remembered)
            return Verdict(answer=answer)
        if (decision := faults.decide(Stage.TAKEN, caller.subject)) is not None:
            return Verdict(answer=answer, fault=decision.fault.id, dropped=True, remembered=remembered)
        for stage in (Stage.REPLY, Stage.MID_REPLY):
            if (decision := faults.decide(stage, caller.subject)) is not None:
                return self._by_fault(self._addressed(decision, request, submission), answer, remembered)
        return Verdict(answer=answer, remembered=remembered)

    def _addressed(
        self, decision: Decision[Answer], request: HttpRequest, submission: Submission
    ) -> Decision[Answer]:
        if decision.answer is None:
            return decision
        answer = self._api.addressed(decision.answer, request, submission)
        return Decision(fault=decision.fault, answer=answer)

    def _valid(self, caller: Caller) -> Valid | Verdict:
        """The secrets that open something now; or what a fault makes of the credential, whatever it is."""
        decision = self._context.faults.decide(Stage.AUTH, caller.subject)
        if decision is not None and decision.fault.type != FaultType.KEY_ROTATED:
            return self._by_fault(decision)
        accounts = self._side.valid(after_rotation=decision is not None)
        return Valid(accounts=accounts, fault=decision.fault.id if decision is not None else None)

    def _credential(self, request: HttpRequest, caller: Caller, valid: Valid) -> Verdict | None:
        if caller.account is not None and self._api.identify(request, valid.accounts) is not None:
            return None
        return Verdict(answer=self._api.unauthorized(request, valid.accounts), fault=valid.fault)

    def _limits_of(self, route: HttpRoute, caller: Caller) -> Verdict | None:
        """Those of a request that is no sending: its path's own, and what a fault has put there."""
        if not self._about_mail and (refused := self._throttle(caller, 1)) is not None:
            return refused
        if not route.limits or caller.account is None or caller.account.canary:
            return None
        whose = f"{caller.account.username} {route.counted_as or route.path}"
        use = self._side.use_of(whose, route.limits)
        spent = use.take(1, self._context.clock.now_s())
        return None if spent is None else Verdict(answer=self._throttled(spent))

    def _limits(self, caller: Caller, messages: int, size_bytes: int) -> Verdict | None:
        if (refused := self._throttle(caller, messages)) is not None:
            return refused
        if caller.account is None or caller.account.canary:
            return None
        use = self._side.use_of(caller.account.username, self._api.limits)
        spent = use.take(messages, self._context.clock.now_s(), size_bytes)
        return None if spent is None else Verdict(answer=self._throttled(spent))

    def _throttle(self, caller: Caller, messages: int) -> Verdict | None:
        account, now_s = caller.account, self._context.clock.now_s()
        exceeded: Exhausted | None = None

        def exceeds(fault: ProviderFault) -> bool:
            nonlocal exceeded
            exceeded = self._side.throttles.refusal(fault, account, messages, now_s)
            return exceeded is not None

        decision = self._context.faults.decide(Stage.LIMIT, caller.subject, exceeds)
        if decision is None:
            return None
        told = _told(decision.fault, exceeded, self._api.throttled_s.get(self._side.endpoint))
        return Verdict(answer=self._throttled(told), fault=decision.fault.id)

    def _throttled(self, spent: Exhausted) -> Answer:
        return self._api.throttled(self._allowance(spent))

    def _allowance(self, limit: Exhausted) -> Allowance:
        return Allowance(
            name=limit.name,
            endpoint=self._side.endpoint,
            limit=limit.limit,
            remaining=limit.remaining,
            reset_epoch_s=self._context.clock.wall_s() + limit.wait_s,
            wait_s=limit.wait_s,
        )

    def _by_fault(
        self, decision: Decision[Answer], taken: Answer | None = None, remembered: Remembered | None = None
    ) -> Verdict:
        """What a fault makes of a request; `taken`: the provider's own answer, where it took the request."""
        fault, answer = decision.fault, decision.answer
        match FaultType(fault.type):
            case FaultType.HANG:
                return Verdict(answer=NO_ANSWER, deed=Deed.NOTHING, fault=fault.id)
            case FaultType.DISCONNECT:
                return Verdict(answer=CUT, deed=Deed.RESET, fault=fault.id)
            case FaultType.SLOW_ACK if taken is not None:
                wait_s = fault.delay_s or 0.0
                return Verdict(answer=taken, wait_s=wait_s, fault=fault.id, remembered=remembered)
            case FaultType.ACK_LOSS if taken is not None:
                deed = Deed.HALF if fault.stage == Stage.MID_REPLY else Deed.RESET
                return Verdict(
                    answer=taken,
                    shown=answer,
                    deed=Deed.ANSWER if answer is not None else deed,
                    fault=fault.id,
                    lost=True,
                    remembered=remembered,
                )
            case _:
                assert answer is not None, f"{fault.type} without an answer"
                return Verdict(answer=self._in_time(answer, fault), fault=fault.id)

    def _in_time(self, answer: Answer, fault: ProviderFault) -> Answer:
        """A named answer with the wait that the fault asks for; one by its code has it already."""
        if fault.named is None or fault.retry_after_s is None:
            return answer
        name = self._api.retry_after_header
        kept = tuple(each for each in answer.headers if each[0].lower() != name.lower())
        told = tuple((name, value) for _, value in retry_after(fault.retry_after_s))
        return msgspec.structs.replace(answer, headers=kept + told, retry_after_ns=in_ns(fault.retry_after_s))


def _told(fault: ProviderFault, exceeded: Exhausted | None, usual_s: float | None) -> Exhausted:
    """What a throttle tells of itself; a canary meets it without exceeding anything. `usual_s`: how long to
    wait, where the provider says the same of each."""
    limit = Exhausted(name="fault", limit=fault.burst or fault.quota or 0, remaining=0, wait_s=1.0)
    if exceeded is not None and exceeded.wait_s < float("inf"):  # a quota never comes back
        limit = exceeded
    wait_s = usual_s if fault.retry_after_s is None else fault.retry_after_s
    return limit if wait_s is None else msgspec.structs.replace(limit, wait_s=wait_s)
