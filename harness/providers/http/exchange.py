"""One request and its answer: read it whole, decide, record, and only then answer.

The order in which a request can fail is that of a provider's gateway: credential, rate limit, what is wrong
with the request, then the faults of the moment. A client that leaves before its body is whole leaves an
`aborted` receipt. When an acknowledgement is to be lost, the messages are recorded as taken and the
connection is reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from enum import Enum, StrEnum
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from harness.history.events import ReceiptResult
from harness.providers.errors import JournalError
from harness.providers.http.connection import SCOPE_KEY, ProviderConnection
from harness.providers.http.limits import TokenBucket
from harness.providers.http.messages import (
    Allowance,
    Answer,
    HttpApi,
    HttpRequest,
    HttpRoute,
    Operation,
    Submission,
)
from harness.providers.preset import Context
from harness.providers.tokens import Canary, canary_of, identify
from harness.providers.wire import Account

ENDPOINT = "api"


class Stage(StrEnum):
    """Where in an exchange a fault acts; a preset's `place_fault` names one."""

    REQUEST = "request"  # refused in place of being taken
    ACKNOWLEDGEMENT = "acknowledgement"  # taken, and the answer lost


class Arrival(Enum):
    WHOLE = "whole"
    CUT_SHORT = "cut short"
    TOO_LARGE = "too large"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of a route's two listeners: whose credential it takes, and the limit on that account."""

    route: str
    accounts: Mapping[str, Account]  # by secret; of the rejecting twin: known, but never let in
    rejecting: bool
    bucket: TokenBucket | None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    answer: Answer
    fault: str | None = None
    lost: bool = False


