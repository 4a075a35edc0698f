"""What an API has beside sending: paths, other endpoints with their twins, batches in part, HTTPS."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from harness.history.events import ReceiptResult
from tests.providers.http.sample import (
    CANARY_KEY,
    ME,
    MOST_BYTES,
    THING,
    TOKEN,
    TOKENS,
    Sample,
    SampleApi,
    headers,
    listener,
    raw,
    recipient,
    sample,
    send,
)
from tests.waiting import until

AUTHORISED = {"Authorization": "Bearer route-1"}


class TestPaths:
    async def test_a_template_gives_its_fields_and_the_query_is_beside_it(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        url = fake.url(THING.replace("{name}", "caf%C3%A9")) + "?page=2&x=%20"
        assert (await client.get(url, headers=AUTHORISED)).json() == {"said": "sender café page=2&x=%20"}

    @pytest.mark.parametrize("path", ["/", "/nothing", "/send/", "/things//parts", "/things/a/b/parts"])
    async def test_what_is_not_there_is_not_found_and_not_recorded(
        self, fake: Sample, client: httpx.AsyncClient, path: str
    ) -> None:
        answered = await client.post(fake.url(path), content=b"x", headers=AUTHORISED)
        assert (answered.status_code, answered.json()) == (404, {"said": f"nothing at {path}"})
        assert fake.receipts() == []

    async def test_another_method_is_told_which_there_are(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        answered = await client.delete(fake.url())
        assert (answered.status_code, answered.json()) == (405, {"said": "POST, PUT"})

    async def test_a_second_method_of_a_path_sends_as_well(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        answered = await client.put(fake.url(), json={"to": [recipient(1)]}, headers=AUTHORISED)
        assert answered.status_code == 200
        assert [receipt.token for receipt in fake.receipts()] == [TOKENS[1]]

    async def test_a_head_has_no_body_and_the_connection_goes_on(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        answered = await client.head(fake.url("/nothing"))
        assert (answered.status_code, answered.content) == (404, b"")
        assert int(answered.headers["content-length"]) > 0
        assert (await send(client, fake.url())).status_code == 200
        assert fake.receipts()[0].connection == "backup-api-1"

    async def test_what_is_too_large_is_refused_and_recorded_when_it_says_so(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        answered = await client.post(fake.url(), content=b"x" * (MOST_BYTES + 1), headers=AUTHORISED)
        assert answered.status_code == 413
        assert [(receipt.code, receipt.body_bytes) for receipt in fake.receipts()] == [(413, 0)]

    async def test_and_when_it_comes_in_chunks_without_saying_so(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        async def pieces() -> object:
            for _ in range(200):
                yield b"x" * 1_000

        answered = await client.post(fake.url(), content=pieces(), headers=AUTHORISED)  # type: ignore[arg-type]
        assert answered.status_code == 413
        (receipt,) = fake.receipts()
        assert receipt.code == 413 and (receipt.body_bytes or 0) <= MOST_BYTES


class TestBesideTheMainOne:
    async def test_each_endpoint_has_a_listener_and_only_its_own_paths(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        bound = {each.endpoint: each for each in fake.provider.ready.listeners}
        assert set(bound) == {"api", "token"}
        ports = [port for each in bound.values() for port in (each.port, each.rejecting_port)]
        assert len(set(ports)) == 4
        assert (await client.post(fake.beside(TOKEN))).status_code == 200
        assert (await client.post(fake.url(TOKEN))).status_code == 404
        assert (await send(client, fake.beside("/send"))).status_code == 404
        assert fake.receipts() == []

    async def test_what_is_open_needs_no_credential_and_judges_them_itself(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        assert "'sender'" in (await client.post(fake.beside(TOKEN))).json()["said"]
        assert "[]" in (await client.post(fake.beside(TOKEN, rejecting=True))).json()["said"]

    async def test_what_asks_needs_one_and_the_twin_takes_none(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        assert (await client.get(fake.beside(ME), headers=AUTHORISED)).status_code == 200
        assert (await client.get(fake.beside(ME))).status_code == 401
        assert (await client.get(fake.beside(ME, rejecting=True), headers=AUTHORISED)).status_code == 401

    async def test_a_fault_of_an_endpoint_leaves_mail_alone_and_one_of_mail_the_endpoint(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="refuse", code=503, endpoint="token")
        assert (await client.post(fake.beside(TOKEN))).status_code == 503
        assert (await send(client, fake.url())).status_code == 200
        fake.put(type="refuse", code=503)
        assert (await client.post(fake.beside(TOKEN))).status_code == 200
        assert (await send(client, fake.url())).status_code == 503

    async def test_it_can_be_throttled_slow_or_lost(self, fake: Sample, client: httpx.AsyncClient) -> None:
        fake.put(type="throttle", endpoint="token", quota=1)
        answers = [(await client.post(fake.beside(TOKEN))).status_code for _ in range(2)]
        assert answers == [200, 429]
        loop = asyncio.get_running_loop()
        fake.put(type="slow-ack", endpoint="token", delay_s=0.3)
        began_s = loop.time()
        assert (await client.post(fake.beside(TOKEN))).status_code == 200
        assert loop.time() - began_s >= 0.3
        for stage in ("reply", "mid-reply"):
            fake.put(type="ack-loss", endpoint="token", stage=stage)
            with pytest.raises(httpx.TransportError):
                await client.post(fake.beside(TOKEN))

    async def test_it_can_hang(self, fake: Sample, client: httpx.AsyncClient) -> None:
        fake.put(type="hang", endpoint="token")
        with pytest.raises(httpx.ReadTimeout):
            await client.post(fake.beside(TOKEN), timeout=0.3)

    async def test_a_canary_there_meets_the_newest_fault(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="refuse", code=503, endpoint="token", nth=100)
        as_canary = headers(CANARY_KEY)
        assert (await client.get(fake.beside(ME), headers=as_canary)).status_code == 503
        assert (await client.get(fake.beside(ME), headers=AUTHORISED)).status_code == 200

    async def test_each_route_has_its_own(self, client: httpx.AsyncClient) -> None:
        async with sample(None, listener(), listener("other", "other-1")) as fake:
            assert (await client.get(fake.beside(ME, route="other"), headers=AUTHORISED)).status_code == 401
            ours = {"Authorization": "Bearer other-1"}
            assert (await client.get(fake.beside(ME, route="other"), headers=ours)).status_code == 200


class TestBatches:
    async def test_one_request_is_taken_in_part(self, fake: Sample, client: httpx.AsyncClient) -> None:
        answered = await send(client, fake.url(), recipient(0), "bad@customer.example", recipient(1))
        assert answered.status_code == 200
        first, bad, last = fake.receipts()
        assert [each.result for each in (first, bad, last)] == [
            ReceiptResult.ACCEPTED,
            ReceiptResult.REFUSED,
            ReceiptResult.ACCEPTED,
        ]
        assert (bad.code, bad.text, bad.body_offset) == (422, "bad recipient", None)
        assert (first.body_offset, last.body_offset) == (0, 0)
        assert [first.text, last.text] == [answered.json()["ids"][0], answered.json()["ids"][2]]
        assert len({each.attempt for each in (first, bad, last)}) == 1
        assert fake.provider.ledger.handed_off == {"backup": 2}

    async def test_a_lost_acknowledgement_loses_what_was_taken_and_not_what_was_declined(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="ack-loss")
        with pytest.raises(httpx.TransportError):
            await send(client, fake.url(), recipient(0), "bad@customer.example")
        assert [receipt.result for receipt in fake.receipts()] == [
            ReceiptResult.ACK_LOST,
            ReceiptResult.REFUSED,
        ]

    async def test_a_refusal_of_the_whole_is_one_of_each(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="refuse", code=500)
        await send(client, fake.url(), recipient(0), "bad@customer.example")
        assert [receipt.code for receipt in fake.receipts()] == [500, 500]

    async def test_who_bounced_is_refused_alone_where_the_provider_does_that(
        self, client: httpx.AsyncClient
    ) -> None:
        async with sample(SampleApi(refuses_suppressed=True)) as fake:
            fake.put(type="bounce", count=1)
            await send(client, fake.url(), recipient(0))
            suppressed = fake.provider.engine._context.aftermath.is_suppressed  # type: ignore[attr-defined]
            await until(lambda: suppressed("backup", recipient(0)))
            assert (await send(client, fake.url(), recipient(0), recipient(1))).status_code == 200
            _, refused, taken = fake.receipts()
            assert (refused.code, refused.text, refused.result) == (
                406,
                "inactive recipient",
                ReceiptResult.REFUSED,
            )
            assert taken.result is ReceiptResult.ACCEPTED
            assert "dropped" not in {each.event for each in fake.events()}


async def test_a_client_in_no_hurry_is_served_like_any_other(fake: Sample) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    for byte in raw():
        writer.write(bytes([byte]))
        await writer.drain()
    assert (await asyncio.wait_for(reader.readline(), 15)).startswith(b"HTTP/1.1 200")
    assert len(fake.receipts()) == 1
    writer.close()
