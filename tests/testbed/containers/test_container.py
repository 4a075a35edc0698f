"""A run's container on a real engine: labelled, in all its networks at once, published on 127.0.0.1 alone."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from harness.testbed.containers import names
from harness.testbed.containers.container import Membership, RunContainer, create_network
from harness.testbed.containers.engine import Engine, settle_testcontainers
from harness.testbed.containers.images import PINNED, Kind
from harness.testbed.containers.names import RunNames
from tests.ports import free_port
from tests.waiting import wait_until


@pytest.fixture
def run(docker: Engine) -> Iterator[RunNames]:
    run = RunNames.of_this_process(uuid4().hex, "a-test")
    yield run
    mine = {"label": names.of_run(run.marker)}
    for container in docker.client.containers.list(all=True, ignore_removed=True, filters=mine):
        container.remove(force=True, v=True)
    for network in docker.client.networks.list(filters=mine):
        network.remove()


def test_a_container_is_labelled_and_in_all_its_networks_and_reached_on_127_0_0_1(
    docker: Engine, run: RunNames
) -> None:
    settle_testcontainers(docker)
    edge = create_network(docker, run, "edge", internal=False, masquerade=False)
    routes = create_network(docker, run, "routes")
    port = free_port()
    container = RunContainer(
        run,
        "primary.smtp",
        PINNED[Kind.TOXIPROXY],
        networks=[Membership(edge.name), Membership(routes.name, ("smtp.example.test",))],
        command=["-host=0.0.0.0"],
        publish={8474: port},
    )
    with container:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/version"))
        (found,) = docker.client.containers.list(filters={"label": names.of_run(run.marker)})
        assert found.name == run.object_name("primary.smtp")
        assert run.labels("primary.smtp").items() <= found.labels.items()
        attributes = found.attrs["NetworkSettings"]
        assert attributes["Ports"]["8474/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(port)}]
        assert "smtp.example.test" in attributes["Networks"][routes.name]["Aliases"]
    assert not docker.client.containers.list(all=True, filters={"label": names.of_run(run.marker)})


def test_networks_carry_the_run_and_are_internal_unless_said_otherwise(docker: Engine, run: RunNames) -> None:
    create_network(docker, run, "routes")
    (found,) = docker.client.networks.list(filters={"label": names.of_run(run.marker)})
    assert found.attrs["Internal"]
    assert run.labels("routes").items() <= found.attrs["Labels"].items()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=1).status_code == 200
    except httpx.HTTPError:
        return False
