"""Mutants of the views: every statement of harness/history/sql, one change each.

The statements stay as they are written, but for the one that is mutated, which sqlglot writes anew. So
that this proves something, `rewritten` gives each as sqlglot writes it: it must mean the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot.tokens import TokenType

from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.sql import DIALECT, mutations, parsed, written

FOLDER = Path("harness/history/sql")


@dataclass(frozen=True)
class Statement:
    path: Path
    name: str  # of the view, table or macro that it makes or changes
    text: str  # as it stands in the file, without its semicolon
    start: int
    end: int


def files() -> list[Path]:
    return [FOLDER / path.name for path in sorted((ROOT / FOLDER).glob("*.sql"))]


def statements(path: Path) -> list[Statement]:
    text = (ROOT / path).read_text(encoding="utf-8")
    ends = [t.start for t in sqlglot.tokenize(text, dialect=DIALECT) if t.token_type is TokenType.SEMICOLON]
    found, start = [], 0
    for end in ends:
        body = text[start:end]
        found.append(Statement(path, _name(body), body, start, end))
        start = end + 1
    return found


def verb(body: str) -> str:
    """`create` or `update`."""
    return str(parsed(body).key)


def _name(body: str) -> str:
    words = _words(body)
    return words[words.index("create") + 2 if words[0] == "create" else 1].split("(")[0]


def _words(body: str) -> list[str]:
    lines = [line for line in body.splitlines() if not line.strip().startswith("--")]
    return [word.lower() for line in lines for word in line.split()]


def mutants(path: Path) -> Iterator[Mutant]:
    """Raises sqlglot.errors.SqlglotError where a statement cannot be parsed."""
    whole = (ROOT / path).read_text(encoding="utf-8")
    for each in statements(path):
        if "create type" in each.text:  # says how values are kept, and means nothing
            continue
        for operator, change, text, line in mutations(each.text):
            mutated = whole[: each.start] + "\n" + text + whole[each.end :]
            first = whole.count("\n", 0, each.start)
            yield Mutant(path, each.name, operator, change, mutated, first + line, statement=text)


def rewritten(path: Path) -> Iterator[Mutant]:
    """No mutants at all: each statement as sqlglot writes it."""
    for each in statements(path):
        if "create type" in each.text:
            continue
        text = written(parsed(each.text))
        yield Mutant(path, each.name, "none", "as sqlglot writes it", text, 1, statement=text)
