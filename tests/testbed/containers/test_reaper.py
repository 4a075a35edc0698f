"""What a run has on a Docker engine is found by its label and removed, whatever its state, and no more."""

from __future__ import annotations

import gc
import json
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.testbed.containers import reaper
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.reaper import clear
from harness.testbed.heal import find_unhealed, heal
from harness.testbed.resources import Op, ResourceLedger, What, read_lines, standing
from harness.testbed.watchdog import REPORT_NAME
from tests.testbed.containers.labelled import Labelled
from tests.waiting import wait_until


@pytest.fixture
def leaky() -> Iterator[None]:
    """docker-py leaves a socket that did not connect, or was not answered, to the garbage collector."""
    yield
    gc.collect()


sockets_leak = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def run(docker: Engine) -> Iterator[Labelled]:
    with Labelled(docker) as run:
        yield run


@pytest.fixture
def other(docker: Engine) -> Iterator[Labelled]:
    with Labelled(docker) as other:
        yield other


def test_containers_networks_and_volumes_go_and_another_run_s_stay(run: Labelled, other: Labelled) -> None:
    for each in (run, other):
        network = each.network()
        each.container(network=network, volume=each.volume())
    reaped = run.reap()
    assert reaped.ok
    assert [word.split()[0] for word in reaped.removed] == ["container", "network", "volume"]
    assert run.there() == []
    assert len(other.there()) == 3


@pytest.mark.parametrize("state", ["created", "running", "paused", "exited"])
def test_a_container_goes_in_whatever_state_it_is(run: Labelled, state: str) -> None:
    run.container(state=state)
    assert run.reap().ok
    assert run.there() == []


def test_what_is_not_there_is_gone_and_costs_no_time(run: Labelled) -> None:
    began = time.monotonic()
    assert run.reap().removed == []
    assert time.monotonic() - began < 0.5


def test_two_that_remove_at_once_do_not_mind_each_other(run: Labelled) -> None:
    network = run.network()
    for _ in range(4):
        run.container(network=network)
    with ThreadPoolExecutor(2) as both:
        ends = list(both.map(lambda _: run.reap(), range(2)))
    assert [end.left for end in ends] == [[], []]
    assert run.there() == []


def test_a_container_of_somebody_else_s_is_taken_off_the_network_and_stays(
    run: Labelled, other: Labelled
) -> None:
    other.container(network=run.network())
    assert run.reap().ok
    assert run.there() == []
    assert len(other.there()) == 1


def test_what_is_to_be_kept_is_spared_only_where_it_is_asked_for(run: Labelled) -> None:
    run.container()
    run.container(keep=True)
    assert run.reap(keep=True).ok
    assert len(run.there()) == 1
    assert run.reap().ok
    assert run.there() == []


def test_what_appears_late_goes_too(run: Labelled) -> None:
    late = threading.Timer(1.0, run.container)
    late.start()
    reaped = run.reap(quiet_s=2.0)
    late.join()
    assert len(reaped.removed) == 1
    assert run.there() == []


def test_what_cannot_be_removed_is_named_with_the_command_that_does_it(
    run: Labelled, other: Labelled
) -> None:
    volume = run.volume()
    other.container(volume=volume)
    (left,) = run.reap(within_s=0.5).left
    assert left.startswith(f"volume {volume} is still there (409: remove {volume}: volume is in use")
    assert left.endswith(f": docker volume rm -f {volume}")
    other.reap()
    assert run.reap().ok


@sockets_leak
def test_an_engine_that_is_not_there_is_told_with_the_command_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaky: None
) -> None:
    monkeypatch.setattr(reaper, "UNANSWERED_S", 0.3)
    ledger = ResourceLedger(tmp_path, uuid.uuid4().hex)
    ledger.making_on_engine(f"unix://{tmp_path}/none.sock")
    report = heal(tmp_path)
    ledger.close()
    (left,) = report.left
    assert "the Docker engine does not answer" in left
    assert left.endswith(f"When it answers again: harness heal {tmp_path}")
    assert not standing(tmp_path).is_clean


@sockets_leak
def test_an_engine_that_hangs_is_waited_for_no_longer_than_the_time_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaky: None
) -> None:
    monkeypatch.setattr(reaper, "UNANSWERED_S", 0.5)
    path = tmp_path / "hangs.sock"
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen()
        ledger = ResourceLedger(tmp_path, uuid.uuid4().hex)
        ledger.making_on_engine(f"unix://{path}")
        began = time.monotonic()
        report = heal(tmp_path)
        assert time.monotonic() - began < 5
        ledger.close()
    assert "the Docker engine does not answer" in report.left[0]


