"""Systems in containers: what they are given, how they live and end, that nothing leads out but the proxies,
and that each fault of the system is read back, met and gone.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from harness.history.events import HarnessWarning, SystemProcess
from harness.testbed.containers import names
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import PINNED, Kind
from harness.testbed.containers.reaper import Thing, look
from harness.testbed.faults import InjectionError
from tests.testbed.local_bench import CONTAINERS, SCENARIO, Bench, whole
from tests.waiting import until

SYSTEM = Path(__file__).with_name("small_system.py")
PYTHON = PINNED[Kind.PYTHON]
OF_A_CONTAINER = f"""\
  container:
    image: {PYTHON}
    command: [python3, -c, {json.dumps(SYSTEM.read_text())}, "{{{{ routes.primary.port }}}}"]
  env:
    PRIMARY: "{{{{ routes.primary.url }}}}"
"""
COMPOSE = f"""\
services:
  front:
    image: {PYTHON}
    command: [python3, -c, {json.dumps(SYSTEM.read_text().replace("$", "$$"))}, "first"]
    container_name: a-name-of-its-own
    ports: ["8080:8080"]
    restart: always
    volumes: [kept:/kept]
    depends_on: {{migration: {{condition: service_completed_successfully}}}}
  back:
    image: {PYTHON}
    command: [python3, -c, {json.dumps(SYSTEM.read_text().replace("$", "$$"))}, "${{PRIMARY}}"]
    networks: [default, wide]
  migration:
    image: {PYTHON}
    command: [python3, -c, "print('migrated')"]
networks: {{wide: {{}}}}
volumes: {{kept: {{}}}}
"""
OF_A_FILE = """\
  compose: {file: compose.yaml, service: front}
  env:
    PRIMARY: "{{ routes.primary.url }}"
"""


def scenario(system: str) -> str:
    """The bench's, with another system in it."""
    before, _, rest = SCENARIO.partition("  process:")
    return before + system + rest[rest.index("  submit:") :]


@pytest.fixture
async def container(docker: Engine, tmp_path: Path) -> AsyncIterator[Bench]:
    async with whole(tmp_path / "run", CONTAINERS, scenario(OF_A_CONTAINER)) as bench:
        yield bench


@pytest.fixture
async def compose(docker: Engine, tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "compose.yaml").write_text(COMPOSE)
    async with whole(tmp_path / "run", CONTAINERS, scenario(OF_A_FILE)) as bench:
        yield bench


async def ask(bench: Bench, path: str, timeout_s: float = 8.0, **query: object) -> Any:
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=timeout_s) as client:
        answer = await client.get(f"{bench.testbed.system.base_url}{path}", params=query)
        return answer.json()


def changes(bench: Bench) -> list[str]:
    return [event.change for event in bench.events(SystemProcess)]


def addresses_of_this_machine(docker: Engine, things: list[Thing]) -> set[str]:
    """In which of a run's networks this machine can be called: their labels' parts."""
    here = {each.address for addresses in psutil.net_if_addrs().values() for each in addresses}
    found = set()
    for thing in things:
        if thing.kind == "network":
            (config,) = docker.client.api.inspect_network(thing.id)["IPAM"]["Config"]
            if config["Gateway"] in here:
                found.add(thing.labels[names.PART])
    return found


