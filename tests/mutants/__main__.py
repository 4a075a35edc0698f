"""`make mutants`: are the tests of the checks good enough to notice when a check is wrong?

Makes mutants of every view, of every query in the checks and of the checks' Python, runs against each the
tests that could notice it, and prints the share of those that a test killed. Ends with 1 below 90 %, or
where `equivalent.toml` lists one that is killed after all. `--sample 40` takes so many, other ones every
day.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import hashlib
import os
import shutil
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from fnmatch import fnmatchcase
from multiprocessing import get_context
from pathlib import Path

from sqlglot.errors import SqlglotError

from tests.mutants import embedded, known, python, views
from tests.mutants.corpus import Seen, asks_everything, place, read, record, test_files
from tests.mutants.difference import Corpus, Invalid
from tests.mutants.killing import Children, Fate, Killer, in_session
from tests.mutants.mutant import ROOT, Mutant, numbered

REQUIRED = 0.9


def main() -> int:
    asked = _arguments()
    os.chdir(ROOT)
    os.environ.setdefault("MODEL_HISTORIES", "300")  # read when the tests are collected
    mutants, refused = _all_mutants(asked.only, asked.jobs)
    for line in refused:
        print(f"cannot be parsed, and so is not mutated: {line}")
    chosen = _sampled(mutants, asked.sample, asked.seed) if asked.sample else mutants
    if asked.list:
        for mutant in chosen:
            print(mutant.name)
        return 0
    begun = time.monotonic()
    folder = ROOT / ".mutants"
    files = test_files({mutant.path for mutant in chosen})
    seen = _recorded(folder, files, asked.jobs)
    print(
        f"{len(seen)} tests recorded in {time.monotonic() - begun:.0f} s; {len(chosen)} mutants", flush=True
    )
    fates = _run(chosen, seen, files, folder, asked.jobs)
    return _report(
        chosen, fates, refused, time.monotonic() - begun, complete=not (asked.sample or asked.only)
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="so many mutants instead of all")
    parser.add_argument(
        "--seed", default=datetime.date.today().isoformat(), help="which ones; the date by default"
    )
    parser.add_argument("--only", default="*", help="mutants whose name is like this, with * for anything")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="name them, and run nothing")
    asked = parser.parse_args()
    asked.only = "" if asked.only == "*" else asked.only
    return asked


def _all_mutants(only: str, jobs: int) -> tuple[list[Mutant], list[str]]:
    checks = [path.relative_to(ROOT) for path in sorted((ROOT / "harness" / "checks").rglob("*.py"))]
    asked = [
        (kind, path)
        for kind, paths in (("python", checks), ("views", views.files()), ("embedded", checks))
        for path in paths
    ]
    asked = [each for each in asked if not only or fnmatchcase(f"{each[1]}:", f"*{only.split(':')[0]}*")]
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        made = list(pool.map(_mutants_of, asked))
    found = [mutant for mutants, _ in made for mutant in mutants]
    refused = [line for _, lines in made for line in lines]
    return [each for each in found if not only or fnmatchcase(each.name, f"*{only}*")], refused


def _mutants_of(asked: tuple[str, Path]) -> tuple[list[Mutant], list[str]]:
    kind, path = asked
    source = {"python": python, "views": views, "embedded": embedded}[kind]
    try:
        return list(numbered(source.mutants(path))), []
    except SqlglotError as error:
        return [], [f"{path}: {str(error).splitlines()[0]}"]


def _sampled(mutants: list[Mutant], count: int, seed: str) -> list[Mutant]:
    def lot(mutant: Mutant) -> str:
        return hashlib.sha256(f"{seed} {mutant.name}".encode()).hexdigest()

    return sorted(mutants, key=lot)[:count]


def _recorded(folder: Path, files: list[Path], jobs: int) -> list[Seen]:
    """What each test looks at; kept in `.mutants` until the test, or what it tests, changes."""
    failed: list[Path] = []
    children = Children(jobs, cpu_seconds=900)
    for file in files:
        if place(folder, file).exists():
            continue

        def work(file: Path = file) -> int:
            with open(os.devnull, "w") as sink:
                os.dup2(sink.fileno(), 1)
            return 0 if record(folder, file) == 0 else 1

        def done(fate: Fate, file: Path = file) -> None:
            if fate is not Fate.SURVIVED:
                failed.append(file)

        children.run(work, done)
    children.finish()
    kept = {place(folder, file) for file in test_files(set())}
    for old in [each for each in folder.iterdir() if each not in kept]:
        shutil.rmtree(old)
    if failed:
        raise SystemExit(f"{failed[0]} fails without any mutant: nothing can be said of mutants")
    return read(folder, files)


def _run(
    mutants: list[Mutant], seen: list[Seen], files: list[Path], folder: Path, jobs: int
) -> dict[str, Fate]:
    fates: dict[str, Fate] = {}
    folders = [place(folder, file) for file in files]
    histories = _differing([mutant for mutant in mutants if mutant.statement is not None], folders, jobs)

    def work() -> None:
        children = Children(jobs, cpu_seconds=300)
        for count, mutant in enumerate(mutants, start=1):
            tests = _candidates(mutant, seen, histories.get(mutant.name))
            if not tests:
                fates[mutant.name] = Fate.INVALID if tests is None else Fate.SURVIVED
                continue

            def done(fate: Fate, mutant: Mutant = mutant) -> None:
                fates[mutant.name] = fate

            children.run(functools.partial(killer.judged, mutant, tests), done)
            if count % 100 == 0:
                print(f"  {count} of {len(mutants)}", flush=True)
        children.finish()

    killer = Killer(work)
    in_session(killer, files)
    return fates


_corpus: Corpus | None = None


def _open_corpus(folders: list[Path]) -> None:
    global _corpus
    from harness.history.views import FILES

    _corpus = Corpus(folders, FILES)


def _difference(asked: tuple[Path, str, str]) -> set[str] | None:
    assert _corpus is not None
    try:
        return _corpus.differing(*asked)
    except Invalid:
        return None


def _differing(mutants: list[Mutant], folders: list[Path], jobs: int) -> dict[str, set[str] | None]:
    """For each mutant of a view the histories it changes; None where it is no SQL."""
    begun = time.monotonic()
    if not mutants:
        return {}
    asked = [(mutant.path, mutant.where, mutant.statement or "") for mutant in mutants]
    with ProcessPoolExecutor(
        jobs, mp_context=get_context("fork"), initializer=_open_corpus, initargs=(folders,)
    ) as pool:
        found = list(pool.map(_difference, asked, chunksize=8))
    print(f"differences of {len(mutants)} views in {time.monotonic() - begun:.0f} s", flush=True)
    return {mutant.name: histories for mutant, histories in zip(mutants, found, strict=True)}


def _candidates(mutant: Mutant, seen: list[Seen], histories: set[str] | None) -> list[str] | None:
    """Tests that can notice it, likely and quick ones first; None where it is no mutant."""
    if mutant.statement is not None:
        if histories is None:
            return None
        able = [each for each in seen if histories.intersection(each.histories)]
    else:
        file = mutant.path.name
        able = [each for each in seen if any(call.startswith(f"{file}: ") for call in each.calls)]
        inside = f"{file}: {mutant.where}"
        if mutant.operator[:3] != "sql" and any(inside in each.calls for each in able):
            able = [each for each in able if inside in each.calls]
        able += [each for each in seen if asks_everything(each.test)]
    own = f"test_{mutant.path.stem}.py"
    return [each.test for each in sorted(able, key=lambda each: (own not in each.test, each.seconds))]


def _report(
    mutants: list[Mutant], fates: dict[str, Fate], refused: list[str], seconds: float, *, complete: bool
) -> int:
    entries = known.entries()
    valid = [mutant for mutant in mutants if fates[mutant.name] is not Fate.INVALID]
    killed = [m for m in valid if fates[m.name] in (Fate.KILLED, Fate.TIMEOUT)]
    alive = [m for m in valid if fates[m.name] is Fate.SURVIVED]
    equivalent = [m for m in alive if any(entry.covers(m.name) for entry in entries)]
    survivors = [m for m in alive if m not in equivalent]
    stale = [m.name for m in killed if any(entry.covers(m.name) for entry in entries)]
    stale += [
        f"{entry.mutant} (there is no such mutant)"
        for entry in entries
        if complete and not any(entry.covers(m.name) for m in mutants)
    ]
    for mutant in survivors:
        print(f"survived: {mutant.name}")
    for name in stale:
        print(f"stale in {known.PATH.name}: {name}")
    _table(valid, {m.name for m in killed}, {m.name for m in equivalent})
    counted = len(valid) - len(equivalent)
    score = len(killed) / counted if counted else 0.0
    print(
        f"{len(killed)} of {counted} mutants killed: {score:.1%} "
        f"({sum(fates[m.name] is Fate.TIMEOUT for m in killed)} by the time they took, "
        f"{len(equivalent)} more are equivalent, {len(mutants) - len(valid)} were refused as no code; "
        f"{seconds:.0f} s)"
    )
    return 0 if score >= REQUIRED and not stale and not refused else 1


def _table(mutants: list[Mutant], killed: set[str], equivalent: set[str]) -> None:
    total, dead = Counter[str](), Counter[str]()
    for mutant in mutants:
        for row in (str(mutant.path), mutant.operator):
            total[row] += mutant.name not in equivalent
            dead[row] += mutant.name in killed
    for row in sorted(total):
        print(f"  {row:42} {dead[row]:5} of {total[row]:5}")


if __name__ == "__main__":
    sys.exit(main())
