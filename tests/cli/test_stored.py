"""A run is found by what people type."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.exits import CommandError
from harness.cli.stored import find_run


@pytest.fixture
def out(tmp_path: Path) -> Path:
    for name in ("20260101T000000Z-monday", "20260102T000000Z-tuesday"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "history.jsonl").touch()
    (tmp_path / "no-run").mkdir()
    return tmp_path


def test_last_is_the_newest(out: Path) -> None:
    assert find_run("last", out).name == "20260102T000000Z-tuesday"


def test_by_name_by_path_and_by_file(out: Path) -> None:
    monday = out / "20260101T000000Z-monday"
    assert find_run("20260101T000000Z-monday", out) == monday
    assert find_run(str(monday), Path("elsewhere")) == monday
    assert find_run(str(monday / "history.jsonl"), out) == monday / "history.jsonl"


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(out: Path) -> None:
    with pytest.raises(CommandError, match="there is no run") as wrong:
        find_run("20260101T000000Z-mondy", out)
    assert ("meant", str(out / "20260101T000000Z-monday")) in wrong.value.rows


def test_the_parent_of_runs_is_no_run_and_the_newest_in_it_is_named(out: Path) -> None:
    with pytest.raises(CommandError, match="is not the folder of a run") as wrong:
        find_run(str(out), Path("elsewhere"))
    assert any("tuesday" in (text or "") for _, text in wrong.value.rows)


def test_before_the_first_run_there_is_no_last(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="there is no run yet"):
        find_run("last", tmp_path / "nothing")
