"""What the embedded server does better than Toxiproxy: it does not hang or crash, and its seed decides."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from harness.testbed.proxy.embedded import serve_embedded
from harness.testbed.proxy.embedded_draws import Draws
from harness.testbed.proxy.embedded_toxics import slices
from tests.testbed.proxy.bench import GENEROUS_S, Bench, Proxied, echo, swallow, tells, upstream
from tests.testbed.proxy.conftest import api_of


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with serve_embedded(seed=7) as server, api_of(server.port) as api:
        yield Bench(api, "127.0.0.1", server.port)


async def test_toxics_change_at_once_while_clients_come_and_go(bench: Bench) -> None:
    async def come_and_go(proxy: Proxied) -> None:
        while True:
            async with proxy.connected() as caller:
                await caller.send(b"x" * 100)
                await asyncio.sleep(0.005)

    async with upstream(echo) as port:
        proxy = await bench.proxy(port)
        clients = [asyncio.create_task(come_and_go(proxy)) for _ in range(10)]
        for _ in range(15):
            async with asyncio.timeout(1):
                toxic = await proxy.add("latency", latency=20, jitter=10)
                other = await proxy.add("slicer", "upstream", average_size=10, delay=100)
                await proxy.change(toxic, latency=5)
                await proxy.remove(toxic)
                await proxy.remove(other)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        assert (await bench.api.post("/reset")).status_code == 204


async def test_no_byte_is_lost_or_moved_while_toxics_change(bench: Bench) -> None:
    data = b"".join(number.to_bytes(4) for number in range(100_000))
    async with upstream(tells(data)) as port:
        proxy = await bench.proxy(port)
        await proxy.add("bandwidth", rate=800)
        async with proxy.connected() as caller:
            receiving = asyncio.create_task(caller.receive(len(data)))
            while not receiving.done():
                for type_, attributes in (("latency", {"latency": 30}), ("slicer", {"average_size": 500})):
                    toxic = await proxy.add(type_, **attributes)
                    await asyncio.sleep(0.01)
                    await proxy.change(toxic, **attributes)
                    await proxy.remove(toxic)
            received, _ = await receiving
    assert received == data


async def test_clients_of_an_upstream_that_never_answers_hold_up_nobody() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # the queue of a listener that never accepts: further connects get no answer
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with (
            serve_embedded(seed=0, dial_timeout_s=0.5) as server,
            api_of(server.port) as api,
        ):
            bench = Bench(api, "127.0.0.1", server.port)
            proxy = await bench.proxy(full.getsockname()[1])
            async with proxy.connected() as first, proxy.connected() as second:
                async with asyncio.timeout(0.4):
                    await proxy.add("latency", latency=1)
                assert await first.end() >= 0.2
                await second.end()
        for filler in fillers:
            filler.close()


@pytest.mark.parametrize(
    ("type_", "attributes"),
    [
        ("bandwidth", {"rate": -1}),
        ("slicer", {}),
        ("slicer", {"average_size": 1, "size_variation": 2**40}),
        ("slicer", {"average_size": -7, "size_variation": -7, "delay": -7}),
        ("latency", {"latency": -5, "jitter": 2**62}),
        ("limit_data", {"bytes": -1}),
        ("timeout", {"timeout": -1}),
        ("slow_close", {"delay": -1}),
        ("reset_peer", {"timeout": -1}),
    ],
)
async def test_attributes_without_sense_do_not_bring_it_down(
    bench: Bench, type_: str, attributes: dict[str, int]
) -> None:
    async with upstream(echo) as port:
        proxy = await bench.proxy(port)
        toxic = await proxy.add(type_, **attributes)
        async with proxy.connected() as caller:
            await caller.send(b"some data")
            with_data, _ = await asyncio.wait({asyncio.create_task(caller.reader.read(1))}, timeout=0.1)
            for task in with_data:
                task.exception()
        await proxy.remove(toxic)
        async with proxy.connected() as caller:
            await caller.round_trip()


async def test_disabling_ends_what_a_blackhole_had_collected(bench: Bench) -> None:
    async with upstream(swallow) as port:
        proxy = await bench.proxy(port)
        await proxy.add("timeout", timeout=0)
        async with proxy.connected() as one, proxy.connected() as two:
            await proxy.update(enabled=False)
            await one.end()
            await two.end()


async def fates(seed: int, toxicity: float) -> list[bool]:
    """Which of twenty connections one after the other are spared."""
    async with (
        serve_embedded(seed=seed) as server,
        api_of(server.port) as api,
        upstream(tells(b"x")) as port,
    ):
        proxy = await Bench(api, "127.0.0.1", server.port).proxy(port)
        await proxy.add("limit_data", toxicity=toxicity, bytes=0)
        spared = []
        for _ in range(20):
            async with proxy.connected() as caller:
                spared.append((await caller.receive(1))[0] == b"x")
        return spared


async def test_the_seed_decides_whom_a_toxic_hits() -> None:
    assert await fates(1, 0.5) == await fates(1, 0.5)
    assert await fates(1, 0.5) != await fates(2, 0.5)


def test_draws_depend_on_their_key_and_nothing_else() -> None:
    draws = Draws(3)
    assert draws.at("a").fraction("b") == Draws(3, ("a",)).fraction("b")
    numbers = [draws.fraction(number) for number in range(1000)]
    assert 0 <= min(numbers) < 0.01
    assert 0.99 < max(numbers) < 1
    assert 0.47 < sum(numbers) / 1000 < 0.53
    assert {draws.between(-2, 2, number) for number in range(100)} == {-2, -1, 0, 1}


@pytest.mark.parametrize(
    ("size", "average", "variation"), [(1000, 100, 0), (1000, 100, 30), (7, 1, 0), (0, 1, 0)]
)
def test_slices_add_up_and_keep_near_the_average(size: int, average: int, variation: int) -> None:
    sizes = slices(size, average, variation, Draws(1))
    assert sum(sizes) == size
    assert all(0 < each <= average + variation for each in sizes) or size == 0


def test_as_a_process_it_says_where_it_is_and_ends_when_told() -> None:
    command = [sys.executable, "-m", "harness.testbed.proxy", "--port", "0", "--seed", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = httpx.Response(200, text=process.stdout.readline()).json()
            version = httpx.get(f"http://{ready['host']}:{ready['port']}/version").json()["version"]
            assert version == ready["version"]
            process.send_signal(signal.SIGTERM)
            assert process.wait(GENEROUS_S) == 0
        finally:
            process.kill()
