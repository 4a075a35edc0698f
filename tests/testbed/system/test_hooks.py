"""Commands around the system: all of a set-up or an error, each of a tear-down, and never for long."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.testbed.commands import Surround
from harness.testbed.heal import processes_of
from harness.testbed.resources import MARKER, ResourceLedger, standing
from harness.testbed.system import hooks as hooks_module
from harness.testbed.system.hooks import HookFailed, Hooks
from tests.waiting import until

FAILS = [sys.executable, "-c", "print('no such table'); raise SystemExit(3)"]


def touch(name: str) -> list[str]:
    return ["touch", name]


class Made:
    def __init__(self, folder: Path) -> None:
        self.ledger = ResourceLedger(folder, marker=f"hooks {os.getpid()} {folder}")
        self.surround = Surround({**os.environ, "WHO": "me"}, folder, self.ledger.marker)
        self.folder = folder

    def hooks(self, setup: list[list[str]], teardown: list[list[str]]) -> Hooks:
        return Hooks(setup, teardown, self.surround, self.folder, self.ledger)


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    """Whatever a test does, no process is left."""
    made = Made(tmp_path)
    yield made
    await until(lambda: not processes_of(standing(tmp_path)))
    assert standing(tmp_path).is_clean
    made.ledger.close()


async def test_they_run_in_order_with_the_systems_environment_and_the_runs_marker(made: Made, tmp_path: Path):
    say = [sys.executable, "-c", f"import os; print(os.environ['WHO'], os.environ['{MARKER}'])"]
    await made.hooks([touch("first"), ["mv", "first", "second"], say], []).set_up()
    assert (tmp_path / "second").exists()
    log = (tmp_path / "hooks.log").read_text().splitlines()
    assert log[:2] == ["$ touch first", "$ mv first second"]
    assert log[-1] == f"me {made.ledger.marker}"


async def test_the_first_that_fails_ends_the_set_up_with_its_own_last_words(made: Made, tmp_path: Path):
    say = [sys.executable, "-c", "print('said before')"]
    with pytest.raises(
        HookFailed, match=r"^setup 2, .*exited with code 3; its last lines:\n  no such table$"
    ):
        await made.hooks([say, FAILS, touch("after")], []).set_up()
    assert not (tmp_path / "after").exists()


async def test_one_that_is_not_there_is_an_error_too(made: Made):
    with pytest.raises(HookFailed, match="cannot run 'no-such-program'"):
        await made.hooks([["no-such-program"]], []).set_up()


async def test_each_of_a_tear_down_has_its_turn_and_what_fails_is_told(made: Made, tmp_path: Path):
    hooks = made.hooks([], [FAILS, touch("after")])
    await hooks.set_up()
    (complaint,) = await hooks.tear_down()
    assert complaint.startswith("teardown 1, ") and (tmp_path / "after").exists()
    assert await hooks.tear_down() == [], "it is owed once"


async def test_a_set_up_that_failed_is_torn_down_and_one_that_never_began_is_not(made: Made, tmp_path: Path):
    hooks = made.hooks([FAILS], [touch("torn")])
    assert await hooks.tear_down() == []
    assert not (tmp_path / "torn").exists()
    with pytest.raises(HookFailed):
        await hooks.set_up()
    assert await hooks.tear_down() == []
    assert (tmp_path / "torn").exists()


async def test_a_tear_down_that_hangs_is_ended(made: Made, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hooks_module, "TEARDOWN_TIMEOUT_S", 0.5)
    hooks = made.hooks([], [["sleep", "60"], ["sleep", "60"]])
    await hooks.set_up()
    began = time.monotonic()
    complaints = await hooks.tear_down()
    assert time.monotonic() - began < 5
    assert len(complaints) == 2 and "took too long and was killed; it wrote nothing" in complaints[0]


async def test_an_interrupted_set_up_leaves_no_process(made: Made, tmp_path: Path):
    work = asyncio.create_task(made.hooks([["sh", "-c", "touch begun; sleep 60"]], []).set_up())
    await until(lambda: (tmp_path / "begun").exists())
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
