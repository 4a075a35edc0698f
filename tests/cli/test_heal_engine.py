"""`harness heal` on a Docker engine: which objects it removes, which it tells of, which it never touches."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness.testbed.containers import names
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.reaper import clear
from harness.testbed.resources import ResourceLedger
from tests.cli.conftest import Harness
from tests.requires import require_docker
from tests.testbed.containers.labelled import Labelled

DEAD = 2**22 + 1  # more than a pid can be

docker = pytest.fixture(require_docker)


@pytest.fixture(autouse=True)
def me(monkeypatch: pytest.MonkeyPatch) -> str:
    """A user of the test's own: what others have on this engine at the same time is none of its business."""
    me = f"{os.getuid()}@{uuid.uuid4().hex}"
    monkeypatch.setattr(names, "owner", lambda: me)
    return me


@pytest.fixture
def dead(docker: Engine, me: str) -> Iterator[Labelled]:
    with Labelled(docker, owner=me, pid=DEAD) as run:
        run.container(network=run.network())
        yield run


@pytest.fixture
def alive(docker: Engine, me: str) -> Iterator[Labelled]:
    with Labelled(docker, owner=me) as run:
        run.container()
        yield run


@pytest.fixture
def somebody_elses(docker: Engine) -> Iterator[Labelled]:
    with Labelled(docker, owner="1000@elsewhere", pid=DEAD) as run:
        run.container()
        yield run


def test_all_removes_what_dead_runs_left_though_their_folders_are_gone_and_nothing_else(
    harness: Harness, tmp_path: Path, dead: Labelled, alive: Labelled, somebody_elses: Labelled
) -> None:
    ended = harness("heal", "--all", "--out", tmp_path)
    assert ended.code == 0, ended.err
    assert "a-run (by its label): removed container " in ended.out
    assert dead.there() == []
    assert len(alive.there()) == 1
    assert len(somebody_elses.there()) == 1


def test_without_all_it_only_tells_of_them(harness: Harness, tmp_path: Path, dead: Labelled) -> None:
    ended = harness("heal", "--out", tmp_path)
    assert ended.code == 0
    assert (
        "on the Docker engine are still 1 container, 1 network of a-run; to remove them: harness heal --all"
        in (ended.out)
    )
    assert len(dead.there()) == 2


def test_doctor_tells_of_them_too(harness: Harness, tmp_path: Path, dead: Labelled) -> None:
    ended = harness("doctor", "--out", tmp_path)
    assert (
        "On the Docker engine a run that died has left 1 container, 1 network of a-run: harness heal --all"
        in (ended.out)
    )


def test_what_was_kept_is_told_and_goes_when_its_run_is_named(
    harness: Harness, tmp_path: Path, docker: Engine, me: str
) -> None:
    folder = tmp_path / "monday"
    folder.mkdir()
    with Labelled(docker, owner=me) as run:
        ledger = ResourceLedger(folder, run.marker)
        ledger.making_on_engine(docker.host)
        run.container(keep=True)
        assert clear(docker, ledger, keep=True).ok
        ledger.close()

        told = harness("heal", "--out", tmp_path)
        assert told.code == 0
        assert f"kept, as --keep asked; to remove it: harness heal {folder}" in told.out
        assert len(run.there()) == 1

        removed = harness("heal", "monday", "--out", tmp_path)
        assert removed.code == 0
        assert "monday: removed container " in removed.out
        assert run.there() == []


def test_all_leaves_a_run_that_is_at_work_alone(harness: Harness, tmp_path: Path) -> None:
    """Its processes as well as its containers; whoever wants it ended names it."""
    with psutil.Popen(["sleep", "60"]) as at_work:
        started_at = at_work.create_time()
        folder = tmp_path / "monday"
        folder.mkdir()
        (folder / "resources.jsonl").write_text(
            f'{{"op":"made","what":"run","name":"monday","pid":{at_work.pid},"started_at":{started_at},'
            '"marker":"m"}\n'
            f'{{"op":"made","what":"process","name":"part","pid":{at_work.pid},"started_at":{started_at}}}\n'
        )
        ended = harness("heal", "--all", "--out", tmp_path)
        assert ended.code == 0
        assert at_work.is_running()
        assert harness("heal", "monday", "--out", tmp_path).code == 0
        at_work.wait(5)  # heal has reaped it already, so its code is lost
        assert not at_work.is_running()
