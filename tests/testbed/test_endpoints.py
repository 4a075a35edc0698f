"""Endpoints beside the one that mail goes through, and a route without mail: each behind a proxy of its own,
where faults are proved, felt by clients of that endpoint alone, and gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from harness.history.events import EndpointCalled
from harness.providers import presets
from harness.testbed.canary import Saw
from harness.testbed.faults import InjectionError
from tests.providers.stand_ins import PAGE, TOKEN, standing_in
from tests.requires import require_tool
from tests.testbed.local_bench import SCENARIO, Bench, routes_alone
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = (
    SCENARIO.replace("  sendgrid: {fake: sendgrid}\n", "  sendgrid: {fake: sendgrid}\n  page: {fake: smtp}\n")
    .replace("  backup: {provider: sendgrid}\n", "  backup: {provider: sendgrid, tenant: shop}\n")
    .replace("routes:\n", "routes:\n  status: {provider: page}\n")
)
FAULTS: dict[str, tuple[dict[str, Any], str | int]] = {
    "outage": ({}, "connection refused"),
    "blackhole": ({}, "no answer"),
    "latency": ({"latency": 150, "jitter": 0}, 200),
    "reset": ({"after": 0}, "connection lost"),
    "auth-failure": ({}, 401),
    "refuse": ({"code": 429}, 429),
    "ack-loss": ({}, "connection lost"),
}
NEEDS_NO_LOGIN = {"auth-failure"}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["toxiproxy", "embedded"])
async def bench(request, tmp_path_factory):
    if request.param == "toxiproxy":
        require_tool("toxiproxy-server")
    with standing_in():
        async with routes_alone(tmp_path_factory.mktemp("bench") / "run", request.param, TEXT) as bench:
            yield bench


async def ask(bench: Bench, target: str) -> str | int:
    """What a client of that endpoint gets that knows nothing of the harness."""
    address = bench.addresses[target.partition(".")[0]]
    known = address.template_context()
    form = {"id": known["username"], "secret": known["password"]}
    async with httpx.AsyncClient(trust_env=False, timeout=2, verify=False) as client:
        try:
            match target:
                case "backup.token":
                    answer = await client.post(f"{known['token_url']}{TOKEN}", data=form)
                case "status":
                    answer = await client.get(f"{known['base_url']}{PAGE}")
                case _:
                    answer = await client.get(f"{known['base_url']}/nothing-here")
        except httpx.ConnectError:
            return "connection refused"
        except httpx.ReadTimeout:
            return "no answer"
        except httpx.TransportError:
            return "connection lost"
    return answer.status_code


async def test_each_endpoint_has_an_address_and_a_proxy_of_its_own(bench: Bench) -> None:
    assert {"status", "primary", "backup", "backup.token"} == set(bench.testbed._endpoints)
    assert bench.testbed.binaries().keys() >= {"primary.smtp", "backup.api", "backup.token", "status.api"}
    known = bench.addresses["backup"].template_context()
    assert str(known["token_url"]).startswith("http://127.0.0.1:") and known["token_url"] != known["base_url"]
    assert known["tenant"] == "shop" and known["username"] == "app-backup"
    for target in ("backup.token", "status"):
        assert await ask(bench, target) == 200
    assert await bench.testbed.verify_clean() == []


async def test_the_key_that_verifies_a_routes_events_is_known_where_they_are_signed(bench: Bench) -> None:
    import base64

    from cryptography.hazmat.primitives.serialization import load_der_public_key

    keys = {name: str(each.template_context()["events_key"]) for name, each in bench.addresses.items()}
    assert load_der_public_key(base64.b64decode(keys["backup"]))
    assert keys["primary"] == keys["status"] == ""


async def test_who_asks_there_is_in_the_history_but_for_what_is_not_there(bench: Bench) -> None:
    before = len(bench.events(EndpointCalled))
    assert await ask(bench, "backup.token") == 200
    assert await ask(bench, "status") == 200
    assert (await bench.endpoint("backup.token").canary.transport(2)).code is None
    await until(lambda: len(bench.events(EndpointCalled)) > before)
    *_, call = bench.events(EndpointCalled)
    assert (call.route, call.endpoint, call.request) == ("backup", "token", f"POST {TOKEN}")
    assert (call.code, call.account, call.tenant, call.canary) == (200, "app-backup", "shop", None)
    assert 0 <= call.begin_ns <= call.end_ns == call.t_ns <= bench.journal.now_ns()
    assert await bench.endpoint("backup.token").canary.login(2)
    await until(lambda: bench.events(EndpointCalled)[-1].canary == "harness")
    assert len(bench.events(EndpointCalled)) == before + 2


@pytest.mark.parametrize("target", ["backup.token", "status"])
@pytest.mark.parametrize("type_", FAULTS)
async def test_a_fault_is_proved_felt_there_alone_and_gone(bench: Bench, target: str, type_: str) -> None:
    attributes, felt = FAULTS[type_]
    injector = bench.injector(target, type_, **attributes)
    await injector.inject()
    try:
        await injector.confirm()
        if target == "status" and type_ in NEEDS_NO_LOGIN:
            with pytest.raises(InjectionError, match="should have met `rejected`"):
                await injector.act()  # a scenario cannot say this
            return
        await injector.act()
        assert await ask(bench, target) == felt
        assert bench.endpoint("backup").holding == {}  # the mail's own way knows nothing of it
        assert await ask(bench, "backup") == 404
    finally:
        await injector.remove()
    assert await ask(bench, target) == 200
    assert await bench.testbed.verify_clean() == []


async def test_what_is_still_broken_there_is_found_at_the_end(bench: Bench) -> None:
    outage = bench.injector("backup.token", "outage")
    await outage.inject()
    assert await bench.testbed.verify_clean() == ["the canary on route backup.token met `connection refused`"]
    await outage.remove()


@pytest.mark.parametrize("fake", [name for name in presets.names() if presets.load(name).endpoints])
async def test_a_fake_that_ships_proves_faults_at_each_of_its_endpoints(fake: str, tmp_path: Path) -> None:
    text = SCENARIO.replace("{fake: sendgrid}", f"{{fake: {fake}}}")
    async with routes_alone(tmp_path / "run", "embedded", text) as bench:
        for endpoint in presets.load(fake).endpoints:
            canary = bench.endpoint(f"backup.{endpoint}").canary
            assert (await canary.login(5)).saw is Saw.OK
            for type_ in ("auth-failure", "outage", "latency"):
                injector = bench.injector(f"backup.{endpoint}", type_, **FAULTS[type_][0])
                await injector.inject()
                await injector.confirm()
                await injector.act()
                assert (await bench.endpoint("backup").canary.login(5)).saw is Saw.OK
                await injector.remove()
            assert (await canary.login(5)).saw is Saw.OK
            known = bench.addresses["backup"].template_context()
            assert known[f"{endpoint}_url"] != known["base_url"]
        assert await bench.testbed.verify_clean() == []
        await until(lambda: all(call.canary for call in bench.events(EndpointCalled)))
        assert len(bench.events(EndpointCalled)) >= 2 * len(presets.load(fake).endpoints)
