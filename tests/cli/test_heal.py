"""`harness heal`: says what it found, and ends with 6 only where something is still there."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.testbed import heal as healing
from harness.testbed.containers import names
from harness.testbed.heal import HealReport
from harness.testbed.resources import LEDGER_NAME
from tests.cli.conftest import Harness


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("monday", "tuesday"):
        (tmp_path / name).mkdir()
        (tmp_path / name / LEDGER_NAME).touch()
    return tmp_path


def test_with_nothing_left_it_says_so(harness: Harness, runs: Path) -> None:
    ended = harness("heal", "--out", runs)
    assert ended.code == 0
    assert "nothing to heal" in ended.out


def test_all_looks_at_every_run(harness: Harness, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "owner", lambda: "nobody else's containers are meant")
    ended = harness("heal", "--all", "--out", runs)
    assert ended.code == 0
    assert ended.out.count("nothing was left") == 2


def test_a_run_goes_by_its_name(harness: Harness, runs: Path) -> None:
    ended = harness("heal", "monday", "--out", runs)
    assert ended.code == 0
    assert "monday: nothing was left" in ended.out


def test_what_was_removed_is_named(harness: Harness, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        healing, "heal", lambda folder, kept: HealReport(folder, killed=["17 python"], faults=["f1"], left=[])
    )
    ended = harness("heal", "monday", "--out", runs)
    assert ended.code == 0
    assert "ended process 17 python; fault f1 went with its process" in ended.out


def test_what_cannot_be_removed_is_named_and_is_6(
    harness: Harness, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        healing,
        "heal",
        lambda folder, kept: HealReport(folder, left=["process 17 (python) is still running"]),
    )
    ended = harness("heal", "monday", "--out", runs)
    assert ended.code == 6
    assert "LEFT: process 17 (python) is still running" in ended.err
