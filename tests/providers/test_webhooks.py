"""Events back to the sender: batched, tried again, journalled once each, never in the way of an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Container, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.history.events import ProviderEvent, Receipt, ReceiptResult
from harness.providers import aftermath, webhooks
from harness.providers.aftermath import Aftermath
from harness.providers.asgi import listen
from harness.providers.clock import Clock
from harness.providers.faults import FaultTable
from harness.providers.ids import SeededIds
from harness.providers.ledger import Ledger, MemorySink
from harness.providers.webhooks import Happening, Post, Signing, Webhooks, json_array
from tests.ports import free_port
from tests.waiting import until


class Shape:
    """Two events a message, posted together every 10 ms."""

    begins = "processed"
    every_s = 0.01
    waits_s: Sequence[float] = (0.02, 0.04)
    gives_up_after_s: float | None = None
    stops_at: Container[int] = (406,)
    secret = ""

    def verifies_with(self, secret: str) -> str:
        return secret

    def posts(self, happenings: Sequence[Happening], signing: Signing) -> list[Post]:
        told = [each for each in happenings if each.event != "deferred"]
        return json_array(told, [{"id": each.id, "event": each.event} for each in told], 10_000)


class Receiver:
    """The sender's endpoint. It answers what is next in `answers`, then 204; None: it never answers."""

    def __init__(self, answers: Sequence[int | None]) -> None:
        self.answers = list(answers)
        self.taken: list[str] = []
        self.bodies: list[dict[str, Any]] = []
        self.posts = 0
        self.url = ""
        self.hangs = asyncio.Event()

    async def __call__(self, request: Request) -> Response:
        self.posts += 1
        events = msgspec.json.decode(await request.body())
        self.bodies += events
        told = [each["event"] for each in events]
        answer = self.answers.pop(0) if self.answers else 204
        if answer is None:
            await self.hangs.wait()
            return Response(status_code=503)
        if answer < 300:
            self.taken += told
        return Response(status_code=answer)


@asynccontextmanager
async def receiver(*answers: int | None) -> AsyncIterator[Receiver]:
    receiver = Receiver(answers)
    listener = await listen(
        Starlette(routes=[Route("/events", receiver.__call__, methods=["POST"])]), "127.0.0.1", 0
    )
    receiver.url = f"http://127.0.0.1:{listener.port}/events"
    try:
        yield receiver
    finally:
        receiver.hangs.set()
        await listener.close()


class Sender:
    """A provider's side, without an engine: `take` is what an engine does when it takes a message."""

    def __init__(self, url: str | None, shape: Shape | None = None, *, without_shape: bool = False) -> None:
        clock = Clock(1_700_000_000.0)
        shape = None if without_shape else shape or Shape()
        self.sink = MemorySink()
        self.ledger = Ledger("sendgrid", clock, self.sink)
        urls = {} if url is None else {"backup": url}
        self.webhooks = Webhooks(shape, urls, {}, clock=clock, ledger=self.ledger)
        self.faults = FaultTable(aftermath.place, ["backup"], 1, clock.wall_s)
        self.aftermath = Aftermath(
            shape,
            self.webhooks,
            clock=clock,
            ledger=self.ledger,
            ids=SeededIds(1, "sendgrid"),
            faults=self.faults,
        )

    def take(
        self,
        token: str,
        result: ReceiptResult = ReceiptResult.ACCEPTED,
        canary: str | None = None,
        class_: str | None = None,
    ) -> Receipt:
        receipt = self.ledger.receipt(
            route="backup",
            endpoint="api",
            result=result,
            attempt=token,
            begin_ns=0,
            token=token,
            recipient=f"c.{token}@customer.example",
            canary=canary,
        )
        self.aftermath.taken(receipt, {}, class_)
        return receipt

    def events(self) -> list[ProviderEvent]:
        records = [msgspec.json.decode(line, type=Receipt | ProviderEvent) for line in self.sink.records]
        return [record for record in records if isinstance(record, ProviderEvent)]

    def fates(self) -> list[tuple[str | None, str, str]]:
        return sorted((event.token or "", event.event, event.webhook) for event in self.events())


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "DELIVERY_S", 0.005)


