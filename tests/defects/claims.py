"""What the scenario files say of the reference system's planted bugs: which check catches it, in which run.

A file says so in a comment, `# Its defect: NAME, caught by CHECK.`, or `… caught by CHECK, CHECK in VARIANT.`
Each such line is one run of the matrix, and the one place that says where a defect shows.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.ran import ROOT

sys.path.insert(0, str(ROOT / "fixtures" / "systems"))  # systems under test are run by path, never installed

from mailrouter.defects import CATALOGUE, Defect, Entry

SCENARIOS = ROOT / "scenarios"
BEGINS = "# Its defect:"
LINE = re.compile(
    rf"{BEGINS} (?P<defect>[\w-]+), caught by (?P<checks>[\w-]+(?:, [\w-]+)*)(?: in (?P<variant>[\w-]+))?\."
)


@dataclass(frozen=True, order=True)
class Place:
    """A scenario file, and one of its variants; `variant` is empty where it has none."""

    file: Path
    variant: str

    @property
    def scenario(self) -> str:
        """As `command_line` takes it."""
        return str(self.file.relative_to(SCENARIOS).with_suffix(""))

    def __str__(self) -> str:
        return f"{self.file.stem} {self.variant}".strip()


@dataclass(frozen=True)
class Claim:
    """A file's word that a defect is caught by these checks, by each of them alone."""

    place: Place
    defect: Defect
    checks: tuple[str, ...]

    @property
    def entry(self) -> Entry:
        return CATALOGUE[self.defect]

    def __str__(self) -> str:
        return f"{self.defect} in {self.place}"


def claims_of(file: Path) -> list[Claim]:
    """Raises ValueError for a line that begins like a claim and is none, and for an unknown defect."""
    claims = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith(BEGINS):
            continue
        said = LINE.fullmatch(line)
        if said is None:
            raise ValueError(f"{file.name}: {line!r}; write `{BEGINS} NAME, caught by CHECK in VARIANT.`")
        checks = tuple(said["checks"].split(", "))
        claims.append(Claim(Place(file, said["variant"] or ""), Defect(said["defect"]), checks))
    return claims


def all_claims() -> list[Claim]:
    """By file, each in the order of its lines."""
    return [claim for file in sorted(SCENARIOS.rglob("*.yaml")) for claim in claims_of(file)]