class Exchange:
    """The application behind one path of one side."""

    def __init__(self, context: Context, api: HttpApi, side: Side, routes: list[HttpRoute]) -> None:
        self._context = context
        self._api = api
        self._side = side
        self._routes = {route.method: route for route in routes}
        self._system_canaries = {recipient.lower() for recipient in context.config.system_canaries}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = cast(ProviderConnection, scope[SCOPE_KEY])
        begin_ns = connection.begin_request()
        head = HttpRequest(
            method=scope["method"],
            path=scope["path"],
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
            path_params=scope.get("path_params", {}),
        )
        route = self._routes.get(head.method)
        if route is None:
            unknown = not self._routes
            allowed = ", ".join(self._routes)
            answer = self._api.not_found(head) if unknown else self._api.method_not_allowed(head, allowed)
        elif route.operation is Operation.QUERY:
            known = self._account(head) is not None and not self._side.rejecting
            answer = self._api.query(head) if known else self._api.unauthorized(head)
        else:
            body, arrival = await _read(head, receive, self._api.max_body_bytes)
            try:
                taken = self._take(connection, begin_ns, head, body, arrival)
            except JournalError:
                connection.tear_down()  # no record, no answer
                raise
            if taken is None:
                return
            answer = taken
        await self._respond(answer, scope, receive, send)

    def _take(
        self, connection: ProviderConnection, begin_ns: int, head: HttpRequest, body: bytes, arrival: Arrival
    ) -> Answer | None:
        """Decide on one request to send and record it; None if it gets no answer."""
        request = HttpRequest(
            method=head.method,
            path=head.path,
            headers=head.headers,
            path_params=head.path_params,
            body=body,
            whole=arrival is Arrival.WHOLE,
        )
        attempt = self._context.ids.next_hex("attempt", 16)
        account = self._account(request)
        if arrival is Arrival.WHOLE:
            submission = self._api.read(request)
            verdict = self._verdict(request, submission, account, attempt)
        else:
            submission = self._api.glimpse(request)
            cut = Answer(
                status=0, result=ReceiptResult.ABORTED, text="the client left before the end of the body"
            )
            verdict = Verdict(answer=cut if arrival is Arrival.CUT_SHORT else self._api.too_large())
        self._record(connection.name, begin_ns, attempt, account, request, submission, verdict)
        if verdict.lost:
            connection.tear_down()
        return None if verdict.lost or arrival is Arrival.CUT_SHORT else verdict.answer

    def _verdict(
        self, request: HttpRequest, submission: Submission, account: Account | None, attempt: str
    ) -> Verdict:
        if account is None or self._side.rejecting:
            return Verdict(answer=self._api.unauthorized(request))
        allowance = None if account.canary else self._exhausted()
        if allowance is not None:
            return Verdict(answer=self._api.throttled(allowance))
        if submission.declined is not None:
            return Verdict(answer=submission.declined)
        first = submission.messages[0]
        key = identify(first.recipient, first.carried).token or attempt
        canary = self._canary(first.recipient, account) is Canary.HARNESS
        faults, route, class_ = self._context.faults, self._side.route, first.carried.class_
        refused = faults.decide(Stage.REQUEST, route=route, key=key, class_=class_, canary=canary)
        if refused is not None and refused.answer is not None:
            return Verdict(answer=cast(Answer, refused.answer), fault=refused.fault.id)
        answer = self._api.accepted(request, submission, self._context.ids.next_hex("message-id", 32))
        lost = faults.decide(Stage.ACKNOWLEDGEMENT, route=route, key=key, class_=class_, canary=canary)
        return Verdict(answer=answer, fault=lost.fault.id if lost else None, lost=lost is not None)

    def _record(
        self,
        connection: str,
        begin_ns: int,
        attempt: str,
        account: Account | None,
        request: HttpRequest,
        submission: Submission,
        verdict: Verdict,
    ) -> None:
        """One receipt for each recipient, and before them the body, if the provider took it."""
        answer = verdict.answer
        taken = answer.result is ReceiptResult.ACCEPTED
        offset = self._context.pack.append(request.body) if taken else None
        for message in submission.messages:
            identity = identify(message.recipient, message.carried)
            canary = self._canary(message.recipient, account)
            receipt = self._context.ledger.receipt(
                route=self._side.route,
                endpoint=ENDPOINT,
                result=ReceiptResult.ACK_LOST if verdict.lost else answer.result,
                attempt=attempt,
                begin_ns=begin_ns,
                token=identity.token,
                recipient=message.recipient,
                code=answer.status or None,
                text=answer.text,
                connection=connection,
                account=account.username if account else "",
                carriers=identity.carriers,
                body_sha256=message.carried.sha256,
                body_offset=offset,
                body_bytes=len(request.body),
                retry_after_ns=answer.retry_after_ns,
                # A dry run asks how the provider is; it is a probe whoever it names.
                canary=Canary.SYSTEM if canary is None and submission.dry_run else canary,
                fault=verdict.fault,
            )
            if self._context.events is not None:
                self._context.events.taken(receipt, message.echo)

    def _account(self, request: HttpRequest) -> Account | None:
        secret = self._api.credential(request)
        return None if secret is None else self._side.accounts.get(secret)

    def _canary(self, recipient: str | None, account: Account | None) -> Canary | None:
        by_account = account is not None and account.canary
        return canary_of(recipient, canary_account=by_account, system_canaries=self._system_canaries)

    def _exhausted(self) -> Allowance | None:
        """Take one request from the account's limit; what is left of it when there is no more."""
        bucket, clock = self._side.bucket, self._context.clock
        now_s = clock.now_s()
        if bucket is None or bucket.take(now_s):
            return None
        wait_s = bucket.wait_s(now_s)
        return Allowance(
            limit=bucket.burst,
            remaining=bucket.remaining(now_s),
            reset_epoch_s=clock.epoch_s + now_s + wait_s,
            wait_s=wait_s,
        )

    async def _respond(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        response = Response(status_code=answer.status)
        response.body = answer.body
        headers = [
            ("Date", format_datetime(self._context.clock.wall(), usegmt=True)),
            *answer.headers,
            ("Content-Length", str(len(answer.body))),
        ]
        response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await response(scope, receive, send)


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
