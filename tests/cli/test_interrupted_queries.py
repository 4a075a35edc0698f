"""Ctrl-C, or a job's time limit, in the middle of a query: code 130, one word, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.checks import duplicates
from harness.checks.evaluation import evaluate
from harness.cli.exits import INTERRUPTED, run_to_exit_code
from harness.history.journal import write_events
from tests.checks.histories import Run, opened
from tests.waiting import wait_until

FOR_EVER = "select sum(hash(range) % 7) from range(100000000000)"
AT_WORK_S = 1.5  # of processor time; what comes before the query takes less on any machine
INTERRUPTED_AS_TOLD = RuntimeError("Query interrupted")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_behind(tmp_path: Path, number: signal.Signals) -> None:
    run, scratch = tmp_path / "run", tmp_path / "scratch"
    run.mkdir()
    scratch.mkdir()
    write_events(run / "history.jsonl", "run", Run().events)
    program = "from harness.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "query", str(run), FOR_EVER],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        seen = psutil.Process(process.pid)
        wait_until(lambda: bool(list(scratch.iterdir())) and seen.cpu_times().user > AT_WORK_S, 60)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, err.strip()) == (INTERRUPTED, "", "interrupted")
    assert list(scratch.iterdir()) == []


def test_a_check_that_is_interrupted_has_not_crashed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise INTERRUPTED_AS_TOLD

    monkeypatch.setattr(duplicates, "evaluate", interrupted)
    with opened(Run()) as history, pytest.raises(KeyboardInterrupt):
        evaluate(history, "run", [{"check": "duplicates", "params": "none"}])


def test_it_is_no_fault_of_the_harness(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise INTERRUPTED_AS_TOLD

    assert run_to_exit_code(interrupted) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"
