"""Opening a history: lines or Parquet in, a DuckDB connection with `events` and all the views out.

A run's folder, a file, or several of them. Reading never guesses: known fields have fixed types, unknown
ones survive as JSON. What a killed harness leaves behind is readable: a cut last line is dropped, and
receipts that were still only in the providers' own journals are added.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
import msgspec

from harness.history.columns import known_columns, quoted, struct_literal, text_literal
from harness.history.errors import HistoryDamaged, HistoryNotFound, HistoryTooNew
from harness.history.events import FORMAT_VERSION, RunStarted
from harness.history.interruption import Interruptible
from harness.history.journal import write_events
from harness.history.story import StoryLine, story
from harness.history.views import create_views

LINES = "history.jsonl"
PARQUET = "history.parquet"
_TAIL_BYTES = 64 * 1024
_SMALL_BYTES = (
    1024 * 1024
)  # of Parquet; up to this, holding all columns in memory is quicker than reading again

__all__ = ["History", "to_parquet", "write_events"]


@dataclass(frozen=True)
class _Source:
    """One file with events, and the folder of providers' journals that may hold more of them."""

    path: Path
    providers: Path | None

    @property
    def parquet(self) -> bool:
        return self.path.suffix == ".parquet"


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
        """A run's folder, a .jsonl or .parquet file, or a list of these.

        Raises HistoryNotFound, HistoryTooNew, HistoryDamaged.
        """
        places = [where] if isinstance(where, str | Path) else list(where)
        sources = [_find(Path(place)) for place in places]
        scratch = tempfile.TemporaryDirectory(prefix="harness-history-")
        con = _connect()
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
        folders = [Path(place) for place in places if Path(place).is_dir()]
        return cls(con, scratch, interruptible, folders)

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


def _connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("set preserve_insertion_order = false")
    # A query of some seconds would write how far it is into the middle of what the command prints.
    con.execute("set enable_progress_bar = false")
    return con


def to_parquet(run_dir: str | Path) -> Path:
    """Write `history.parquet` beside `history.jsonl`, whole or not at all. Raises HistoryError."""
    folder = Path(run_dir)
    source = _Source(folder / LINES, folder / "providers")
    if not source.path.exists():
        raise HistoryNotFound(f"there is no {LINES} in {folder}")
    target = folder / PARQUET
    unfinished = folder / f".{PARQUET}.{os.getpid()}"
    con = _connect()
    try:
        with tempfile.TemporaryDirectory(prefix="harness-history-") as scratch:
            _load(con, [source], Path(scratch))
            con.execute(
                f"copy (select * from events order by run, seq) to {text_literal(str(unfinished))} "
                "(format parquet, compression zstd)"
            )
        unfinished.replace(target)
    finally:
        con.close()
        unfinished.unlink(missing_ok=True)
    return target


def _find(place: Path) -> _Source:
    if place.is_file():
        return _Source(place, None)
    lines, parquet = place / LINES, place / PARQUET
    if parquet.is_file() and (not lines.is_file() or parquet.stat().st_mtime_ns >= lines.stat().st_mtime_ns):
        return _Source(parquet, None)
    if lines.is_file():
        return _Source(lines, place / "providers")
    what = f"no {LINES} and no {PARQUET} in it" if place.is_dir() else "no such file or folder"
    raise HistoryNotFound(f"there is no history at {place}: {what}")


def _load(con: duckdb.DuckDBPyConnection, sources: list[_Source], scratch: Path) -> None:
    """`events` over all sources. Lines become Parquet first: each view reads only the columns it needs."""
    parts: list[str] = []
    size = 0
    columns = dict(known_columns())
    for number, source in enumerate(sources):
        files = [source.path] if source.parquet else _convert(con, source, scratch, number)
        for file in files:
            parts.append(text_literal(str(file)))
            size += file.stat().st_size
            for name in _columns(con, file, source.path):
                columns.setdefault(name, "JSON")
    union = " union all by name ".join(f"select * from read_parquet({part})" for part in parts)
    empty = ", ".join(f"null::{kind} as {quoted(name)}" for name, kind in columns.items())
    typed = ", ".join(f"{quoted(name)}::{kind} as {quoted(name)}" for name, kind in columns.items())
    kept_as = "table" if size < _SMALL_BYTES else "view"
    con.execute(
        f"create {kept_as} events as select {typed} from "
        f"(select {empty} where false union all by name {union}) where kind is not null"
    )


def _columns(con: duckdb.DuckDBPyConnection, parquet: Path, source: Path) -> list[str]:
    """Of a Parquet file that is `source`, or was made of it. Raises HistoryDamaged where it has no events."""
    try:
        rows = con.execute(f"describe select * from read_parquet({text_literal(str(parquet))})").fetchall()
    except duckdb.Error as error:
        raise HistoryDamaged(f"{source} is no Parquet file: {str(error).splitlines()[0]}") from error
    names = [str(name) for name, *_ in rows]
    if missing := [name for name in ("run", "kind", "t_ns") if name not in names]:
        raise HistoryDamaged(
            f"{source} holds something else than a run's events: they have no {' and no '.join(missing)}"
        )
    return names


