"""Where histories are looked for, and in how much memory."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from harness.history.connection import MEMORY, MemoryUnreadable, connect
from harness.history.errors import HistoryNotFound
from harness.history.sources import find
from harness.history.store import History, to_parquet
from harness.history.synthesis.plan import Wanted
from harness.history.synthesis.write import synthesize


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, one as lines and one as Parquet, and beside them what is no run."""
    folder = tmp_path_factory.mktemp("runs")
    synthesize(Wanted(6_000, seed=1), folder / "one", lines=True)
    synthesize(Wanted(6_000, seed=2), folder / "two")
    (folder / "notes").mkdir()
    (folder / "notes" / "readme.txt").touch()
    return folder


@pytest.mark.parametrize("where", ["", "*", "*/history.*", "t*"])
def test_a_folder_of_runs_and_a_pattern_are_all_that_they_hold(runs: Path, where: str) -> None:
    names = [Path(source.place).parent.name for source in find(str(runs / where))]
    assert names == (["two"] if where == "t*" else ["one", "two"])


def test_a_run_in_several_files_is_one_history(runs: Path, tmp_path: Path) -> None:
    con = duckdb.connect()
    for number, seqs in enumerate(("seq <= 3000", "seq > 3000"), 1):
        con.execute(
            f"copy (from read_parquet('{runs}/two/history.parquet') where {seqs}) "
            f"to '{tmp_path}/history-{number}.parquet'"
        )
    with History.open(tmp_path) as parts, History.open(runs / "two") as whole:
        query = "select token, copies, copy_ns, state from fates order by token"
        assert parts.con.execute(query).fetchall() == whole.con.execute(query).fetchall()


@pytest.mark.parametrize("where", ["nowhere", "notes", "n*", "*.parquet"])
def test_what_holds_no_history_is_said_to(runs: Path, where: str) -> None:
    with pytest.raises(HistoryNotFound, match="there is no history at"):
        find(str(runs / where))


def test_a_bucket_is_parquet_below_its_folders() -> None:
    assert [source.place for source in find("s3://mail/runs/")] == ["s3://mail/runs/**/*.parquet"]
    assert [source.place for source in find("s3://mail/*/a.parquet")] == ["s3://mail/*/a.parquet"]


def test_memory_is_bounded_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MEMORY, "512 MiB")
    with connect(tmp_path) as con:
        assert con.execute("select current_setting('memory_limit')").fetchone() == ("512.0 MiB",)
    monkeypatch.setenv(MEMORY, "a lot")
    with pytest.raises(MemoryUnreadable, match="HARNESS_MEMORY=a lot is no size of memory"):
        connect(tmp_path)


def test_little_memory_changes_nothing_but_the_time(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(runs / "one", tmp_path / "one")
    to_parquet(tmp_path / "one")
    told = []
    for memory in ("100MB", "1GB"):
        monkeypatch.setenv(MEMORY, memory)
        with History.open(tmp_path / "one") as history:
            told.append(
                history.con.execute("select * exclude (message) from fates order by token").fetchall()
            )
    assert told[0] == told[1]
