"""Putting a mutant in the place of what is true, in a process that may have imported that.

Everything of harness.checks, and the tests that build on it, is imported anew from then on, the mutated
module from the mutant's text: constants made of other constants, models and tables all follow.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

import duckdb

from harness.history import store, views
from tests.mutants.mutant import ROOT, Mutant


class Unplaceable(Exception):
    """Python does not take it."""


def put_in_place(mutant: Mutant) -> None:
    """Raises Unplaceable."""
    path = ROOT / mutant.path
    try:
        compile(mutant.text, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise Unplaceable(str(error)) from error
    for each in [name for name in sys.modules if name.startswith(("harness.checks", "tests.checks"))]:
        if not each.startswith("tests.checks.model"):  # which knows nothing of the checks
            del sys.modules[each]
    name = ".".join(mutant.path.with_suffix("").parts).removesuffix(".__init__")
    sys.meta_path.insert(0, _Finder(name, path, mutant.text))


def put_view_in_place(mutant: Mutant) -> None:
    """Every history that is opened from then on has the mutated view."""

    def create(con: duckdb.DuckDBPyConnection) -> None:
        for name in views.FILES:
            file = mutant.path.with_name(f"{name}.sql")
            con.execute(mutant.text if file == mutant.path else (ROOT / file).read_text(encoding="utf-8"))

    views.create_views = store.create_views = create


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, module: str, path: Path, text: str) -> None:
        self._module, self._path, self._text = module, path, text

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._module:
            return None
        places = [str(self._path.parent)] if self._path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(
            name,
            self._path,
            loader=_Loader(name, str(self._path), self._text),
            submodule_search_locations=places,
        )


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._text, self.path, "exec", dont_inherit=True)
