"""What one account may do, through the engine: rates, windows, requests at a time."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history.events import ReceiptResult
from harness.providers.http.limits import AccountUse, Concurrency, Limit, RateLimit, Window
from tests.providers.http.sample import CANARY_KEY, SampleApi, listener, raw, recipient, sample, send
from tests.waiting import until

HOUR_S = 3_600.0


async def codes(client: httpx.AsyncClient, url: str, count: int, *to: str) -> list[int]:
    return [(await send(client, url, *to)).status_code for _ in range(count)]


class TestThroughTheEngine:
    async def test_a_window_of_messages_counts_each_recipient(self, client: httpx.AsyncClient) -> None:
        window = Window(name="daily", count=3, per_s=1e9, counts_messages=True)
        async with sample(SampleApi([window])) as fake:
            assert (await send(client, fake.url(), recipient(0), recipient(1))).status_code == 200
            refused = await send(client, fake.url(), recipient(2), recipient(3))
            assert (refused.status_code, refused.json()) == (429, {"said": "daily"})
            assert (await send(client, fake.url(), recipient(2))).status_code == 200
            assert [receipt.result for receipt in fake.receipts()] == [
                *[ReceiptResult.ACCEPTED] * 2,
                *[ReceiptResult.DEFERRED] * 2,
                ReceiptResult.ACCEPTED,
            ]

    async def test_the_first_limit_that_is_reached_is_told(self, client: httpx.AsyncClient) -> None:
        limits: list[Limit] = [
            RateLimit(rate_per_s=0.001, burst=5),
            Window(name="daily", count=2, per_s=1e9),
        ]
        async with sample(SampleApi(limits)) as fake:
            assert await codes(client, fake.url(), 3) == [200, 200, 429]
            assert fake.receipts()[-1].text == "daily"

    async def test_so_many_requests_at_a_time(self, client: httpx.AsyncClient) -> None:
        async with sample(SampleApi([Concurrency(name="at a time", count=2)])) as fake:
            fake.put(type="hang", count=2)
            clients = [await asyncio.open_connection("127.0.0.1", fake.port) for _ in range(2)]
            for _, writer in clients:
                writer.write(raw())
            await until(lambda: len(fake.receipts()) == 2)
            assert await codes(client, fake.url(), 1) == [429]
            clients[0][1].close()
            await until(lambda: len(fake.closed()) == 1)
            assert await codes(client, fake.url(), 3) == [200, 200, 200]
            clients[1][1].close()

    async def test_one_that_waits_for_its_answer_is_in_progress(self, client: httpx.AsyncClient) -> None:
        async with sample(SampleApi([Concurrency(name="at a time", count=1)])) as fake:
            fake.put(type="slow-ack", delay_s=60, nth=1)
            _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            writer.write(raw())
            await until(lambda: fake.provider.faults.list()[0].acted == 1)
            assert await codes(client, fake.url(), 1) == [429]
            writer.close()
            await until(lambda: len(fake.receipts()) == 2)
            assert await codes(client, fake.url(), 1) == [200]

    async def test_each_route_s_account_has_its_own_and_the_canary_none(
        self, client: httpx.AsyncClient
    ) -> None:
        window = Window(name="daily", count=1, per_s=1e9)
        async with sample(SampleApi([window]), listener(), listener("other", "other-1")) as fake:
            assert await codes(client, fake.of_route("backup"), 2) == [200, 429]
            assert (await send(client, fake.of_route("other"), key="other-1")).status_code == 200
            for _ in range(3):
                assert (await send(client, fake.of_route("other"), key=CANARY_KEY)).status_code == 200

    async def test_the_twin_takes_nothing_of_them(self, client: httpx.AsyncClient) -> None:
        async with sample(SampleApi([Window(name="daily", count=1, per_s=1e9)])) as fake:
            for _ in range(3):
                assert (await send(client, fake.url(rejecting=True))).status_code == 401
            assert await codes(client, fake.url(), 1) == [200]


class TestOneAccount:
    def test_a_refused_request_takes_nothing_of_any_limit(self) -> None:
        limits: list[Limit] = [
            RateLimit(rate_per_s=1e-9, burst=3),
            Window(name="hourly", count=3, per_s=HOUR_S),
            Window(name="daily", count=1, per_s=24 * HOUR_S),
        ]
        use = AccountUse(limits, 0)
        assert use.take(1, 0) is None
        for _ in range(5):
            refusal = use.take(1, 0)
            assert refusal is not None and refusal.name == "daily"
        assert use.take(1, 24 * HOUR_S) is None
        refusal = use.take(1, 24 * HOUR_S)
        assert refusal is not None and refusal.name == "daily"  # and the bucket has one left still

    def test_where_refused_calls_count_too_they_keep_the_window_shut(self) -> None:
        strict = Window(name="calls", count=2, per_s=10, counts_refused=True)
        use = AccountUse([strict], 0)
        assert [use.take(1, 0) is None for _ in range(4)] == [True, True, False, False]
        refusal = use.take(1, 9)
        assert refusal is not None
        assert (refusal.remaining, refusal.limit, refusal.wait_s) == (0, 2, pytest.approx(1))
        assert use.take(1, 10) is None  # a new span

    def test_what_another_limit_refused_counts_there_as_well(self) -> None:
        limits: list[Limit] = [
            Window(name="calls", count=3, per_s=10, counts_refused=True),
            Window(name="messages", count=1, per_s=10, counts_messages=True),
        ]
        use = AccountUse(limits, 0)
        assert use.take(1, 0) is None
        assert [(refused := use.take(1, 0)) and refused.name for _ in range(3)] == [
            "messages",
            "messages",
            "calls",
        ]

    @given(
        st.lists(st.tuples(st.floats(min_value=0, max_value=3), st.integers(1, 4)), max_size=60),
        st.booleans(),
    )
    def test_no_span_holds_more_than_its_count(
        self, requests: list[tuple[float, int]], counts_messages: bool
    ) -> None:
        window = Window(name="w", count=5, per_s=10, counts_messages=counts_messages)
        use, now_s, taken = AccountUse([window], 0), 0.0, dict[int, int]()
        for gap_s, messages in requests:
            now_s += gap_s
            if use.take(messages, now_s) is None:
                span = int(now_s // 10)
                taken[span] = taken.get(span, 0) + (messages if counts_messages else 1)
        assert all(count <= 5 for count in taken.values())
