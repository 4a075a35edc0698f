"""What a scenario names beside itself: the Python file with the function that submits, found and read.

Nothing of it is run: that the function is there can be seen from the file's text.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from harness.scenario.document import Document
from harness.scenario.errors import Problem, nearest, shown
from harness.scenario.models import Scenario

_FUNCTION = ("system", "submit", "python")
_CA = ("system", "submit", "ca")


def file_problems(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """Whatever is wrong with the files that the scenario is given; relative to its own folder."""
    folder = Path(document.file).parent
    submit = scenario.system.submit
    if submit.ca is not None and not (folder / submit.ca).is_file():
        yield document.problem(_CA, f"there is no file {folder / submit.ca}")
    if submit.function is not None:
        yield from _function_problems(document, folder, *submit.function)


def _function_problems(document: Document, folder: Path, as_written: str, function: str) -> Iterator[Problem]:
    file = folder / as_written
    if not file.is_file():
        there = sorted(each.name for each in file.parent.glob("*.py")) if file.parent.is_dir() else []
        meant = nearest(file.name, there)
        if meant:
            meant = f"{Path(as_written).with_name(meant)}:{function}"
        yield document.problem(_FUNCTION, f"there is no file {file}", meant=meant)
        return
    try:
        names = _top_level_names(ast.parse(file.read_bytes(), str(file)))
    except (SyntaxError, ValueError) as error:
        where = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        yield document.problem(_FUNCTION, f"{file}{where} is not Python: {error.args[0]}")
        return
    except OSError as error:
        yield document.problem(_FUNCTION, f"{file} cannot be read: {error.strerror or error}")
        return
    if function not in names:
        meant = nearest(function, names)
        yield document.problem(
            _FUNCTION,
            f"there is no {shown(function)} in {file}",
            meant=f"{as_written}:{meant}" if meant else "",
        )


def _top_level_names(module: ast.Module) -> list[str]:
    """What a file defines, imports or assigns; what is under `if` and `try` as well."""
    names: list[str] = []
    todo: list[ast.stmt] = list(module.body)
    while todo:
        statement = todo.pop(0)
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.append(statement.name)
            case ast.Import() | ast.ImportFrom():
                names += [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
            case ast.Assign():
                names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
            case ast.If() | ast.With():
                todo += [*statement.body, *getattr(statement, "orelse", [])]
            case ast.Try():
                handled = [each for handler in statement.handlers for each in handler.body]
                todo += [*statement.body, *handled, *statement.orelse, *statement.finalbody]
    return names
