"""Faults of a system that is a process: each is read back, met by whoever calls, and gone afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from harness.history.events import SystemProcess
from harness.testbed.faults import InjectionError
from tests.testbed.local_bench import SCENARIO, Bench, whole

STUBBORN = SCENARIO.replace("FOLDER:", "IGNORE_SIGTERM: 1\n    FOLDER:")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with whole(tmp_path / "run", "embedded") as bench:
        yield bench


def changes(bench: Bench) -> list[str]:
    return [event.change for event in bench.events(SystemProcess)]


async def status(bench: Bench, timeout_s: float = 0.3) -> int | str:
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=timeout_s) as client:
        try:
            return (await client.get(f"{bench.testbed.system.base_url}/status")).status_code
        except httpx.ReadTimeout:
            return "no answer"


async def test_a_paused_system_keeps_its_connections_and_answers_once_it_goes_on(bench: Bench) -> None:
    system = bench.testbed.system
    pid = system.host.pid
    pause = bench.injector("system", "pause")
    with pytest.raises(InjectionError, match="is not frozen"):
        await pause.confirm()
    with pytest.raises(InjectionError, match="still answers"):
        await pause.act()
    await pause.inject()
    assert await pause.confirm() == {"paused": True}
    assert "no word" in (await pause.act())["canary"]
    assert await status(bench) == "no answer"
    waiting = asyncio.create_task(status(bench, timeout_s=10))
    await pause.remove()
    assert await waiting == 200
    assert system.host.pid == pid, "it was never anything but frozen"
    assert not system.exited.is_set()
    assert changes(bench) == ["started", "paused", "resumed"]


async def test_a_system_that_was_let_go_behind_its_back_is_no_pause(bench: Bench) -> None:
    pause = bench.injector("system", "pause")
    await pause.inject()
    psutil.Process(bench.testbed.system.host.pid).resume()
    with pytest.raises(InjectionError, match="is not frozen"):
        await pause.confirm()
    with pytest.raises(InjectionError, match="still answers"):
        await pause.act()
    await pause.remove()


async def test_a_restarted_system_ends_in_good_order_and_comes_back(bench: Bench, tmp_path: Path) -> None:
    system = bench.testbed.system
    restart = bench.injector("system", "restart", grace=5000, restart_after=0)
    await restart.inject()
    await restart.confirm()
    await restart.act()
    await restart.remove()
    assert await status(bench) == 200
    assert changes(bench) == ["started", "stopped", "started"]
    starts = (tmp_path / "run" / "system" / "starts.jsonl").read_text().splitlines()
    assert len({json.loads(line)["env"]["PORT"] for line in starts}) == 1 and len(starts) == 2
    assert not system.exited.is_set(), "an end that was asked for is no exit of its own"


async def test_a_system_that_will_not_end_is_killed_and_told_so(tmp_path: Path) -> None:
    async with whole(tmp_path / "run", "embedded", STUBBORN) as bench:
        restart = bench.injector("system", "restart", grace=200, restart_after=0)
        await restart.inject()
        await restart.confirm()
        await restart.remove()
        assert changes(bench) == ["started", "killed", "started"]


@pytest.mark.parametrize("type_", ["kill", "restart", "pause"])
async def test_a_system_that_is_dead_already_cannot_be_broken(bench: Bench, type_: str) -> None:
    await bench.testbed.system.kill()
    with pytest.raises(InjectionError, match="the system is not running"):
        await bench.injector("system", type_, grace=100).inject()


async def test_a_process_has_no_network_of_its_own(bench: Bench) -> None:
    with pytest.raises(InjectionError, match="no network of its own"):
        await bench.injector("system", "partition").inject()


async def test_a_paused_system_is_stopped_at_the_end(bench: Bench) -> None:
    pid = bench.testbed.system.host.pid
    await bench.injector("system", "pause").inject()
    await bench.testbed.stop_system()
    assert not psutil.pid_exists(pid)


async def test_a_fault_waits_until_the_system_is_back_from_the_one_before(bench: Bench) -> None:
    kill = bench.injector("system", "kill", restart_after=0)
    await kill.inject()
    back = asyncio.create_task(kill.remove())
    await asyncio.sleep(0)
    restart = bench.injector("system", "restart", grace=5000)
    await restart.inject()
    await back
    await restart.remove()
    assert changes(bench) == ["started", "killed", "started", "stopped", "started"]
