"""`harness query RUN SQL`: a run's history in SQL, as a table, CSV or JSON.

The events and the views over them (message, attempt, copy, incident, …) are what the checks themselves use,
so a number in a report can be taken apart here.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.exits import CommandError
from harness.cli.stored import find_history

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from rich.console import Console

EPILOG = """\b
Examples:
  harness query last                          the tables and their columns
  harness query last "select route, count(*) as copies from copies group by route"
  harness query last "from events where kind = 'fault.active'" --json
  harness query last "from attempts" --csv > attempts.csv
"""


@click.command(epilog=EPILOG)
@click.argument("run", metavar="RUN")
@click.argument("sql", required=False, metavar="[SQL]")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values with a header.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects.")
@options.out
def command(run: str, sql: str | None, as_csv: bool, as_json: bool, out: Path) -> None:
    """Ask a run's history in SQL.

    The language is DuckDB's. Without SQL it lists what can be asked: `events` as they were recorded, and the
    views that the checks use. Times are nanoseconds from the run's start. RUN is a run's folder, a history
    file, a name under --out, or `last`; or many runs at once: a folder of them, a pattern, an s3:// address.
    """
    if as_csv and as_json:
        raise click.UsageError("Say --csv or --json, not both.")

    import duckdb

    from harness.history.errors import HistoryError
    from harness.history.store import History

    path = find_history(run, out)
    try:
        history = History.open(path)
    except HistoryError as error:
        raise CommandError(f"the history cannot be read: {error}", where=str(path), do=error.do) from error
    with history:
        if sql is None:
            _list(history.con)
            return
        try:
            history.con.execute(sql)
            names = [str(column[0]) for column in history.con.description or []]
            rows = history.con.fetchall()
        except duckdb.Error as error:
            raise CommandError(
                f"the query failed: {str(error).strip()}",
                do=f"`harness query {run}` lists tables and columns",
            ) from error
    if as_json:
        objects = [dict(zip(names, row, strict=True)) for row in rows]
        click.echo(json.dumps(objects, indent=2, default=str, ensure_ascii=False))
    elif as_csv:
        click.echo(_csv([names, *rows]), nl=False)
    else:
        _table(names, rows)


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _table(names: list[str], rows: list[tuple[Any, ...]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, name in enumerate(names):
        numeric = bool(rows) and isinstance(rows[0][position], int | float)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if value is None else str(value)) for value in row))
    console = Console()
    if console.measure(table, options=console.options.update(max_width=10_000)).maximum > console.width:
        _records(console, names, rows)
    else:
        console.print(table)
    console.print(f"{len(rows)} {'row' if len(rows) == 1 else 'rows'}", style="dim", highlight=False)


def _records(console: Console, names: list[str], rows: list[tuple[Any, ...]]) -> None:
    """Too wide for a table: one field a line, empty ones left out."""
    width = max(len(name) for name in names)
    for number, row in enumerate(rows, 1):
        console.print(f"row {number}", style="bold", highlight=False)
        for name, value in zip(names, row, strict=True):
            if value is not None:
                console.print(f"  {name:{width}}  {value}", highlight=False, markup=False, soft_wrap=True)


def _list(con: DuckDBPyConnection) -> None:
    """Tables and views with their columns; what begins with an underscore is the views' own."""
    columns = con.execute(
        "select table_name, column_name from duckdb_columns()"
        " where not internal and not starts_with(table_name, '_') order by table_name, column_index"
    ).fetchall()
    tables: dict[str, list[str]] = {}
    for table, column in columns:
        tables.setdefault(table, []).append(column)
    for table, names in tables.items():
        click.secho(table, bold=True, nl=False)
        click.echo(f"  {', '.join(names)}")
