"""An endpoint's proxy keeps its promises: changes are confirmed, hangs survived, its port is for good."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from harness.testbed.proxy import process as process_module
from harness.testbed.proxy import server as server_module
from harness.testbed.proxy.endpoint import RESTARTED, ProxiedEndpoint
from harness.testbed.proxy.errors import ProxyNotAsAsked, ProxyRefused, ProxyServerError
from harness.testbed.proxy.process import ProxyProcess, proxy_program
from harness.testbed.proxy.state import ProxyKind
from tests.requires import find_tool, require_tool
from tests.testbed.proxy import hanging_server
from tests.testbed.proxy.bench import Proxied, echo, tells, upstream

TIMEOUT_S = 0.5


class Made:
    """Makes endpoints, hears their warnings and pids."""

    def __init__(self, tmp_path: Path) -> None:
        self._tmp_path = tmp_path
        self.warnings: list[tuple[str, str]] = []
        self.pids: list[int] = []

    def endpoint(self, kind: ProxyKind, upstream_port: int, binary: Path | None = None) -> ProxiedEndpoint:
        return ProxiedEndpoint(
            "primary.smtp",
            ProxyProcess(
                kind,
                log_path=self._tmp_path / "proxies" / "primary.smtp.log",
                environ=os.environ,
                binary=binary,
                timeout_s=TIMEOUT_S,
                on_process=self.pids.append,
            ),
            upstream=f"127.0.0.1:{upstream_port}",
            on_warning=lambda warning, detail: self.warnings.append((warning, detail)),
        )

    @asynccontextmanager
    async def started(
        self, kind: ProxyKind, upstream_port: int, binary: Path | None = None
    ) -> AsyncIterator[ProxiedEndpoint]:
        endpoint = self.endpoint(kind, upstream_port, binary)
        await endpoint.start()
        try:
            yield endpoint
        finally:
            await endpoint.stop()

    def misbehaving(self, behaviour: str) -> Path:
        """A program that passes for toxiproxy-server and misbehaves."""
        program = self._tmp_path / "toxiproxy-server"
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {hanging_server.__file__} {behaviour} "$@"\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@pytest.fixture(params=list(ProxyKind))
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ProxyKind:
    chosen: ProxyKind = request.param
    if chosen is ProxyKind.TOXIPROXY:
        monkeypatch.setenv("HARNESS_TOOLS", str(require_tool("toxiproxy-server").parent))
    return chosen


@pytest.fixture
def any_kind(monkeypatch: pytest.MonkeyPatch) -> ProxyKind:
    """For what does not depend on the server: the one that starts faster, where it is there."""
    if (found := find_tool("toxiproxy-server")) is None:
        return ProxyKind.EMBEDDED
    monkeypatch.setenv("HARNESS_TOOLS", str(found.parent))
    return ProxyKind.TOXIPROXY


def through(endpoint: ProxiedEndpoint) -> Proxied:
    """The endpoint as the conformance tests' client sees it."""
    return Proxied(None, endpoint.name, f"{endpoint.host}:{endpoint.port}")  # type: ignore[arg-type]


def outgoing_ports() -> range:
    """The ports from which this system takes those of outgoing connections."""
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    return range(low, high + 1)


async def test_a_whole_life(kind: ProxyKind, made: Made) -> None:
    async with (
        upstream(tells(b"old")) as old,
        upstream(tells(b"new")) as new,
        made.started(kind, old) as endpoint,
    ):
        async with through(endpoint).connected() as caller:
            assert (await caller.receive(3))[0] == b"old"
        assert (await endpoint.set_upstream(f"127.0.0.1:{new}"))["upstream"] == f"127.0.0.1:{new}"
        async with through(endpoint).connected() as caller:
            assert (await caller.receive(3))[0] == b"new"
        detail = await endpoint.add_toxic("f1-latency", "latency", "downstream", {"latency": 100})
        assert detail["toxics"][0]["attributes"] == {"latency": 100, "jitter": 0}
        async with through(endpoint).connected() as caller:
            assert (await caller.receive(3))[1] >= 0.099
        assert not (await endpoint.set_enabled(False))["enabled"]
        with pytest.raises(ConnectionRefusedError):
            async with through(endpoint).connected():
                pass
        assert (await endpoint.set_enabled(True))["enabled"]
        assert not (await endpoint.remove_toxic("f1-latency"))["toxics"]
        assert await endpoint.confirm() == endpoint.wanted.to_detail()
    assert made.warnings == []
    assert not psutil.pid_exists(made.pids[0])


