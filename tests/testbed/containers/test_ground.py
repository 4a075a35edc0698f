"""The ground of a run on a real engine: labelled, reached only as published, and gone at the end."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.testbed.containers import names
from harness.testbed.containers.engine import Engine, connect
from harness.testbed.containers.ground import ContainerError, Ground, Net, Part
from harness.testbed.containers.images import PINNED, Kind
from harness.testbed.containers.names import RunNames
from harness.testbed.containers.proxy_server import API_PORT, ProxyContainer
from harness.testbed.containers.reaper import look
from harness.testbed.containers.way_back import WayBack
from harness.testbed.proxy.endpoint import RESTARTED, ProxiedEndpoint
from harness.testbed.resources import ResourceLedger, standing
from tests.testbed.proxy.bench import echo, upstream

TOXIPROXY = PINNED[Kind.TOXIPROXY]


@asynccontextmanager
async def ground(run_dir: Path) -> AsyncIterator[Ground]:
    ledger = ResourceLedger(run_dir, marker=uuid.uuid4().hex)
    engine = connect()
    ledger.making_on_engine(engine.host)
    made = Ground(engine, RunNames.of_this_process(ledger.marker, "ground"), ledger)
    try:
        await made.open()
        yield made
    finally:
        await made.close()
        ledger.close()


def toxiproxy(**changes: object) -> Part:
    described = {
        "name": "proxy-one",
        "image": TOXIPROXY,
        "networks": {Net.EDGE: ()},
        "command": ("-host=0.0.0.0",),
        "publish": (API_PORT,),
    }
    return Part(**{**described, **changes})  # type: ignore[arg-type]


async def test_everything_is_labelled_and_nothing_is_left(docker: Engine, tmp_path: Path) -> None:
    async with ground(tmp_path) as made:
        await made.start(toxiproxy())
        things = look(docker.client.api, names.of_run(made.run.marker))
        assert sorted(str(thing.kind) for thing in things) == ["container", *["network"] * len(Net)]
        assert {thing.labels[names.OWNER] for thing in things} == {names.owner()}
    assert look(docker.client.api, names.of_run(made.run.marker)) == []
    assert standing(tmp_path).is_clean


async def test_only_the_edge_has_a_way_out_of_its_network(docker: Engine, tmp_path: Path) -> None:
    async with ground(tmp_path) as made:
        facts = {net: docker.client.api.inspect_network(made.network_name(net)) for net in Net}
    assert {net for net, each in facts.items() if not each["Internal"]} == {Net.EDGE}
    assert facts[Net.EDGE]["Options"]["com.docker.network.bridge.enable_ip_masquerade"] == "false"


async def test_ports_are_published_on_loopback_alone(docker: Engine, tmp_path: Path) -> None:
    async with ground(tmp_path) as made:
        started = await made.start(toxiproxy())
        bound = docker.client.api.inspect_container(started.id)["NetworkSettings"]["Ports"]
        assert bound[f"{API_PORT}/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(started.ports[API_PORT])}]


async def test_a_port_that_is_taken_is_passed_over(
    docker: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        ports = [taken.getsockname()[1], free.getsockname()[1]]
        free.close()
        monkeypatch.setattr("harness.testbed.containers.ground.candidate_ports", lambda name: iter(ports))
        async with ground(tmp_path) as made:
            started = await made.start(toxiproxy())
            assert started.ports == {API_PORT: ports[1]}


async def test_a_container_that_ends_at_once_is_told_with_its_last_words(
    docker: Engine, tmp_path: Path
) -> None:
    async def never() -> bool:
        return False

    async with ground(tmp_path) as made:
        started = await made.start(toxiproxy(command=("-host=0.0.0.0", "-no-such-flag")))
        with pytest.raises(ContainerError, match=r"(?s)ended with code 2 before it was ready.*no-such-flag"):
            await made.until_ready(started, never)


async def test_an_image_that_is_not_there_is_told_by_name(docker: Engine, tmp_path: Path) -> None:
    async with ground(tmp_path) as made:
        with pytest.raises(ContainerError, match=r"proxy-one \(localhost:1/nothing:at-all\): "):
            await made.start(toxiproxy(image="localhost:1/nothing:at-all"))


async def test_calls_that_are_under_way_at_the_end_leave_nothing(docker: Engine, tmp_path: Path) -> None:
    async with ground(tmp_path) as made:
        starts = [asyncio.create_task(made.start(toxiproxy(name=f"proxy-{n}"))) for n in range(3)]
        await asyncio.sleep(0)  # they have begun
        for start in starts:
            start.cancel()
    assert look(docker.client.api, names.of_run(made.run.marker)) == []


class TestAProxyInAContainer:
    @asynccontextmanager
    async def proxied(
        self, made: Ground, to: str
    ) -> AsyncIterator[tuple[ProxiedEndpoint, ProxyContainer, list[str]]]:
        warnings: list[str] = []
        server = ProxyContainer(made, "primary", TOXIPROXY, {}, (587,))
        endpoint = ProxiedEndpoint(
            "primary.smtp",
            server,
            upstream=to,
            listen="0.0.0.0:587",
            published=lambda: server.published(587),
            on_warning=lambda warning, detail: warnings.append(warning),
        )
        await endpoint.start()
        try:
            yield endpoint, server, warnings
        finally:
            await endpoint.stop()

    async def echoed(self, endpoint: ProxiedEndpoint) -> bytes:
        reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
        try:
            writer.write(b"hello")
            async with asyncio.timeout(5):
                return await reader.read(5)
        finally:
            writer.transport.abort()

    async def test_leads_back_to_a_port_of_this_machine(self, docker: Engine, tmp_path: Path) -> None:
        async with upstream(echo) as port, ground(tmp_path) as made:
            back = WayBack(made)
            async with self.proxied(made, await back.to("127.0.0.1", port)) as (endpoint, _, _):
                assert await self.echoed(endpoint) == b"hello"
            await back.stop()

    async def test_that_dies_comes_back_on_its_port_as_it_was_asked_to_be(
        self, docker: Engine, tmp_path: Path
    ) -> None:
        async with upstream(echo) as port, ground(tmp_path) as made:
            back = WayBack(made)
            async with self.proxied(made, await back.to("127.0.0.1", port)) as (endpoint, server, warnings):
                before = endpoint.port
                await endpoint.add_toxic("late", "latency", "downstream", {"latency": 50})
                await server.kill()
                read_back = await endpoint.add_toxic("slow", "slow_close", "downstream", {"delay": 1})
                assert {toxic["name"] for toxic in read_back["toxics"]} == {"late", "slow"}
                assert warnings == [RESTARTED]
                assert endpoint.port == before
                assert await self.echoed(endpoint) == b"hello"
                assert made.watch.lost() is None
            await back.stop()
