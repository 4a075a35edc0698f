"""The HTTP engine: what it records, when, and what becomes of the connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.history.events import ReceiptResult
from harness.providers.errors import JournalError
from harness.providers.http.limits import TokenBucket
from harness.providers.ledger import MemorySink
from tests.providers.http_provider import (
    CANARY_KEY,
    KEY,
    SEND,
    TOKEN,
    Fake,
    mail,
    post,
    request_bytes,
    sendgrid,
    until,
)


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    async with sendgrid() as fake:
        yield fake


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


class TestRecordBeforeAnswer:
    async def test_the_receipt_is_there_before_the_first_byte_of_the_answer(self) -> None:
        answered_at_record: list[bytes] = []

        class Watching(MemorySink):
            def record(self, line: bytes) -> None:
                # Nothing can have been read yet: the engine has not given the loop back since.
                answered_at_record.append(bytes(reader._buffer))  # type: ignore[attr-defined]
                super().record(line)

        async with sendgrid(Watching()) as fake:
            reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            writer.write(request_bytes(mail()))
            assert (await reader.readline()).startswith(b"HTTP/1.1 202")
            assert answered_at_record == [b""]
            writer.close()

    async def test_without_a_record_there_is_no_answer(self, client: httpx.AsyncClient) -> None:
        class Full(MemorySink):
            def record(self, line: bytes) -> None:
                raise JournalError("disk full")

        async with sendgrid(Full()) as fake:
            with pytest.raises(httpx.TransportError):
                await post(client, fake.url(), mail())

    async def test_the_body_is_in_the_pack_where_the_receipt_says(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        for subject in ("first", "second"):
            await post(client, fake.url(), mail(subject=subject))
        last = fake.receipts()[-1]
        assert last.body_offset is not None and last.body_bytes is not None
        packed = fake.provider.pack.content[last.body_offset :][: last.body_bytes]  # type: ignore[attr-defined]
        assert json.loads(packed)["subject"] == "second"

    async def test_times_enclose_the_exchange(self, fake: Fake, client: httpx.AsyncClient) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await post(client, fake.url(), mail())
        (receipt,) = fake.receipts()
        assert before * 1e9 <= receipt.begin_ns <= receipt.end_ns == receipt.t_ns <= loop.time() * 1e9

    async def test_an_attempt_begins_with_the_first_byte_of_its_request(self, fake: Fake) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        raw = request_bytes(mail())
        writer.write(raw[:10])
        await asyncio.sleep(0.1)
        writer.write(raw[10:])
        await reader.readline()
        (receipt,) = fake.receipts()
        assert receipt.end_ns - receipt.begin_ns >= 90_000_000
        writer.close()


class TestAcknowledgementLoss:
    async def test_the_message_is_taken_and_the_answer_lost(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="ack-loss")
        with pytest.raises(httpx.TransportError):
            await post(client, fake.url(), mail())
        (receipt,) = fake.receipts()
        assert (receipt.result, receipt.fault, receipt.token) == (ReceiptResult.ACK_LOST, "f", TOKEN)
        assert receipt.body_offset == 0
        assert fake.closed() == []  # the provider's own doing, and the receipt tells

    async def test_the_connection_is_reset_and_not_a_byte_sent(self, fake: Fake) -> None:
        fake.put(type="ack-loss")
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        writer.write(request_bytes(mail()))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()

    async def test_it_waits_for_the_whole_body(self, fake: Fake) -> None:
        fake.put(type="ack-loss")
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        raw = request_bytes(mail())
        writer.write(raw[:-5])
        await asyncio.sleep(0.05)
        assert fake.receipts() == []
        writer.write(raw[-5:])
        with pytest.raises(ConnectionResetError):
            await reader.read()
        assert [receipt.result for receipt in fake.receipts()] == [ReceiptResult.ACK_LOST]
        writer.close()

    async def test_the_next_connection_is_served_when_the_fault_is_gone(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="ack-loss")
        with pytest.raises(httpx.TransportError):
            await post(client, fake.url(), mail())
        fake.provider.faults.delete("f")
        assert (await post(client, fake.url(), mail())).status_code == 202

    async def test_each_third_attempt_is_the_same_third_each_time(self, client: httpx.AsyncClient) -> None:
        async def results() -> list[str]:
            async with sendgrid() as fake:
                fake.put(type="ack-loss", every=3)
                for _ in range(7):
                    try:
                        await post(client, fake.url(), mail())
                    except httpx.TransportError:
                        continue
                return [receipt.result for receipt in fake.receipts()]

        taken, lost = "accepted", "ack-lost"
        assert await results() == [taken, taken, lost, taken, taken, lost, taken]


class TestTheRejectingTwin:
    @pytest.mark.parametrize("key", [KEY, CANARY_KEY, "SG.unknown", None])
    async def test_it_answers_as_the_real_one_does_to_a_wrong_key(
        self, fake: Fake, client: httpx.AsyncClient, key: str | None
    ) -> None:
        real = await post(client, fake.url(), mail(), key if key is None else "SG.wrong")
        twin = await post(client, fake.url(rejecting=True), mail(), key)
        assert (twin.status_code, twin.content) == (real.status_code, real.content)
        assert [*twin.headers] == [*real.headers]

    async def test_its_receipts_name_message_and_account_and_count_as_deferred(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        await post(client, fake.url(rejecting=True), mail())
        (receipt,) = fake.receipts()
        assert (receipt.result, receipt.code, receipt.token) == (ReceiptResult.DEFERRED, 401, TOKEN)
        assert receipt.connection.startswith("backup-api-rejecting-")
        assert receipt.account == "apikey"


class TestLimits:
    async def test_what_exceeds_the_burst_is_refused_and_recorded(self, client: httpx.AsyncClient) -> None:
        async with sendgrid(rate=0.001, burst=3) as fake:
            answers = [(await post(client, fake.url(), mail())).status_code for _ in range(5)]
            assert answers == [202, 202, 202, 429, 429]
            assert [receipt.code for receipt in fake.receipts()] == answers

    async def test_the_harness_canary_is_exempt_and_marked(self, client: httpx.AsyncClient) -> None:
        async with sendgrid(rate=0.001, burst=1) as fake:
            await post(client, fake.url(), mail())
            for _ in range(3):
                probe = await post(client, fake.url(), mail("c.canary0001@canary.example"), CANARY_KEY)
                assert probe.status_code == 202
            assert [receipt.canary for receipt in fake.receipts()] == [None, "harness", "harness", "harness"]

    def test_a_bucket_fills_at_its_rate_and_not_beyond_its_burst(self) -> None:
        bucket = TokenBucket(rate_per_s=10, burst=2, now_s=100)
        assert [bucket.take(100) for _ in range(3)] == [True, True, False]
        assert bucket.wait_s(100) == pytest.approx(0.1)
        assert bucket.take(100.1)
        assert not bucket.take(100.15)
        assert bucket.remaining(1000) == 2

    @given(st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=100))
    def test_no_window_holds_more_than_rate_and_burst_allow(self, gaps_s: list[float]) -> None:
        bucket, now_s, taken = TokenBucket(rate_per_s=5, burst=3, now_s=0), 0.0, []
        for gap_s in gaps_s:
            now_s += gap_s
            if bucket.take(now_s):
                taken.append(now_s)
        for first, begin in enumerate(taken):
            for last, end in enumerate(taken[first:], first):
                assert last - first + 1 <= 3 + 5 * (end - begin) + 1e-6


class TestFaults:
    async def test_a_refusal_is_recorded_with_its_fault(self, fake: Fake, client: httpx.AsyncClient) -> None:
        fake.put(type="refuse", code=503, text="down for maintenance")
        answer = await post(client, fake.url(), mail())
        assert (answer.status_code, answer.json()["errors"][0]["message"]) == (503, "down for maintenance")
        (receipt,) = fake.receipts()
        assert (receipt.result, receipt.code, receipt.fault) == (ReceiptResult.DEFERRED, 503, "f")

    async def test_a_class_alone_can_be_hit(self, fake: Fake, client: httpx.AsyncClient) -> None:
        fake.put(type="refuse", code=500, **{"class_": "marketing"})
        for class_, code in (("marketing", 500), ("transactional", 202)):
            answer = await post(client, fake.url(), mail(headers={"X-Harness-Class": class_}))
            assert answer.status_code == code

    async def test_the_harness_canary_is_always_hit_and_never_counted(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        fake.put(type="refuse", code=500, count=1)
        for _ in range(3):
            assert (await post(client, fake.url(), mail(), CANARY_KEY)).status_code == 500
        assert [(await post(client, fake.url(), mail())).status_code for _ in range(2)] == [500, 202]
        assert fake.provider.faults.list()[0].acted == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["email", "to", "cc", "headers", "type", "value", "enable"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
mails = st.fixed_dictionaries(
    {},
    optional={
        key: json_values | st.just(value)
        for key, value in {**mail(), "mail_settings": {}, "attachments": [], "template_id": "d-1"}.items()
    },
)
bodies = st.binary(max_size=300) | (json_values | mails).map(lambda value: json.dumps(value).encode())


class TestAnyBody:
    """One provider for all examples: starting one takes longer than what is asked of it here."""

    @pytest.fixture
    def world(self) -> Iterator[tuple[asyncio.Runner, Fake]]:
        with asyncio.Runner() as runner:
            provider = sendgrid()
            yield runner, runner.run(provider.__aenter__())
            runner.run(provider.__aexit__(None, None, None))

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(batch=st.lists(bodies, min_size=1, max_size=5))
    def test_every_request_has_one_answer_and_a_record_of_the_same_code(
        self, world: tuple[asyncio.Runner, Fake], batch: list[bytes]
    ) -> None:
        runner, fake = world

        async def play() -> list[int]:
            codes = []
            reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            for body in batch:
                writer.write(request_bytes(body))
                head = await reader.readuntil(b"\r\n\r\n")
                codes.append(int(head.split()[1]))
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r")[0]))
            writer.close()
            return codes

        fake.sink.records.clear()
        codes = runner.run(play())
        attempts = {receipt.attempt: receipt.code for receipt in fake.receipts()}
        assert list(attempts.values()) == codes
        assert set(codes) <= {200, 202, 400}

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
    @given(cut=st.integers(min_value=1, max_value=len(request_bytes(mail())) - 1))
    def test_a_request_cut_anywhere_is_never_taken(
        self, world: tuple[asyncio.Runner, Fake], cut: int
    ) -> None:
        runner, fake = world

        async def play() -> None:
            _, writer = await asyncio.open_connection("127.0.0.1", fake.port)
            writer.write(request_bytes(mail())[:cut])
            await writer.drain()
            writer.close()
            await until(fake.closed)

        fake.sink.records.clear()
        runner.run(play())
        assert all(receipt.result is ReceiptResult.ABORTED for receipt in fake.receipts())
        assert len(fake.closed()) == 1


async def test_bytes_that_are_no_http_are_answered_400(fake: Fake) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    writer.write(b"EHLO shop.example\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 400")
    writer.close()
    assert fake.receipts() == []
    assert SEND not in str(fake.sink.records)
