"""Histories that mutants are tried on: many runs in one database with all the views over them, which a forked
child has as a copy of its own.

A mutated view is put in the place of the true one, and what builds on it is built again.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
from sqlglot import exp

from harness.history.store import History
from harness.history.views import FILES
from tests.mutants import views
from tests.mutants.mutant import Mutant
from tests.mutants.sql import parsed
from tests.mutants.views import Statement

# What to ask table macros for: how many messages are overdue at least, and what mail is stopped.
ASKED = {"min_overdue": ("1", "2", "3"), "of_class": ("'marketing'", "'digest'", "'transactional'")}
REFUSED = (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException)


class Refused(Exception):
    """DuckDB does not take it at all: no mutant."""


class Database(History):
    """`files` are Parquet files of events; `renamed` is SQL for the run's name, of `filename` and `run`."""

    def __init__(self, files: list[Path], renamed: str = "run") -> None:
        self.con = duckdb.connect()
        self.con.execute("set threads = 1")  # others would not live on in a forked child
        self.con.execute(
            f"create table events as select * exclude (filename) replace ({renamed} as run) "
            "from read_parquet($files, union_by_name = true, filename = true)",
            {"files": [str(path) for path in files]},
        )
        by_name = {path.stem: path for path in views.files()}
        self._statements = [each for name in FILES for each in views.statements(by_name[name])]
        for each in self._statements:
            self.con.execute(each.text)
        self._relations = {
            each.name: sources for each in self._statements if (sources := _sources(each)) is not None
        }
        self._true: dict[str, dict[str, str]] = {}
        self.beside: dict[str, Path] = {}

    def folder(self, run: str) -> Path | None:
        return self.beside.get(run)

    def remember(self) -> None:
        """What the true views say of each run, to tell in which a mutant says something else."""
        self._true = {name: self._rows(name) for name in self._relations}

    def rebuild(self, mutant: Mutant) -> list[str]:
        """Gives the names of what was built again. Raises Refused, duckdb.Error where it fails otherwise."""
        changed: list[str] = []
        for each in self._statements:
            mine = each.name == mutant.where and each.path == mutant.path
            if not mine and not any(re.search(rf"\b{re.escape(name)}\b", each.text) for name in changed):
                continue
            changed.append(each.name)
            # What is made in two statements is made anew by both, one of which is the mutant.
            own = mine and views.verb(each.text) == views.verb(mutant.statement or "")
            text = (mutant.statement or "") if own else each.text
            again = re.sub(r"\bcreate\b", "create or replace", text, count=1, flags=re.IGNORECASE)
            try:
                self.con.execute(again)
            except REFUSED as error:
                raise Refused(str(error)) from error
        return changed

    def differing(self, changed: list[str]) -> set[str]:
        """The runs of which something that checks may ask for is not as it was."""
        found: set[str] = set()
        for name in changed:
            if name in self._relations:
                true, now = self._true[name], self._rows(name)
                found |= {run for run in true.keys() | now.keys() if true.get(run) != now.get(run)}
        return found

    def _rows(self, name: str) -> dict[str, str]:
        """A sum over each run's rows: the same rows in any order give the same."""
        found: dict[str, str] = {}
        for source in self._relations[name]:
            rows = self.con.execute(
                f"select run, count(*), sum(hash(t)::hugeint) from (select * from {source}) t group by run"
            ).fetchall()
            for run, count, total in rows:
                found[str(run)] = found.get(str(run), "") + f"{source}:{count}:{total};"
        return found


def _sources(statement: Statement) -> list[str] | None:
    """How to ask for all the rows of it; None for what has none, or is asked for by other views alone."""
    if statement.name.startswith("_"):
        return None
    tree = parsed(statement.text)
    kind = tree.kind if isinstance(tree, exp.Create) else ""
    if kind in ("TABLE", "VIEW"):
        return [statement.name]
    asked = re.search(rf"macro {statement.name}\((\w+)\)\s+as\s+table\b", statement.text, re.IGNORECASE)
    return [f"{statement.name}({value})" for value in ASKED[asked[1]]] if asked else None
