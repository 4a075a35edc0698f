"""What the HTTP engine and a provider's API say to each other: a request in, a submission and an answer out.

All of it is plain data. An API (api.py) turns a request into the logical messages it carries, one per
recipient, and into the answer that the real provider would give; the engine decides whether that answer is
what happens.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.faults import Announced
from harness.providers.http.board import Posted
from harness.providers.http.limits import Limit
from harness.providers.recollection import Recalled
from harness.providers.tokens import NOTHING_CARRIED, Carried

Headers = tuple[tuple[str, str], ...]


class Operation(StrEnum):
    SEND = "send"  # hands messages over; each request is journalled
    QUERY = "query"  # anything else that needs credentials; leaves no record
    OPEN = "open"  # needs none, or judges them itself: a token endpoint, a status page


class HttpRoute(msgspec.Struct, frozen=True, kw_only=True):
    """One path of the API. Templates are Starlette's: `/v3/{domain}/messages`."""

    method: str
    path: str
    operation: Operation
    endpoint: str = ""  # empty: the one that mail goes through; each other one has a port of its own
    limits: tuple[Limit, ...] = ()  # of this path alone, for one account; those of sending are the API's
    counted_as: str = ""  # the paths of one name share their limits; empty: each has its own


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request as far as it came: `whole` is false before its body was read, and when the client left
    before the end of it."""

    method: str
    path: str  # as it came: percent signs and all
    headers: dict[str, str]  # lower-case names; of repeated ones the last
    query: str = ""  # as it came, without the question mark
    path_params: dict[str, str] = {}
    body: bytes = b""
    whole: bool = True
    now_s: float = 0.0  # wall time (Unix seconds)
    recalled: Recalled | None = None  # the message that a query is about, if it is known
    announced: tuple[Announced, ...] = ()  # the incidents that a status page tells of, resolved ones as well
    posted: tuple[Posted, ...] = ()  # and those that were posted there by request; of a whole request alone

    def header(self, name: str) -> str:
        return self.headers.get(name, "")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP response, and how the receipts of its request read. `text` goes into the receipts.

    `texts` are one for each message, where a request that carries several is answered for each of them.
    """

    status: int
    result: ReceiptResult
    text: str = ""
    texts: tuple[str, ...] = ()
    body: bytes = b""
    headers: Headers = ()
    retry_after_ns: int | None = None
    posted: Posted | None = None  # the incident that a status page tells of from then on, as it then stands


class LogicalMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One recipient of one request. `recipient` is None when the request named none that could be read.

    `declined` is set where the provider takes the request and not this message of it; its status, text and
    result go into the receipt of this one.
    """

    recipient: str | None = None
    carried: Carried = NOTHING_CARRIED
    echo: dict[str, str] = {}  # what the sender wants to find in the events of this message
    declined: Answer | None = None


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """What a request to send carries, at least one message.

    `declined` is set when the provider would not take it, whatever its state: the request is not well formed,
    or (`dry_run`) asks for a check without delivery.
    """

    messages: list[LogicalMessage]
    declined: Answer | None = None
    dry_run: bool = False


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """A limit at the moment of an answer; `reset_epoch_s` is the wall time of the next free place, or, where
    there is one, of when it counts anew."""

    name: str  # of the limit, as the API calls it
    endpoint: str = ""  # where it was met; empty: the one that mail goes through
    limit: int
    remaining: int
    reset_epoch_s: float
    wait_s: float
