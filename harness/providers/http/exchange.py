"""One request and its answer: read it whole, have it judged, record, and only then answer.

A client that leaves before its body is whole leaves an `aborted` receipt. What an acknowledgement that is to
be lost would have told is recorded as taken; so is one that is told late, once it is known whether its client
is still there to hear it.
"""

from __future__ import annotations

from functools import partial
from urllib.parse import unquote

import h11
import msgspec

from harness.history.events import ReceiptResult
from harness.providers.http.api import HttpApi
from harness.providers.http.attempt import Attempt
from harness.providers.http.connection import ProviderConnection
from harness.providers.http.idempotency import Memory
from harness.providers.http.limits import AccountUse
from harness.providers.http.messages import (
    Answer,
    HttpRequest,
    LogicalMessage,
    Operation,
    Submission,
)
from harness.providers.http.paths import Paths
from harness.providers.http.reply import Reply
from harness.providers.http.side import Side
from harness.providers.http.verdict import Caller, Deed, Judge, Named, Verdict
from harness.providers.preset import Context
from harness.providers.tokens import Canary
from harness.providers.wire import Account

ENDPOINT = "api"
NOTHING_READ = Submission(messages=[LogicalMessage()])


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """A request to send, read and understood."""

    attempt: Attempt
    request: HttpRequest
    submission: Submission
    messages: list[Named]
    caller: Caller
    use: AccountUse | None  # where it counts as in progress
    end_ns: int  # when the provider made up its mind

    def over(self) -> None:
        if self.use is not None:
            self.use.end()


