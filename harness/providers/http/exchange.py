"""One request and its answer: read it whole, have it judged, record, and only then answer.

A client that leaves before its body is whole leaves an `aborted` receipt. What an acknowledgement that is to
be lost would have told is recorded as taken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import format_datetime
from enum import Enum
from functools import partial
from typing import cast

import msgspec
from starlette.types import Receive, Scope, Send

from harness.history.events import Receipt, ReceiptResult
from harness.providers.errors import JournalError
from harness.providers.http.answers import phrase
from harness.providers.http.api import HttpApi
from harness.providers.http.connection import SCOPE_KEY, ProviderConnection
from harness.providers.http.idempotency import Memory
from harness.providers.http.messages import (
    Answer,
    HttpRequest,
    HttpRoute,
    LogicalMessage,
    Operation,
    Submission,
)
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
    connection: ProviderConnection
    begin_ns: int


class Exchange:
    """The application behind one path of one side."""

    def __init__(
        self, context: Context, api: HttpApi, side: Side, memory: Memory, routes: list[HttpRoute]
    ) -> None:
        self._context = context
        self._api = api
        self._side = side
        self._judge = Judge(context, api, side, memory)
        self._routes = {route.method: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = cast(ProviderConnection, scope[SCOPE_KEY])
        begin_ns = connection.begin_request()
        head = self._head(scope)
        attempt = Attempt(
            id=self._context.ids.next_hex("attempt", 16), connection=connection, begin_ns=begin_ns
        )
        route = self._routes.get(head.method)
        if route is None:
            allowed = ", ".join(self._routes)
            unknown = not self._routes
            answer = self._api.not_found(head) if unknown else self._api.method_not_allowed(head, allowed)
            await self._show(Verdict(answer=answer), head, attempt, receive, send)
            return
        caller = self._judge.caller(head, attempt.id)
        verdict = self._judge.at_head(caller)
        if verdict is not None:
            if route.operation is Operation.SEND:
                self._record(attempt, caller, head, NOTHING_READ, verdict)
            await self._show(verdict, head, attempt, receive, send)
            return
        body, arrival = await _read(head, receive, self._api.max_body_bytes)
        request = self._with_body(head, body, arrival)
        if route.operation is Operation.SEND:
            await self._sent(request, arrival, attempt, receive, send)
        elif arrival is Arrival.WHOLE:
            caller = self._judge.caller(request, attempt.id)
            verdict = self._judge.asked(request, route, caller)
            await self._show(verdict, request, attempt, receive, send)
        elif arrival is Arrival.TOO_LARGE:
            await self._show(Verdict(answer=self._api.too_large()), request, attempt, receive, send)

    async def _sent(
        self, request: HttpRequest, arrival: Arrival, attempt: Attempt, receive: Receive, send: Send
    ) -> None:
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
            self._record(attempt, caller, request, submission, verdict)
            if arrival is not Arrival.CUT_SHORT:
                await self._show(verdict, request, attempt, receive, send)

    def _head(self, scope: Scope) -> HttpRequest:
        return HttpRequest(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            path_params=scope.get("path_params", {}),
            now_s=self._context.clock.wall_s(),
            announced=self._context.faults.announced(self._side.route, self._side.endpoint),
            whole=False,
        )

    @staticmethod
    def _with_body(head: HttpRequest, body: bytes, arrival: Arrival) -> HttpRequest:
        return msgspec.structs.replace(head, body=body, whole=arrival is Arrival.WHOLE)

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
        use = self._side.use_of(caller.account.username, self._api.limits)
        use.begin()
        try:
            yield
        finally:
            use.end()

    # --- the record ---

    def _record(
        self, attempt: Attempt, caller: Caller, request: HttpRequest, submission: Submission, verdict: Verdict
    ) -> None:
        """One receipt for each recipient, and before them the body, if the provider took it."""
        try:
            self._write(attempt, caller, request, submission, verdict)
        except JournalError:
            attempt.connection.tear_down()  # no record, no answer
            raise

    def _write(
        self, attempt: Attempt, caller: Caller, request: HttpRequest, submission: Submission, verdict: Verdict
    ) -> None:
        answer, account = verdict.answer, caller.account
        taken = answer.result is ReceiptResult.ACCEPTED
        offset = self._context.pack.append(request.body) if taken else None
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
                token=identity.token,
                recipient=message.recipient,
                code=said.status or None,
                text=answer.texts[index] if answer.texts and declined is None else said.text,
                connection=attempt.connection.name,
                account=account.username if account else "",
                tenant=account.tenant if account else "",
                idempotency_key=self._api.idempotency_key(request),
                sdk_retry=self._api.sdk_retry(request),
                carriers=identity.carriers,
                body_sha256=message.carried.sha256,
                body_offset=offset if declined is None else None,
                body_bytes=len(request.body),
                retry_after_ns=said.retry_after_ns,
                # A dry run asks how the provider is; it is a probe whoever it names.
                canary=Canary.SYSTEM if canary is None and submission.dry_run else canary,
                fault=verdict.fault,
            )
            self._afterwards(receipt, message, verdict)

    def _afterwards(self, receipt: Receipt, message: LogicalMessage, verdict: Verdict) -> None:
        if verdict.dropped:
            self._context.aftermath.thrown_away(receipt)
        else:
            self._context.aftermath.taken(receipt, message.echo, message.carried.class_)

    # --- the answer ---

    async def _show(
        self, verdict: Verdict, request: HttpRequest, attempt: Attempt, receive: Receive, send: Send
    ) -> None:
        if verdict.wait_s > 0:
            await asyncio.sleep(verdict.wait_s)
        if verdict.remembered is not None:
            verdict.remembered.done(verdict.answer)
        answer = self._api.dressed(verdict.shown or verdict.answer, request, attempt.id)
        headers = [
            ("Date", format_datetime(self._context.clock.wall(), usegmt=True)),
            *answer.headers,
            ("Content-Length", str(len(answer.body))),
        ]
        match verdict.deed:
            case Deed.NOTHING:
                while (await receive())["type"] != "http.disconnect":
                    pass
            case Deed.RESET:
                attempt.connection.tear_down()
            case Deed.HALF:
                lines = [
                    f"HTTP/1.1 {answer.status} {phrase(answer.status)}",
                    *(f"{k}: {v}" for k, v in headers),
                ]
                whole = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + answer.body
                attempt.connection.break_off(whole[: max(1, len(whole) // 2)])
            case Deed.ANSWER:
                raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
                await send({"type": "http.response.start", "status": answer.status, "headers": raw})
                await send({"type": "http.response.body", "body": answer.body})


async def _read(head: HttpRequest, receive: Receive, limit: int) -> tuple[bytes, Arrival]:
    """The body as far as it comes, and whether that is all of it. What exceeds the limit is not kept."""
    declared = head.header("content-length")
    if declared.isdecimal() and int(declared) > limit:
        return b"", Arrival.TOO_LARGE
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return bytes(body), Arrival.CUT_SHORT
        body += message.get("body", b"")
        if len(body) > limit:
            return bytes(body[:limit]), Arrival.TOO_LARGE
        if not message.get("more_body", False):
            return bytes(body), Arrival.WHOLE
