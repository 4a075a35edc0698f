"""One request and its answer: read it whole, have it judged, record, and only then answer.

A client that leaves before its body is whole leaves an `aborted` receipt. What an acknowledgement that is to
be lost would have told is recorded as taken; so is one that is told late, once it is known whether its client
is still there to hear it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import cast

import msgspec
from starlette.types import Receive, Scope, Send

from harness.history.events import ReceiptResult
from harness.providers.errors import JournalError
from harness.providers.http.api import HttpApi
from harness.providers.http.connection import SCOPE_KEY, ProviderConnection
from harness.providers.http.idempotency import Memory
from harness.providers.http.messages import (
    Answer,
    Headers,
    HttpRequest,
    HttpRoute,
    LogicalMessage,
    Operation,
    Submission,
)
from harness.providers.http.paths import Paths
from harness.providers.http.reply import Reply
from harness.providers.http.side import Side
from harness.providers.http.verdict import Caller, Deed, Judge, Verdict
from harness.providers.preset import Context
from harness.providers.tokens import Canary, identify

ENDPOINT = "api"
NOTHING_READ = Submission(messages=[LogicalMessage()])


class Arrival(Enum):
    WHOLE = "whole"
    CUT_SHORT = "cut short"
    TOO_LARGE = "too large"


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """A request under way."""

    id: str
    begin_ns: int
    connection: ProviderConnection
    receive: Receive
    send: Send


class Exchange:
    """The application behind one side."""

    def __init__(self, context: Context, api: HttpApi, side: Side, memory: Memory) -> None:
        self._context = context
        self._api = api
        self._side = side
        self._judge = Judge(context, api, side, memory)
        self._reply = Reply(context.clock)
        self._paths = Paths(route for route in api.routes if route.endpoint == side.endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = cast(ProviderConnection, scope[SCOPE_KEY])
        attempt = Attempt(
            id=self._context.ids.next_hex("attempt", 16),
            begin_ns=connection.begin_request(),
            connection=connection,
            receive=receive,
            send=send,
        )
        found = self._paths.find(scope["path"])
        head = self._head(scope, found.params)
        route = found.routes.get(head.method)
        if route is None:
            await self._show(attempt, Verdict(answer=self._misdirected(head, list(found.routes))))
        elif (refused := self._judge.at_head(head, attempt.id)) is not None:
            if route.operation is Operation.SEND:
                self._record(attempt, self._judge.caller(head, attempt.id), head, NOTHING_READ, refused)
            await self._show(attempt, refused)
        else:
            body, arrival = await _read(head, receive, self._api.max_body_bytes)
            request = msgspec.structs.replace(head, body=body, whole=arrival is Arrival.WHOLE)
            if route.operation is Operation.SEND:
                await self._sent(attempt, request, arrival)
            else:
                await self._asked(attempt, request, arrival, route)

    def _misdirected(self, head: HttpRequest, allowed: list[str]) -> Answer:
        if allowed:
            return self._api.method_not_allowed(head, ", ".join(allowed))
        return self._api.not_found(head)

    async def _asked(
        self, attempt: Attempt, request: HttpRequest, arrival: Arrival, route: HttpRoute
    ) -> None:
        """A request that is no sending leaves no record."""
        if arrival is Arrival.TOO_LARGE:
            await self._show(attempt, Verdict(answer=self._api.too_large()))
        elif arrival is Arrival.WHOLE:
            caller = self._judge.caller(request, attempt.id)
            verdict = self._judge.asked(request, route, caller)
            if await self._waited(attempt, verdict):
                await self._show(attempt, verdict, self._judge.standing(caller))

    async def _sent(self, attempt: Attempt, request: HttpRequest, arrival: Arrival) -> None:
        whole = arrival is Arrival.WHOLE
        submission = self._api.read(request) if whole else self._api.glimpse(request)
        caller = self._judge.caller(request, attempt.id, submission)
        with self._in_progress(caller):
            if whole:
                submission = self._without_suppressed(submission)
                verdict = self._judge.sent(request, submission, caller)
            elif arrival is Arrival.TOO_LARGE:
                verdict = Verdict(answer=self._api.too_large())
            else:
                left = "the client left before the end of the body"
                answer = Answer(status=0, result=ReceiptResult.ABORTED, text=left)
                verdict = Verdict(answer=answer, deed=Deed.NOTHING)
            end_ns = self._context.clock.now_ns()
            if not await self._waited(attempt, verdict):
                verdict = verdict.unheard()
            if verdict.remembered is not None:
                verdict.remembered.done(verdict.answer)
            self._record(attempt, caller, request, submission, verdict, end_ns)
            if arrival is not Arrival.CUT_SHORT:
                await self._show(attempt, verdict, self._judge.standing(caller))

    def _head(self, scope: Scope, params: dict[str, str]) -> HttpRequest:
        clock = self._context.clock
        return HttpRequest(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            path_params=params,
            now_s=clock.epoch_s + clock.now_s(),
        )

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

    @contextlib.contextmanager
    def _in_progress(self, caller: Caller) -> Iterator[None]:
        if caller.account is None or caller.account.canary:
            yield
            return
        use = self._side.use_of(caller.account.username)
        use.begin()
        try:
            yield
        finally:
            use.end()

    # --- the record ---

    def _record(
        self,
        attempt: Attempt,
        caller: Caller,
        request: HttpRequest,
        submission: Submission,
        verdict: Verdict,
        end_ns: int | None = None,
    ) -> None:
        """One receipt for each recipient, and before them the body, if the provider took it."""
        try:
            self._write(attempt, caller, request, submission, verdict, end_ns)
        except JournalError:
            attempt.connection.tear_down()  # no record, no answer
            raise

    def _write(
        self,
        attempt: Attempt,
        caller: Caller,
        request: HttpRequest,
        submission: Submission,
        verdict: Verdict,
        end_ns: int | None,
    ) -> None:
        answer, account = verdict.answer, caller.account
        taken = answer.result is ReceiptResult.ACCEPTED
        offset = self._context.pack.append(request.body) if taken else None
        idempotency_key, sdk_retry = self._api.idempotency_key(request), self._api.sdk_retry(request)
        for index, message in enumerate(submission.messages):
            declined = message.declined if taken else None
            said = declined or answer
            identity = identify(message.recipient, message.carried)
            canary = self._judge.canary(message.recipient, account)
            receipt = self._context.ledger.receipt(
                route=self._side.route,
                endpoint=self._side.endpoint or ENDPOINT,
                result=ReceiptResult.ACK_LOST if verdict.lost and declined is None else said.result,
                attempt=attempt.id,
                begin_ns=attempt.begin_ns,
                end_ns=end_ns,
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
                canary=Canary.SYSTEM if canary is None and submission.dry_run else canary,
                fault=verdict.fault,
            )
            if verdict.dropped:
                self._context.aftermath.thrown_away(receipt)
            else:
                self._context.aftermath.taken(receipt, message.echo, message.carried.class_)

    # --- the answer ---

    async def _waited(self, attempt: Attempt, verdict: Verdict) -> bool:
        """Wait for as long as the verdict says; false if the client, or the provider, left meanwhile."""
        if verdict.wait_s <= 0:
            return True
        try:
            async with asyncio.timeout(verdict.wait_s):
                await self._left(attempt)
        except TimeoutError:
            return True
        return False

    async def _show(self, attempt: Attempt, verdict: Verdict, standing: Headers = ()) -> None:
        answer = verdict.shown or verdict.answer
        match verdict.deed:
            case Deed.NOTHING:
                await self._left(attempt)
            case Deed.RESET:
                attempt.connection.tear_down()
            case Deed.HALF:
                attempt.connection.break_off(self._reply.half(answer, standing))
            case Deed.ANSWER:
                await self._reply.give(answer, standing, attempt.send)

    @staticmethod
    async def _left(attempt: Attempt) -> None:
        """Wait until the client is gone, or until the provider closes."""
        with attempt.connection.lingering():
            while (await attempt.receive())["type"] != "http.disconnect":
                pass


async def _read(head: HttpRequest, receive: Receive, limit: int) -> tuple[bytes, Arrival]:
    """The body as far as it comes, and whether that is all of it. What exceeds the limit is not kept."""
    declared = head.header("content-length")
    if declared.isdecimal() and int(declared) > limit:
        return b"", Arrival.TOO_LARGE
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body = message.get("body", b"")  # nearly always: all of it in one piece
        return (body, Arrival.WHOLE) if len(body) <= limit else (body[:limit], Arrival.TOO_LARGE)
    pieces = bytearray()
    while message["type"] != "http.disconnect":
        pieces += message.get("body", b"")
        if len(pieces) > limit:
            return bytes(pieces[:limit]), Arrival.TOO_LARGE
        if not message.get("more_body", False):
            return bytes(pieces), Arrival.WHOLE
        message = await receive()
    return bytes(pieces), Arrival.CUT_SHORT
