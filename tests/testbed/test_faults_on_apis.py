"""Faults on APIs whose credentials are more than a key: the canary signs for SES, and sends an SMS by Twilio.

Each fault is read back, met by the harness's own canary through the same proxy as the system, and gone again;
so the canary's signature, which has no clock, is right behind any proxy.
"""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from harness.history.events import Receipt
from tests.testbed.local_bench import SCENARIO, Bench, routes_alone
from tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

M365 = "{fake: microsoft365-smtp, limits: {messages_per_minute: 6000, connections: 20}}"
TEXT = SCENARIO.replace(M365, "{fake: ses-v2}").replace("{fake: sendgrid}", "{fake: twilio-sms}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory):
    async with routes_alone(tmp_path_factory.mktemp("bench") / "run", "embedded", TEXT) as bench:
        yield bench


FAULTS: dict[str, dict[str, Any]] = {
    "outage": {},
    "blackhole": {},
    "latency": {"latency": 120, "jitter": 0},
    "reset": {"after": 0},
    "auth-failure": {},
    "refuse": {"named": "too-many-requests"},
    "ack-loss": {},
}


@pytest.mark.parametrize("route", ["primary", "backup"])
@pytest.mark.parametrize("type_", FAULTS)
async def test_a_fault_is_proved_and_gone(bench: Bench, type_: str, route: str) -> None:
    injector = bench.injector(route, type_, **FAULTS[type_])
    await injector.inject()
    await injector.confirm()
    await injector.act()
    detail = await injector.remove()
    assert detail["canary"]["saw"] == "ok"
    assert await bench.testbed.verify_clean() == []


async def test_the_canaries_are_marked_whoever_answers(bench: Bench) -> None:
    for route in ("primary", "backup"):
        assert (await bench.endpoint(route).canary.send(5)).code in (200, 201)
    await until(lambda: {each.provider for each in bench.events(Receipt)} == {"m365", "sendgrid"})
    assert {each.canary for each in bench.events(Receipt) if each.token} == {"harness"}


async def test_a_route_is_given_the_providers_own_kind_of_credential(bench: Bench) -> None:
    ses, sms = bench.addresses["primary"], bench.addresses["backup"]
    assert ses.username.startswith("AKIA") and ses.url.startswith("ses+http://AKIA")
    assert sms.username.startswith("AC") and sms.url.startswith("twilio+http://AC")


async def test_a_route_is_given_what_its_events_are_verified_with(bench: Bench) -> None:
    ses, sms = bench.addresses["primary"], bench.addresses["backup"]
    assert ses.events_key.startswith("-----BEGIN CERTIFICATE-----")
    assert sms.events_key == sms.password  # Twilio signs with the account's auth token
