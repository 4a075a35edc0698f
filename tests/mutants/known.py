"""The mutants that no test can kill, each with the reason: `equivalent.toml`, by the mutants' names."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

PATH = Path(__file__).parent / "equivalent.toml"


@dataclass
class Entry:
    """`mutant` is a name; `*` stands for anything, where one reason holds for several."""

    mutant: str
    reason: str

    def __post_init__(self) -> None:
        if not self.reason.strip():
            raise ValueError(f"{PATH.name}: {self.mutant} has no reason")

    def covers(self, name: str) -> bool:
        return name == self.mutant or fnmatchcase(name, self.mutant.replace("[", "[[]"))


def entries() -> list[Entry]:
    return [Entry(**each) for each in tomllib.loads(PATH.read_text(encoding="utf-8")).get("equivalent", [])]
