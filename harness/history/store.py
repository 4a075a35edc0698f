"""Opening a history: lines or Parquet in, a DuckDB connection with `events` and all the views out.

One run or many, wherever they lie (sources.py, bucket.py); lines become Parquet first (lines.py). Memory is
bounded, what does not fit is on disk for as long as the history is open (connection.py).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import msgspec

from harness.history.bucket import fetch
from harness.history.columns import known_columns, quoted, text_literal
from harness.history.connection import connect
from harness.history.errors import HistoryDamaged, HistoryNotFound, HistoryTooNew
from harness.history.events import FORMAT_VERSION, RunStarted
from harness.history.interruption import Interruptible
from harness.history.journal import write_events
from harness.history.lines import columns_of, convert, keep
from harness.history.sources import LINES, PARQUET, Source, find
from harness.history.story import StoryLine, story
from harness.history.views import create_views

# Of Parquet; up to this, holding all columns in memory is quicker than reading again.
_SMALL_BYTES = 1024 * 1024

__all__ = ["History", "to_parquet", "write_events"]


class History:
    """Events of one or more runs, with their views, on `con`. A context manager; close it after use."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        scratch: tempfile.TemporaryDirectory[str],
        interruptible: Interruptible,
        folders: Sequence[Path] = (),
    ) -> None:
        """`folders`: the runs' folders among what was opened."""
        self.con = con
        self._scratch = scratch
        self._interruptible = interruptible
        self._folders = folders

    @classmethod
    def open(cls, where: str | Path | Sequence[str | Path]) -> Self:
        """A run's folder, a file, a folder of runs, a pattern, an address in a bucket, or a list of these.

        Raises HistoryError: HistoryNotFound, HistoryTooNew, HistoryDamaged, and those of bucket.py.
        """
        sources = find(where)
        scratch = tempfile.TemporaryDirectory(prefix="harness-history-")
        try:
            con = connect(Path(scratch.name))
        except BaseException:
            scratch.cleanup()
            raise
        interruptible = Interruptible(con)
        try:
            _load(con, sources, Path(scratch.name))
            _refuse_newer(con)
            create_views(con)
        except BaseException:
            interruptible.end()
            con.close()
            scratch.cleanup()
            raise
        folders = dict.fromkeys(source.folder for source in sources if source.folder is not None)
        return cls(con, scratch, interruptible, list(folders))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        try:
            self._interruptible.end()
            self.con.close()
        finally:
            self._scratch.cleanup()

    def runs(self) -> list[str]:
        """In the order in which they started. Raises HistoryNotFound if there is none."""
        rows = self.con.execute("select run from runs order by wall_start, run").fetchall()
        if not rows:
            raise HistoryNotFound("the history holds no events at all")
        return [str(run) for (run,) in rows]

    def run_started(self, run: str) -> RunStarted:
        """The run's first event. Raises HistoryDamaged if it is missing."""
        names = [field.encode_name for field in msgspec.structs.fields(RunStarted)]
        row = self.con.execute(
            f"select {', '.join(map(quoted, names))} from events where run = ? and kind = 'run.started'",
            [run],
        ).fetchone()
        if row is None:
            raise HistoryDamaged(f"run {run} has no run.started event: its beginning is missing")
        columns = known_columns()
        fields = {
            name: msgspec.json.decode(value) if columns[name] == "JSON" and isinstance(value, str) else value
            for name, value in zip(names, row, strict=True)
            if value is not None
        }
        return msgspec.convert(fields | {"kind": "run.started"}, RunStarted)

    def folder(self, run: str) -> Path | None:
        """Where what lies beside this run's events is, such as bodies; None where only events were opened."""
        named = (folder for folder in self._folders if folder.resolve().name == run)
        alone = self._folders[0] if len(self._folders) == 1 and len(self.runs()) == 1 else None
        return next(named, alone)

    def events_of(self, token: str, run: str | None = None) -> list[StoryLine]:
        """The life story of a message, in order, with faults, signals and restarts alongside."""
        return story(self.con, run or self.runs()[0], token)


def to_parquet(run_dir: str | Path) -> Path:
    """Write `history.parquet` beside `history.jsonl`, whole or not at all. Raises HistoryError."""
    folder = Path(run_dir)
    source = Source(str(folder / LINES), folder / "providers")
    if not Path(source.place).exists():
        raise HistoryNotFound(f"there is no {LINES} in {folder}")
    target = folder / PARQUET
    unfinished = folder / f".{PARQUET}.{os.getpid()}"
    try:
        with tempfile.TemporaryDirectory(prefix="harness-history-") as scratch, connect(Path(scratch)) as con:
            keep(con, source, Path(scratch), unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _load(con: duckdb.DuckDBPyConnection, sources: list[Source], scratch: Path) -> None:
    """`events` over all sources. Lines become Parquet first: each view reads only the columns it needs."""
    files: list[tuple[Path, str]] = []
    for number, source in enumerate(sources):
        if source.remote:
            fetched = scratch / f"{number}-fetched"
            fetched.mkdir()
            files += fetch(source.place, fetched)
        elif source.parquet:
            files.append((Path(source.place), source.place))
        else:
            files += ((file, source.place) for file in convert(con, source, scratch, number))
    found = {name for file, place in files for name in columns_of(con, str(file), place)}
    table = f"read_parquet([{', '.join(text_literal(str(file)) for file, _ in files)}], union_by_name = true)"
    columns = dict(known_columns())
    columns |= dict.fromkeys(sorted(found - columns.keys()), "JSON")
    typed = ", ".join(
        f"{quoted(name) if name in found else 'null'}::{kind} as {quoted(name)}"
        for name, kind in columns.items()
    )
    kept_as = "view"
    size = sum(file.stat().st_size for file, _ in files)
    if size < _SMALL_BYTES:
        kept_as = "table"
    elif size < _SMALL_BYTES * len(files):
        # Many small files cost more to open, in every query, than to put together once.
        together = text_literal(str(scratch / "together.parquet"))
        con.execute(f"copy (select * from {table}) to {together} (format parquet, compression lz4)")
        table = f"read_parquet({together})"
    con.execute(f"create {kept_as} events as select {typed} from {table} where kind is not null")


def _refuse_newer(con: duckdb.DuckDBPyConnection) -> None:
    row = con.execute(
        "select run, coalesce(format, 1) from events where kind = 'run.started' order by 2 desc limit 1"
    ).fetchone()
    if row is not None and row[1] > FORMAT_VERSION:
        raise HistoryTooNew(f"run {row[0]} has format {row[1]}, this version reads up to {FORMAT_VERSION}")
