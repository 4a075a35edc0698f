"""Events back: what became of the messages that a provider took, posted to the sender in its own shape.

In goes what happens to a message (aftermath.py decides); out go POSTs to each route's events URL, and one
`provider.event` in the journal for each event once it is known what became of it: delivered, late, lost, or
none where nobody was to be told. Nothing here keeps an answer waiting. A POST that is not answered 2xx is
tried again, as the provider's own schedule says; an event whose POST may have arrived is posted again as
well, as the real ones do, so a receiver must tell events apart by their ids.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from harness.history.events import Receipt
from harness.providers.clock import Clock
from harness.providers.errors import JournalError
from harness.providers.ledger import Ledger

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

POST_TIMEOUT_S = 5.0
TAKEN = range(200, 300)
DELIVERY_S = 0.2  # from the provider's answer to the customer's mailbox
LATE_S = 3.0  # an event on its way for longer than this is late, and so is one that took a second attempt
LONGEST_WAIT_S = 5.0  # a drill's patience: the longer waits of a provider's own schedule are cut to this
UNTOLD_EVERY_S = 0.1  # events that nobody is told of are journalled together


class Webhook(StrEnum):
    """What became of an event on its way to the sender."""

    DELIVERED = "delivered"
    LATE = "late"
    LOST = "lost"
    NONE = "none"  # nobody was to be told


class Fate(StrEnum):
    """What becomes of a message that was taken; the last event of its life. Every provider's shape has a
    word of its own for each event, and leaves out those that it never tells."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"  # delivered, and called spam by whom it reached
    DROPPED = "dropped"  # never tried: suppressed, or given up
    DEFERRED = "deferred"  # tried in vain at first, then delivered


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """Something that became of one message; `echo` is what its sender wants to find in the event.

    `event` is a Fate, or the shape's own `begins`; the journal has it like this, a shape has its own words.
    """

    event: str
    id: str  # 32 hexadecimal digits, unique
    at_s: float  # on the loop's clock
    epoch_s: float  # the same moment as wall time
    receipt: Receipt
    echo: dict[str, str] = {}
    cause: str = ""  # of a bounce, a delay: what the mailbox's server said, as in "550 5.1.1 ..."
    permanent: bool = True  # of a bounce: a hard one
    suppressed_by: Fate | None = None  # of a drop: what became of an earlier message to this recipient


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
    def waits_s(self) -> Sequence[float]:
        """The provider's own schedule: the time between one attempt to post and the next; the last one again
        and again. At least one. Each is cut to LONGEST_WAIT_S."""
        ...

    @property
    def gives_up_after_s(self) -> float | None:
        """So long after the first attempt there is no other one, and the event is lost; 0: there is one
        attempt. It is not cut, so that a drill loses nothing that the provider would have told. None: not
        documented, and it goes on for as long as it runs."""
        ...

    @property
    def stops_at(self) -> Container[int]:
        """The answers (HTTP statuses) after which it does not try again; the event is lost."""
        ...

    @property
    def secret(self) -> str:
        """The pattern (credentials.py) of what its posts are signed with; empty: they are not signed."""
        ...

    def verifies_with(self, secret: str) -> str:
        """What a receiver checks the signature with: the same secret, or the public key."""
        ...

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        """All that it tells of these, in order, each in one POST, signed as the provider does."""
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


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """A happening, and how it is told. What is not posted is journalled, as `telling` says, when it happens;
    of what is posted, `telling` is at best what becomes of it."""

    happening: Happening
    posted: bool
    telling: Webhook
    delay_s: float = 0.0  # posted so long after it happened

    @property
    def due_s(self) -> float:
        return self.happening.at_s + (self.delay_s if self.posted else 0.0)


