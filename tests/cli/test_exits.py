"""However a command ends, the process ends with one message and the code that stands for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from harness.cli.exits import CommandError, run_to_exit_code


def raising(error: BaseException) -> int:
    def command() -> None:
        raise error

    return run_to_exit_code(command)


def test_a_command_s_own_number_is_the_exit_code() -> None:
    assert run_to_exit_code(lambda: 3) == 3
    assert run_to_exit_code(lambda: None) == 0


def test_an_error_says_what_where_what_was_meant_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    error = CommandError("no such run", where="reports/runs", meant="monday", do="say `last`")
    assert raising(error) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: no such run",
        "  where: reports/runs",
        "  meant: monday",
        "  do:    say `last`",
    ]


def test_an_error_may_have_a_code_of_its_own() -> None:
    assert raising(CommandError("left behind", exit_code=6)) == 6


@pytest.mark.parametrize("error", [KeyboardInterrupt(), click.exceptions.Abort()])
def test_an_interruption_is_130(error: BaseException) -> None:
    assert raising(error) == 130


def test_what_nobody_foresaw_is_70_and_keeps_its_traceback_in_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert raising(ZeroDivisionError("by nought")) == 70
    said = capsys.readouterr().err
    (kept,) = tmp_path.glob("harness-crash-*.txt")
    assert "internal error: ZeroDivisionError: by nought" in said
    assert str(kept) in said
    assert "Traceback" not in said
    assert "Traceback" in kept.read_text()


def test_with_debug_the_traceback_is_printed_as_well(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HARNESS_DEBUG", "1")
    assert raising(ZeroDivisionError()) == 70
    assert "Traceback" in capsys.readouterr().err


def test_where_even_the_file_cannot_be_written_that_is_said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    assert raising(ZeroDivisionError()) == 70
    assert "could not be written" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_error() -> None:
    harness = [sys.executable, "-c", "from harness.cli import main; main()", "schema"]
    process = subprocess.Popen(harness, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=20) in (0, 141)
    assert said == ""