class Exchange:
    """The handler of one side's connections."""

    def __init__(self, context: Context, api: HttpApi, side: Side, memory: Memory) -> None:
        self.max_body_bytes = api.max_body_bytes
        self._context = context
        self._api = api
        self._side = side
        self._judge = Judge(context, api, side, memory)
        self._reply = Reply(context.clock)
        self._paths = Paths(route for route in api.routes if route.endpoint == side.endpoint)

    # --- what the connection tells ---

    def begin(self, connection: ProviderConnection, head: h11.Request, began_ns: int) -> Attempt:
        """The headers are there; what needs no body is answered here."""
        path, _, query = head.target.decode("latin-1").partition("?")
        found = self._paths.find(unquote(path))
        request = HttpRequest(
            method=head.method.decode("latin-1"),
            path=path,
            query=query,
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers},
            path_params=found.params,
            now_s=self._context.clock.wall_s(),
            announced=self._context.faults.announced(self._side.route, self._side.endpoint),
            whole=False,
        )
        attempt = Attempt(
            id=self._context.ids.next_hex("attempt", 16),
            begin_ns=began_ns,
            connection=connection,
            head=request,
            route=found.routes.get(request.method),
        )
        if attempt.route is None:
            self._show(attempt, request, Verdict(answer=self._misdirected(request, list(found.routes))))
        elif (refused := self._judge.at_head(request, attempt.id)) is not None:
            if attempt.route.operation is Operation.SEND:
                self._record(self._understood(attempt, request, NOTHING_READ), refused)
            else:
                caller = self._judge.caller(self._judge.account(request), attempt.id)
                self._note(attempt, request, caller, refused)
            self._show(attempt, request, refused)
        elif _declared_bytes(request) > self.max_body_bytes:
            self.too_large(attempt)
        return attempt

    def whole(self, attempt: Attempt) -> None:
        """The body is there."""
        route = attempt.route
        assert route is not None
        request = msgspec.structs.replace(
            attempt.head, body=bytes(attempt.body), whole=True, posted=self._side.board.posted
        )
        if route.operation is Operation.SEND:
            self._sent(attempt, request)
            return
        caller = self._judge.caller(self._judge.account(request), attempt.id)
        verdict = self._judge.asked(request, route, caller)
        self._note(attempt, request, caller, verdict)
        if verdict.wait_s > 0:
            attempt.connection.linger(
                verdict.wait_s, lambda heard: self._show(attempt, request, verdict) if heard else None
            )
        else:
            self._show(attempt, request, verdict)

    def too_large(self, attempt: Attempt) -> None:
        """What exceeds the limit is not kept."""
        verdict = Verdict(answer=self._api.too_large())
        if _is_sending(attempt):
            self._record(self._glimpsed(attempt), verdict)
        self._show(attempt, attempt.head, verdict)

    def cut_short(self, attempt: Attempt) -> None:
        """The client left before the end of the body."""
        if _is_sending(attempt):
            left = "the client left before the end of the body"
            answer = Answer(status=0, result=ReceiptResult.ABORTED, text=left)
            self._record(self._glimpsed(attempt), Verdict(answer=answer, deed=Deed.NOTHING))

    # --- from a request to a verdict ---

    def _misdirected(self, head: HttpRequest, allowed: list[str]) -> Answer:
        if allowed:
            return self._api.method_not_allowed(head, ", ".join(allowed))
        return self._api.not_found(head)

    def _glimpsed(self, attempt: Attempt) -> Sending:
        seen = bytes(attempt.body[: self.max_body_bytes])
        request = msgspec.structs.replace(attempt.head, body=seen, whole=False)
        return self._understood(attempt, request, self._api.glimpse(request))

    def _understood(self, attempt: Attempt, request: HttpRequest, submission: Submission) -> Sending:
        account = self._judge.account(request)
        messages = [self._judge.named(each, account) for each in submission.messages]
        return Sending(
            attempt=attempt,
            request=request,
            submission=submission,
            messages=messages,
            caller=self._judge.caller(account, attempt.id, messages),
            use=self._use_of(account),
            end_ns=self._context.clock.now_ns(),
        )

    def _sent(self, attempt: Attempt, request: HttpRequest) -> None:
        sending = self._understood(attempt, request, self._without_suppressed(self._api.read(request)))
        if sending.use is not None:
            sending.use.begin()
        verdict = self._judge.sent(request, sending.submission, sending.caller)
        if verdict.wait_s > 0:
            attempt.connection.linger(
                verdict.wait_s,
                lambda heard: self._conclude(sending, verdict if heard else verdict.unheard(), heard=heard),
            )
        else:
            self._conclude(sending, verdict, heard=True)

    def _conclude(self, sending: Sending, verdict: Verdict, *, heard: bool) -> None:
        """Record, and answer who is still there."""
        hangs = heard and verdict.deed is Deed.NOTHING
        if verdict.remembered is not None:
            verdict.remembered.done(verdict.answer)
        try:
            self._record(sending, verdict)
        finally:
            if not hangs:
                sending.over()
        if hangs:
            sending.attempt.connection.linger(None, lambda _: sending.over())
        elif heard:
            self._show(sending.attempt, sending.request, verdict)

    def _without_suppressed(self, submission: Submission) -> Submission:
        """Those who bounced before are refused, where the provider does that."""
        is_suppressed = partial(self._context.aftermath.is_suppressed, self._side.route)
        if not any(is_suppressed(message.recipient) for message in submission.messages):
            return submission
        messages = [
            msgspec.structs.replace(each, declined=each.declined or self._api.suppressed(each))
            if is_suppressed(each.recipient)
            else each
            for each in submission.messages
        ]
        return msgspec.structs.replace(submission, messages=messages)

    def _use_of(self, account: Account | None) -> AccountUse | None:
        if account is None or account.canary:
            return None
        return self._side.use_of(account.username, self._api.limits)

    # --- the record, and the answer ---

    def _record(self, sending: Sending, verdict: Verdict) -> None:
        """One receipt for each recipient, and before them the body, if the provider took it. Raises
        JournalError, and then there must be no answer."""
        request, attempt, answer = sending.request, sending.attempt, verdict.answer
        account = sending.caller.account
        taken = answer.result is ReceiptResult.ACCEPTED
        offset = self._context.pack.append(request.body) if taken else None
        idempotency_key, sdk_retry = self._api.idempotency_key(request), self._api.sdk_retry(request)
        sender = self._api.sender(request)
        for index, named in enumerate(sending.messages):
            message, identity, canary = named.message, named.identity, named.canary
            declined = message.declined if taken else None
            said = declined or answer
            receipt = self._context.ledger.receipt(
                route=self._side.route,
                endpoint=self._side.endpoint or ENDPOINT,
                result=ReceiptResult.ACK_LOST if verdict.lost and declined is None else said.result,
                attempt=attempt.id,
                begin_ns=attempt.begin_ns,
                end_ns=sending.end_ns,
                token=identity.token,
                recipient=message.recipient,
                code=said.status or None,
                text=answer.texts[index] if answer.texts and declined is None else said.text,
                connection=attempt.connection.name,
                account=account.username if account else "",
                tenant=account.tenant if account else "",
                idempotency_key=idempotency_key,
                sdk_retry=sdk_retry,
                carriers=identity.carriers,
                body_sha256=message.carried.sha256,
                body_offset=offset if declined is None else None,
                body_bytes=len(request.body),
                retry_after_ns=said.retry_after_ns,
                # A dry run asks how the provider is; it is a probe whoever it names.
                canary=Canary.SYSTEM if canary is None and sending.submission.dry_run else canary,
                fault=verdict.fault,
                sender=sender,
            )
            if verdict.dropped:
                self._context.aftermath.thrown_away(receipt, message.echo)
            else:
                self._context.aftermath.taken(receipt, message.echo, message.carried.class_)

    def _note(self, attempt: Attempt, request: HttpRequest, caller: Caller, verdict: Verdict) -> None:
        """That somebody asked, beside where mail goes through: it tells who met a fault there. Raises
        JournalError, and then there must be no answer."""
        if not self._side.endpoint:
            return
        account = caller.account
        self._context.ledger.called(
            route=self._side.route,
            endpoint=self._side.endpoint,
            begin_ns=attempt.begin_ns,
            request=f"{request.method} {request.path}",
            code=verdict.answer.status or None,
            account=account.username if account else "",
            tenant=account.tenant if account else "",
            canary=Canary.HARNESS if caller.subject.canary else None,
            fault=verdict.fault,
            announced=verdict.announced,
        )

    def _show(self, attempt: Attempt, request: HttpRequest, verdict: Verdict) -> None:
        connection = attempt.connection
        answer = self._api.dressed(verdict.told(), request, attempt.id)
        match verdict.deed:
            case Deed.NOTHING:
                connection.linger(None, lambda _: None)
            case Deed.RESET:
                connection.tear_down()
            case Deed.HALF:
                self._reply.give_half(answer, connection)
            case Deed.ANSWER:
                self._reply.give(answer, connection)


def _is_sending(attempt: Attempt) -> bool:
    return attempt.route is not None and attempt.route.operation is Operation.SEND


def _declared_bytes(head: HttpRequest) -> int:
    """What the request says of its length; 0 where it comes in chunks."""
    declared = head.header("content-length")
    return int(declared) if declared.isdecimal() else 0
