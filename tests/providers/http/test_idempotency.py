"""Idempotency keys: the same request is taken once, for as long as the provider remembers it."""

from __future__ import annotations

import asyncio

import httpx

from harness.history.events import ReceiptResult
from harness.providers.http.idempotency import Memory
from harness.providers.http.messages import HttpRequest
from tests.providers.http.sample import (
    SEND,
    Sample,
    SampleApi,
    listener,
    raw,
    recipient,
    sample,
    send,
)
from tests.waiting import until

TAKEN, REPEATED = ReceiptResult.ACCEPTED, ReceiptResult.REPEATED


def results(fake: Sample) -> list[ReceiptResult]:
    return [receipt.result for receipt in fake.receipts()]


class Remembering(SampleApi):
    """For longer than any test takes."""

    idempotent_for_s = 3_600.0


async def test_the_same_again_gets_the_same_answer_and_hands_nothing_over(client: httpx.AsyncClient) -> None:
    async with sample(Remembering()) as fake:
        first = await send(client, fake.url(), idempotency_key="k1")
        again = await send(client, fake.url(), idempotency_key="k1")
        assert first.json() == again.json() and again.status_code == 200
        assert results(fake) == [TAKEN, REPEATED]
        assert [receipt.idempotency_key for receipt in fake.receipts()] == ["k1", "k1"]
        assert [receipt.body_offset for receipt in fake.receipts()] == [0, None]
        assert fake.provider.ledger.handed_off == {"backup": 1}


async def test_another_payload_is_a_conflict(client: httpx.AsyncClient) -> None:
    async with sample(Remembering()) as fake:
        await send(client, fake.url(), idempotency_key="k1")
        other = await send(client, fake.url(), recipient(1), idempotency_key="k1")
        assert (other.status_code, other.json()) == (409, {"said": "another payload"})
        assert results(fake) == [TAKEN, ReceiptResult.REFUSED]


async def test_without_a_key_or_with_another_it_is_another_request(client: httpx.AsyncClient) -> None:
    async with sample(Remembering()) as fake:
        for key in ({}, {}, {"idempotency_key": "k1"}, {"idempotency_key": "k2"}):
            assert (await send(client, fake.url(), **key)).status_code == 200
        assert results(fake) == [TAKEN] * 4


async def test_each_account_has_keys_of_its_own(client: httpx.AsyncClient) -> None:
    async with sample(Remembering(), listener(), listener("other", "other-1")) as fake:
        await send(client, fake.of_route("backup"), idempotency_key="k1")
        await send(client, fake.of_route("other"), key="other-1", idempotency_key="k1")
        assert results(fake) == [TAKEN, TAKEN]


async def test_one_that_is_not_answered_yet_is_in_progress(client: httpx.AsyncClient) -> None:
    async with sample(Remembering()) as fake:
        fake.put(type="slow-ack", delay_s=60, nth=1)
        _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw({"to": [recipient(0)]}, more="Idempotency-Key: k1\r\n"))
        await until(lambda: fake.provider.faults.list()[0].acted == 1)
        same = b'{"to":["' + recipient(0).encode() + b'"]}'
        headers = {"Authorization": "Bearer route-1", "Idempotency-Key": "k1"}
        busy = await client.post(fake.url(), content=same, headers=headers)
        assert (busy.status_code, busy.json()) == (409, {"said": "in progress"})
        writer.close()  # the acknowledgement is lost; what was taken stays taken
        await until(lambda: len(fake.receipts()) == 2)
        again = await client.post(fake.url(), content=same, headers=headers)
        assert again.status_code == 200
        assert results(fake) == [ReceiptResult.REFUSED, ReceiptResult.ACK_LOST, REPEATED]


async def test_a_lost_acknowledgement_is_repeated_to_who_asks_again(client: httpx.AsyncClient) -> None:
    async with sample(Remembering()) as fake:
        fake.put(type="ack-loss", code=504, nth=1)
        assert (await send(client, fake.url(), idempotency_key="k1")).status_code == 504
        assert (await send(client, fake.url(), idempotency_key="k1")).status_code == 200
        assert results(fake) == [ReceiptResult.ACK_LOST, REPEATED]


async def test_what_was_refused_leaves_its_key_free(client: httpx.AsyncClient) -> None:
    async with sample(Remembering()) as fake:
        fake.put(type="refuse", code=500, nth=1)
        assert (await send(client, fake.url(), idempotency_key="k1")).status_code == 500
        assert (await send(client, fake.url(), key="wrong", idempotency_key="k1")).status_code == 401
        assert (await send(client, fake.url(), recipient(1), idempotency_key="k1")).status_code == 200
        assert results(fake)[-1] is TAKEN


async def test_after_its_time_a_key_is_as_new(client: httpx.AsyncClient) -> None:
    async with sample() as fake:
        await send(client, fake.url(), idempotency_key="k1")
        await asyncio.sleep(0.5)  # what the sample remembers, and a little more
        await send(client, fake.url(), idempotency_key="k1")
        assert results(fake) == [TAKEN, TAKEN]


async def test_what_expired_is_not_kept() -> None:
    api, memory = SampleApi(), Memory()
    for number in range(1_000):
        request = HttpRequest(method="POST", path=SEND, headers={"idempotency-key": f"k{number}"})
        memory.look_up(api, "backup", request, now_s=float(number))
    assert len(memory._first) == 1


async def test_the_calls_of_a_client_library_are_told_apart_from_their_retries(
    fake: Sample, client: httpx.AsyncClient
) -> None:
    for call in ("a", "a", "b"):
        await send(client, fake.url(), x_call=call)
    assert [receipt.sdk_retry for receipt in fake.receipts()] == ["a", "a", "b"]
