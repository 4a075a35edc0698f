"""Events back: what became of the messages that a provider took, posted to the sender in its own shape.

In go receipts that are written already; out go POSTs to each route's events URL, and one `provider.event` in
the journal for each event once its fate is known: delivered, late, or lost. Nothing here keeps an answer
waiting. A POST that is not answered 2xx is tried again, ever less often; an event whose POST may have arrived
is posted again as well, as the real ones do, so a receiver must tell events apart by their ids.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from harness.history.events import Receipt
from harness.providers.clock import Clock
from harness.providers.errors import JournalError
from harness.providers.ids import SeededIds
from harness.providers.ledger import HAND_OFFS, Ledger
from harness.providers.tokens import Canary

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

POST_TIMEOUT_S = 5.0
DELIVERY_S = 0.2  # from the provider's answer to the customer's mailbox
LATE_S = 3.0  # an event on its way for longer than this is late, and so is one that took a second attempt
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 5.0  # a drill's patience: real providers go on for a day, at intervals that grow


class Webhook(StrEnum):
    """What became of an event on its way to the sender."""

    DELIVERED = "delivered"
    LATE = "late"
    LOST = "lost"


class Fate(StrEnum):
    """What becomes of a message that was taken; the last event of its life. Every provider's shape has a
    word of its own for each event, and leaves out those that it never tells."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"  # delivered, and called spam by whom it reached
    DROPPED = "dropped"  # never tried: suppressed, or given up
    DEFERRED = "deferred"  # tried in vain at first, then delivered


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that became of one message; `echo` is what its sender wants to find in the event."""

    event: str
    id: str  # 32 hexadecimal digits, unique
    at_s: float  # on the loop's clock
    epoch_s: float  # the same moment as wall time
    receipt: Receipt
    echo: dict[str, str] = {}
    cause: str = ""  # of a bounce, a drop, a delay: what the mailbox's server said, as in "550 5.1.1 ..."
    permanent: bool = True  # of a bounce


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider signs its posts with."""

    secret: str  # shared with the receiver, or what a private key is derived from
    epoch_s: float  # when this is signed, as wall time


class Post(msgspec.Struct, frozen=True, kw_only=True):
    """One request, and the happenings that it tells of."""

    body: bytes
    headers: dict[str, str]
    happenings: list[Happening]


class EventShape(Protocol):
    """How one provider tells: which events, how often it posts, what a POST looks like."""

    @property
    def begins(self) -> str | None:
        """The event that says that a message was taken, such as `processed`; None: nothing says so."""
        ...

    @property
    def every_s(self) -> float:
        """Events of so long are posted together."""
        ...

    @property
    def secret(self) -> str:
        """The pattern (credentials.py) of what its posts are signed with; empty: they are not signed."""
        ...

    def verifies_with(self, secret: str) -> str:
        """What a receiver checks the signature with: the same secret, or the public key."""
        ...

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        """All of them in order, each in one POST, signed as the provider does."""
        ...


def life(fate: Fate, begins: str | None) -> list[tuple[str, float]]:
    """What happens to a message: (event, seconds after it was taken)."""
    first = [(begins, 0.0)] if begins and fate is not Fate.DROPPED else []
    match fate:
        case Fate.COMPLAINED:
            return [*first, (Fate.DELIVERED.value, DELIVERY_S), (fate.value, 2 * DELIVERY_S)]
        case Fate.DEFERRED:
            return [*first, (fate.value, DELIVERY_S), (Fate.DELIVERED.value, 5 * DELIVERY_S)]
        case _:
            return [*first, (fate.value, DELIVERY_S)]


def wait_s(attempts: int) -> float:
    """How long to wait after so many attempts."""
    return min(FIRST_WAIT_S * 2.0 ** min(attempts - 1, 16), LONGEST_WAIT_S)


