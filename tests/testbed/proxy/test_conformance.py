"""What each toxic does to traffic: the real Toxiproxy and the embedded server must do the same.

Bounds are one-sided where they can be: a delay is at least what was asked for, a rate at most. Upper bounds
leave room for a busy machine.
"""

from __future__ import annotations

import asyncio

import pytest

from tests.ports import free_port
from tests.testbed.proxy.bench import (
    GENEROUS_S,
    Bench,
    echo,
    swallow,
    taken_port,
    tells,
    tells_and_closes,
    upstream,
)


async def test_data_passes_both_ways_unchanged(bench: Bench) -> None:
    data = bytes(range(256)) * 4096
    async with upstream(echo) as port:
        proxy = await bench.proxy(port)
        async with proxy.connected() as caller:
            sending = asyncio.create_task(caller.send(data))
            received, _ = await caller.receive(len(data))
            await sending
    assert received == data


class TestLatency:
    async def test_delays_each_answer_and_not_the_connect(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            await proxy.add("latency", latency=150)
            began_s = asyncio.get_running_loop().time()
            async with proxy.connected() as caller:
                assert asyncio.get_running_loop().time() - began_s < 0.1
                for _ in range(2):
                    assert 0.149 <= await caller.round_trip() < 1.0

    async def test_acts_on_connections_that_are_open_already(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            async with proxy.connected() as caller:
                assert await caller.round_trip() < 0.1
                toxic = await proxy.add("latency", latency=150)
                assert await caller.round_trip() >= 0.149
                await proxy.change(toxic, latency=300)
                assert await caller.round_trip() >= 0.299
                await proxy.remove(toxic)
                assert await caller.round_trip() < 0.1

    async def test_adds_up_over_both_directions(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            await proxy.add("latency", "downstream", latency=100)
            await proxy.add("latency", "upstream", latency=100)
            async with proxy.connected() as caller:
                assert await caller.round_trip() >= 0.199

    async def test_chunks_are_delayed_side_by_side_not_one_after_the_other(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            await proxy.add("latency", latency=200)
            async with proxy.connected() as caller:
                for _ in range(10):
                    await caller.send(b"x")
                    await asyncio.sleep(0.01)
                _, took_s = await caller.receive(10)
        assert took_s < 0.6  # and not 10 × 200 ms

    async def test_jitter_spreads_around_the_latency(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            await proxy.add("latency", latency=60, jitter=50)
            async with proxy.connected() as caller:
                took_s = [await caller.round_trip() for _ in range(12)]
        assert min(took_s) >= 0.009
        assert max(took_s) - min(took_s) > 0.015

    async def test_what_was_delayed_is_let_go_when_the_toxic_goes(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            toxic = await proxy.add("latency", latency=60_000)
            async with proxy.connected() as caller:
                await caller.send(b"held")
                assert await caller.hears_nothing_for(0.15)
                await proxy.remove(toxic)
                assert (await caller.receive(4))[0] == b"held"


class TestBandwidth:
    async def test_holds_the_rate(self, bench: Bench) -> None:
        size, rate = 100_000, 200  # kB/s: half a second
        async with upstream(tells(b"x" * size)) as port:
            proxy = await bench.proxy(port)
            await proxy.add("bandwidth", rate=rate)
            async with proxy.connected() as caller:
                data, took_s = await caller.receive(size)
        assert len(data) == size
        assert 0.8 <= took_s / (size / rate / 1000) <= 2.0

    async def test_rate_zero_lets_nothing_through(self, bench: Bench) -> None:
        async with upstream(tells(b"banner")) as port:
            proxy = await bench.proxy(port)
            await proxy.add("bandwidth", rate=0)
            async with proxy.connected() as caller:
                assert await caller.hears_nothing_for(0.3)


class TestTimeout:
    async def test_zero_swallows_everything_and_keeps_the_connection(self, bench: Bench) -> None:
        async with upstream(tells(b"220 banner\r\n")) as port:
            proxy = await bench.proxy(port)
            await proxy.add("timeout", timeout=0)
            async with proxy.connected() as caller:
                assert await caller.hears_nothing_for(0.3)

    async def test_closes_after_the_time_given(self, bench: Bench) -> None:
        async with upstream(swallow) as port:
            proxy = await bench.proxy(port)
            await proxy.add("timeout", timeout=200)
            async with proxy.connected() as caller:
                assert 0.19 <= await caller.end() < 1.5

    async def test_counts_from_the_last_data_not_from_the_first(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            await proxy.add("timeout", timeout=400)
            async with proxy.connected() as caller:
                for _ in range(6):
                    await caller.send(b"still here")
                    assert await caller.hears_nothing_for(0.1)
                assert await caller.end() >= 0.2

    async def test_its_removal_closes_the_connections_that_it_held(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            toxic = await proxy.add("timeout", timeout=0)
            async with proxy.connected() as caller:
                await caller.send(b"lost")
                assert await caller.hears_nothing_for(0.1)
                await proxy.remove(toxic)
                assert await caller.end() < GENEROUS_S
            async with proxy.connected() as caller:
                await caller.round_trip()


class TestResetPeer:
    @pytest.mark.parametrize("stream", ["upstream", "downstream"])
    async def test_new_connections_are_reset_once_data_flows(self, bench: Bench, stream: str) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            await proxy.add("reset_peer", stream, timeout=0)
            async with proxy.connected() as caller:
                await caller.send(b"hello")
                with pytest.raises(ConnectionResetError):
                    await caller.receive(1)

    async def test_waits_for_its_timeout(self, bench: Bench) -> None:
        async with upstream(tells(b"220 banner\r\n")) as port:
            proxy = await bench.proxy(port)
            await proxy.add("reset_peer", timeout=200)
            async with proxy.connected() as caller:
                began_s = asyncio.get_running_loop().time()
                with pytest.raises(ConnectionResetError):
                    await caller.receive(1)
                assert asyncio.get_running_loop().time() - began_s >= 0.15

    async def test_without_data_nothing_happens(self, bench: Bench) -> None:
        async with upstream(swallow) as port:
            proxy = await bench.proxy(port)
            await proxy.add("reset_peer", timeout=0)
            async with proxy.connected() as caller:
                assert await caller.hears_nothing_for(0.2)

    async def test_connections_open_before_end_in_an_orderly_way(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            async with proxy.connected() as caller:
                await caller.round_trip()
                await proxy.add("reset_peer", timeout=0)
                await caller.send(b"hello")
                assert await caller.end() < GENEROUS_S


class TestSlicer:
    async def test_small_pieces_with_pauses_and_nothing_lost(self, bench: Bench) -> None:
        data = bytes(range(256)) * 4
        async with upstream(tells(data)) as port:
            proxy = await bench.proxy(port)
            await proxy.add("slicer", average_size=128, size_variation=32, delay=30_000)
            pieces: list[bytes] = []
            began_s = asyncio.get_running_loop().time()
            async with proxy.connected() as caller, asyncio.timeout(GENEROUS_S):
                while sum(map(len, pieces)) < len(data):
                    pieces.append(await caller.reader.read(65536))
            took_s = asyncio.get_running_loop().time() - began_s
        assert b"".join(pieces) == data
        assert len(pieces) >= 4
        assert took_s >= 4 * 0.03


class TestLimitData:
    async def test_closes_after_so_many_bytes(self, bench: Bench) -> None:
        async with upstream(tells(b"x" * 1000)) as port:
            proxy = await bench.proxy(port)
            await proxy.add("limit_data", bytes=100)
            async with proxy.connected() as caller:
                data, _ = await caller.receive(1000)
        assert len(data) == 100

    async def test_counts_each_connection_from_its_own_start(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            await proxy.add("limit_data", bytes=10)
            for _ in range(2):
                async with proxy.connected() as caller:
                    await caller.round_trip(b"12345")
                    await caller.send(b"1234567890")
                    assert (await caller.receive(10))[0] == b"12345"

    async def test_zero_closes_at_the_first_byte(self, bench: Bench) -> None:
        async with upstream(tells(b"220 banner\r\n")) as port:
            proxy = await bench.proxy(port)
            await proxy.add("limit_data", bytes=0)
            async with proxy.connected() as caller:
                await caller.end()


class TestSlowClose:
    async def test_data_at_once_and_the_end_later(self, bench: Bench) -> None:
        async with upstream(tells_and_closes(b"bye")) as port:
            proxy = await bench.proxy(port)
            await proxy.add("slow_close", delay=300)
            async with proxy.connected() as caller:
                data, took_s = await caller.receive(3)
                assert data == b"bye"
                assert took_s < 0.25
                assert await caller.end() >= 0.25


class TestToxicity:
    async def test_zero_spares_every_connection(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            await proxy.add("latency", toxicity=0.0, latency=1000)
            async with proxy.connected() as caller:
                assert await caller.round_trip() < 0.5

    async def test_a_half_hits_some_connections_and_spares_others(self, bench: Bench) -> None:
        async with upstream(tells(b"x")) as port:
            proxy = await bench.proxy(port)
            await proxy.add("limit_data", toxicity=0.5, bytes=0)
            spared = 0
            for _ in range(40):
                async with proxy.connected() as caller:
                    spared += (await caller.receive(1))[0] == b"x"
        assert 5 <= spared <= 35  # five sigma


class TestProxy:
    async def test_an_upstream_that_is_down_looks_like_an_immediate_end(self, bench: Bench) -> None:
        proxy = await bench.proxy(free_port())
        async with proxy.connected() as caller:
            await caller.end()

    async def test_disabling_closes_and_refuses_and_keeps_the_toxics(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            await proxy.add("latency", latency=1)
            async with proxy.connected() as caller:
                await caller.round_trip()
                shown = await proxy.update(enabled=False)
                await caller.end()
            assert not shown["enabled"]
            assert [toxic["name"] for toxic in shown["toxics"]] == ["latency_downstream"]
            with pytest.raises(ConnectionRefusedError):
                async with proxy.connected():
                    pass
            shown = await proxy.update(enabled=True)
            assert (shown["listen"], len(shown["toxics"])) == (proxy.listen, 1)
            async with proxy.connected() as caller:
                await caller.round_trip()

    async def test_a_new_upstream_closes_the_connections_and_keeps_port_and_toxics(
        self, bench: Bench
    ) -> None:
        async with upstream(tells(b"old")) as old, upstream(tells(b"new")) as new:
            proxy = await bench.proxy(old)
            await proxy.add("latency", latency=1)
            async with proxy.connected() as caller:
                assert (await caller.receive(3))[0] == b"old"
                shown = await proxy.update(upstream=f"127.0.0.1:{new}")
                await caller.end()
            assert (shown["listen"], shown["enabled"], len(shown["toxics"])) == (proxy.listen, True, 1)
            async with proxy.connected() as caller:
                assert (await caller.receive(3))[0] == b"new"

    async def test_a_half_closed_connection_is_closed_and_the_answer_is_lost(self, bench: Bench) -> None:
        async def answer_after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            await asyncio.sleep(0.1)
            writer.write(b"answer")

        async with upstream(answer_after_the_end) as port:
            proxy = await bench.proxy(port)
            async with proxy.connected() as caller:
                await caller.send(b"request")
                caller.writer.write_eof()
                await caller.end()

    async def test_a_slow_reader_holds_back_the_sender(self, bench: Bench) -> None:
        sent = 0

        async def send_much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            for _ in range(1000):
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536

        async with upstream(send_much) as port:
            proxy = await bench.proxy(port)
            async with proxy.connected() as caller:
                caller.writer.transport.pause_reading()  # type: ignore[attr-defined]
                before = -1
                while before != sent:  # until the sender stands still
                    before = sent
                    await asyncio.sleep(0.2)
        assert sent < 60_000_000  # the kernel's buffers, not the proxy's memory

    async def test_reset_enables_everything_and_removes_the_toxics(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            other = await bench.proxy(port, enabled=False)
            await proxy.add("latency", latency=400)
            await other.add("limit_data", bytes=0)
            assert (await bench.api.post("/reset")).status_code == 204
            for each in (proxy, other):
                shown = await each.shown()
                assert shown["enabled"]
                assert shown["toxics"] == []
            async with proxy.connected() as caller:
                assert await caller.round_trip() < 0.3

    async def test_a_port_in_use_leaves_the_proxy_disabled(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            with taken_port() as taken:
                reply = await bench.api.patch(f"/proxies/{proxy.name}", json={"listen": f"127.0.0.1:{taken}"})
            assert reply.status_code == 500
            assert "address already in use" in reply.json()["error"]
            assert not (await proxy.shown())["enabled"]
            await proxy.update(enabled=True)  # the port is free now

    async def test_deleting_closes_everything(self, bench: Bench) -> None:
        async with upstream(echo) as port:
            proxy = await bench.proxy(port)
            async with proxy.connected() as caller:
                await caller.round_trip()
                assert (await bench.api.delete(f"/proxies/{proxy.name}")).status_code == 204
                await caller.end()
            with pytest.raises(ConnectionRefusedError):
                async with proxy.connected():
                    pass
