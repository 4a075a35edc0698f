"""What is no run is refused with code 2, and with what it is instead, where, and what to do."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from harness.history.events import RunStarted
from harness.history.journal import write_events
from tests.checks.histories import Run
from tests.cli.conftest import Harness

INPUTS: dict[str, tuple[bytes, str]] = {
    "empty.jsonl": (b"", "the history holds no events at all"),
    "prose.jsonl": (b"hello world\nand more\n", "Malformed JSON"),
    "cut.jsonl": (b'{"run": "r", "se\n{"run": "r"}\n', "Malformed JSON"),
    "list.jsonl": (b"[1, 2]\n", "Expected OBJECT"),
    "other.jsonl": (b'{"city": "Bern"}\n', "holds something else than a run's events: they have no run"),
    "noise.jsonl": (bytes(range(256)) * 400, "noise.jsonl"),
    "prose.parquet": (b"hello world, this is a letter\n", "is no Parquet file"),
    "empty.parquet": (b"", "is no Parquet file"),
    "cut.parquet": (b"PAR1" + b"\0" * 50, "is no Parquet file"),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize("in_a_folder", [False, True])
def test_a_file_that_is_no_history(harness: Harness, tmp_path: Path, name: str, in_a_folder: bool) -> None:
    content, complaint = INPUTS[name]
    path = tmp_path / (f"history.{name.partition('.')[2]}" if in_a_folder else name)
    path.write_bytes(content)
    ended = harness("check", tmp_path if in_a_folder else path)
    assert ended.code == 2, ended.err
    assert complaint.replace(name, path.name) in ended.err
    assert "do:" in ended.err and str(tmp_path) in ended.err
    assert "harness-history-" not in ended.err  # a copy of ours that nobody can look at


def test_parquet_of_something_else(harness: Harness, tmp_path: Path) -> None:
    path = tmp_path / "cities.parquet"
    duckdb.sql(f"copy (select 'Bern' as city) to '{path}'")
    ended = harness("check", path)
    assert (ended.code, "they have no run and no kind and no t_ns" in ended.err) == (2, True), ended.err


@pytest.mark.parametrize("command", ["check", "query"])
def test_a_run_of_a_later_version(harness: Harness, tmp_path: Path, command: str) -> None:
    events = Run().events
    started = {name: getattr(events[0], name) for name in events[0].__struct_fields__}
    events[0] = RunStarted(**started | {"format": 2})
    write_events(tmp_path / "history.jsonl", "later", events)
    ended = harness(command, tmp_path)
    assert ended.code == 2
    assert "run later has format 2, this version reads up to 1" in ended.err
    assert "`harness --version` tells which this is" in ended.err


@pytest.mark.parametrize(
    ("expect", "complaint"),
    [
        ("mttr", "say CHECK=VALUE"),
        ("mtrr=3s", "there is no check 'mtrr'"),
        ("mttr=soon", "mttr=soon"),
        ("mttr=[", "not YAML"),
        ("mttr=", "mttr="),
        ("=3s", "there is no check ''"),
        ("duplicates={at_most: 200%}", "duplicates="),
        ("duplicates={at_mots: 1%}", "at_mots"),
        ("own.late=1", "Write `{sql: FILE}` or `{python: FILE:FUNCTION}`"),
    ],
)
def test_an_expectation_that_cannot_be_meant(
    harness: Harness, tmp_path: Path, expect: str, complaint: str
) -> None:
    write_events(tmp_path / "history.jsonl", "run", Run().events)
    ended = harness("check", tmp_path, "--expect", expect)
    assert ended.code == 2, (ended.out, ended.err)
    assert complaint in ended.err
