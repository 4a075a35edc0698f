"""Putting a mutant in the place of the true code, in a process that has imported the true code already.

SQL of the views is read anew for every history. A function gets the mutated code under its old identity,
so that whoever has imported it runs the mutant; a constant is replaced wherever it was imported to. What
is made of the code while it is imported (models, their fields, tables) is imported anew, with all that
builds on it, tests included.
"""

from __future__ import annotations

import gc
import importlib
import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from tests.mutants.mutant import ROOT, Mutant


class Unplaceable(Exception):
    """Python does not take it."""


def put_in_place(mutant: Mutant) -> bool:
    """Whether tests must be imported anew to see it, which is there from now on. Raises Unplaceable."""
    path = ROOT / mutant.path
    if path.suffix == ".sql":
        _read_instead(path, mutant.text)
        return False
    name = ".".join(mutant.path.with_suffix("").parts).removesuffix(".__init__")
    try:
        new = compile(mutant.text, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        raise Unplaceable(str(error)) from error
    old = compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)
    if mutant.constant:
        _replace_constant(sys.modules[name], mutant.constant, new)
    elif _functions_only(old, new):
        _replace_functions(old, new)
    else:
        _import_anew(name, path, mutant.text)
        return True
    return False


def _read_instead(target: Path, text: str) -> None:
    read = Path.read_text

    def read_text(self: Path, *args: Any, **named: Any) -> str:
        return text if self == target else read(self, *args, **named)

    Path.read_text = read_text  # type: ignore[method-assign]


def _nested(code: CodeType) -> dict[str, CodeType]:
    return {each.co_qualname: each for each in code.co_consts if isinstance(each, CodeType)}


def _is_class(code: CodeType) -> bool:
    return "__qualname__" in code.co_names


def _functions_only(old: CodeType, new: CodeType) -> bool:
    """Whether the two differ in nothing but what functions do when they are called."""
    plain = [[c for c in code.co_consts if not isinstance(c, CodeType)] for code in (old, new)]
    if old.co_code != new.co_code or plain[0] != plain[1] or old.co_names != new.co_names:
        return False
    mine, theirs = _nested(old), _nested(new)
    return mine.keys() == theirs.keys() and all(
        _functions_only(code, theirs[name]) for name, code in mine.items() if _is_class(code)
    )


def _replace_functions(old: CodeType, new: CodeType) -> None:
    changed: dict[str, CodeType] = {}
    waiting = [(old, new)]
    while waiting:
        mine, theirs = (_nested(code) for code in waiting.pop())
        for name, code in mine.items():
            if _is_class(code):
                waiting.append((code, theirs[name]))
            elif code != theirs[name]:
                changed[name] = theirs[name]
    found = 0
    for each in gc.get_objects():
        if isinstance(each, FunctionType) and each.__code__.co_filename == old.co_filename:
            code = changed.get(each.__code__.co_qualname)
            if code is not None:
                each.__code__ = code
                found += 1
    if not found:
        raise RuntimeError(f"none of {', '.join(changed)} was found in this process")


def _replace_constant(module: ModuleType, name: str, code: CodeType) -> None:
    scratch = ModuleType(module.__name__)
    scratch.__dict__["__file__"] = module.__file__
    sys.modules[module.__name__] = scratch  # dataclasses look their module up
    try:
        exec(code, scratch.__dict__)
    finally:
        sys.modules[module.__name__] = module
    old, new = getattr(module, name), getattr(scratch, name)
    for each in list(sys.modules.values()):
        if getattr(each, "__dict__", {}).get(name) is old:
            setattr(each, name, new)


def _import_anew(name: str, path: Path, text: str) -> None:
    ours = ("harness.", "tests.checks", "tests.history")
    again = [n for n in sys.modules if n.startswith(ours) and not n.startswith("harness.history")]
    for each in again:
        del sys.modules[each]
    sys.meta_path.insert(0, _Finder(name, path, text))


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
