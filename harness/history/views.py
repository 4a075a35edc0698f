"""The definitions, once: what a message, a copy, an incident, an overdue message is, as SQL over `events`.

`events` flows in; tables, views and table macros flow out, all of them keyed by `run`, so that one query
judges many runs. The SQL files build on one another in the order below. What is costly and asked for by
several checks is a table, the rest are views; names that begin with an underscore serve the others.
"""

from __future__ import annotations

from importlib.resources import files

import duckdb

FILES = ("runs", "faults", "receipts", "channels", "fates", "instants", "stops")


def create_views(con: duckdb.DuckDBPyConnection) -> None:
    """Build everything over the connection's `events`."""
    folder = files("harness.history") / "sql"
    for name in FILES:
        con.execute((folder / f"{name}.sql").read_text(encoding="utf-8"))
