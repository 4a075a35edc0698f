"""A check as a function: `def NAME(history: History, run: str, params: dict[str, Any]) -> Looked`.

Its file is a module of its own, made from the text that the history holds. So it may import what is
installed, and nothing that lies beside it: that would not be there when a run is judged again.
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import linecache
import sys
import types
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from harness.checks.own import Looked, NotUsable
from harness.checks.own.query import only_reading
from harness.history.store import History

Function = Callable[[History, str, dict[str, Any]], Looked]


def split(where: str) -> tuple[str, str]:
    """`checks/vip.py:first` as file and function. Raises NotUsable."""
    file, _, function = where.rpartition(":")
    if not file or not function.isidentifier():
        raise NotUsable(
            f"`{where}` names no function", "Write `FILE:FUNCTION`, such as `checks/vip.py:vip_first`."
        )
    return file, function


def function_of(text: str, where: str) -> Function:
    """The function that a file's text defines; its top level is run. Raises NotUsable."""
    file, name = split(where)
    module = _module(text, file)
    found = getattr(module, name, None)
    if not callable(found):
        names = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        near = get_close_matches(name, names)
        has = f"It has {', '.join(names)}." if names else "It defines none."
        raise NotUsable(f"there is no function `{name}`", has, f"{file}:{near[0]}" if near else "")
    if inspect.iscoroutinefunction(found):
        raise NotUsable(f"`{name}` is asynchronous, and a check only reads a history", "Write `def`.")
    try:
        inspect.signature(found).bind(None, "", {})
    except TypeError as error:
        raise NotUsable(
            f"`{name}` cannot be called with a history, a run and params: {error}",
            f"Write `def {name}(history: History, run: str, params: dict[str, Any]) -> Looked`.",
        ) from error
    checked: Function = found
    return checked


def ask(history: History, run: str, text: str, where: str, given: Mapping[str, Any]) -> Looked:
    """What the function says of one run. Raises NotUsable, and whatever the function raises.

    What it prints goes to stderr: stdout may be a document that a program reads.
    """
    function = function_of(text, where)
    try:
        with only_reading(history.con), contextlib.redirect_stdout(sys.stderr):
            looked = function(history, run, dict(given))
    except SystemExit as error:
        # It would be the exit code of the whole run, and 0 of them a pass.
        raise NotUsable(
            f"`{where}` left by sys.exit({error.code!r})", "End with `return Looked(…)`."
        ) from error
    if not isinstance(looked, Looked):
        raise NotUsable(
            f"`{where}` gave {type(looked).__name__}, and not Looked",
            "End with `return Looked(counted=…, offenders=[…])`, from `harness.checks.own`.",
        )
    try:
        return msgspec.convert(msgspec.to_builtins(looked), Looked)
    except (TypeError, msgspec.ValidationError) as error:
        raise NotUsable(f"`{where}` gave a Looked that no report can hold: {error}") from error


def _module(text: str, file: str) -> types.ModuleType:
    """The file's text, run as a module. Raises NotUsable."""
    name = f"harness_own_check_{hashlib.sha256(text.encode()).hexdigest()}"
    module = types.ModuleType(name)
    module.__file__ = file
    try:
        code = compile(text, file, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise NotUsable(f"this is not Python{line}: {error.args[0]}") from error
    # Dataclasses look their module up; a traceback shows the lines as they were, wherever the file is now.
    sys.modules[name] = module
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(code, module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise NotUsable(
            f"it cannot be imported: {type(error).__name__}: {error}",
            "It may import what is installed, and nothing that lies beside it."
            if isinstance(error, ImportError)
            else "",
        ) from error
    return module