async def test_what_became_of_a_message_is_posted_and_journalled_after_its_receipt() -> None:
    async with receiver() as told:
        sender = Sender(told.url)
        sender.take("t1")
        assert sender.events() == []  # nothing before its time
        assert await sender.webhooks.settle(5)
        assert told.taken == ["processed", "delivered"]
        assert sender.fates() == [("t1", "delivered", "delivered"), ("t1", "processed", "delivered")]
        assert [event.n for event in sender.events()] == [2, 3]  # of the provider's own record
        assert all(event.route == "backup" and event.delay_ns is not None for event in sender.events())
        assert sender.webhooks.stats() == {"pending": 0, "delivered": 2, "late": 0, "lost": 0}
        await sender.webhooks.close()


async def test_only_messages_that_were_taken_have_a_fate() -> None:
    async with receiver() as told:
        sender = Sender(told.url)
        sender.take("t1", ReceiptResult.REFUSED)
        sender.take("t2", ReceiptResult.ABORTED)
        sender.take("t3", ReceiptResult.ACK_LOST)  # the provider has it, whatever its sender knows
        sender.take("probe", canary="system")
        assert await sender.webhooks.settle(5)
        assert {(event.token, event.canary) for event in sender.events()} == {
            ("t3", None),
            ("probe", "system"),
        }
        await sender.webhooks.close()


async def test_an_event_that_is_not_taken_comes_late() -> None:
    async with receiver(503, 404) as told:
        sender = Sender(told.url)
        sender.take("t1")
        assert await sender.webhooks.settle(5)
        assert sorted(told.taken) == ["delivered", "processed"]
        assert "late" in {event.webhook for event in sender.events()}
        assert "lost" not in {event.webhook for event in sender.events()}
        await sender.webhooks.close()


async def test_an_endpoint_that_is_away_gets_all_of_it_when_it_is_back() -> None:
    port = free_port()
    sender = Sender(f"http://127.0.0.1:{port}/events")
    sender.take("t1")
    assert not await sender.webhooks.settle(0.2)
    told = Receiver([])
    listener = await listen(
        Starlette(routes=[Route("/events", told.__call__, methods=["POST"])]), "127.0.0.1", port
    )
    assert await sender.webhooks.settle(5)
    assert sorted(told.taken) == ["delivered", "processed"]
    assert {event.webhook for event in sender.events()} == {"late"}
    await sender.webhooks.close()
    await listener.close()


async def test_an_endpoint_that_hangs_holds_up_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "POST_TIMEOUT_S", 0.2)
    async with receiver(None) as told:
        sender = Sender(told.url)
        sender.take("t1")
        await until(lambda: told.posts == 1)
        sender.take("t2")
        await until(lambda: "t2" in {event.token for event in sender.events()})
        assert await sender.webhooks.settle(5)
        assert ("t1", "processed", "late") in sender.fates()
        assert ("t2", "delivered", "delivered") in sender.fates()
        await sender.webhooks.close()


async def test_what_has_not_arrived_at_the_end_is_lost_and_said_to_be() -> None:
    async with receiver(*[500] * 1000) as told:
        sender = Sender(told.url)
        sender.take("t1")
        await until(lambda: told.posts >= 2)
        assert not await sender.webhooks.settle(0.01)
        assert sender.events() == []  # not lost yet
        assert await sender.webhooks.settle(0.01, last=True)
        assert sender.fates() == [("t1", "delivered", "lost"), ("t1", "processed", "lost")]
        posts = told.posts
        await sender.webhooks.close()
        await asyncio.sleep(0.05)
        assert told.posts == posts  # and nobody is bothered any more


async def test_closing_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with receiver(None, None) as told:
        sender = Sender(told.url)
        sender.take("t1")
        await until(lambda: told.posts == 1)
        sender.take("t2")
        await sender.webhooks.close()
        sender.take("t3")  # a connection that ends last; nobody listens any more
    assert {token for token, _, _ in sender.fates()} == {"t1", "t2"}
    await until(lambda: asyncio.all_tasks() == before)


