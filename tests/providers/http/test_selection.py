"""Whom a fault in an HTTP provider hits: by number, class, recipient, share, tenant and route."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from harness.history.events import ReceiptResult
from tests.providers.http.sample import (
    Sample,
    listener,
    recipient,
    sample,
    send,
)

TAKEN, LOST, ABORTED = ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST, ReceiptResult.ABORTED
PATIENCE_S = 15


async def first_line(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readline(), PATIENCE_S)


class TestSelection:
    async def codes(self, fake: Sample, client: httpx.AsyncClient, classes: str = "tttttttt") -> list[int]:
        """One message each: of class transactional (t) or marketing (m)."""
        names = {"t": "transactional", "m": "marketing"}
        return [
            (await send(client, fake.url(), recipient(number), class_=names[each])).status_code
            for number, each in enumerate(classes)
        ]

    @pytest.mark.parametrize(
        ("selection", "hit"),
        [
            ({"nth": 3}, "..x....."),
            ({"every": 3}, "..x..x.."),
            ({"count": 2}, "xx......"),
            ({"every": 2, "count": 2}, ".x.x...."),
            ({"class_": "marketing"}, "x..xx..."),
            ({"class_": "marketing", "nth": 2}, "...x...."),
            ({"recipient": "c.bbb*"}, ".x......"),
            ({"recipient": "*@CUSTOMER.example"}, "xxxxxxxx"),
            ({"recipient": "*@other.example"}, "........"),
            ({"tenant": "nobody"}, "........"),
        ],
    )
    async def test_by_number_class_and_recipient(
        self, fake: Sample, client: httpx.AsyncClient, selection: dict[str, Any], hit: str
    ) -> None:
        fake.put(type="refuse", code=500, **selection)
        codes = await self.codes(fake, client, "mttmmttt")
        assert "".join("x" if code == 500 else "." for code in codes) == hit
        assert fake.provider.faults.list()[0].acted == hit.count("x")

    async def test_a_share_is_the_same_share_each_time_and_of_retries_too(
        self, client: httpx.AsyncClient
    ) -> None:
        found = []
        for _ in range(2):
            async with sample() as fake:
                fake.put(type="refuse", code=500, share=0.5)
                codes = await self.codes(fake, client, "t" * 12)
                assert await self.codes(fake, client, "t" * 12) == codes  # by token, not by attempt
                found.append(codes)
        assert found[0] == found[1]
        assert 0 < found[0].count(500) < 12

    @pytest.mark.parametrize("selection", [{"recipient": "c.bbb*"}, {"recipient": "c.bbb*", "nth": 1}])
    async def test_one_of_several_messages_is_enough_and_the_request_is_hit_whole(
        self, fake: Sample, client: httpx.AsyncClient, selection: dict[str, Any]
    ) -> None:
        fake.put(type="refuse", code=500, **selection)
        assert (await send(client, fake.url(), recipient(0), recipient(2))).status_code == 200
        assert (await send(client, fake.url(), recipient(0), recipient(1))).status_code == 500
        assert [receipt.fault for receipt in fake.receipts()] == [None, None, "f", "f"]
        (status,) = fake.provider.faults.list()
        assert (status.matched, status.acted) == (1, 1)  # requests, and not messages

    async def test_a_share_goes_by_the_message_that_the_fault_is_about(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="refuse", code=500, share=0.5, recipient="c.*")
        alone = [(await send(client, fake.url(), recipient(each))).status_code for each in range(8)]
        behind = [
            (await send(client, fake.url(), "someone@else.example", recipient(each))).status_code
            for each in range(8)
        ]
        assert alone == behind
        assert set(alone) == {200, 500}

    async def test_by_tenant(self, client: httpx.AsyncClient) -> None:
        listeners = (listener(tenant="blue"), listener("other", "other-1", tenant="green"))
        async with sample(None, *listeners) as fake:
            fake.put(type="refuse", code=500, tenant="green")
            assert (await send(client, fake.of_route("backup"))).status_code == 200
            assert (await send(client, fake.of_route("other"), key="other-1")).status_code == 500
            assert [receipt.tenant for receipt in fake.receipts()] == ["blue", "green"]

    async def test_by_route(self, client: httpx.AsyncClient) -> None:
        async with sample(None, listener(), listener("other", "other-1")) as fake:
            fake.put(type="refuse", code=500, route="other")
            assert (await send(client, fake.of_route("backup"))).status_code == 200
            assert (await send(client, fake.of_route("other"), key="other-1")).status_code == 500
