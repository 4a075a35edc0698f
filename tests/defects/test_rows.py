"""Which rows there are, which are chosen, and what becomes of those that run when somebody interrupts."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.defects.__main__ import RIGHT, chosen, rows, third_of
from tests.defects.claims import all_claims
from tests.ran import ROOT
from tests.waiting import wait_until


def test_every_claim_is_a_row_and_the_right_system_runs_wherever_a_defect_does() -> None:
    every = rows(5)
    assert [row.claim for row in every if row.claim] == all_claims()
    right = [row for row in every if not row.claim]
    assert {row.place for row in right} == {claim.place for claim in all_claims()}
    assert {row.seed for row in right} == {1, 2, 3, 4, 5}
    assert len(right) == 2 * len({row.place for row in right})


def test_three_thirds_are_the_whole_and_no_row_is_in_two() -> None:
    every = rows(2)
    thirds = [chosen(every, [], third) for third in (1, 2, 3)]
    assert sorted(map(str, every)) == sorted(str(row) for third in thirds for row in third)
    assert max(map(len, thirds)) - min(map(len, thirds)) <= 2


def test_rows_are_chosen_by_the_name_of_a_defect_and_an_unknown_one_is_refused() -> None:
    assert {str(row.claim.defect) for row in chosen(rows(1), ["flaps"], None) if row.claim} == {"flaps"}
    assert all(row.claim is None for row in chosen(rows(1), [RIGHT], None))
    with pytest.raises(ValueError, match="no row is about 'flops'; there are: auth-is-permanent, "):
        chosen(rows(1), ["flops"], None)


def test_a_third_is_named_or_that_of_the_day() -> None:
    assert third_of("2/3") == 2
    assert third_of("today") in (1, 2, 3)
    with pytest.raises(argparse.ArgumentTypeError, match="1/3, 2/3, 3/3 or today"):
        third_of("4/3")


@pytest.mark.e2e
def test_one_row_by_hand_says_what_it_did_and_leaves_no_run_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.defects", "--only", "slow-detect", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caught by mttd" in done.stdout
    assert "as intended: 1, not: 0, not judged for trouble: 0;" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.e2e
@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_whoever_interrupts_it_finds_nothing_left_running(told: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.defects", "--only", "slow-detect", "--out", str(tmp_path)]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: any(tmp_path.rglob("history.jsonl")), 60)
        running.send_signal(told)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130, said
    assert "interrupted" in said and "Traceback" not in said
    wait_until(lambda: not still_running(tmp_path), 30)


def still_running(folder: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.pid != os.getpid() and str(folder) in command:
            found.append(command)
    return found
