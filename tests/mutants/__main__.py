"""`make mutants`: are the tests of the checks good enough to notice when a check is wrong?

Makes mutants of every view, of every query in the checks and of the checks' Python, asks of each whether a
test would notice it (judging.py), and prints the share of those that one would. Ends with 1 below 90 %, or
where `equivalent/` lists one that is killed after all. `--sample 40` takes so many, other ones
whenever the code is another; `--again` those that survived the last time.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

from tests.mutants import known, report
from tests.mutants.corpus import FOLDER, forget_old, place, read, test_files
from tests.mutants.judging import ByHand, Judge, fails, of_chance, own_tests
from tests.mutants.killing import Children, Fate
from tests.mutants.making import every, sampled
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.recording import record

HISTORIES = 300


def main() -> int:
    asked = _arguments()
    os.chdir(ROOT)
    begun = time.monotonic()
    mutants, refused = every(asked.only, asked.jobs)
    for line in refused:
        print(f"cannot be parsed, and so is not mutated: {line}")
    if not mutants and not refused:
        print(
            f"no mutant is like {' or '.join(asked.only)}; "
            "a name begins `harness/checks/waves.py: WAVES: sql filter`",
            file=sys.stderr,
        )
        return 2
    if asked.again:
        survivors = known.survivors()
        mutants = [each for each in mutants if each.name in survivors]
        if not mutants:
            print("none of them survived the last time")
            return 0
    chosen = sampled(mutants, asked.sample, asked.seed) if asked.sample else mutants
    files = _recorded(asked.jobs, asked.tests)
    questions = read(files)
    judge = Judge(of_chance(HISTORIES), ByHand(questions, map(place, files)), questions, asked.jobs)
    print(
        f"{len(chosen)} of {len(mutants)} mutants, {HISTORIES} random histories, {len(judge.asked)} of "
        f"{len(questions)} questions of tests; ready after {time.monotonic() - begun:.0f} s",
        flush=True,
    )
    gc.collect()
    gc.freeze()  # or every child goes through all of it, again and again
    expected = known.entries()
    fates: dict[str, Fate] = {}
    try:
        _judge_all(judge, chosen, expected, asked.jobs, fates)
    finally:
        known.remember(fates)
    complete = not (asked.sample or asked.only or asked.again)
    return report.told(
        chosen, fates, expected, time.monotonic() - begun,
        sampled=bool(asked.sample), complete=complete, refused=bool(refused),
    )  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=0, help="so many mutants instead of all")
    parser.add_argument("--seed", default="", help="which ones; with the same seed and code, the same")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        help="mutants whose name is like this, with * for anything; may be repeated",
    )
    parser.add_argument(
        "--tests", default="*", help="by these files of tests alone, such as test_wa*; quicker"
    )
    parser.add_argument("--again", action="store_true", help="of those, what survived the last time")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


def _recorded(jobs: int, like: str) -> list[Path]:
    """The files of tests, recorded; each is kept in `.mutants` until it changes."""
    files = [each for each in test_files() if fnmatchcase(each.name, like)]
    FOLDER.mkdir(exist_ok=True)
    new = [file for file in files if not place(file).exists()]
    if new:
        print(f"recording what {len(new)} files of tests ask", flush=True)
    _each_passes(jobs, [str(file) for file in new], lambda file: record(Path(file)) == 0)
    _each_passes(jobs, own_tests(), lambda test: not fails(test))
    forget_old()
    return files


def _each_passes(jobs: int, tests: list[str], passes: Callable[[str], bool]) -> None:
    """Raises SystemExit."""
    failed = list[str]()
    children = Children(jobs, cpu_seconds=900)
    for test in tests:

        def work(test: str = test) -> Fate:
            return Fate.SURVIVED if passes(test) else Fate.INVALID

        def done(fate: Fate, test: str = test) -> None:
            if fate is not Fate.SURVIVED:
                failed.append(test)

        children.run(work, done)
    children.finish()
    if failed:
        raise SystemExit(f"{failed[0]} fails without any mutant: nothing can be said of mutants")


def _judge_all(
    judge: Judge, mutants: list[Mutant], expected: list[known.Entry], jobs: int, fates: dict[str, Fate]
) -> None:
    """Fills `fates`, and tells of each survivor as soon as it is one."""
    children = Children(jobs)
    for count, mutant in enumerate(mutants, start=1):

        def done(fate: Fate, mutant: Mutant = mutant) -> None:
            fates[mutant.name] = fate
            if fate is Fate.SURVIVED and not any(entry.covers(mutant.name) for entry in expected):
                print(f"survived: {mutant.path}:{mutant.line}: {mutant.name.partition(': ')[2]}", flush=True)

        children.run(lambda mutant=mutant: judge.fate(mutant), done)
        if count % 200 == 0:
            print(f"  {count} of {len(mutants)}", flush=True)
    children.finish()


if __name__ == "__main__":
    sys.exit(main())
