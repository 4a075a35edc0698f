"""All the mutants there are, and which of them to take. They are kept in `.mutants` while it stays."""

from __future__ import annotations

import hashlib
import pickle
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from multiprocessing import get_context
from pathlib import Path

from sqlglot.errors import SqlglotError

from tests.mutants import embedded, python, views
from tests.mutants.corpus import FOLDER
from tests.mutants.mutant import ROOT, Mutant, numbered

MAKERS = ("python", "views", "embedded", "sql", "mutant")


def every(only: list[str], jobs: int) -> tuple[list[Mutant], list[str]]:
    """Those whose name is like one of `only`; and which files or queries could not be parsed."""
    checks = [path.relative_to(ROOT) for path in sorted((ROOT / "harness" / "checks").rglob("*.py"))]
    asked = [
        (kind, path)
        for kind, paths in (("python", checks), ("views", views.files()), ("embedded", checks))
        for path in paths
    ]
    FOLDER.mkdir(exist_ok=True)
    files = [each.split(":")[0] for each in only or ["*"]]
    asked = [each for each in asked if any(fnmatchcase(f"{each[1]}:", f"*{file}*") for file in files)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        made = list(pool.map(_mutants_of, asked))
    found = [mutant for mutants, _ in made for mutant in mutants]
    refused = [line for _, lines in made for line in lines]
    like = [f"*{each}*" for each in only or ["*"]]
    return [each for each in found if any(fnmatchcase(each.name, pattern) for pattern in like)], refused


def _mutants_of(asked: tuple[str, Path]) -> tuple[list[Mutant], list[str]]:
    kind, path = asked
    kept = FOLDER / f"made-{kind}-{_fingerprint(path)}.pickle"
    if kept.exists():
        return pickle.loads(kept.read_bytes()), []
    source = {"python": python, "views": views, "embedded": embedded}[kind]
    try:
        made = list(numbered(source.mutants(path)))
        kept.write_bytes(pickle.dumps(made))
        return made, []
    except SqlglotError as error:
        return [], [f"{path}: {str(error).splitlines()[0]}"]


def _fingerprint(path: Path) -> str:
    told = hashlib.sha256()
    for each in (path, *(Path(__file__).with_name(f"{name}.py") for name in MAKERS)):
        told.update((ROOT / each).read_bytes())
    return told.hexdigest()[:16]


def sampled(mutants: list[Mutant], count: int, seed: str) -> list[Mutant]:
    """Other ones whenever any of all is another, so that in time all have their turn."""
    seed += hashlib.sha256("\n".join(mutant.name for mutant in mutants).encode()).hexdigest()

    def lot(mutant: Mutant) -> str:
        return hashlib.sha256(f"{seed} {mutant.name}".encode()).hexdigest()

    return sorted(mutants, key=lot)[:count]
