"""What the tests of the checks ask: histories, checks, parameters, and what they look at of each answer.

A run of the unchanged tests records it (recording.py), a file of tests at a time; it is kept in `.mutants`
until the tests change. Random histories are not recorded: those are asked of the model (judging.py).
"""

from __future__ import annotations

import hashlib
import pickle
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.mutants.looked import Looked
from tests.mutants.mutant import ROOT

FOLDER = ROOT / ".mutants"
TESTS = Path("tests/checks")
AT_RANDOM = ("test_against_model.py", "test_metamorphic.py")


@dataclass
class Asked:
    """One question of a test, and what it read of the answer."""

    test: str
    check: str
    raw: Any  # the parameters as written
    run: str | None = None  # in the corpus; None where the parameters were refused
    folder: Path | None = None  # with the mail of the run
    looked: Looked = field(default_factory=dict)
    calls: frozenset[str] = (
        frozenset()
    )  # "delivered.py: _summary": functions of the checks that it came through


def test_files() -> list[Path]:
    files = [path.relative_to(ROOT) for path in (ROOT / TESTS).rglob("test_*.py")]
    files = [each for each in files if each.name not in AT_RANDOM and "own" not in each.parts]
    return sorted(files, key=lambda each: -(ROOT / each).stat().st_size)  # the longest first


def place(file: Path) -> Path:
    """Where the record of a file of tests is kept: by the tests.

    What the product answers otherwise since then is not asked (judging.py); `rm -r .mutants` records anew.
    """
    shared = [path for path in (ROOT / TESTS).rglob("*.py") if not path.name.startswith("test_")]
    means = [Path(__file__).with_name(f"{name}.py") for name in ("corpus", "looked", "recording")]
    told = hashlib.sha256()
    for path in [*sorted(shared), ROOT / file, *means]:
        told.update(path.read_bytes())
    return FOLDER / f"{file.stem}-{told.hexdigest()[:16]}"


def forget_old() -> None:
    kept = {place(file) for file in test_files()}
    for old in [each for each in FOLDER.iterdir() if each.is_dir() and each not in kept]:
        if ".unfinished" not in old.name:  # another process may be recording it
            shutil.rmtree(old)


def read(files: list[Path]) -> list[Asked]:
    """What is asked, each question once."""
    found: list[Asked] = []
    for file in files:
        found += pickle.loads((place(file) / "asked.pickle").read_bytes())
    return found
