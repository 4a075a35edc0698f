"""The life of every fault inside a provider, against real provider processes: one that speaks SMTP, one HTTP.

Put in, read back, met by the canary, felt by a client, taken away, and gone. Each of them is also tried where
the provider has forgotten it: then read-back and canary must both say so, or they would prove nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from harness.history.events import ProviderEvent, ReceiptResult
from harness.scenario.faults import ActsIn
from harness.scenario.playable import kinds_in, kinds_played
from harness.testbed.faults import InjectionError
from tests.testbed.local_bench import Bench, routes_alone
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAKES = {"primary": "microsoft365-smtp", "backup": "sendgrid"}
PATIENCE_S = 1.5
"""How long the client waits here: longer than a busy machine takes for a message that nothing keeps."""


@dataclass(frozen=True)
class Case:
    """A fault, and what a client meets on each of the two routes; None where the preset cannot play it."""

    type: str
    primary: str | int | None = None
    backup: str | int | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    def felt(self, route: str) -> str | int | None:
        return self.primary if route == "primary" else self.backup


CASES = {
    "refuse": Case("refuse", 452, 452, {"code": 452}),
    "refuse by name": Case("refuse", 451, None, {"named": "server-busy"}),
    "ack-loss": Case("ack-loss", "connection lost", "connection lost"),
    "ack-loss in mid-reply": Case("ack-loss", "connection lost", "connection lost", {"stage": "mid-reply"}),
    "ack-loss and an error": Case("ack-loss", 504, 504, {"code": 504}),
    "slow-ack": Case("slow-ack", "sent", "sent", {"delay": 700}),
    "slow-ack beyond patience": Case("slow-ack", "no answer", "no answer", {"delay": 60_000}),
    "hang": Case("hang", "no answer", "no answer"),
    "disconnect": Case("disconnect", "connection lost", "connection lost"),
    "silent-drop": Case("silent-drop", "sent", "sent"),
    "throttle by quota": Case("throttle", 554, 429, {"quota": 0}),
    "throttle by rate": Case("throttle", "sent", "sent", {"rate": 0.1, "burst": 1}),
    "certificate": Case("certificate", "untrusted", None, {"named": "expired"}),
    "key-rotated": Case("key-rotated", 535, 401),
    "bounce": Case("bounce", None, "sent", {"event": "bounced"}),
    "complaint": Case("bounce", None, "sent", {"event": "complained"}),
    "deferral": Case("bounce", None, "sent", {"event": "deferred"}),
    "drop that is told": Case("bounce", None, "sent", {"event": "dropped"}),
    "events-lost": Case("events-lost", None, "sent"),
    "events-late": Case("events-late", None, "sent", {"delay": 5_000}),
}
LIVES = [(name, route) for name, case in CASES.items() for route in FAKES if case.felt(route) is not None]

ELSEWHERE = {"status"}
"""What neither of the two can play; test_announced_incidents.py has its life."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with routes_alone(tmp_path_factory.mktemp("bench") / "run", "embedded") as bench:
        yield bench


@pytest_asyncio.fixture(loop_scope="module")
async def bench(shared: Bench) -> AsyncIterator[Bench]:
    yield shared
    await shared.restore()


async def test_every_fault_inside_a_provider_has_its_life_here() -> None:
    played = {(kind, route) for route, fake in FAKES.items() for kind in kinds_played(fake)}
    played.remove(("certificate", "backup"))  # which speaks plain HTTP there
    assert {(CASES[name].type, route) for name, route in LIVES} == played
    assert {kind for kind, _ in played} | ELSEWHERE == set(kinds_in(ActsIn.PROVIDER))


@pytest.mark.parametrize(("name", "route"), LIVES)
async def test_it_is_proved_felt_and_gone(bench: Bench, name: str, route: str) -> None:
    case = CASES[name]
    injector = bench.injector(route, case.type, **case.attributes)
    await injector.inject()
    assert (await injector.confirm())["provider_faults"]
    proof = await injector.act()
    assert proof
    felt = await bench.send(route, timeout_s=PATIENCE_S if case.felt(route) == "no answer" else 20)
    assert felt.what == case.felt(route)
    if name == "slow-ack":
        assert felt.elapsed_s >= case.attributes["delay"] / 1000
    removed = await injector.remove()
    assert removed["provider_faults"] == []
    assert removed["canary"]["saw"] == "ok"
    assert (await bench.send(route, timeout_s=20)).what == "sent"


@pytest.mark.parametrize(("name", "route"), LIVES)
async def test_one_that_the_provider_has_forgotten_is_not_proved(bench: Bench, name: str, route: str) -> None:
    case = CASES[name]
    fault = bench.fault(route, case.type, "forgotten", **case.attributes)
    injector = bench.testbed.injector(fault)
    await injector.inject()
    provider = bench.endpoint(route).provider
    assert provider is not None
    await provider.delete_fault("forgotten")
    with pytest.raises(InjectionError, match="the provider lists the faults"):
        await injector.confirm()
    with pytest.raises(InjectionError):
        await injector.act()
    await injector.remove()


@pytest.mark.parametrize(("route", "stage"), [("primary", "auth"), ("backup", "auth"), ("backup", "head")])
async def test_a_refusal_at_an_exact_place(bench: Bench, route: str, stage: str) -> None:
    injector = bench.injector(route, "refuse", code=454, stage=stage)
    await injector.inject()
    await injector.act()
    assert (await bench.send(route)).what == 454
    await injector.remove()


@pytest.mark.parametrize("route", FAKES)
async def test_what_an_error_told_and_what_was_taken_are_two_things(bench: Bench, route: str) -> None:
    injector = bench.injector(route, "ack-loss", code=504)
    await injector.inject()
    await injector.act()
    token = f"taken{route}".ljust(16, "a")[:16]
    assert (await bench.send(route, token)).what == 504
    await until(lambda: bool(bench.receipts(token)))
    assert [receipt.result for receipt in bench.receipts(token)] == [ReceiptResult.ACK_LOST]
    await injector.remove()


@pytest.mark.parametrize("route", FAKES)
async def test_what_was_dropped_in_silence_seemed_to_be_taken(bench: Bench, route: str) -> None:
    injector = bench.injector(route, "silent-drop")
    await injector.inject()
    await injector.act()
    token = f"gone{route}".ljust(16, "a")[:16]
    assert (await bench.send(route, token)).what == "sent"
    await until(lambda: any(event.token == token for event in bench.events(ProviderEvent)))
    (event,) = [each for each in bench.events(ProviderEvent) if each.token == token]
    assert (event.event, event.webhook) == ("dropped", "none")
    assert [receipt.result for receipt in bench.receipts(token)] == [ReceiptResult.ACCEPTED]
    await injector.remove()


@pytest.mark.parametrize("route", FAKES)
async def test_the_canary_is_hit_whomever_a_fault_selects(bench: Bench, route: str) -> None:
    selection = {"class_": "marketing", "recipient": "*@example.net", "nth": 1}
    injector = bench.injector(route, "refuse", code=452, stage="body", **selection)
    await injector.inject()
    await injector.act()
    assert (await bench.send(route, class_="marketing")).what == "sent", "another recipient"
    await injector.remove()
