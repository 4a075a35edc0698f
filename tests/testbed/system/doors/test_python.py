"""The way in by a Python function: in a process of its own, whatever the function does to it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.history.events import Submitted
from harness.testbed.heal import processes_of
from harness.testbed.resources import ResourceLedger, standing
from harness.testbed.system.doors.base import DoorError
from harness.testbed.system.doors.python import Callee, PythonDoor, worker_command
from tests.testbed.system.doors.offering import SENDER, message

CALLER = '''
import asyncio, os, sys, time
from pathlib import Path

def submit(message):
    """The subject says what to do."""
    print("a message comes", message["token"])
    match message["subject"]:
        case "raise": raise ValueError("no such customer")
        case "unsure": raise TimeoutError("the database did not answer")
        case "hang": time.sleep(60)
        case "exit": sys.exit(3)
        case "die": os._exit(9)
        case "compute":
            until = time.monotonic() + 1
            while time.monotonic() < until: pass
    with open("got", "a") as got:
        got.write(message["to"] + "\\n")

async def later(message):
    await asyncio.sleep(0.01)
    submit(message)

wrapped = lambda message: later(message)

not_a_function = 3
'''


@asynccontextmanager
async def door(
    folder: Path, function: str = "submit", body: dict | None = None, timeout_s: float = 5.0
) -> AsyncIterator[PythonDoor]:
    (folder / "caller.py").write_text(CALLER)
    ledger = ResourceLedger(folder, marker=f"python door {os.getpid()} {folder}")
    callee = Callee(folder / "caller.py", function, dict(os.environ), folder, folder / "submission.log")
    opened = PythonDoor(callee, ledger, SENDER, body, timeout_s)
    try:
        await opened.open()
        yield opened
    finally:
        await opened.close()
        assert not processes_of(standing(folder)) and standing(folder).is_clean
        ledger.close()


@pytest.mark.parametrize("function", ["submit", "later", "wrapped"])
async def test_returning_means_taken_be_it_sync_or_async(tmp_path: Path, function: str):
    async with door(tmp_path, function) as opened:
        assert (await opened.submit(message())).result is Submitted.ACCEPTED
    assert (tmp_path / "got").read_text() == "c.tokenaaaaaaaaaaa@customer.example\n"
    assert "a message comes tokenaaaaaaaaaaa" in (tmp_path / "submission.log").read_text()


@pytest.mark.parametrize("function", ["submit", "later", "wrapped"])
@pytest.mark.parametrize(
    ("subject", "result", "text"),
    [
        ("raise", Submitted.REFUSED, "ValueError: no such customer"),
        ("unsure", Submitted.INDETERMINATE, "TimeoutError: the database did not answer"),
        ("die", Submitted.INDETERMINATE, "the process of caller.py ended under way"),
    ],
)
async def test_what_it_raises_is_the_answer(tmp_path: Path, function: str, subject, result, text):
    async with door(tmp_path, function) as opened:
        answer = await opened.submit(message(subject=subject))
    assert (answer.result, answer.text) == (result, text)


async def test_an_exit_of_one_call_ends_nothing_else(tmp_path: Path):
    async with door(tmp_path) as opened:
        assert (await opened.submit(message(subject="exit"))).text == "RuntimeError: SystemExit(3)"
        assert (await opened.submit(message())).result is Submitted.ACCEPTED


async def test_a_call_that_hangs_is_a_doubt_and_holds_up_nobody(tmp_path: Path):
    async with door(tmp_path, timeout_s=1.0) as opened:
        hanging = asyncio.create_task(opened.submit(message(subject="hang")))
        began = time.monotonic()
        assert (await opened.submit(message())).result is Submitted.ACCEPTED
        assert time.monotonic() - began < 0.9
        answer = await hanging
        assert answer.result is Submitted.INDETERMINATE and "within 1 s" in answer.text


async def test_a_process_that_died_is_replaced_for_the_next_message(tmp_path: Path):
    async with door(tmp_path) as opened:
        await opened.submit(message(subject="die"))
        assert (await opened.submit(message())).result is Submitted.ACCEPTED


async def test_what_it_computes_does_not_delay_the_driver(tmp_path: Path):
    async with door(tmp_path) as opened:
        computing = asyncio.create_task(opened.submit(message(subject="compute")))
        worst_s, due = 0.0, time.monotonic()
        while not computing.done():
            due += 0.01
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            worst_s = max(worst_s, time.monotonic() - due)
        assert worst_s < 0.5


async def test_a_body_is_what_it_is_given(tmp_path: Path):
    body = {"to": "{{ token }}", "subject": "", "token": 1}
    async with door(tmp_path, body=body) as opened:
        await opened.submit(message())
    assert (tmp_path / "got").read_text() == "tokenaaaaaaaaaaa\n"


@pytest.mark.parametrize("function", ["sumbit", "not_a_function"])
async def test_a_function_that_is_not_there_is_told_at_once(tmp_path: Path, function: str):
    with pytest.raises(DoorError, match=f"there is no function `{function}`"):
        async with door(tmp_path, function):
            pytest.fail("it opened")


class TestImportingAhead:
    """Only what no setting can put right is refused before a run."""

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("def submit(message): ...", 0),
            ("import os\nos.environ['ONLY_IN_A_RUN']\ndef submit(message): ...", 0),
            ("import sys\nsys.exit(1)", 0),
            ("import no_such_module\ndef submit(message): ...", 1),
            ("def submit(message:", 1),
            ("pass", 1),
        ],
    )
    def test_it_is_tried(self, tmp_path: Path, text: str, code: int):
        (tmp_path / "caller.py").write_text(text)
        command = worker_command(tmp_path / "caller.py", "submit", check=True)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert bool(done.stderr) == bool(code)