async def test_a_receiver_that_says_never_again_is_not_asked_again() -> None:
    async with receiver(406, 406) as told:
        sender = Sender(told.url)
        sender.take("t1")
        assert await sender.webhooks.settle(5)
        assert sender.fates() == [("t1", "delivered", "lost"), ("t1", "processed", "lost")]
        assert len(told.bodies) == 2 and told.taken == []  # each was told once
        await sender.webhooks.close()


async def test_a_provider_that_gives_up_has_lost_the_event() -> None:
    class Impatient(Shape):
        gives_up_after_s = 0.0

    async with receiver(*[500] * 10) as told:
        sender = Sender(told.url, Impatient())
        sender.take("t1")
        assert await sender.webhooks.settle(5)
        assert {webhook for _, _, webhook in sender.fates()} == {"lost"}
        assert len(told.bodies) == 2  # each was tried once
        await sender.webhooks.close()


async def test_a_provider_tries_for_as_long_as_it_says() -> None:
    class Patient(Shape):
        waits_s = (0.01, 0.02)
        gives_up_after_s = 1.0

    async with receiver(*[500] * 1000) as told:
        sender = Sender(told.url, Patient())
        sender.take("t1")
        assert await sender.webhooks.settle(10)
        assert {webhook for _, _, webhook in sender.fates()} == {"lost"}
        assert 3 <= told.posts <= 2 * 52  # at most two POSTs, each tried after 10 ms and then every 20 ms
        await sender.webhooks.close()


async def test_no_wait_is_longer_than_a_drill_has_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Shape):
        waits_s = (3_600.0,)

    monkeypatch.setattr(webhooks, "LONGEST_WAIT_S", 0.02)
    async with receiver(500, 500) as told:
        sender = Sender(told.url, Slow())
        sender.take("t1")
        assert await sender.webhooks.settle(5)
        assert {webhook for _, _, webhook in sender.fates()} <= {"late", "delivered"}
        await sender.webhooks.close()


def happening(number: int, text: str) -> Happening:
    return Happening(
        event=text,
        id=f"{number:032x}",
        at_s=0,
        epoch_s=0,
        receipt=Receipt(
            t_ns=0,
            source="s",
            n=1,
            provider="p",
            route="r",
            endpoint="api",
            result=ReceiptResult.ACCEPTED,
            attempt="a",
            begin_ns=0,
            end_ns=0,
        ),
    )


@given(
    texts=st.lists(st.text(max_size=60), max_size=30),
    most_bytes=st.integers(min_value=2, max_value=400),
)
def test_batches_hold_every_event_once_and_in_order_and_keep_their_size(
    texts: list[str], most_bytes: int
) -> None:
    happenings = [happening(number, text) for number, text in enumerate(texts)]
    posts = json_array(happenings, [{"e": each.event} for each in happenings], most_bytes)
    assert [each for post in posts for each in post.happenings] == happenings
    for post in posts:
        assert msgspec.json.decode(post.body) == [{"e": each.event} for each in post.happenings]
        assert post.happenings
        assert len(post.body) <= most_bytes or len(post.happenings) == 1


@settings(max_examples=15, deadline=None)
@given(
    answers=st.lists(st.sampled_from([200, 204, 301, 400, 410, 429, 500, 503]), max_size=12),
    messages=st.integers(min_value=1, max_value=5),
)
def test_whatever_the_endpoint_answers_each_event_ends_once(answers: list[int], messages: int) -> None:
    async def run() -> None:
        async with receiver(*answers) as told:
            sender = Sender(told.url)
            for number in range(messages):
                sender.take(f"t{number}")
            arrived = await sender.webhooks.settle(10, last=True)
            assert arrived
            assert len(sender.events()) == 2 * messages
            assert len({(event.token, event.event) for event in sender.events()}) == 2 * messages
            assert sorted(told.taken) == ["delivered"] * messages + ["processed"] * messages
            await sender.webhooks.close()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(webhooks, "LONGEST_WAIT_S", 0.01)
        asyncio.run(run())
