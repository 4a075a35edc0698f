"""Faults on Mailgun, Postmark and Resend: the canary meets each through a proxy, and then no longer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from harness.history.events import Receipt
from harness.testbed.faults import InjectionError
from tests.testbed.local_bench import SCENARIO, Bench, routes_alone
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

M365 = "{fake: microsoft365-smtp, limits: {messages_per_minute: 6000, connections: 20}}"
PAIRS = {"mailgun": "postmark", "resend": "mailgun"}  # on the two routes of a bench
ROUTES = ("primary", "backup")
FAULTS: dict[str, dict[str, Any]] = {
    "outage": {},
    "latency": {"latency": 120, "jitter": 0},
    "reset": {"after": 0},
    "auth-failure": {},
    "refuse": {"code": 503},
    "ack-loss": {},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PAIRS)
async def bench(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Bench]:
    first, second = request.param, PAIRS[request.param]
    text = SCENARIO.replace(M365, f"{{fake: {first}}}").replace("{fake: sendgrid}", f"{{fake: {second}}}")
    async with routes_alone(tmp_path_factory.mktemp("bench") / "run", "embedded", text) as bench:
        yield bench


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("type_", FAULTS)
async def test_a_fault_is_proved_and_gone(bench: Bench, type_: str, route: str) -> None:
    injector = bench.injector(route, type_, **FAULTS[type_])
    await injector.inject()
    await injector.confirm()
    await injector.act()
    detail = await injector.remove()
    assert detail["canary"]["saw"] == "ok"
    assert await bench.testbed.verify_clean() == []


@pytest.mark.parametrize("type_", ["refuse", "ack-loss"])
async def test_an_answer_that_looks_like_a_success_is_proved_by_the_record(bench: Bench, type_: str) -> None:
    """Mailgun says so with a 200 where it did not understand what was asked."""
    route = next(each for each in ROUTES if bench.testbed._preset(each).name == "mailgun")
    injector = bench.injector(route, type_, "f", named="magnificent-api")
    await injector.inject()
    assert (await injector.act())["code"] == 200
    provider = bench.endpoint(route).provider
    assert provider is not None
    await provider.delete_fault("f")
    with pytest.raises(InjectionError, match="the canary's receipt is `accepted`, by no fault at all"):
        await injector.act()  # a success that is one proves nothing
    await injector.remove()


async def test_the_canaries_are_marked_and_never_limited(bench: Bench) -> None:
    for _ in range(8):  # more than Resend lets anybody else send in a second
        for route in ROUTES:
            assert (await bench.endpoint(route).canary.send(10)).code == 200
    await until(lambda: len({each.provider for each in bench.events(Receipt)}) == 2)
    assert {each.canary for each in bench.events(Receipt) if each.token} == {"harness"}