class Webhooks:
    """One provider's. `urls` are by route; what happens to a message of a route without one is told to
    nobody, and so is everything where there is no shape."""

    def __init__(
        self,
        shape: EventShape | None,
        urls: Mapping[str, str],
        secrets: Mapping[str, str],
        *,
        clock: Clock,
        ledger: Ledger,
    ) -> None:
        self._shape = shape
        self._urls = dict(urls)
        self._secrets = dict(secrets)
        self._clock = clock
        self._ledger = ledger
        self._coming: dict[str, list[Coming]] = {}  # by route; neither posted for the first time nor written
        self._collectors: dict[str, asyncio.Task[None]] = {}
        self._posting: dict[asyncio.Task[None], tuple[str, Post]] = {}
        self._held_back: set[str] = set()  # ids of happenings that are posted late on purpose
        self._told: Counter[str] = Counter()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._client: httpx.AsyncClient | None = None
        self._closed = False

    @property
    def are_heard(self) -> bool:
        """Whether there is a sender to tell, by any route."""
        return any(map(self.listens, self._urls))

    def listens(self, route: str) -> bool:
        """Whether there is a sender to tell."""
        return self._shape is not None and route in self._urls

    def expect(self, route: str, coming: Sequence[Coming]) -> None:
        """From now on these are on their way."""
        if self._closed:
            return  # its connection is being ended; nobody listens any more
        self._coming.setdefault(route, []).extend(coming)
        self._quiet.clear()
        if route not in self._collectors:
            self._collectors[route] = asyncio.create_task(self._collect(route), name=f"events of {route}")

    def stats(self) -> dict[str, int]:
        pending = sum(map(len, self._coming.values()))
        pending += sum(len(post.happenings) for _, post in self._posting.values())
        outcomes = (Webhook.DELIVERED, Webhook.LATE, Webhook.LOST)
        return {"pending": pending, **{outcome.value: self._told[outcome] for outcome in outcomes}}

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
        listens = self.listens(route)
        every_s = self._shape.every_s if self._shape is not None and listens else UNTOLD_EVERY_S
        while self._coming[route]:
            await asyncio.sleep(every_s)
            now_s = self._clock.now_s()
            due = sorted(
                (each for each in self._coming[route] if each.due_s <= now_s), key=lambda each: each.due_s
            )
            self._coming[route] = [each for each in self._coming[route] if each.due_s > now_s]
            for each in due:
                if not each.posted:
                    self._tell(route, each.happening, each.telling, each.delay_s)
                elif each.telling is Webhook.LATE:
                    self._held_back.add(each.happening.id)
            if told := [each.happening for each in due if each.posted]:
                self._start_posts(route, told, now_s)
        del self._collectors[route]
        self._check_quiet()

    def _start_posts(self, route: str, happenings: Sequence[Happening], now_s: float) -> None:
        """Post these; what the shape has no event for is journalled as told to nobody."""
        assert self._shape is not None
        signing = Signing(secret=self._secrets.get(route, ""), epoch_s=self._clock.epoch_s + now_s)
        posts = self._shape.posts(happenings, signing)
        posted = {each.id for post in posts for each in post.happenings}
        for each in happenings:
            if each.id not in posted:
                self._tell(route, each, Webhook.NONE, 0.0)
        for post in posts:
            task = asyncio.create_task(self._deliver(route, post), name=f"post of {route}")
            self._posting[task] = (route, post)
            task.add_done_callback(self._posted)

    async def _deliver(self, route: str, post: Post) -> None:
        """Try until it is taken, or for as long as the provider does."""
        assert self._shape is not None
        shape, first_s, attempts = self._shape, self._clock.now_s(), 1
        while (status := await self._post(self._urls[route], post)) not in TAKEN:
            wait_s = min(shape.waits_s[min(attempts, len(shape.waits_s)) - 1], LONGEST_WAIT_S)
            limit_s = shape.gives_up_after_s
            again_s = self._clock.now_s() + wait_s - first_s
            if status in shape.stops_at or (limit_s is not None and again_s > limit_s):
                for each in post.happenings:
                    self._end(route, each, Webhook.LOST)
                return
            await asyncio.sleep(wait_s)
            attempts += 1
        for each in post.happenings:
            long = self._clock.now_s() - each.at_s > LATE_S
            late = attempts > 1 or long or each.id in self._held_back
            self._end(route, each, Webhook.LATE if late else Webhook.DELIVERED)

    async def _post(self, url: str, post: Post) -> int | None:
        """The status that the sender answered; None if it did not."""
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
            return None
        return answer.status_code

    def _end(self, route: str, happening: Happening, webhook: Webhook) -> None:
        """It was posted, in vain or not."""
        self._held_back.discard(happening.id)
        self._tell(route, happening, webhook, max(0.0, self._clock.now_s() - happening.at_s))

    def _tell(self, route: str, happening: Happening, webhook: Webhook, delay_s: float) -> None:
        """Journal the event; whatever becomes of it later changes nothing."""
        self._told[webhook] += 1
        self._ledger.event(
            happening.event,
            route=route,
            token=happening.receipt.token,
            recipient=happening.receipt.recipient,
            canary=happening.receipt.canary,
            webhook=webhook.value,
            delay_ns=round(delay_s * 1e9),
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
        coming = [(route, each) for route, coming in self._coming.items() for each in coming]
        tasks = [*self._posting, *self._collectors.values()]
        self._coming, self._collectors = {}, {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            for route, happening in left:
                self._end(route, happening, Webhook.LOST)
            for route, each in coming:
                if each.posted:
                    self._end(route, each.happening, Webhook.LOST)
                else:
                    self._tell(route, each.happening, each.telling, each.delay_s)
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
