"""Endpoints beside the one that mail goes through, in containers: each has ports that are known beforehand,
and a Toxiproxy of its own, which is found by the real hosts of that endpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.providers import presets
from harness.providers.wire import Account, ProviderConfig, RouteListener
from harness.scenario.loader import load_text
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.ground import Net
from harness.testbed.containers.images import PINNED, Image, Kind
from harness.testbed.containers.provider import _bound, _listening
from harness.testbed.containers.testbed import ContainersTestbed
from tests.providers.stand_ins import TOKEN_HOST, standing_in
from tests.testbed.containers.test_systems import SYSTEM, ask
from tests.testbed.local_bench import CONTAINERS, SCENARIO, Bench, whole

WITH_ENDPOINTS = [name for name in presets.names() if presets.load(name).endpoints]
"""Those that ship: the image has no others."""

CONTAINED = f"""\
  container:
    image: {PINNED[Kind.PYTHON]}
    command: [python3, -c, {json.dumps(SYSTEM.read_text())}]
"""


def scenario(fake: str, claims: list[str], variables: dict[str, str]) -> str:
    """The bench's, with a backup that leads to such a fake and a system in a container."""
    before, _, rest = SCENARIO.partition("  process:")
    env = "".join(f'    {name}: "{{{{ routes.backup.{value} }}}}"\n' for name, value in variables.items())
    text = before + CONTAINED + f"  env:\n{env}" + rest[rest.index("  submit:") :]
    backup = "  backup: {provider: sendgrid}\n"
    assert backup in text and "{fake: sendgrid}" in text
    claiming = f"  backup: {{provider: sendgrid, as: [{', '.join(claims)}]}}\n"
    return text.replace("{fake: sendgrid}", f"{{fake: {fake}}}").replace(backup, claiming)


class TestWithoutAnEngine:
    @pytest.fixture(autouse=True)
    def stand_ins(self) -> Iterator[None]:
        with standing_in():
            yield

    def test_each_listener_of_a_provider_has_a_port_that_is_known_beforehand(self) -> None:
        account = Account(username="u", secret="s")
        config = _listening(
            ProviderConfig(
                name="grid",
                preset="sendgrid",
                listeners=[RouteListener(route=route, account=account) for route in ("primary", "backup")],
                canary_account=account,
            )
        )
        bound = _bound(config)
        assert [(each.route, each.endpoint) for each in bound] == [
            ("primary", "api"),
            ("primary", "token"),
            ("backup", "api"),
            ("backup", "token"),
        ]
        ports = [port for each in bound for port in (each.port, each.rejecting_port)]
        assert len(set(ports)) == 8 and 0 not in ports
        for each, listener in zip(bound[::2], config.listeners, strict=True):
            assert (each.port, each.rejecting_port) == (listener.port, listener.rejecting_port)
        assert config.listeners[0].beside == {"token": (bound[1].port, bound[1].rejecting_port)}

    def test_each_proxy_has_the_names_of_its_endpoint_and_a_port_where_clients_look_for_it(
        self, tmp_path: Path
    ) -> None:
        claims = [TOKEN_HOST, "api.sendgrid.com", "api.eu.sendgrid.example"]
        text = scenario("sendgrid", claims, {"TOKEN_URL": "token_url"})
        images = {Kind.TOXIPROXY: Image(Kind.TOXIPROXY, "toxiproxy", "id", (), 1)}
        loaded = load_text(text, tmp_path / "scenario.yaml")
        testbed = ContainersTestbed(loaded, tmp_path, 7, engine=None, images=images)
        main, token = (testbed._proxy_server(None, "backup", name)._part for name in ("", "token"))
        assert main.networks[Net.ROUTES] == ("backup", "api.sendgrid.com", "api.eu.sendgrid.example")
        assert token.networks[Net.ROUTES] == ("backup.token", TOKEN_HOST)
        assert (main.name, token.name) == ("proxy-backup", "proxy-backup.token")
        assert {443, 8474} == set(main.publish) == set(token.publish)
        assert testbed._host_of("backup", "") == "api.sendgrid.com"
        assert testbed._host_of("backup", "token") == TOKEN_HOST
        assert testbed.binaries().keys() >= {"primary.smtp", "backup.api", "backup.token"}


async def tls(bench: Bench, url: str) -> str:
    """What a client in the system's container meets, that trusts the run's authority alone."""
    found = await ask(bench, "/ask", timeout_s=30, url=f"{url}/harness-was-here")
    return str(found.get("error", found.get("answer")))


@pytest.mark.parametrize("fake", WITH_ENDPOINTS)
async def test_a_system_finds_each_endpoint_by_its_real_host_and_a_fault_there_breaks_that_alone(
    docker: Engine, tmp_path: Path, fake: str
) -> None:
    preset = presets.load(fake)
    known = {endpoint: host for host, endpoint in preset.real_hosts.items()}
    hosts = {"": "status.shop.example", **known}  # a status page is under a name of its owner's
    variables = {"BASE_URL": "base_url", **{f"URL_{each}": f"{each}_url" for each in preset.endpoints}}
    text = scenario(fake, list(hosts.values()), variables)
    async with whole(tmp_path / "run", CONTAINERS, text) as bench:
        given = await ask(bench, "/given")
        reached = {}
        for endpoint in ("", *preset.endpoints):
            host = hosts[endpoint]
            told = given["BASE_URL" if endpoint == "" else f"URL_{endpoint}"]
            assert told.startswith("https://") and told.endswith(":443")
            assert told.split("/")[2].partition(":")[0] in hosts.values()
            reached[endpoint] = f"https://{host}"
            # Verified by the run's authority, and answered by the provider: it has no such page.
            assert "HTTP Error 4" in await tls(bench, reached[endpoint])
        assert await bench.testbed.verify_clean() == []
        for endpoint in preset.endpoints:
            target = f"backup.{endpoint}"
            for type_ in ("outage", "auth-failure"):
                injector = bench.injector(target, type_)
                await injector.inject()
                await injector.confirm()
                await injector.act()
                if type_ == "outage":
                    assert "HTTP Error" not in await tls(bench, reached[endpoint])
                assert "HTTP Error 4" in await tls(bench, reached[""])
                await injector.remove()
            assert "HTTP Error 4" in await tls(bench, reached[endpoint])
        assert await bench.testbed.verify_clean() == []