def _convert(con: duckdb.DuckDBPyConnection, source: _Source, scratch: Path, number: int) -> list[Path]:
    """Lines to Parquet files: the history, and what only the providers' journals hold yet."""
    main = scratch / f"{number}.parquet"
    _copy(con, source.path, scratch, main)
    table = f"read_parquet({text_literal(str(main))})"
    _columns(con, main, source.path)
    ended = con.execute(f"select count(*) from {table} where kind = 'run.finished'").fetchone()
    if source.providers is None or (ended and ended[0]):
        return [main]
    files = [main]
    for journal in sorted(source.providers.glob("*.jsonl")):
        raw = scratch / f"{number}-{len(files)}-raw.parquet"
        added = scratch / f"{number}-{len(files)}.parquet"
        if journal.stat().st_size == 0 or not _copy(con, journal, scratch, raw):
            continue
        con.execute(
            _UNMERGED.format(
                main=table,
                above=len(files) * _SEQ_ROOM,
                raw=f"read_parquet({text_literal(str(raw))})",
                provider=_provider_columns(con, raw),
                known=_history_columns(con, main),
                out=text_literal(str(added)),
            )
        )
        files.append(added)
    return files


# Numbers for records from one provider's journal, clear of the harness's own and of other providers'.
_SEQ_ROOM = 1_000_000_000

# A record that the harness had not taken over yet: its times move to the run's clock, as last calibrated.
_UNMERGED = """
copy (
    with history as (select {known} from {main}),
    offsets as (
        select source, arg_max(offset_ns, seq) as offset_ns from history
        where kind = 'clock.calibrated' group by source
    ),
    fresh as (
        select {provider} from {raw} r
        where not exists (select 1 from history h where h.source = r.source and h.n = r.n)
    ),
    base as (select any_value(run) as run, max(seq) + {above} as seq from history)
    select base.run, base.seq + row_number() over (order by f.source, f.n) as seq,
           f.* replace (f.t_ns + coalesce(o.offset_ns, 0) as t_ns,
                        f.begin_ns + coalesce(o.offset_ns, 0) as begin_ns,
                        f.end_ns + coalesce(o.offset_ns, 0) as end_ns)
    from fresh f cross join base left join offsets o on o.source = f.source
    union all by name
    select base.run, base.seq + 999999999 as seq,
           'harness.warning' as kind, base_t.t_ns, 'clock-error' as warning, f.source as subject,
           to_json('its clock was never calibrated; records taken from its own journal keep its own times')
               as detail
    from (select distinct source from fresh) f cross join base
    cross join (select max(t_ns) as t_ns from history) base_t
    where f.source not in (select source from offsets where source is not null)
) to {out} (format parquet)
"""


def _provider_columns(con: duckdb.DuckDBPyConnection, raw: Path) -> str:
    """Every column of the record but the stamp, which the history gives; times are there, if only as null."""
    found = con.execute(f"describe select * from read_parquet({text_literal(str(raw))})").fetchall()
    names = [str(name) for name, *_ in found if name not in ("run", "seq")]
    missing = [name for name in ("kind", "t_ns", "source", "n", "begin_ns", "end_ns") if name not in names]
    columns = known_columns()
    return ", ".join(
        [quoted(name) for name in names] + [f"null::{columns[name]} as {quoted(name)}" for name in missing]
    )


def _history_columns(con: duckdb.DuckDBPyConnection, main: Path) -> str:
    found = con.execute(f"describe select * from read_parquet({text_literal(str(main))})").fetchall()
    names = {str(name) for name, *_ in found}
    columns = known_columns()
    wanted = ("run", "seq", "t_ns", "kind", "source", "n", "offset_ns")
    return ", ".join(
        quoted(name) if name in names else f"null::{columns[name]} as {quoted(name)}" for name in wanted
    )


def _copy(con: duckdb.DuckDBPyConnection, source: Path, scratch: Path, target: Path) -> bool:
    """Lines to one Parquet file; False if there was no line. Raises HistoryDamaged."""
    known = known_columns()
    lines = _whole_lines(source, scratch)
    path = text_literal(str(lines))
    try:
        keys = con.execute(
            f"select distinct unnest(json_keys(json)) from read_ndjson_objects({path})"
        ).fetchall()
        present = {str(key) for (key,) in keys}
        columns = {name: kind for name, kind in known.items() if name in present}
        columns |= dict.fromkeys(sorted(present - known.keys()), "JSON")
        if not columns:
            columns = known
        con.execute(
            f"copy (select * from read_json({path}, format='newline_delimited', "
            f"columns={struct_literal(columns)})) to {text_literal(str(target))} "
            "(format parquet, compression lz4, row_group_size 60000)"
        )
    except duckdb.Error as error:
        said = str(error).splitlines()[0].replace(str(lines), str(source))
        raise HistoryDamaged(f"{source}: {said}") from error
    return bool(present)


def _whole_lines(path: Path, scratch: Path) -> Path:
    """The file itself, or a copy without its last line where a killed writer left half of one."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        keep, tail = size, b""
        while keep > 0 and b"\n" not in tail:
            step = min(_TAIL_BYTES, keep)
            keep -= step
            file.seek(keep)
            tail = file.read(step) + tail
    last = tail[tail.rfind(b"\n") + 1 :]
    if not last:
        return path
    try:
        msgspec.json.decode(last)
    except msgspec.DecodeError:
        whole = scratch / f"whole-{path.name}"
        shutil.copyfile(path, whole)
        with whole.open("r+b") as file:
            file.truncate(size - len(last))
        return whole
    return path


def _refuse_newer(con: duckdb.DuckDBPyConnection) -> None:
    row = con.execute(
        "select run, coalesce(format, 1) from events where kind = 'run.started' order by 2 desc limit 1"
    ).fetchone()
    if row is not None and row[1] > FORMAT_VERSION:
        raise HistoryTooNew(f"run {row[0]} has format {row[1]}, this version reads up to {FORMAT_VERSION}")