class Webhooks:
    """One provider's. `urls` are by route; a message of a route without one is told of to nobody."""

    def __init__(
        self,
        shape: EventShape,
        urls: Mapping[str, str],
        secrets: Mapping[str, str],
        *,
        clock: Clock,
        ledger: Ledger,
        ids: SeededIds,
    ) -> None:
        self._shape = shape
        self._urls = dict(urls)
        self._secrets = dict(secrets)
        self._clock = clock
        self._ledger = ledger
        self._ids = ids
        self._coming: dict[str, list[Happening]] = {}  # by route; still to be posted for the first time
        self._collectors: dict[str, asyncio.Task[None]] = {}
        self._posting: dict[asyncio.Task[None], tuple[str, Post]] = {}
        self._told: Counter[str] = Counter()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    def taken(self, receipt: Receipt, echo: Mapping[str, str], fate: Fate = Fate.DELIVERED) -> None:
        """A receipt is written; if it is a hand-off, its events are on their way from now on.

        Not for the harness's own canaries: the sender never sent them.
        """
        route = receipt.route
        if route not in self._urls or receipt.result not in HAND_OFFS or receipt.canary == Canary.HARNESS:
            return
        if self._closed:
            return  # its connection is being ended; nobody listens any more
        now_s = self._clock.now_s()
        coming = self._coming.setdefault(route, [])
        for event, after_s in life(fate, self._shape.begins):
            coming.append(
                Happening(
                    event=event,
                    id=self._ids.next_hex("webhook-event", 32),
                    at_s=now_s + after_s,
                    epoch_s=self._clock.epoch_s + now_s + after_s,
                    receipt=receipt,
                    echo=dict(echo),
                )
            )
        self._quiet.clear()
        if route not in self._collectors:
            self._collectors[route] = asyncio.create_task(self._collect(route), name=f"events of {route}")

    def stats(self) -> dict[str, int]:
        pending = sum(map(len, self._coming.values()))
        pending += sum(len(post.happenings) for _, post in self._posting.values())
        return {"pending": pending, **{outcome.value: self._told[outcome] for outcome in Webhook}}

    async def settle(self, within_s: float, *, last: bool = False) -> bool:
        """Wait until every event has arrived; false if that takes too long.

        After the `last` time nothing is tried any more: what has not arrived is lost, and journalled so.
        """
        try:
            async with asyncio.timeout(within_s):
                await self._quiet.wait()
        except TimeoutError:
            if last:
                await self._give_up()
        return self._quiet.is_set()

    async def close(self) -> None:
        self._closed = True
        await self._give_up()
        if self._client is not None:
            await self._client.aclose()

    # --- from an event to its end ---

    async def _collect(self, route: str) -> None:
        """Post what has happened, every so often, until there is nothing more to come."""
        while self._coming[route]:
            await asyncio.sleep(self._shape.every_s)
            now_s = self._clock.now_s()
            due = sorted(
                (each for each in self._coming[route] if each.at_s <= now_s), key=lambda each: each.at_s
            )
            self._coming[route] = [each for each in self._coming[route] if each.at_s > now_s]
            signing = Signing(secret=self._secrets.get(route, ""), epoch_s=self._clock.epoch_s + now_s)
            for post in self._shape.posts(due, signing):
                task = asyncio.create_task(self._deliver(route, post), name=f"post of {route}")
                self._posting[task] = (route, post)
                task.add_done_callback(self._posted)
        del self._collectors[route]
        self._check_quiet()

    async def _deliver(self, route: str, post: Post) -> None:
        attempts = 1
        while not await self._post(self._urls[route], post):
            await asyncio.sleep(wait_s(attempts))
            attempts += 1
        now_s = self._clock.now_s()
        for each in post.happenings:
            late = attempts > 1 or now_s - each.at_s > LATE_S
            self._tell(route, each, Webhook.LATE if late else Webhook.DELIVERED, now_s)

    async def _post(self, url: str, post: Post) -> bool:
        """Whether the sender answered that it has them."""
        import httpx  # takes longer to import than all the rest of a provider

        if self._client is None:
            # A connection that an earlier fault has cut must not be what the next POST goes into.
            limits = httpx.Limits(max_keepalive_connections=0)
            self._client = httpx.AsyncClient(
                timeout=POST_TIMEOUT_S, trust_env=False, verify=False, limits=limits
            )
        try:
            async with asyncio.timeout(POST_TIMEOUT_S):  # the client's own bounds each read, not the whole
                answer = await self._client.post(url, content=post.body, headers=post.headers)
        except (httpx.HTTPError, TimeoutError) as error:
            log.info("events to %s: %r", url, error)
            return False
        return answer.is_success

    def _tell(self, route: str, happening: Happening, webhook: Webhook, now_s: float) -> None:
        """Journal the event; whatever becomes of it later changes nothing."""
        self._told[webhook] += 1
        self._ledger.event(
            happening.event,
            route=route,
            token=happening.receipt.token,
            recipient=happening.receipt.recipient,
            canary=happening.receipt.canary,
            webhook=webhook.value,
            delay_ns=max(0, round((now_s - happening.at_s) * 1e9)),
        )

    def _posted(self, task: asyncio.Task[None]) -> None:
        del self._posting[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            # A journal that takes no more: the numbers of its records will show what is missing.
            log.error("the end of events was not written: %s", error, exc_info=error)
        self._check_quiet()

    def _check_quiet(self) -> None:
        if not self._posting and not self._collectors:
            self._quiet.set()

    async def _give_up(self) -> None:
        """Stop trying, and journal as lost what has not arrived."""
        left = [
            (route, each)
            for task, (route, post) in self._posting.items()
            if not task.done()
            for each in post.happenings
        ]
        left += [(route, each) for route, coming in self._coming.items() for each in coming]
        tasks = [*self._posting, *self._collectors.values()]
        self._coming, self._collectors = {}, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        now_s = self._clock.now_s()
        try:
            for route, each in left:
                self._tell(route, each, Webhook.LOST, now_s)
        except JournalError:
            log.exception("lost events were not written")
        self._check_quiet()


def json_array(happenings: Sequence[Happening], written: Sequence[Any], most_bytes: int) -> list[Post]:
    """POSTs that hold JSON arrays of at most so many bytes each (an event larger than that goes alone)."""
    posts: list[Post] = []
    texts: list[bytes] = []
    told: list[Happening] = []
    size = 2

    def finish() -> None:
        body = b"[" + b",".join(texts) + b"]"
        posts.append(Post(body=body, headers={"Content-Type": "application/json"}, happenings=list(told)))

    for happening, event in zip(happenings, written, strict=True):
        text = msgspec.json.encode(event)
        if texts and size + len(text) + 1 > most_bytes:
            finish()
            texts, told, size = [], [], 2
        texts.append(text)
        told.append(happening)
        size += len(text) + 1
    if texts:
        finish()
    return posts
