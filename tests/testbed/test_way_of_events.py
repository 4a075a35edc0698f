"""The way of events back: a proxy of its own, where faults are proved, felt by the provider, and gone."""

from __future__ import annotations

import json
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import pytest_asyncio

from harness.history.events import ProviderEvent
from harness.testbed.faults import InjectionError
from tests.requires import require_docker, require_tool
from tests.testbed.local_bench import CONTAINERS, SCENARIO, Bench, whole
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = SCENARIO.replace(
    "  longest_retry: 1s\n", '  longest_retry: 1s\n  events: {sendgrid: "POST /events"}\n'
)
WAY = "backup.events"
FAULTS: dict[str, dict[str, Any]] = {
    "outage": {},
    "blackhole": {},
    "reset": {"after": 0},
    "latency": {"latency": 150, "jitter": 0},
    "bandwidth": {"rate": 2000, "stream": "upstream"},
    "slice": {"size": 20, "delay": 10, "stream": "upstream"},
    "cut": {"after": 100, "stream": "upstream"},
}
DELAYING = {"latency", "bandwidth", "slice"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["toxiproxy", "embedded", CONTAINERS])
async def bench(request, tmp_path_factory):
    if request.param == "toxiproxy":
        require_tool("toxiproxy-server")
    with contextmanager(require_docker)() if request.param == CONTAINERS else nullcontext():
        async with whole(tmp_path_factory.mktemp("bench") / "run", request.param, TEXT) as bench:
            yield bench


def heard(bench: Bench) -> list[str]:
    """What the system was told, event by event."""
    file = bench.run_dir / "system" / "events.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return [f"{each['event']} {each['email']}" for line in lines for each in json.loads(line)]


def told(bench: Bench, token: str) -> dict[str, str]:
    return {each.event: each.webhook for each in bench.events(ProviderEvent) if each.token == token}


async def send(bench: Bench, token: str) -> None:
    assert (await bench.send("backup", token)).what == "sent"


async def test_what_became_of_a_message_reaches_the_system(bench: Bench) -> None:
    await send(bench, "a" * 16)
    await until(lambda: len(told(bench, "a" * 16)) == 2, 20)
    assert told(bench, "a" * 16) == {"processed": "delivered", "delivered": "delivered"}
    assert f"delivered c.{'a' * 16}@customer.example" in heard(bench)


@pytest.mark.parametrize("type_", FAULTS)
async def test_a_fault_on_the_way_is_proved_felt_and_gone(bench: Bench, type_: str) -> None:
    token = f"{type_[0]}{'b' * 15}"
    injector = bench.injector(WAY, type_, **FAULTS[type_])
    await injector.inject()
    await injector.confirm()
    await injector.act()
    assert bench.endpoint("backup").holding == {}  # the mail's own way knows nothing of it
    await send(bench, token)
    if type_ in DELAYING:
        # Before it goes: what is on its way at that moment may come by a second attempt, and is late.
        await until(lambda: len(told(bench, token)) == 2, 20)
    else:
        await bench.testbed.settle(2.5)
        assert told(bench, token) == {}
    await injector.remove()
    assert await bench.testbed.verify_clean() == []
    await bench.testbed.settle(20)
    await until(lambda: len(told(bench, token)) == 2, 5)
    wanted = "delivered" if type_ in DELAYING else "late"
    assert told(bench, token) == {"processed": wanted, "delivered": wanted}
    assert f"processed c.{token}@customer.example" in heard(bench)


async def test_a_late_end_cannot_be_told_where_the_system_ends_no_connection(bench: Bench) -> None:
    injector = bench.injector(WAY, "slow-close", delay=200)
    with pytest.raises(InjectionError, match="a late end could not be told"):
        await injector.inject()
    await injector.remove()


async def test_while_the_system_is_down_nothing_gets_through_and_nobody_is_blamed(bench: Bench) -> None:
    await bench.testbed.system.kill()
    try:
        assert await bench.testbed.verify_clean() == []
        latency = bench.injector(WAY, "latency", latency=50, jitter=0)
        await latency.inject()
        with pytest.raises(InjectionError, match="latency: the canary should have met `ok`"):
            await latency.act()
        await latency.remove()
        outage = bench.injector(WAY, "outage")
        await outage.inject()
        await outage.act()  # a way that is closed is closed, whoever is at its end
        await outage.remove()
        assert bench.endpoint(WAY).holding == {}
    finally:
        await bench.testbed.system.start()
    assert await bench.testbed.verify_clean() == []
