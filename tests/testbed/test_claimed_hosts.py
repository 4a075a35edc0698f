"""Routes that claim the provider's real host: TLS from the first byte, faults proved through it, canaries
that verify.
"""

from __future__ import annotations

import asyncio
import ssl

import pytest
import pytest_asyncio

from harness.providers.tls import make_ca
from harness.testbed.address import RouteAddress
from harness.testbed.canary import Canary, Saw
from tests.requires import require_tool
from tests.testbed.local_bench import Bench, routes_alone

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLAIMS = {"primary": ("smtp.office365.com",), "backup": ("api.sendgrid.com", "smtp.sendgrid.net")}
FAULTS = {
    "outage": ({}, "connection refused"),
    "blackhole": ({}, "no answer"),
    "latency": ({"latency": 120, "jitter": 0}, "ok"),
    "reset": ({"after": 0}, None),
    "auth-failure": ({}, "rejected"),
    "refuse": ({"code": 503}, "rejected"),
    "ack-loss": ({}, "closed without an answer"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["toxiproxy", "embedded"])
async def bench(request, tmp_path_factory):
    if request.param == "toxiproxy":
        require_tool("toxiproxy-server")
    folder = tmp_path_factory.mktemp("claimed") / "run"
    async with routes_alone(folder, request.param, claims=CLAIMS) as bench:
        yield bench


async def test_an_http_api_with_a_claimed_host_is_https_and_smtp_stays_as_its_preset(bench: Bench):
    assert bench.addresses["backup"].base_url.startswith("https://127.0.0.1:")
    assert bench.addresses["backup"].url.startswith("sendgrid+https://apikey:")
    assert bench.addresses["primary"].scheme == "smtp+starttls"
    for route in CLAIMS:
        assert (await bench.send(route)).what == "sent"


async def test_the_runs_certificate_is_good_for_every_claimed_host_and_route(bench: Bench):
    tls = ssl.create_default_context(cafile=str(bench.run_dir / "tls" / "ca.pem"))
    for name in (*CLAIMS["backup"], *CLAIMS["primary"], "backup", "primary", "localhost"):
        assert await _greets(bench.addresses["backup"], tls, name)


async def _greets(address: RouteAddress, tls: ssl.SSLContext, name: str) -> bool:
    _, writer = await asyncio.open_connection(address.host, address.port, ssl=tls, server_hostname=name)
    writer.close()
    await writer.wait_closed()
    return True


@pytest.mark.parametrize("type_", FAULTS)
async def test_a_fault_is_proved_through_tls_and_gone(bench: Bench, type_):
    attributes, saw = FAULTS[type_]
    injector = bench.injector("backup", type_, **attributes)
    await injector.inject()
    await injector.confirm()
    detail = await injector.act()
    if saw is not None:
        assert detail["saw"] == saw
    assert (await injector.remove())["canary"]["saw"] == "ok"
    assert await bench.testbed.verify_clean() == []
    assert (await bench.send("backup")).what == "sent"


async def test_a_canary_notices_a_certificate_of_somebody_elses(bench: Bench, tmp_path):
    stranger, _, _ = make_ca(tmp_path / "tls")
    endpoint = bench.endpoint("backup")
    canary = Canary(
        endpoint.canary.address,
        endpoint.provider.config.canary_account,
        stranger,
        api=bench.testbed._preset("backup").canary,
    )
    assert (await canary.transport(2)).saw is Saw.UNTRUSTED
    assert (await canary.login(2)).saw is Saw.UNTRUSTED
