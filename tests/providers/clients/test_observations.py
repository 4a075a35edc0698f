"""The table of a module: rows that differ, rows that are missing, rows that nobody measures any more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.providers.clients.observations import (
    SENT,
    Case,
    Observation,
    Table,
    outcome_of,
    version_major,
)

ROW = Observation(
    client="x", version_major=4, case=Case.SUCCESS, outcome=SENT, retries=0, default_timeout=None
)


def written(path: Path, *rows: Observation) -> Path:
    table = Table(path, write=True)
    for row in rows:
        table.record(row)
    table.close(whole=True)
    return path


def test_what_was_written_is_what_is_found(tmp_path: Path) -> None:
    table = Table(written(tmp_path / "docs" / "t.json", ROW))
    table.record(ROW)
    table.close(whole=True)


def test_a_row_that_differs_or_is_missing_says_how_to_measure_again(tmp_path: Path) -> None:
    changed = Observation(
        client="x", version_major=5, case=Case.SUCCESS, outcome=SENT, retries=0, default_timeout=None
    )
    for path in (written(tmp_path / "t.json", ROW), tmp_path / "none.json"):
        with pytest.raises(AssertionError, match="make clients"):
            Table(path).record(changed)


def test_a_row_that_nobody_measures_fails_once_all_have_run(tmp_path: Path) -> None:
    path = written(tmp_path / "t.json", ROW)
    Table(path).close(whole=False)
    with pytest.raises(AssertionError, match="nothing measures"):
        Table(path).close(whole=True)


def test_rows_that_were_not_measured_are_kept_when_only_some_are(tmp_path: Path) -> None:
    path = written(tmp_path / "t.json", ROW)
    some = Table(path, write=True)
    other = Observation(
        client="y", version_major=1, case=Case.RESET, outcome="E 1", retries=2, default_timeout=60.0
    )
    some.record(other)
    some.close(whole=False)
    both = Table(path)
    for row in (ROW, other):
        both.record(row)
    both.close(whole=True)


def test_outcomes_and_versions() -> None:
    assert outcome_of(ValueError("x")) == "ValueError"
    assert outcome_of(TimeoutError(), 504) == "TimeoutError 504"
    assert version_major("aiosmtplib") >= 4
    assert version_major("python") == 3