class TestAContainer:
    async def test_it_is_given_its_routes_by_name_and_the_runs_authority(self, container: Bench) -> None:
        given = await ask(container, "/given")
        assert given["PRIMARY"].startswith("smtp+starttls://") and "@primary:587" in given["PRIMARY"]
        assert given["PORT"] == "8080"
        assert given["arguments"] == ["587"]
        for variable in ("CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
            assert given[variable] == "/harness/ca.pem"
        ca = (container.run_dir / "tls" / "ca.pem").read_text()
        assert (await ask(container, "/read", file="/harness/ca.pem"))["content"] == ca
        assert (await ask(container, "/call", host="primary", port=587))["said"].startswith("220 ")

    async def test_what_it_writes_survives_a_kill_and_is_in_the_log(self, container: Bench) -> None:
        await ask(container, "/write", line="before the kill")
        kill = container.injector("system", "kill", restart_after=0)
        await kill.inject()
        await kill.confirm()
        await kill.act()
        await kill.remove()
        assert "before the kill" in (await ask(container, "/read", file="$STATE_DIR/lines"))["content"]
        assert changes(container) == ["started", "killed", "started"]
        assert not container.testbed.system.exited.is_set()
        log = container.testbed.system.log_path
        await until(lambda: log.exists() and log.read_text().count("the small system listens") == 2)

    async def test_its_unbidden_end_is_told_with_its_code_and_last_words(self, container: Bench) -> None:
        with pytest.raises(httpx.TransportError):
            await ask(container, "/exit", code=3, words="out of luck")
        await asyncio.wait_for(container.testbed.system.exited.wait(), 10)
        (exited,) = [event for event in container.events(SystemProcess) if event.change == "exited"]
        assert exited.code == 3
        assert exited.log_tail[-1] == "out of luck"
        assert container.testbed.lost() is None, "that is the system's doing, not the testbed's"

    async def test_it_is_frozen_and_goes_on(self, container: Bench) -> None:
        pause = container.injector("system", "pause")
        with pytest.raises(InjectionError, match="is not frozen"):
            await pause.confirm()
        await pause.inject()
        await pause.confirm()
        await pause.act()
        with pytest.raises(httpx.ReadTimeout):
            await ask(container, "/given", timeout_s=0.5)
        await pause.remove()
        assert (await ask(container, "/given"))["PORT"] == "8080"
        assert changes(container) == ["started", "paused", "resumed"]

    async def test_it_ends_when_asked_and_is_killed_when_it_will_not(self, container: Bench) -> None:
        for stubborn, change in ((False, "stopped"), (True, "killed")):
            await ask(container, "/stubborn", yes=int(stubborn))
            restart = container.injector("system", "restart", grace=1500, restart_after=0)
            await restart.inject()
            await restart.confirm()
            await restart.act()
            await restart.remove()
            assert changes(container)[-2:] == [change, "started"]

    async def test_a_partition_parts_it_from_every_route_and_not_from_its_callers(
        self, container: Bench
    ) -> None:
        proxy = (await ask(container, "/name", host="primary"))["address"]
        partition = container.injector("system", "partition")
        with pytest.raises(InjectionError, match="still in the routes' network"):
            await partition.confirm()
        with pytest.raises(InjectionError, match="still passes"):
            await partition.act()
        await partition.inject()
        await partition.confirm()
        await partition.act()
        assert "error" in await ask(container, "/call", host=proxy, port=587)
        await partition.remove()
        assert (await ask(container, "/call", host="primary", port=587))["said"].startswith("220 ")
        await container.testbed.stop_system()
        assert [w for w in container.events(HarnessWarning) if w.warning.startswith("egress")] == []

    async def test_nothing_leads_out_and_the_attempt_is_reported(
        self, container: Bench, docker: Engine
    ) -> None:
        """The outside is a container of somebody else's, on a plain network."""
        network = docker.client.networks.create("mfh-test-outside", driver="bridge")
        outside = docker.client.containers.run(
            PYTHON,
            ["python3", "-m", "http.server", "80"],
            name="mfh-test-outside",
            network=network.name,
            detach=True,
        )
        try:
            outside.reload()
            address = outside.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
            assert "unreachable" in (await ask(container, "/call", host=address, port=80))["error"]
            by_name = await ask(container, "/call", timeout_s=30, host="mfh-test-outside", port=80)
            assert "resolution" in by_name["error"] or "not known" in by_name["error"]
        finally:
            outside.remove(force=True)
            network.remove()
        await container.testbed.stop_system()
        (warning,) = [w for w in container.events(HarnessWarning) if w.warning.startswith("egress")]
        assert warning.warning == "egress-attempted"
        count = int(re.search(r"it tried (\d+) times", warning.detail)[1])
        assert count >= 1, "the address for certain; many engines also ask a name server outside for the name"
        assert "`as:`" in warning.detail


async def test_providers_events_find_it_after_it_was_killed_too(docker: Engine, tmp_path: Path) -> None:
    text = scenario(OF_A_CONTAINER).replace(
        "  longest_retry:", '  events: {sendgrid: "POST /events"}\n  longest_retry:'
    )
    async with whole(tmp_path / "run", CONTAINERS, text) as bench:
        kill = bench.injector("system", "kill", restart_after=0)
        await kill.inject()
        await kill.act()
        await kill.remove()
        assert (await bench.send("backup", "eventeventevente")).what == "sent"
        async with asyncio.timeout(10):
            while "eventeventevente" not in (await ask(bench, "/read", file="$STATE_DIR/posted"))["content"]:
                await asyncio.sleep(0.1)


class TestAComposeFile:
    async def test_its_services_find_each_other_and_the_routes_and_keep_their_volumes(
        self, compose: Bench, docker: Engine
    ) -> None:
        assert (await ask(compose, "/given"))["arguments"] == ["first"]
        back = (await ask(compose, "/ask", url="http://back:8080/given"))["answer"]
        assert json.loads(back)["arguments"][0].startswith("smtp+starttls://")
        assert (await ask(compose, "/call", host="primary", port=587))["said"].startswith("220 ")
        ledger = json.loads((compose.run_dir / "resources.jsonl").read_text().splitlines()[0])
        things = look(docker.client.api, names.of_run(ledger["marker"]))
        of_the_file = [thing for thing in things if thing.labels[names.PART].startswith("system-")]
        assert len(of_the_file) == 3
        assert any(thing.kind == "volume" for thing in things)
        for thing in of_the_file:
            facts = docker.client.api.inspect_container(thing.id)
            assert not facts["HostConfig"]["PortBindings"]
            assert facts["HostConfig"]["RestartPolicy"]["Name"] in ("", "no")
            for network in facts["NetworkSettings"]["Networks"]:
                assert docker.client.api.inspect_network(network)["Internal"]
        assert addresses_of_this_machine(docker, things) == {"edge"}

    async def test_all_its_services_are_killed_at_once_and_what_they_wrote_is_kept(
        self, compose: Bench
    ) -> None:
        await ask(compose, "/write", file="/kept/lines", line="before the kill")
        kill = compose.injector("system", "kill", restart_after=0)
        await kill.inject()
        await kill.confirm()
        await kill.act()
        await kill.remove()
        assert "before the kill" in (await ask(compose, "/read", file="/kept/lines"))["content"]
        assert "answer" in await ask(compose, "/ask", url="http://back:8080/given")
        log = compose.testbed.system.log_path
        await until(lambda: log.read_text().count("back | the small system listens") == 2)

    async def test_the_end_of_any_service_is_an_end_of_the_system_but_not_of_one_that_was_to_end(
        self, compose: Bench
    ) -> None:
        await asyncio.sleep(0)
        assert not compose.testbed.system.exited.is_set(), "the migration has ended, as it should"
        await ask(compose, "/ask", url="http://back:8080/exit?code=4&words=no+more")
        await asyncio.wait_for(compose.testbed.system.exited.wait(), 10)
        (exited,) = [event for event in compose.events(SystemProcess) if event.change == "exited"]
        assert exited.code == 4
        assert "back | no more" in exited.log_tail
