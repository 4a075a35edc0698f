"""Faults in an HTTP provider: where in an exchange they act, what the client sees, what the record says."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from harness.history.events import ReceiptResult
from harness.providers.errors import FaultRefused
from tests.providers.http.sample import (
    CANARY_KEY,
    ME,
    NEXT_KEY,
    TOKENS,
    Sample,
    listener,
    raw,
    recipient,
    sample,
    send,
)
from tests.waiting import until

TAKEN, LOST, ABORTED = ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST, ReceiptResult.ABORTED
PATIENCE_S = 15


async def first_line(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readline(), PATIENCE_S)


class TestRefusing:
    async def test_at_the_head_the_body_is_not_waited_for(self, fake: Sample) -> None:
        fake.put(type="refuse", code=503, stage="head")
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw(length=5_000).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        assert (await first_line(reader)).startswith(b"HTTP/1.1 503")
        (receipt,) = fake.receipts()
        assert (receipt.code, receipt.fault, receipt.token, receipt.account) == (503, "f", None, "sender")
        writer.close()

    async def test_the_rest_of_a_body_that_nobody_waited_for_is_passed_over(self, fake: Sample) -> None:
        fake.put(type="refuse", code=503, stage="head", nth=1)
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        request = raw()
        writer.write(request[:-10])
        assert (await first_line(reader)).startswith(b"HTTP/1.1 503")
        await reader.readuntil(b"}")
        writer.write(request[-10:] + request)
        assert (await first_line(reader)).startswith(b"HTTP/1.1 200")
        assert [receipt.code for receipt in fake.receipts()] == [503, 200]
        writer.close()

    async def test_at_the_head_it_is_the_gateway_s_and_hits_probes_as_well(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="refuse", code=502, stage="head")
        answered = await client.get(fake.url(ME), headers={"Authorization": "Bearer route-1"})
        assert answered.status_code == 502
        assert fake.receipts() == []  # no message was in it

    async def test_in_place_of_the_credential(self, fake: Sample, client: httpx.AsyncClient) -> None:
        fake.put(type="refuse", code=401, text="the account is locked", stage="auth")
        answered = await send(client, fake.url())
        assert (answered.status_code, answered.json()) == (401, {"said": "the account is locked"})
        probe = await client.get(fake.url(ME), headers={"Authorization": "Bearer route-1"})
        assert probe.status_code == 401
        (receipt,) = fake.receipts()
        assert (receipt.result, receipt.token, receipt.fault) == (ReceiptResult.DEFERRED, TOKENS[0], "f")

    async def test_in_place_of_taking_it_and_of_nothing_else(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="refuse", code=500, retry_after_s=7)
        answered = await send(client, fake.url())
        assert (answered.status_code, answered.headers["retry-after"]) == (500, "7")
        probe = await client.get(fake.url(ME), headers={"Authorization": "Bearer route-1"})
        assert probe.status_code == 200
        assert (await send(client, fake.url(), key="wrong")).status_code == 401

    async def test_by_a_name(self, fake: Sample, client: httpx.AsyncClient) -> None:
        fake.put(type="refuse", named="sample.busy")
        answered = await send(client, fake.url())
        assert (answered.status_code, answered.json()) == (503, {"said": "busy"})
        assert "retry-after" not in answered.headers

    @pytest.mark.parametrize("stage", ["head", "auth", "body"])
    async def test_by_a_name_and_with_a_wait(
        self, fake: Sample, client: httpx.AsyncClient, stage: str
    ) -> None:
        fake.put(type="refuse", named="sample.busy", retry_after_s=7, stage=stage)
        answered = await send(client, fake.url())
        assert (answered.status_code, answered.json()) == (503, {"said": "busy"})
        assert answered.headers["retry-after"] == "7"
        assert fake.receipts()[-1].retry_after_ns == 7_000_000_000


class TestLosing:
    async def test_taken_and_an_error_answered(self, fake: Sample, client: httpx.AsyncClient) -> None:
        fake.put(type="ack-loss", code=504)
        assert (await send(client, fake.url())).status_code == 504
        (receipt,) = fake.receipts()
        assert (receipt.result, receipt.code) == (LOST, 200)
        assert receipt.body_offset == 0

    async def test_half_of_the_answer(self, fake: Sample) -> None:
        fake.put(type="ack-loss", stage="mid-reply")
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw())
        said = await asyncio.wait_for(reader.read(), PATIENCE_S)
        assert said.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
        assert not said.endswith(b"}")
        assert [receipt.result for receipt in fake.receipts()] == [LOST]
        assert fake.closed() == []
        writer.close()

    async def test_a_client_library_does_not_take_half_an_answer_for_one(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="ack-loss", stage="mid-reply")
        with pytest.raises(httpx.RemoteProtocolError):
            await send(client, fake.url())

    async def test_thrown_away_and_nobody_told(self, fake: Sample, client: httpx.AsyncClient) -> None:
        fake.put(type="silent-drop")
        assert (await send(client, fake.url())).status_code == 200
        assert [(receipt.result, receipt.fault) for receipt in fake.receipts()] == [(TAKEN, "f")]
        assert [(each.event, each.webhook) for each in fake.events()] == [("dropped", "none")]


class TestHanging:
    @pytest.mark.parametrize("stage", ["head", "body"])
    async def test_nothing_is_said_until_the_client_leaves(self, fake: Sample, stage: str) -> None:
        fake.put(type="hang", stage=stage)
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw())
        await until(lambda: len(fake.receipts()) == 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
        writer.close()
        await until(lambda: len(fake.closed()) == 1)
        assert [(receipt.result, receipt.code) for receipt in fake.receipts()] == [(ABORTED, None)]

    async def test_others_are_served_meanwhile(self, fake: Sample, client: httpx.AsyncClient) -> None:
        fake.put(type="hang", nth=1)
        _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw())
        await until(lambda: len(fake.receipts()) == 1)
        assert (await send(client, fake.url())).status_code == 200
        writer.close()

    async def test_it_gives_up_when_the_provider_closes(self) -> None:
        loop = asyncio.get_running_loop()
        async with sample() as fake:
            fake.put(type="hang")
            clients = [await asyncio.open_connection("127.0.0.1", fake.port) for _ in range(5)]
            for _, writer in clients:
                writer.write(raw())
            await until(lambda: len(fake.receipts()) == 5)
            began_s = loop.time()
        assert loop.time() - began_s < 1.9  # the time that a request in progress would have to end
        assert [receipt.result for receipt in fake.receipts()] == [ABORTED] * 5
        for _, writer in clients:
            writer.close()

    async def test_what_comes_behind_it_is_kept_and_not_without_end(self, fake: Sample) -> None:
        fake.put(type="hang", nth=1)
        _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw() * 10_000)
        (connection,) = await self.connections(fake)
        await until(lambda: not connection._transport.is_reading())
        assert connection._held_bytes < 1_000_000  # the rest waits on the client's side
        assert len(fake.receipts()) == 1
        writer.transport.abort()

    @staticmethod
    async def connections(fake: Sample) -> list[Any]:
        listener = fake.provider.engine._listeners["backup"][0]  # type: ignore[attr-defined]
        await until(lambda: listener.connections > 0)
        return list(listener._open)

    async def test_disconnect_resets_and_takes_nothing(self, fake: Sample) -> None:
        fake.put(type="disconnect")
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw())
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), PATIENCE_S)
        assert [(receipt.result, receipt.body_offset) for receipt in fake.receipts()] == [(ABORTED, None)]
        writer.close()

    async def test_disconnect_at_the_head_leaves_one_record(self, fake: Sample) -> None:
        fake.put(type="disconnect", stage="head")
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(raw(length=5_000))
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), PATIENCE_S)
        await until(lambda: not any(fake.provider.engine.connections().values()))
        assert [receipt.result for receipt in fake.receipts()] == [ABORTED]
        writer.close()


class TestSlowAcknowledgement:
    async def test_the_answer_is_late_and_the_message_was_taken_in_time(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        loop = asyncio.get_running_loop()
        fake.put(type="slow-ack", delay_s=0.5)
        began_s = loop.time()
        assert (await send(client, fake.url())).status_code == 200
        assert loop.time() - began_s >= 0.5
        (receipt,) = fake.receipts()
        assert (receipt.result, receipt.fault) == (TAKEN, "f")
        assert receipt.end_ns < (loop.time() - 0.4) * 1e9

    async def test_a_client_that_does_not_wait_has_lost_the_acknowledgement(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="slow-ack", delay_s=60)
        with pytest.raises(httpx.ReadTimeout):
            await client.post(
                fake.url(),
                json={"to": [recipient(0), recipient(1)]},
                headers={"Authorization": "Bearer route-1"},
                timeout=0.3,
            )
        await until(lambda: len(fake.receipts()) == 2)
        assert [receipt.result for receipt in fake.receipts()] == [LOST, LOST]
        assert {receipt.body_offset for receipt in fake.receipts()} == {0}
        assert [closed.reason for closed in fake.closed()] == ["during a request"]

    async def test_a_provider_that_closes_has_taken_what_it_did_not_answer_yet(self) -> None:
        loop = asyncio.get_running_loop()
        async with sample() as fake:
            fake.put(type="slow-ack", delay_s=60)
            _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            writer.write(raw())
            await until(lambda: fake.provider.faults.list()[0].acted == 1)
            assert fake.receipts() == []
            began_s = loop.time()
        assert loop.time() - began_s < 1.9
        assert [receipt.result for receipt in fake.receipts()] == [LOST]
        writer.close()

    async def test_pipelined_requests_are_answered_in_order_behind_it(self, fake: Sample) -> None:
        fake.put(type="slow-ack", delay_s=0.3, nth=1)
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(b"".join(raw({"to": [recipient(number)]}) for number in range(4)))
        for _ in range(4):
            assert (await first_line(reader)).startswith(b"HTTP/1.1 200")
            await reader.readuntil(b"}")
        assert [receipt.token for receipt in fake.receipts()] == TOKENS[:4]
        writer.close()


class TestThrottle:
    async def test_a_rate_in_place_of_the_account_s_own(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="throttle", rate=0.01, burst=2)
        answers = [(await send(client, fake.url())).status_code for _ in range(4)]
        assert answers == [200, 200, 429, 429]
        status = fake.provider.faults.list()[0]
        assert (status.matched, status.acted) == (4, 2)  # what it let through, it did not hit
        last = fake.receipts()[-1]
        assert (last.result, last.fault) == (ReceiptResult.DEFERRED, "f")
        assert 90e9 < (last.retry_after_ns or 0) <= 100e9  # the next place of this very bucket

    async def test_a_quota_is_of_messages_and_does_not_come_back(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="throttle", quota=3, retry_after_s=9)
        assert (await send(client, fake.url(), recipient(0), recipient(1))).status_code == 200
        refused = await send(client, fake.url(), recipient(2), recipient(3))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "9")
        assert (await send(client, fake.url(), recipient(2))).status_code == 200
        assert (await send(client, fake.url(), recipient(3))).status_code == 429

    async def test_each_account_has_its_own(self, client: httpx.AsyncClient) -> None:
        async with sample(None, listener(), listener("other", "other-1")) as fake:
            fake.put(type="throttle", quota=1)
            for url, key in ((fake.of_route("backup"), "route-1"), (fake.of_route("other"), "other-1")):
                answers = [(await send(client, url, key=key)).status_code for _ in range(2)]
                assert answers == [200, 429]

    async def test_the_canary_meets_it_without_exceeding_it(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="throttle", quota=100)
        assert (await send(client, fake.url(), key=CANARY_KEY)).status_code == 429
        assert (await send(client, fake.url())).status_code == 200

    async def test_faulted_again_it_counts_anew(self, fake: Sample, client: httpx.AsyncClient) -> None:
        for quota in (1, 2):
            fake.put(type="throttle", quota=quota)
            answers = [(await send(client, fake.url())).status_code for _ in range(3)]
            assert answers.count(200) == quota


class TestKeyRotation:
    async def test_the_old_key_is_refused_from_then_on_and_the_next_one_taken(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        assert (await send(client, fake.url(), key=NEXT_KEY)).status_code == 401  # not yet
        fake.put(type="key-rotated")
        refused = await send(client, fake.url())
        assert (refused.status_code, refused.json()) == (401, {"said": "who are you?"})
        assert (await send(client, fake.url(), key=NEXT_KEY)).status_code == 200
        assert (await send(client, fake.url(), key="wrong")).status_code == 401
        fake.provider.faults.delete("f")
        assert (await send(client, fake.url())).status_code == 200
        early, old, new, _, back = fake.receipts()
        assert {each.account for each in (early, old, new, back)} == {"sender"}
        assert (old.fault, old.result) == ("f", ReceiptResult.DEFERRED)

    async def test_probes_need_the_next_key_as_well(self, fake: Sample, client: httpx.AsyncClient) -> None:
        fake.put(type="key-rotated")
        for key, code in (("route-1", 401), (NEXT_KEY, 200)):
            answered = await client.get(fake.url(ME), headers={"Authorization": f"Bearer {key}"})
            assert answered.status_code == code

    async def test_the_canary_s_own_key_proves_it_while_it_is_the_newest_fault(
        self, fake: Sample, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="key-rotated")
        assert (await send(client, fake.url(), key=CANARY_KEY)).status_code == 401
        fake.provider.faults.put(fault_of(id="later", type="slow-ack", delay_s=0.01))
        assert (await send(client, fake.url(), key=CANARY_KEY)).status_code == 200

    async def test_the_twin_refuses_both(self, fake: Sample, client: httpx.AsyncClient) -> None:
        fake.put(type="key-rotated")
        for key in ("route-1", NEXT_KEY):
            assert (await send(client, fake.url(rejecting=True), key=key)).status_code == 401

    async def test_one_tenant_alone(self, client: httpx.AsyncClient) -> None:
        listeners = (listener(tenant="blue"), listener("other", "other-1", tenant="green"))
        async with sample(None, *listeners) as fake:
            fake.put(type="key-rotated", tenant="blue")
            assert (await send(client, fake.of_route("backup"))).status_code == 401
            assert (await send(client, fake.of_route("other"), key="other-1")).status_code == 200


def fault_of(**attributes: Any) -> Any:
    from harness.providers.wire import ProviderFault

    return ProviderFault(**attributes)


class TestWhatIsTakenForAFault:
    @pytest.mark.parametrize(
        ("attributes", "complaint"),
        [
            ({"type": "melt"}, "cannot play 'melt'; it can: .*bounce.*events-late.*hang"),
            ({"type": "refuse"}, "needs an HTTP status .* or one of: sample.busy"),
            ({"type": "refuse", "code": 200}, "400 to 599"),
            ({"type": "refuse", "named": "sample.bussy"}, "no answer named 'sample.bussy'"),
            ({"type": "refuse", "named": "sample.busy", "code": 500}, "give either"),
            ({"type": "refuse", "code": 500, "stage": "reply"}, "none of head, auth, body"),
            ({"type": "refuse", "code": 500, "stage": "head", "share": 0.5}, "use stage body"),
            ({"type": "refuse", "code": 500, "stage": "auth", "class_": "marketing"}, "use stage body"),
            ({"type": "refuse", "code": 500, "delay_s": 1.0}, "no use for delay_s"),
            ({"type": "refuse", "code": 500, "endpoint": "status"}, "no endpoint 'status'.*: token"),
            ({"type": "ack-loss", "code": 504, "stage": "mid-reply"}, "the reply is the provider's own"),
            ({"type": "ack-loss", "stage": "body"}, "none of reply, mid-reply"),
            ({"type": "slow-ack"}, "needs delay_s"),
            ({"type": "slow-ack", "delay_s": 0.0}, "needs delay_s"),
            ({"type": "slow-ack", "delay_s": 7_200.0}, "at most 3600"),
            ({"type": "hang", "stage": "auth"}, "none of head, body"),
            ({"type": "silent-drop", "code": 500}, "nothing but a selection"),
            ({"type": "throttle"}, "needs a rate .* or a quota"),
            ({"type": "throttle", "rate": 1.0, "quota": 1}, "needs a rate .* or a quota"),
            ({"type": "throttle", "rate": 0.0}, "not above 0"),
            ({"type": "throttle", "quota": -1}, "below 0"),
            ({"type": "throttle", "quota": 1, "burst": 2}, "burst goes with rate"),
            ({"type": "key-rotated", "stage": "auth"}, "no use for stage"),
            ({"type": "refuse", "code": 500, "nth": 0}, "nth 0 is below 1"),
            ({"type": "refuse", "code": 500, "nth": 1, "every": 2}, "leave out every and count"),
        ],
    )
    async def test_what_means_nothing_is_refused_with_what_does(
        self, fake: Sample, attributes: dict[str, Any], complaint: str
    ) -> None:
        with pytest.raises(FaultRefused, match=complaint):
            fake.put(**attributes)
