"""The mutants that no test can kill, each with the reason: `equivalent/*.toml`, by the mutants' names. And
those that none killed the last time.

They mean the same as the code, or differ only where nobody can tell. `make mutants` reports an entry whose
mutant a test kills after all. One file for each file of the product, called like it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tests.mutants.corpus import FOLDER as KEPT
from tests.mutants.killing import Fate

LAST = KEPT / "survivors.txt"
FOLDER = Path(__file__).parent / "equivalent"


@dataclass
class Entry:
    """`mutant` is a name; `*` stands for anything, where one reason holds for several."""

    mutant: str
    reason: str
    file: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError(f"{self.file}: {self.mutant} has no reason")

    def covers(self, name: str) -> bool:
        return name == self.mutant or fnmatchcase(name, self.mutant.replace("[", "[[]"))


def entries() -> list[Entry]:
    return [
        Entry(**each, file=path.name)
        for path in sorted(FOLDER.glob("*.toml"))
        for each in tomllib.loads(path.read_text(encoding="utf-8")).get("equivalent", [])
    ]


def survivors() -> set[str]:
    return set(LAST.read_text(encoding="utf-8").splitlines()) if LAST.exists() else set()


def remember(fates: dict[str, Fate]) -> None:
    """Who is not among them stays as he was."""
    left = survivors() - fates.keys() | {name for name, fate in fates.items() if fate is Fate.SURVIVED}
    LAST.write_text("".join(f"{name}\n" for name in sorted(left)), encoding="utf-8")
