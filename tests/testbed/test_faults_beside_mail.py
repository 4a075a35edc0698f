"""Faults where no mail goes through: what a status page and a health feed tell, and the token service."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from harness.testbed.faults import InjectionError
from tests.testbed.local_bench import SCENARIO, Bench, routes_alone

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = (
    SCENARIO.replace(
        "  sendgrid: {fake: sendgrid}\n",
        "  sendgrid: {fake: sendgrid}\n  graph: {fake: microsoft-graph}\n  page: {fake: statuspage}\n",
    )
    .replace(
        "  backup: {provider: sendgrid}\n", "  backup: {provider: sendgrid}\n  graph: {provider: graph}\n"
    )
    .replace("  graph: {provider: graph}\n", "  graph: {provider: graph}\n  page: {provider: page}\n")
)
WORDS = {"page": "major", "graph": "serviceDegradation"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with routes_alone(tmp_path_factory.mktemp("bench") / "run", "embedded", TEXT) as bench:
        yield bench


async def indicator(bench: Bench) -> str | int:
    """What a monitor reads off the page, through its proxy."""
    async with httpx.AsyncClient(trust_env=False, timeout=10, verify=False) as client:
        answer = await client.get(f"{bench.addresses['page'].base_url}/api/v2/status.json")
    return str(answer.json()["status"]["indicator"]) if answer.is_success else answer.status_code


@pytest.mark.parametrize("route", WORDS)
async def test_an_incident_is_told_and_then_no_more(bench: Bench, route: str) -> None:
    injector = bench.injector(route, "status", named=WORDS[route], text="Delays in mail flow")
    await injector.inject()
    await injector.confirm()
    await injector.act()
    if route == "page":
        assert await indicator(bench) == "major"
    removed = await injector.remove()
    assert removed["provider_faults"] == []
    assert removed["canary"]["saw"] == "ok"
    with pytest.raises(InjectionError, match="lists the faults"):
        await injector.confirm()
    assert await indicator(bench) == "none"


async def test_one_that_is_not_told_is_not_proved(bench: Bench) -> None:
    injector = bench.injector("page", "status", "forgotten", named="critical")
    await injector.inject()
    provider = bench.endpoint("page").provider
    assert provider is not None
    await provider.delete_fault("forgotten")
    with pytest.raises(InjectionError, match="has no `critical` in it"):
        await injector.act()
    await injector.remove()


async def test_a_page_that_answers_429(bench: Bench) -> None:
    injector = bench.injector("page", "refuse", named="too-many-requests")
    await injector.inject()
    assert (await injector.act())["code"] == 429
    assert await indicator(bench) == 429
    await injector.remove()
    assert await indicator(bench) == "none"


@pytest.mark.parametrize(
    ("type_", "attributes"),
    [
        ("refuse", {"named": "entra-secret-expired"}),
        ("refuse", {"named": "entra-too-many-requests"}),
        ("hang", {}),
        ("disconnect", {}),
        ("slow-ack", {"delay": 300}),
        ("slow-ack", {"delay": 60_000}),
        ("throttle", {"quota": 0}),
        ("key-rotated", {}),
        ("outage", {}),
        ("cut", {"after": 5, "stream": "upstream"}),
    ],
)
async def test_a_token_service_breaks_and_recovers(
    bench: Bench, type_: str, attributes: dict[str, object]
) -> None:
    injector = bench.injector("graph.token", type_, **attributes)
    await injector.inject()
    await injector.confirm()
    assert await injector.act()
    removed = await injector.remove()
    assert removed["canary"]["saw"] == "ok"
    with pytest.raises(InjectionError):
        await injector.act()


@pytest.mark.parametrize("type_", ["silent-drop", "hang", "throttle", "slow-close", "cut"])
async def test_mail_that_goes_under_tls_alone(bench: Bench, type_: str) -> None:
    attributes = {
        "throttle": {"quota": 0},
        "slow-close": {"delay": 300},
        "cut": {"after": 900, "stream": "upstream"},
    }.get(type_, {})
    injector = bench.injector("graph", type_, **attributes)
    await injector.inject()
    await injector.confirm()
    assert await injector.act()
    await injector.remove()
    with pytest.raises(InjectionError):
        await injector.act()
