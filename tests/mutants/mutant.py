"""One mutant: a file of the product with one small thing wrong in it.

Its name says what is wrong in terms of the code itself (statement or function, operator, before and
after), not of lines and columns, so that it survives reformatting: the list of equivalent mutants is kept
by these names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Mutant:
    """`text` is the whole mutated file. For SQL of the views, `statement` is the mutated statement alone."""

    path: Path  # relative to the project
    where: str  # the view, the constant or the function
    operator: str
    change: str  # before -> after, in one line
    text: str
    line: int
    statement: str | None = None
    number: int = 1  # of those with the same words

    @property
    def name(self) -> str:
        again = f" (#{self.number})" if self.number > 1 else ""
        return f"{self.path.as_posix()}: {self.where}: {self.operator}: {self.change}{again}"


def numbered(mutants: Iterable[Mutant]) -> Iterator[Mutant]:
    """Those that read alike are told apart by their order; what changes nothing twice over is left out."""
    seen: Counter[str] = Counter()
    texts: set[tuple[Path, str]] = set()
    for mutant in mutants:
        if (mutant.path, mutant.text) in texts:
            continue
        texts.add((mutant.path, mutant.text))
        seen[mutant.name] += 1
        yield replace(mutant, number=seen[mutant.name])


def one_line(text: str, most: int = 160) -> str:
    """Code as part of a name: one line, cut in the middle where it is long."""
    line = " ".join(text.split())
    half = most // 2 - 2
    return line if len(line) <= most else f"{line[:half]} .. {line[-half:]}"