class TestTheLedger:
    def test_stands_until_the_engine_holds_nothing_of_the_run(self, tmp_path: Path, run: Labelled) -> None:
        ledger = ResourceLedger(tmp_path, run.marker)
        ledger.making_on_engine(run.engine.host)
        run.container()
        assert not standing(tmp_path).is_clean
        report = heal(tmp_path)
        ledger.close()
        assert report.ok
        assert len(report.removed) == 1
        assert standing(tmp_path).is_clean
        assert run.there() == []

    def test_of_an_orderly_end_lets_heal_pass_at_once(self, tmp_path: Path, run: Labelled) -> None:
        ledger = ResourceLedger(tmp_path, run.marker)
        ledger.making_on_engine(run.engine.host)
        run.container()
        assert clear(run.engine, ledger).ok
        began = time.monotonic()
        assert heal(tmp_path).removed == []
        assert time.monotonic() - began < 1.0
        ledger.close()

    def test_tells_what_is_kept_and_heal_removes_it_when_asked(self, tmp_path: Path, run: Labelled) -> None:
        folder = tmp_path / "a-run"
        folder.mkdir()
        ledger = ResourceLedger(folder, run.marker)
        ledger.making_on_engine(run.engine.host)
        run.container(keep=True)
        run.container()
        assert clear(run.engine, ledger, keep=True).ok
        ledger.close()
        assert len(run.there()) == 1
        assert standing(folder).is_clean
        assert find_unhealed(tmp_path) == []
        assert heal(folder).kept == [f"what --keep left on {run.engine.host}"]
        assert len(run.there()) == 1
        assert heal(folder, kept=True).ok
        assert run.there() == []
        assert heal(folder).kept == []

    def test_of_a_run_that_wanted_to_keep_but_died_keeps_nothing(self, tmp_path: Path, run: Labelled) -> None:
        ledger = ResourceLedger(tmp_path, run.marker)
        ledger.making_on_engine(run.engine.host)
        run.container(keep=True)
        ledger.close()
        assert heal(tmp_path).ok
        assert run.there() == []


HARNESS_THAT_DIES = """
import sys, threading
from pathlib import Path
from harness.testbed.resources import ResourceLedger
from harness.testbed.watchdog import Watchdog
from harness.testbed.containers.engine import connect
from tests.testbed.containers.labelled import Labelled

folder, marker = Path(sys.argv[1]), sys.argv[2]
ledger = ResourceLedger(folder, marker)
Watchdog(folder)
engine = connect()
ledger.making_on_engine(engine.host)
run = Labelled(engine, marker)

def make_all_the_time():
    while True:
        network = run.network()
        for _ in range(3):
            run.container(network=network, volume=run.volume())

for _ in range(4):
    threading.Thread(target=make_all_the_time).start()
"""


@pytest.mark.parametrize("after_s", [0.2, 0.7, 1.5])
def test_a_harness_killed_in_the_middle_of_making_leaves_nothing_for_longer_than_10_s(
    tmp_path: Path, run: Labelled, after_s: float
) -> None:
    dies = subprocess.Popen([sys.executable, "-c", HARNESS_THAT_DIES, str(tmp_path), run.marker])
    wait_until(lambda: bool(run.there()))
    with pytest.raises(subprocess.TimeoutExpired):
        dies.wait(after_s)
    dies.send_signal(signal.SIGKILL)
    began = time.monotonic()
    dies.wait()
    wait_until(lambda: (tmp_path / REPORT_NAME).exists(), deadline_s=10)
    assert time.monotonic() - began < 10
    assert run.there() == []
    assert standing(tmp_path).is_clean
    assert json.loads((tmp_path / REPORT_NAME).read_text())["removed"]
    assert [line.op for line in read_lines(tmp_path) if line.what is What.DOCKER] == [Op.MAKING, Op.GONE]


HARNESS_THAT_DIES_BETWEEN = """
import os, signal, sys
from pathlib import Path
from harness.testbed.resources import ResourceLedger
from harness.testbed.watchdog import Watchdog

folder, marker, docker_host = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
ledger = ResourceLedger(folder, marker)
Watchdog(folder)
ledger.making_on_engine(docker_host)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_slow_engine_makes_after_the_watchdog_s_first_look_goes_in_its_second(
    tmp_path: Path, run: Labelled
) -> None:
    arguments = [str(tmp_path), run.marker, run.engine.host]
    subprocess.run([sys.executable, "-c", HARNESS_THAT_DIES_BETWEEN, *arguments], check=False)
    report = tmp_path / REPORT_NAME
    wait_until(report.exists)
    name = run.name_of(run.container())
    wait_until(lambda: name in report.read_text(), deadline_s=20)
    assert run.there() == []
