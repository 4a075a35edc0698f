"""What the HTTP engine and a provider's API say to each other: a request in, a submission and an answer out.

All of it is plain data. An API turns a request into the logical messages it carries, one per recipient, and
into the answer that the real provider would give; the engine decides whether that answer is what happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.tokens import NOTHING_CARRIED, Carried

Headers = tuple[tuple[str, str], ...]


class Operation(StrEnum):
    SEND = "send"  # hands messages over; each request is journalled
    QUERY = "query"  # anything else a client may ask with its credentials; leaves no record


class HttpRoute(msgspec.Struct, frozen=True, kw_only=True):
    """One path of the API. Templates are Starlette's: `/v3/{domain}/messages`."""

    method: str
    path: str
    operation: Operation


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as far as it came: `whole` is false when the client left before the end of its body."""

    method: str
    path: str
    headers: dict[str, str]  # lower-case names; of repeated ones the last
    path_params: dict[str, str] = {}
    body: bytes = b""
    whole: bool = True

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP response, and how the receipts of its request read. `text` goes into the receipts."""

    status: int
    result: ReceiptResult
    text: str = ""
    body: bytes = b""
    headers: Headers = ()
    retry_after_ns: int | None = None


class LogicalMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient of one request. `recipient` is None when the request named none that could be read."""

    recipient: str | None = None
    carried: Carried = NOTHING_CARRIED
    echo: dict[str, str] = {}  # what the sender wants to find in the events of this message


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a request to send carries, at least one message.

    `declined` is set when the provider would not take it, whatever its state: the request is not well formed,
    or (`dry_run`) asks for a check without delivery.
    """

    messages: list[LogicalMessage]
    declined: Answer | None = None
    dry_run: bool = False


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """A rate limit at the moment of a refusal; `reset_epoch_s` is the wall time of the next free place."""

    limit: int
    remaining: int
    reset_epoch_s: float
    wait_s: float


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    rate_per_s: float
    burst: int


class HttpApi(Protocol):
    """One provider's API. Every method is pure: the same arguments give the same bytes."""

    @property
    def routes(self) -> Sequence[HttpRoute]: ...

    @property
    def rate_limit(self) -> RateLimit | None:
        """The limit of one account on sending, if there is one."""
        ...

    @property
    def max_body_bytes(self) -> int: ...

    def credential(self, request: HttpRequest) -> str | None:
        """The secret that the request presents; None if it presents none."""
        ...

    def unauthorized(self, request: HttpRequest) -> Answer:
        """The answer to a credential that is missing or not known here."""
        ...

    def read(self, request: HttpRequest) -> Submission:
        """What a whole request to send carries, and whether the provider would take it."""
        ...

    def glimpse(self, request: HttpRequest) -> Submission:
        """What can be told from a request that did not come whole, or was too large to read."""
        ...

    def accepted(self, request: HttpRequest, submission: Submission, message_id: str) -> Answer:
        """The answer that takes responsibility. `message_id` is 32 hexadecimal digits, unique."""
        ...

    def throttled(self, allowance: Allowance) -> Answer: ...

    def too_large(self) -> Answer: ...

    def query(self, request: HttpRequest) -> Answer:
        """The answer to an authorised request that is no sending."""
        ...

    def not_found(self, request: HttpRequest) -> Answer: ...

    def method_not_allowed(self, request: HttpRequest, allowed: str) -> Answer: ...
