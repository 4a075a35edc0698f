"""Lines to Parquet: what a journal wrote, with all that was only in the providers' own journals yet.

Reading never guesses: known fields have fixed types, unknown ones survive as JSON. What a killed harness
leaves behind is readable: a cut last line is dropped, and receipts that had not been taken over are added.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import duckdb
import msgspec

from harness.history.columns import known_columns, quoted, struct_literal, text_literal
from harness.history.errors import HistoryDamaged
from harness.history.sources import Source

_TAIL_BYTES = 64 * 1024
_FOR_NOW = "format parquet, compression lz4, row_group_size 60000"
# Numbers as differences, of which there are few in a journal: half the size, and quicker to write.
_TO_KEEP = "format parquet, compression zstd, parquet_version v2"


def keep(con: duckdb.DuckDBPyConnection, source: Source, scratch: Path, target: Path) -> None:
    """The whole history as one Parquet file, in the order of `seq`. Raises HistoryDamaged."""
    con.execute("set preserve_insertion_order = true")
    _copy(con, Path(source.place), scratch, target, _TO_KEEP)
    if not unmerged(con, source, target):
        return
    files = convert(con, source, scratch, 0)
    parts = " union all by name ".join(
        f"select * from read_parquet({text_literal(str(file))})" for file in files
    )
    con.execute(
        f"copy (select * from ({parts}) order by run, seq) to {text_literal(str(target))} ({_TO_KEEP})"
    )


def columns_of(con: duckdb.DuckDBPyConnection, parquet: str, source: str) -> list[str]:
    """Of Parquet that is `source`, or was made of it. Raises HistoryDamaged where it has no events."""
    try:
        rows = con.execute(f"describe select * from read_parquet({text_literal(parquet)})").fetchall()
    except duckdb.Error as error:
        raise HistoryDamaged(f"{source} is no Parquet file: {str(error).splitlines()[0]}") from error
    names = [str(name) for name, *_ in rows]
    if missing := [name for name in ("run", "kind", "t_ns") if name not in names]:
        raise HistoryDamaged(
            f"{source} holds something else than a run's events: they have no {' and no '.join(missing)}"
        )
    return names


def unmerged(con: duckdb.DuckDBPyConnection, source: Source, main: Path) -> bool:
    """Whether providers' journals may hold records that the history, as Parquet, has not."""
    columns_of(con, str(main), source.place)
    ended = con.execute(
        f"select count(*) from read_parquet({text_literal(str(main))}) where kind = 'run.finished'"
    ).fetchone()
    return source.providers is not None and not (ended and ended[0])


def convert(con: duckdb.DuckDBPyConnection, source: Source, scratch: Path, number: int) -> list[Path]:
    """Lines to Parquet files: the history, and what only the providers' journals hold yet."""
    main = scratch / f"{number}.parquet"
    _copy(con, Path(source.place), scratch, main, _FOR_NOW)
    if source.providers is None or not unmerged(con, source, main):
        return [main]
    table = f"read_parquet({text_literal(str(main))})"
    files = [main]
    for journal in sorted(source.providers.glob("*.jsonl")):
        raw = scratch / f"{number}-{len(files)}-raw.parquet"
        added = scratch / f"{number}-{len(files)}.parquet"
        if journal.stat().st_size == 0 or not _copy(con, journal, scratch, raw, _FOR_NOW):
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


def _copy(con: duckdb.DuckDBPyConnection, source: Path, scratch: Path, target: Path, options: str) -> bool:
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
            f"columns={struct_literal(columns)})) to {text_literal(str(target))} ({options})"
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
