"""A command for each read: its output, its exit code, its end."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.testbed.commands import Surround
from harness.testbed.resources import MARKER
from harness.testbed.signals.command import CommandSource, Takes
from harness.testbed.signals.question import AskJson, AskText
from harness.testbed.signals.reader import Reading
from harness.testbed.signals.source import Bounds, Garbage, Unreachable
from tests.testbed.signals.reading import SOON_NS, at_work
from tests.waiting import until

IMPATIENT = Bounds(timeout_s=0.5, size_bytes=100_000)


@pytest.fixture
def here(tmp_path: Path) -> Surround:
    return Surround(env={**os.environ, "QUEUE": "outbox"}, cwd=tmp_path, marker=f"signals {tmp_path}")


async def run(here: Surround, script: str, takes: Takes = Takes.JSON) -> Any:
    return await CommandSource(["sh", "-c", script], here, takes=takes, bounds=IMPATIENT).read()


async def test_what_it_prints_is_the_document(here: Surround) -> None:
    assert await run(here, "echo '{\"pending\": 3}'; echo noise >&2") == {"pending": 3}
    assert await run(here, "echo 7") == 7
    assert await run(here, "echo $QUEUE in $PWD", Takes.TEXT) == f"outbox in {here.cwd}\n"
    assert AskText(r"\d+", is_condition=False).values(await run(here, "echo 12 mails", Takes.TEXT)) == [12]


async def test_its_exit_code_is_a_number_to_be_asked(here: Surround) -> None:
    ok = AskJson("@ == `0`", is_condition=True)
    assert ok.values(await run(here, "exit 0", Takes.EXIT_CODE)) == [True]
    assert ok.values(await run(here, "echo no; exit 3", Takes.EXIT_CODE)) == [False]


@pytest.mark.parametrize("takes", [Takes.JSON, Takes.TEXT])
async def test_what_a_command_prints_that_failed_is_not_believed(here: Surround, takes: Takes) -> None:
    with pytest.raises(Garbage, match="exited with code 4: no such queue"):
        await run(here, "echo 0; echo no such queue >&2; exit 4", takes)


async def test_no_json_is_garbage(here: Surround) -> None:
    with pytest.raises(Garbage, match="not JSON"):
        await run(here, "true")


async def test_a_program_that_is_not_there_says_so(here: Surround) -> None:
    with pytest.raises(Unreachable, match="cannot run 'no-such-program'"):
        await CommandSource(["no-such-program"], here).read()


@pytest.mark.parametrize(
    "script",
    [
        "sleep 60",
        "sleep 60 & wait",
        "trap '' TERM INT; while :; do sleep 60; done",
        "sleep 60 & exec 1>&-; wait",
    ],
)
async def test_one_that_hangs_is_ended_and_leaves_no_process(here: Surround, script: str) -> None:
    with pytest.raises(Unreachable, match=r"it had not ended after 0\.5 s"):
        await run(here, script)
    await until(lambda: left_of(here) == [])


async def test_one_that_prints_without_end_is_ended_at_once(here: Surround) -> None:
    patient = Bounds(timeout_s=30, size_bytes=100_000)
    began = asyncio.get_running_loop().time()
    for script in ("yes", "yes >&2"):
        with pytest.raises(Garbage, match="printed 100000 bytes and more"):
            await CommandSource(["sh", "-c", script], here, bounds=patient).read()
    assert asyncio.get_running_loop().time() - began < 15
    await until(lambda: left_of(here) == [])


async def test_what_it_leaves_behind_neither_delays_the_answer_nor_stays(here: Surround) -> None:
    assert await run(here, "sleep 60 & echo 7") == 7
    await until(lambda: left_of(here) == [])


async def test_a_slow_command_delays_no_other_signal_and_ends_with_the_reader(
    here: Surround, tmp_path: Path
) -> None:
    slow = CommandSource(["sh", "-c", "sleep 60"], here, bounds=Bounds(timeout_s=60))
    quick = CommandSource(["sh", "-c", "echo x >> asked; echo 7"], here)
    readings = [
        Reading("slow", slow, AskJson("@", is_condition=False), SOON_NS),
        Reading("quick", quick, AskJson("@", is_condition=False), SOON_NS),
    ]
    async with at_work(tmp_path, *readings) as (reader, _):
        await until(lambda: (tmp_path / "asked").exists() and (tmp_path / "asked").stat().st_size >= 10)
        assert reader.state.values == {("quick", None): 7}
    await until(lambda: left_of(here) == [])


def left_of(here: Surround) -> list[int]:
    """Processes that carry the marker of this test's run."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER) == here.marker and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
