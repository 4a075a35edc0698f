"""Runs rows of the matrix, each as `harness run` in a process of its own, a few at once.

A run that is as intended leaves nothing behind; the folder of any other is kept. When this ends early, by
Ctrl-C or SIGTERM, each harness is interrupted, so that it heals what it broke, and is waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.defects.judged import Judged, Row, judge
from tests.ran import ROOT, command_line

Tell = Callable[[Judged, float, Path], None]
"""Hears of each run as it ends: what came of it, its seconds, its folder."""

DEADLINE_S = 150.0
"""For one run: many times what any takes."""
HEALING_S = 30.0


async def conduct(rows: Sequence[Row], out: Path, at_once: int, tell: Tell) -> list[Judged]:
    """What came of all rows, in their order."""
    free = asyncio.Semaphore(at_once)

    async def one(number: int, row: Row) -> Judged:
        async with free:
            began, folder = asyncio.get_running_loop().time(), out / f"{number:03}"
            judged = await run(row, folder)
            tell(judged, asyncio.get_running_loop().time() - began, folder)
            if judged.as_intended:
                shutil.rmtree(folder, ignore_errors=True)
            return judged

    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(one(number, row)) for number, row in enumerate(rows)]
    return [task.result() for task in started]


async def run(row: Row, folder: Path) -> Judged:
    settings = {} if row.seed is None else {"seed": str(row.seed)}
    if row.claim is not None:
        settings["system.env.DEFECTS"] = row.claim.defect
    command = command_line(row.place.scenario, settings, folder, variant=row.place.variant)
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # else a Ctrl-C in a terminal would reach it twice
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            stdout, stderr = await process.communicate()
    except TimeoutError:
        return Judged(row, {}, trouble=f"it took longer than {DEADLINE_S:g} s")
    finally:
        await _end(process)
    assert process.returncode is not None
    if not stdout:
        return Judged(row, {}, trouble=f"exit {process.returncode}: {' '.join(stderr.decode().split())}")
    return judge(row, process.returncode, json.loads(stdout)["runs"][0])


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), HEALING_S)
        except TimeoutError:
            process.kill()  # its watchdog heals
