"""Where Ryuk's image is on the engine, it removes what a killed process has left, networks too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from harness.testbed.containers import names
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import Kind, pinned
from tests.waiting import wait_until

RYUK = "ryuk.invalid/stand-in:1"

HARNESS = """
import contextlib, sys, time
from harness.testbed.containers.engine import connect, settle_testcontainers
from harness.testbed.containers.images import Kind, pinned
from harness.testbed.containers.names import RunNames
engine = connect()
assert settle_testcontainers(engine)
from harness.testbed.containers.container import Membership, RunContainer, create_network
run = RunNames.of_this_process(sys.argv[1], "a-test")
network = create_network(engine, run, "routes")
RunContainer(run, "proxy", pinned(Kind.TOXIPROXY), networks=[Membership(network.name)]).start()
print("at work", flush=True)
time.sleep(60)
"""


@pytest.fixture
def ryuk(docker: Engine, tmp_path: Path) -> Iterator[str]:
    (tmp_path / "ryuk.py").write_bytes(Path(__file__).with_name("stand_in_ryuk.py").read_bytes())
    (tmp_path / "Dockerfile").write_text(
        f'FROM {pinned(Kind.PYTHON)}\nUSER root\nCOPY ryuk.py /ryuk.py\nCMD ["python3", "/ryuk.py"]\n'
    )
    docker.client.images.build(path=str(tmp_path), tag=RYUK, rm=True, network_mode="none")
    yield RYUK
    docker.client.images.remove(RYUK, force=True)


def test_it_removes_what_a_killed_harness_has_left(docker: Engine, ryuk: str) -> None:
    marker = uuid4().hex
    mine = {"label": names.of_run(marker)}
    env = os.environ | {
        "RYUK_CONTAINER_IMAGE": ryuk,
        "RYUK_RECONNECTION_TIMEOUT": "0.5s",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", HARNESS, marker],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n", process.communicate()[1]
        assert len(docker.client.containers.list(filters=mine)) == 1
        process.kill()
        process.communicate()
        wait_until(lambda: not docker.client.api.containers(all=True, filters=mine), 20)
        wait_until(lambda: not docker.client.api.networks(filters=mine), 20)
        wait_until(lambda: not docker.client.api.containers(all=True, filters={"ancestor": ryuk}), 20)
    finally:
        process.kill()
        process.communicate()
        for left in docker.client.containers.list(all=True, ignore_removed=True, filters=mine):
            left.remove(force=True)
        for left in docker.client.networks.list(filters=mine):
            left.remove()
