"""Commands of a run: what they are given and say, and that nothing of them outlives their end."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.testbed import commands
from harness.testbed.commands import CommandNotRun, Surround, run_command
from harness.testbed.resources import MARKER
from tests.waiting import until


@pytest.fixture
def here(tmp_path: Path) -> Surround:
    return Surround(env={**os.environ, "WHO": "me"}, cwd=tmp_path, marker=f"commands {tmp_path}")


def script(text: str) -> list[str]:
    return [sys.executable, "-c", text]


async def test_it_has_its_input_its_environment_its_folder_and_the_runs_marker(here: Surround):
    text = f"import os, sys; print(sys.stdin.read(), os.environ['WHO'], os.getcwd(), os.environ['{MARKER}'])"
    ended = await run_command(script(text), here, timeout_s=10, stdin=b"a message")
    assert ended.code == 0
    assert ended.stdout.decode().strip() == f"a message me {here.cwd} {here.marker}"


async def test_its_code_and_last_line_are_told(here: Surround):
    ended = await run_command(script("raise SystemExit('no such customer')"), here, timeout_s=10)
    assert ended.code == 1
    assert ended.words() == "exited with code 1: no such customer"


async def test_what_takes_too_long_is_killed_with_its_children(here: Surround, tmp_path: Path):
    text = "sleep 60 & echo $! > child; wait"
    began = time.monotonic()
    ended = await run_command(["sh", "-c", text], here, timeout_s=0.3)
    assert ended.code is None and time.monotonic() - began < 5
    assert ended.words() == "took too long and was killed"
    await until(lambda: not running(int((tmp_path / "child").read_text())))


async def test_what_it_leaves_behind_goes_with_it(here: Surround, tmp_path: Path):
    ended = await run_command(["sh", "-c", "sleep 60 & echo $! > child"], here, timeout_s=10)
    assert ended.code == 0
    await until(lambda: not running(int((tmp_path / "child").read_text())))


async def test_one_that_nobody_waits_for_any_more_is_killed(here: Surround, tmp_path: Path):
    work = asyncio.create_task(run_command(["sh", "-c", "echo $$ > me; sleep 60"], here, timeout_s=60))
    await until(lambda: (tmp_path / "me").exists() and (tmp_path / "me").read_text().strip() != "")
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await until(lambda: not running(int((tmp_path / "me").read_text())))


async def test_a_flood_is_cut_and_does_not_block_it(here: Surround, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(commands, "LARGEST_OUTPUT", 1000)
    ended = await run_command(script("print('x' * 3_000_000)"), here, timeout_s=10, stdin=b"y" * 3_000_000)
    assert (ended.code, len(ended.stdout)) == (0, 1000)


@pytest.mark.parametrize("argv", [["no-such-program"], ["/"], ["a\0b"]])
async def test_one_that_cannot_be_run_says_so(here: Surround, argv: list[str]):
    with pytest.raises(CommandNotRun, match="cannot run"):
        await run_command(argv, here, timeout_s=10)


def running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
