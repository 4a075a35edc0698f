"""Faults on real providers behind real proxies: read back, met by the canary, felt by a client, then gone."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import pytest
import pytest_asyncio

from harness.history.events import HarnessWarning, ReceiptResult, SystemProcess
from harness.testbed.faults import InjectionError, injector_on
from tests.requires import require_docker, require_tool
from tests.testbed.local_bench import CONTAINERS, Bench, letter, routes_alone, smtp_client, whole
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = ["primary", "backup"]  # Microsoft 365 by SMTP, SendGrid by HTTP
LATENCY_MS = 120


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["toxiproxy", "embedded", CONTAINERS])
async def shared(request, tmp_path_factory):
    if request.param == "toxiproxy":
        require_tool("toxiproxy-server")
    with contextmanager(require_docker)() if request.param == CONTAINERS else nullcontext():
        async with routes_alone(tmp_path_factory.mktemp("bench") / "run", request.param) as bench:
            yield bench


@pytest_asyncio.fixture(loop_scope="module")
async def bench(shared: Bench):
    yield shared
    await shared.restore()


def tokens(count: int, letter: str = "a") -> list[str]:
    digits = "abcdefghijklmnopqrstuvwxyz234567"
    return [f"{letter * 14}{digits[number // 32]}{digits[number % 32]}" for number in range(count)]


FAULTS = {
    "outage": ({}, {"primary": "connection refused", "backup": "connection refused"}),
    "blackhole": ({}, {"primary": "no answer", "backup": "no answer"}),
    "latency": ({"latency": LATENCY_MS, "jitter": 0}, {"primary": "sent", "backup": "sent"}),
    "bandwidth": ({"rate": 4000, "stream": "upstream"}, {"primary": "sent", "backup": "sent"}),
    "slice": ({"size": 20, "delay": 5, "stream": "upstream"}, {"primary": "sent", "backup": "sent"}),
    "cut": (
        {"after": 300, "stream": "upstream"},
        {"primary": "connection lost", "backup": "connection lost"},
    ),
    "slow-close": ({"delay": 300}, {"primary": "sent", "backup": "sent"}),
    "reset": ({"after": 0}, {"primary": "connection lost", "backup": "connection lost"}),
    "auth-failure": ({}, {"primary": 535, "backup": 401}),
    "refuse": ({"code": 452}, {"primary": 452, "backup": 452}),
    "ack-loss": ({}, {"primary": "connection lost", "backup": "connection lost"}),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("type_", FAULTS)
async def test_a_fault_is_proved_felt_and_gone(bench: Bench, type_, route):
    attributes, felt = FAULTS[type_]
    injector = bench.injector(route, type_, **attributes)
    await injector.inject()
    await injector.confirm()
    await injector.act()
    outcome = await bench.send(route, timeout_s=0.5 if type_ == "blackhole" else 5)
    assert outcome.what == bench.felt(felt[route])
    if type_ == "latency":
        assert outcome.elapsed_s >= LATENCY_MS / 1000
    detail = await injector.remove()
    assert detail["canary"]["saw"] == "ok"
    assert await bench.testbed.verify_clean() == []
    assert (await bench.send(route)).what == "sent"


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("type_", "attributes"),
    [
        ("bandwidth", {"rate": 1000, "stream": "downstream"}),
        ("bandwidth", {"rate": 50_000, "stream": "upstream"}),
        ("bandwidth", {"rate": 50_000, "stream": "downstream"}),
        ("slice", {"size": 16, "delay": 10, "stream": "downstream"}),
        ("slice", {"size": 1600, "delay": 1600, "stream": "upstream"}),
        ("slice", {"size": 4, "delay": 1, "stream": "upstream"}),
        ("cut", {"after": 1, "stream": "upstream"}),
        ("cut", {"after": 1, "stream": "downstream"}),
        ("cut", {"after": 16_000, "stream": "upstream"}),
        ("cut", {"after": 16_000, "stream": "downstream"}),
        ("slow-close", {"delay": 60_000}),
    ],
)
async def test_both_ways_and_at_the_ends_of_what_is_allowed(bench: Bench, type_, attributes, route):
    injector = bench.injector(route, type_, **attributes)
    await injector.inject()
    await injector.confirm()
    await injector.act()
    await injector.remove()
    with pytest.raises(InjectionError):
        await injector.act()
    assert (await bench.send(route)).what == "sent"


async def test_what_is_cut_in_an_answer_was_taken(bench: Bench):
    # Not the greeting and not the handshake: the answer to the message is what does not come.
    injector = bench.injector("backup", "cut", after=20, stream="downstream")
    await injector.inject()
    await injector.act()
    (token,) = tokens(1, "k")
    assert (await bench.send("backup", token)).what == "connection lost"
    await injector.remove()
    await until(lambda: bool(bench.receipts(token)))
    assert bench.receipts(token)[0].result in (ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST)


async def test_a_narrow_line_leaves_other_faults_time_to_be_proved(bench: Bench):
    narrow = bench.injector("primary", "bandwidth", rate=1000, stream="upstream")
    refused = bench.injector("primary", "refuse", code=452, stage="body")
    await narrow.inject()
    await refused.inject()
    assert (await refused.act())["code"] == 452
    await narrow.act()
    await refused.remove()
    await narrow.remove()
    assert await bench.testbed.verify_clean() == []


@pytest.mark.parametrize(
    ("route", "named", "code"), [("primary", "server-busy", 451), ("backup", "too-many-requests", 429)]
)
async def test_a_provider_refuses_with_an_answer_of_its_own(bench: Bench, route, named, code):
    injector = bench.injector(route, "refuse", named=named)
    await injector.inject()
    await injector.confirm()
    await injector.act()
    assert (await bench.send(route)).what == code
    await injector.remove()
    assert (await bench.send(route)).what == "sent"


@pytest.mark.parametrize("route", ROUTES)
async def test_a_message_whose_acknowledgement_was_lost_was_taken(bench: Bench, route):
    injector = bench.injector(route, "ack-loss")
    await injector.inject()
    (token,) = tokens(1, route[0])
    assert (await bench.send(route, token)).what == "connection lost"
    await injector.remove()
    await until(lambda: bool(bench.receipts(token)))
    (receipt,) = bench.receipts(token)
    assert receipt.result is ReceiptResult.ACK_LOST
    assert receipt.route == route


class TestOverlap:
    @pytest.mark.parametrize("first_removed", ["latency", "outage"])
    @pytest.mark.parametrize("route", ROUTES)
    async def test_latency_and_outage_come_and_go_in_any_order(self, bench: Bench, route, first_removed):
        faults = {
            "latency": bench.injector(route, "latency", latency=LATENCY_MS),
            "outage": bench.injector(route, "outage"),
        }
        await faults["outage"].inject()
        await faults["latency"].inject()
        await faults["outage"].act()
        with pytest.raises(InjectionError, match="the canary should have met `ok`"):
            await faults["latency"].act()
        await faults.pop(first_removed).remove()
        (left, injector) = faults.popitem()
        await injector.confirm()
        await injector.act()
        assert (await bench.send(route)).what == bench.felt(FAULTS[left][1][route])
        await injector.remove()
        assert await bench.testbed.verify_clean() == []

    @pytest.mark.parametrize("type_", ["outage", "auth-failure"])
    async def test_of_two_equal_faults_the_second_stays_when_the_first_goes(self, bench: Bench, type_):
        first, second = bench.injector("primary", type_), bench.injector("primary", type_)
        await first.inject()
        await second.inject()
        await first.remove()
        await second.confirm()
        await second.act()
        assert (await bench.send("primary")).what == bench.felt(FAULTS[type_][1]["primary"])
        await second.remove()
        assert (await bench.send("primary")).what == "sent"

    async def test_a_login_that_is_refused_slowly_is_still_proved(self, bench: Bench):
        # Seven round trips of 0.4 s each: longer than a canary waits on a route that is not slow.
        slow = bench.injector("primary", "latency", latency=400)
        refused = bench.injector("primary", "auth-failure")
        await slow.inject()
        await refused.inject()
        assert (await refused.act())["code"] == 535
        await slow.remove()
        await refused.remove()
        assert (await bench.send("primary")).what == "sent"

    async def test_the_fault_put_last_into_a_provider_is_the_one_that_is_proved(self, bench: Bench):
        refuse = bench.injector("primary", "refuse", code=451)
        loss = bench.injector("primary", "ack-loss")
        await refuse.inject()
        await refuse.act()
        await loss.inject()
        await loss.act()
        await loss.remove()
        await refuse.act()
        await refuse.remove()


@pytest.mark.parametrize("type_", ["latency", "blackhole", "outage", "auth-failure"])
async def test_a_fault_is_removed_while_a_client_is_connected(bench: Bench, type_):
    client = smtp_client(bench.addresses["primary"], bench.run_dir / "tls" / "ca.pem")
    await client.connect()
    injector = bench.injector("primary", type_, **FAULTS[type_][0])
    await injector.inject()
    sending = asyncio.create_task(client.send_message(letter(tokens(1, "c")[0], "transactional")))
    await asyncio.wait_for(injector.remove(), 10)
    # The old connection may have been cut, but nobody hangs and the way is free.
    await asyncio.wait({sending}, timeout=5)
    assert sending.done()
    client.close()
    restarts = [each for each in bench.events(HarnessWarning) if each.warning == "proxy-restarted"]
    if type_ == "latency" and not restarts:
        assert sending.exception() is None
    else:
        sending.exception()
    assert (await bench.send("primary")).what == "sent"


class TestSelection:
    async def hits(self, bench: Bench, route: str, **selection: object) -> list[int]:
        """Which of twelve messages the fault hit; canaries come between them."""
        injector = bench.injector(route, "refuse", "chosen", code=450, **selection)
        await injector.inject()
        hit = []
        for number, token in enumerate(tokens(12, "s"), 1):
            if number % 4 == 0:
                await injector.act()
            class_ = "marketing" if number <= 6 else "transactional"
            if (await bench.send(route, token, class_)).what == 450:
                hit.append(number)
        await injector.remove()
        return hit

    @pytest.mark.parametrize("route", ROUTES)
    @pytest.mark.parametrize(
        ("selection", "expected"),
        [
            ({"every": 3}, [3, 6, 9, 12]),
            ({"count": 2}, [1, 2]),
            ({"class_": "marketing"}, [1, 2, 3, 4, 5, 6]),
            ({"class_": "transactional", "every": 2, "count": 2}, [8, 10]),
        ],
    )
    async def test_canaries_meet_the_fault_and_are_never_counted(
        self, bench: Bench, route, selection, expected
    ):
        assert await self.hits(bench, route, **selection) == expected

    async def test_a_share_is_the_same_messages_each_time(self, bench: Bench):
        first = await self.hits(bench, "primary", share=0.5)
        assert 1 <= len(first) <= 11
        assert await self.hits(bench, "primary", share=0.5) == first


class TestAFaultThatDoesNotTake:
    """Each of these injectors says that it did its work; the read-back, the canary or both know better."""

    @pytest.mark.parametrize("route", ROUTES)
    @pytest.mark.parametrize(
        "type_", ["blackhole", "latency", "reset", "bandwidth", "slice", "cut", "slow-close"]
    )
    async def test_toxics_taken_away_behind_its_back(self, bench: Bench, route, type_):
        # No busy machine is as slow as this, and nobody waits for it: it is gone before the canary comes.
        asked = FAULTS[type_][0] | ({"latency": 5000} if type_ == "latency" else {})
        injector = bench.injector(route, type_, **asked)
        await injector.inject()
        for toxic in await bench.behind_its_back(route, "GET", "/toxics"):
            await bench.behind_its_back(route, "DELETE", f"/toxics/{toxic['name']}")
        await self.both_notice(injector)
        await injector.remove()

    async def test_a_proxy_that_listens_again(self, bench: Bench):
        injector = bench.injector("primary", "outage")
        await injector.inject()
        await bench.behind_its_back("primary", "POST", content={"enabled": True})
        await self.both_notice(injector)
        await injector.remove()

    @pytest.mark.parametrize("route", ROUTES)
    async def test_a_proxy_that_leads_to_the_healthy_listener_again(self, bench: Bench, route):
        injector = bench.injector(route, "auth-failure")
        await injector.inject()
        await bench.behind_its_back(route, "POST", content={"upstream": bench.endpoint(route).upstream})
        await self.both_notice(injector)
        await injector.remove()

    @pytest.mark.parametrize("route", ROUTES)
    async def test_a_rejecting_listener_that_rejects_nothing(self, bench: Bench, route):
        endpoint = bench.endpoint(route)
        injector = injector_on(
            bench.fault(route, "auth-failure"), replace(endpoint, rejecting_upstream=endpoint.upstream)
        )
        await injector.inject()
        await injector.confirm()  # the proxy is as asked; only the canary can tell
        with pytest.raises(InjectionError, match="should have met `rejected`, it met `ok`"):
            await injector.act()
        await injector.remove()

    @pytest.mark.parametrize("route", ROUTES)
    @pytest.mark.parametrize("type_", ["refuse", "ack-loss"])
    async def test_a_provider_that_forgets_its_fault(self, bench: Bench, route, type_):
        injector = bench.injector(route, type_, "forgotten", **FAULTS[type_][0])
        await injector.inject()
        provider = bench.endpoint(route).provider
        await provider.delete_fault("forgotten")
        await self.both_notice(injector)
        await injector.remove()

    async def test_a_refusal_with_another_code(self, bench: Bench):
        injector = bench.injector("primary", "refuse", "wrong", code=451)
        await injector.inject()
        other = bench.injector("primary", "refuse", code=550)
        await other.inject()
        with pytest.raises(InjectionError, match="refused with 550, not with 451"):
            await injector.act()
        await other.remove()
        await injector.remove()

    async def both_notice(self, injector) -> None:
        with pytest.raises(InjectionError):
            await injector.confirm()
        with pytest.raises(InjectionError):
            await injector.act()


async def test_a_killed_system_comes_back_on_its_port_with_its_state(tmp_path):
    async with whole(tmp_path / "run", "embedded") as bench:
        system, state = bench.testbed.system, tmp_path / "run" / "system"
        (state / "kept").write_text("what the system remembers")
        _, port = system.host.address
        injector = bench.injector("system", "kill", restart_after=100)
        with pytest.raises(InjectionError, match="still running"):
            await injector.confirm()
        with pytest.raises(InjectionError, match="still answers"):
            await injector.act()
        await injector.inject()
        await injector.confirm()
        await injector.act()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)
        await injector.remove()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()
        starts = [json.loads(line) for line in (state / "starts.jsonl").read_text().splitlines()]
        assert [start["env"]["PORT"] for start in starts] == [str(port)] * 2
        assert (state / "kept").read_text() == "what the system remembers"
        assert not system.exited.is_set(), "a kill that was asked for is no exit of its own"
    changes = [event.change for event in bench.events(SystemProcess)]
    assert changes == ["started", "killed", "started", "stopped"]
