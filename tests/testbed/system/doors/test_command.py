"""The way in by a command: its end is the answer, and one that does not end is a doubt."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from harness.history.events import Submitted
from harness.testbed.commands import Surround
from harness.testbed.system.doors import command as command_module
from harness.testbed.system.doors.command import CommandDoor
from tests.testbed.system.doors.offering import SENDER, message


@pytest.fixture
def here(tmp_path: Path) -> Surround:
    return Surround(env={**os.environ}, cwd=tmp_path, marker=f"command door {tmp_path}")


def door(here: Surround, *words: str, body: dict | None = None, timeout_s: float = 10.0) -> CommandDoor:
    return CommandDoor(
        words, {"python": sys.executable, "run_dir": "/the/run"}, here, SENDER, body, timeout_s
    )


@pytest.mark.parametrize(
    ("script", "result", "code"),
    [
        ("pass", Submitted.ACCEPTED, 0),
        ("raise SystemExit(75)", Submitted.REFUSED, 75),
        ("raise SystemExit('no room')", Submitted.REFUSED, 1),
        ("import os; os.kill(os.getpid(), 9)", Submitted.INDETERMINATE, -9),
    ],
)
async def test_its_exit_code_is_the_answer(here: Surround, script: str, result: Submitted, code: int):
    answer = await door(here, "python", "-c", script).submit(message())
    assert (answer.result, answer.code) == (result, code)


async def test_its_last_words_are_in_the_answer(here: Surround):
    answer = await door(here, "python", "-c", "raise SystemExit('no room')").submit(message())
    assert answer.text == "exited with code 1: no room"


async def test_one_that_does_not_end_is_killed_and_may_have_handed_it_on(here: Surround):
    answer = await door(here, "sleep", "60", timeout_s=0.3).submit(message())
    assert answer.result is Submitted.INDETERMINATE


async def test_one_that_is_not_there_is_a_refusal(here: Surround):
    answer = await door(here, "no-such-sendmail").submit(message())
    assert answer.result is Submitted.REFUSED and "no-such-sendmail" in answer.text


async def test_it_knows_the_message_and_the_run_and_reads_the_mail(here: Surround, tmp_path: Path):
    script = "import sys; open('got', 'w').write(sys.stdin.read() + '|'.join(sys.argv[1:]))"
    words = ("python", "-c", script, "{{ token }}", "{{ to }}", "{{ class }}", "{{ run_dir }}")
    assert (await door(here, *words).submit(message())).result is Submitted.ACCEPTED
    mail, _, arguments = (tmp_path / "got").read_text().rpartition("\n")
    assert "\nX-Harness-Token: tokenaaaaaaaaaaa\n" in mail and "\r" not in mail
    assert arguments == "tokenaaaaaaaaaaa|c.tokenaaaaaaaaaaa@customer.example|transactional|/the/run"


async def test_a_body_is_given_as_json_in_place_of_the_mail(here: Surround, tmp_path: Path):
    script = "import sys; open('got', 'w').write(sys.stdin.read())"
    opened = door(here, "python", "-c", script, body={"rcpt": "{{ to }}", "h": "{{ headers }}"})
    assert (await opened.submit(message())).result is Submitted.ACCEPTED
    assert json.loads((tmp_path / "got").read_text()) == {
        "rcpt": "c.tokenaaaaaaaaaaa@customer.example",
        "h": {"X-Harness-Token": "tokenaaaaaaaaaaa", "X-Harness-Class": "transactional"},
    }


async def test_only_so_many_run_at_once_and_the_rest_is_refused_in_time(here: Surround, monkeypatch):
    monkeypatch.setattr(command_module, "MAX_COMMANDS", 1)
    opened = door(here, "sleep", "60", timeout_s=0.4)
    answers = await asyncio.gather(*(opened.submit(message(f"token{n}")) for n in range(3)))
    results = sorted(answer.result for answer in answers)
    assert results[0] is Submitted.INDETERMINATE and Submitted.REFUSED in results
    assert {answer.text for answer in answers if answer.result is Submitted.REFUSED} == {
        "1 commands are still at work"
    }
