"""In which histories of the corpus a mutated view differs: all of them in one database, told apart by `run`.

Only what builds on the mutated statement is built again, in a schema of its own in front of the true one.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from tests.mutants.views import Statement, files, is_macro, statements

# Arguments to try table macros with.
ASKED = ("1", "2", "3")
PLACE = r"^.*/([^/]+)-[0-9a-f]+/([0-9]+)\.parquet$"


class Invalid(Exception):
    """DuckDB does not even take it: no mutant."""


class Corpus:
    def __init__(self, folders: list[Path], order: tuple[str, ...]) -> None:
        self.con = duckdb.connect()
        self.con.execute("set threads = 1")
        files_ = [str(path) for folder in folders for path in folder.glob("*.parquet")]
        # "test_waves/12/run" for the run of the 12th history that test_waves.py opened
        self.con.execute(
            "create table events as "
            f"select * replace (regexp_replace(filename, '{PLACE}', '\\1/\\2/') || run as run) "
            "exclude (filename) from read_parquet($files, union_by_name = true, filename = true)",
            {"files": files_},
        )
        by_name = {path.stem: path for path in files()}
        self._statements = [each for name in order for each in statements(by_name[name])]
        for each in self._statements:
            self.con.execute(each.text)
        self._names = [each.name for each in self._statements]
        self._macros = {each.name for each in self._statements if is_macro(each.text)}
        self._tables_of_macros = {
            each.name
            for each in self._statements
            if re.search(r"\)\s+as\s+table\b", each.text, re.IGNORECASE)
        }
        self._true: dict[str, dict[str, str]] = {}

    def differing(self, path: Path, name: str, text: str) -> set[str]:
        """The histories in which anything that tests can ask for differs. Raises Invalid."""
        con = self.con
        con.execute("create schema mutated")
        try:
            con.execute("set search_path = 'mutated,main'")
            changed = {name}
            found: set[str] = set()
            for each in self._statements:
                mine = each.name == name and each.path == path
                if not mine and not self._builds_on(each, changed):
                    continue
                changed.add(each.name)
                try:
                    con.execute(text if mine else each.text)
                    different = self._different(each)
                except duckdb.OutOfMemoryException:
                    raise
                except duckdb.Error as error:
                    if isinstance(
                        error, duckdb.BinderException | duckdb.ParserException | duckdb.CatalogException
                    ):
                        raise Invalid(str(error)) from error
                    return set(self._all())
                if mine and different is not None and not different:
                    return set()
                if different and not each.name.startswith("_"):
                    found |= different
            return {_history(run) for run in found}
        finally:
            con.execute("set search_path = 'main'")
            con.execute("drop schema mutated cascade")

    def _all(self) -> set[str]:
        rows = self.con.execute("select distinct run from main.events").fetchall()
        return {_history(run) for (run,) in rows}

    def _builds_on(self, each: Statement, changed: set[str]) -> bool:
        return any(re.search(rf"\b{re.escape(name)}\b", each.text) for name in changed)

    def _different(self, each: Statement) -> set[str] | None:
        """Runs whose rows are not the true ones; None where there are no rows to look at."""
        if each.name in self._macros and each.name not in self._tables_of_macros:
            return None
        if each.name not in self._true:
            self.con.execute("set search_path = 'main'")
            self._true[each.name] = self._rows(each.name)
            self.con.execute("set search_path = 'mutated,main'")
        true, mutated = self._true[each.name], self._rows(each.name)
        return {run for run in true.keys() | mutated.keys() if true.get(run) != mutated.get(run)}

    def _rows(self, name: str) -> dict[str, str]:
        """A sum over each run's rows: the same rows in any order give the same."""
        sources = [f"{name}({number})" for number in ASKED] if name in self._macros else [name]
        found: dict[str, str] = {}
        for source in sources:
            rows = self.con.execute(
                f"select run, count(*), sum(hash(t)::hugeint) from (select * from {source}) t group by run"
            ).fetchall()
            for run, count, total in rows:
                found[str(run)] = found.get(str(run), "") + f"{source}:{count}:{total};"
        return found


def _history(run: str) -> str:
    return "/".join(run.split("/")[:2])
