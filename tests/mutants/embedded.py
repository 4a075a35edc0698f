"""Mutants of the SQL that stands in Python: each text in harness/checks that is a query.

An interpolated part, `({FATES})`, is a name to sqlglot, and is put back as it was.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.sql import mutations

QUERY = re.compile(r"\s*(with\s+\w+\s+as\b|select\b)", re.IGNORECASE)
HOLE = "hole_{}_"


def mutants(path: Path) -> Iterator[Mutant]:
    """Raises sqlglot.errors.SqlglotError where a query cannot be parsed."""
    source = (ROOT / path).read_text(encoding="utf-8")
    starts = _line_starts(source)
    tree = ast.parse(source)
    for node, where in _texts(tree):
        text, holes = _plain(node)
        if not QUERY.match(text):
            continue
        start = starts[node.lineno - 1] + _column(source, starts, node.lineno, node.col_offset)
        end = starts[node.end_lineno - 1] + _column(source, starts, node.end_lineno, node.end_col_offset)
        for operator, change, mutated, line in mutations(text):
            whole = source[:start] + _literal(mutated, holes) + source[end:]
            yield Mutant(path, where, f"sql {operator}", change, whole, node.lineno - 1 + line)


def _texts(tree: ast.Module) -> Iterator[tuple[ast.Constant | ast.JoinedStr, str]]:
    def within(node: ast.AST, where: str) -> Iterator[tuple[ast.Constant | ast.JoinedStr, str]]:
        for child in ast.iter_child_nodes(node):
            name = where
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{where}.{child.name}" if where else child.name
            elif isinstance(child, ast.Assign) and not where and isinstance(child.targets[0], ast.Name):
                name = child.targets[0].id
            if isinstance(child, ast.JoinedStr) or (
                isinstance(child, ast.Constant) and isinstance(child.value, str)
            ):
                yield child, name
            else:
                yield from within(child, name)

    yield from within(tree, "")


def _plain(node: ast.Constant | ast.JoinedStr) -> tuple[str, list[str]]:
    if isinstance(node, ast.Constant):
        return str(node.value), []
    text, holes = "", []
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
        else:
            text += HOLE.format(len(holes))
            holes.append(ast.unparse(ast.JoinedStr([part]))[2:-1])
    return text, holes


def _literal(text: str, holes: list[str]) -> str:
    if not holes:
        return repr(text)
    quoted = text.replace("\\", "\\\\").replace("{", "{{").replace("}", "}}").replace('"', '\\"')
    for index, hole in enumerate(holes):
        quoted = quoted.replace(HOLE.format(index), hole)
    return f'f"{quoted}"'


def _line_starts(source: str) -> list[int]:
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts


def _column(source: str, starts: list[int], line: int, offset: int) -> int:
    """ast counts bytes, texts count characters."""
    return len(source[starts[line - 1] : starts[line]].encode()[:offset].decode())