def test_says_which_program_it_would_be(kind: ProxyKind) -> None:
    path, sha256 = proxy_program(kind, os.environ)
    assert path.is_file()
    assert len(sha256) == 64


async def test_two_endpoints_at_once_do_not_mix_up_their_servers(any_kind: ProxyKind, made: Made) -> None:
    async with made.started(any_kind, 9) as one, made.started(any_kind, 10) as other:
        assert one.port != other.port
        changes = [
            endpoint.add_toxic(f"t{n}", "latency", "upstream", {"latency": n})
            for n in range(5)
            for endpoint in (one, other)
        ]
        await asyncio.gather(*changes, other.set_enabled(False))
        assert (await one.confirm())["enabled"]
        assert not (await other.confirm())["enabled"]


async def test_its_port_is_not_one_that_outgoing_connections_may_take(
    any_kind: ProxyKind, made: Made
) -> None:
    async with made.started(any_kind, 9) as endpoint:
        assert endpoint.port not in outgoing_ports()


async def test_passes_over_ports_that_are_taken(
    any_kind: ProxyKind, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        ports = [taken.getsockname()[1], free.getsockname()[1]]
        free.close()
        monkeypatch.setattr(server_module, "candidate_ports", lambda name: iter(ports))
        async with made.started(any_kind, 9) as endpoint:
            assert endpoint.port == ports[1]


async def test_waits_for_its_own_port_to_be_free_again(kind: ProxyKind, made: Made) -> None:
    async with upstream(echo) as port, made.started(kind, port) as endpoint:
        await endpoint.set_enabled(False)
        squatter = socket.create_server(("127.0.0.1", endpoint.port))
        enabling = asyncio.create_task(endpoint.set_enabled(True))
        assert await asyncio.wait({enabling}, timeout=0.3) == (set(), {enabling})
        squatter.close()
        assert (await enabling)["enabled"]


async def test_a_server_that_was_killed_comes_back_as_it_should_be(kind: ProxyKind, made: Made) -> None:
    async with upstream(echo) as port, made.started(kind, port) as endpoint:
        before = endpoint.port
        await endpoint.add_toxic("keep", "latency", "downstream", {"latency": 100})
        await endpoint.add_toxic("drop", "latency", "downstream", {"latency": 3000})
        os.kill(made.pids[0], signal.SIGKILL)
        detail = await endpoint.remove_toxic("drop")
        assert [toxic["name"] for toxic in detail["toxics"]] == ["keep"]
        assert endpoint.port == before
        async with through(endpoint).connected() as caller:
            assert 0.099 <= await caller.round_trip() < 2
    assert [warning for warning, _ in made.warnings] == [RESTARTED]
    assert len(made.pids) == 2


async def test_a_server_that_stands_still_is_replaced_in_time(kind: ProxyKind, made: Made) -> None:
    async with made.started(kind, 9) as endpoint:
        os.kill(made.pids[0], signal.SIGSTOP)
        began_s = asyncio.get_running_loop().time()
        assert not (await endpoint.set_enabled(False))["enabled"]
        assert asyncio.get_running_loop().time() - began_s < TIMEOUT_S + 4
        assert not psutil.pid_exists(made.pids[0])
    assert [warning for warning, _ in made.warnings] == [RESTARTED]


@pytest.mark.parametrize(
    ("behaviour", "change"),
    [
        ("hang-delete", lambda endpoint: endpoint.remove_toxic("slow")),
        ("hang-patch", lambda endpoint: endpoint.set_upstream("127.0.0.1:10")),
    ],
)
async def test_a_call_that_hangs_takes_effect_all_the_same(
    made: Made, behaviour: str, change: Callable[[ProxiedEndpoint], object]
) -> None:
    async with made.started(ProxyKind.TOXIPROXY, 9, made.misbehaving(behaviour)) as endpoint:
        await endpoint.add_toxic("slow", "latency", "downstream", {"latency": 100})
        await endpoint.add_toxic("stays", "latency", "upstream", {"latency": 1})
        detail = await change(endpoint)  # type: ignore[misc]
        assert detail["upstream"] == endpoint.wanted.upstream
        assert [toxic["name"] for toxic in detail["toxics"]] == [
            toxic.name for toxic in endpoint.wanted.toxics
        ]
        assert await endpoint.confirm() == detail
    warning, text = made.warnings[0]
    assert (len(made.warnings), warning) == (1, RESTARTED)
    assert "primary.smtp" in text
    assert f"{TIMEOUT_S:g} s" in text
    assert not any(psutil.pid_exists(pid) for pid in made.pids)


async def test_a_yes_that_is_a_lie_is_an_error(made: Made) -> None:
    async with made.started(ProxyKind.TOXIPROXY, 9, made.misbehaving("ignore-toxics")) as endpoint:
        with pytest.raises(ProxyNotAsAsked, match=r"primary\.smtp: toxic slow is missing"):
            await endpoint.add_toxic("slow", "latency", "downstream", {"latency": 100})


async def test_a_misspelt_attribute_is_an_error_though_the_server_takes_it(
    any_kind: ProxyKind, made: Made
) -> None:
    async with made.started(any_kind, 9) as endpoint:
        with pytest.raises(ProxyNotAsAsked, match="slow"):
            await endpoint.add_toxic("slow", "latency", "downstream", {"latncy": 100})
        assert not (await endpoint.restore())["toxics"]


async def test_a_refusal_is_an_error_and_changes_nothing(any_kind: ProxyKind, made: Made) -> None:
    async with made.started(any_kind, 9) as endpoint:
        with pytest.raises(ProxyRefused, match="invalid toxic type") as refused:
            await endpoint.add_toxic("x", "confusion", "downstream", {})
        assert refused.value.status == 400
        assert not (await endpoint.confirm())["toxics"]


async def test_removing_what_is_not_there_is_no_error(any_kind: ProxyKind, made: Made) -> None:
    async with made.started(any_kind, 9) as endpoint:
        await endpoint.remove_toxic("never-was")


async def test_restore_undoes_everything(any_kind: ProxyKind, made: Made) -> None:
    async with made.started(any_kind, 9) as endpoint:
        first = await endpoint.confirm()
        await endpoint.add_toxic("t", "timeout", "downstream", {"timeout": 0})
        await endpoint.set_upstream("127.0.0.1:10")
        await endpoint.set_enabled(False)
        assert await endpoint.restore() == first
    assert made.warnings == []


async def test_a_cancelled_change_is_brought_to_its_end_first(made: Made) -> None:
    async with made.started(ProxyKind.TOXIPROXY, 9, made.misbehaving("hang-delete")) as endpoint:
        await endpoint.add_toxic("slow", "latency", "downstream", {"latency": 100})
        removing = asyncio.create_task(endpoint.remove_toxic("slow"))
        await asyncio.sleep(0)
        removing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await removing
        assert not endpoint.wanted.toxics
        assert not (await endpoint.confirm())["toxics"]


async def test_a_program_that_ends_at_once(made: Made) -> None:
    with pytest.raises(ProxyServerError, match="ended with 1 at its start"):
        await made.endpoint(ProxyKind.TOXIPROXY, 9, made.misbehaving("exit")).start()


async def test_a_program_that_never_listens(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "START_TIMEOUT_S", 0.5)
    with pytest.raises(ProxyServerError, match="did not get ready"):
        await made.endpoint(ProxyKind.TOXIPROXY, 9, made.misbehaving("mute")).start()
    assert not psutil.pid_exists(made.pids[0])


async def test_a_program_that_is_not_there(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ProxyServerError, match="cannot be run"):
        await made.endpoint(ProxyKind.TOXIPROXY, 9, tmp_path / "nothing").start()


async def test_before_start_and_after_stop_nothing_comes_to_life(made: Made) -> None:
    endpoint = made.endpoint(ProxyKind.EMBEDDED, 9)
    with pytest.raises(ProxyServerError, match="not started"):
        await endpoint.set_enabled(False)
    await endpoint.start()
    await endpoint.stop()
    with pytest.raises(ProxyServerError, match="not started"):
        await endpoint.restore()
    assert len(made.pids) == 1
