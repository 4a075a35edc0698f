"""Would a test notice? In three stages, each of which does what tests do.

By the model: the questions of tests/checks/test_against_model.py to the random histories of the same seeds.
That test proves that the model and the true SQL agree on them, so that whoever differs from the true SQL
here fails there. By the histories written by hand: each question that a test asks of one, where what the
test looked at is another (corpus.py). And what has tests that ask no check is judged by these themselves,
as the views are that nobody noticed so far.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from multiprocessing.sharedctypes import RawArray
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlglot.errors import SqlglotError

from tests.checks import test_against_model as against_model
from tests.checks.generated import history
from tests.checks.histories import opened
from tests.mutants.corpus import Asked
from tests.mutants.databases import REFUSED, Database, Refused
from tests.mutants.killing import Fate
from tests.mutants.looked import seen
from tests.mutants.mutant import ROOT, Mutant
from tests.mutants.placing import Unplaceable, put_in_place, put_view_in_place
from tests.mutants.recording import QUIET

# The same seeds as in every run of the tests; the rates are the test's own too.
RATES = (("primary", 2.0), ("backup", 0.75))
PARTS = 12  # of the histories written by hand
OF_RATES = 100  # runs of which rates are asked: one query a run
DIRECTLY = {
    "units.py": "test_units.py", "params.py": "test_evaluation.py", "evaluation.py": "test_evaluation.py",
    "__init__.py": "test_evaluation.py", "finding.py": "test_evaluation.py",
    "own": "own", "mail": "test_mail_domains.py",
}  # fmt: skip
OF_VIEWS = {
    "runs.sql": ("test_runs.py",),
    "receipts.sql": ("test_receipts.py", "test_lost_acks.py", "test_unwanted.py"),
}
ANY_VIEW = ("test_views.py",)
Answers = dict[str, dict[str, Any]]


def of_chance(count: int) -> Database:
    """Random histories, of the first seeds."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.parquet"
        with opened(*(history(f"seed {seed}", random.Random(seed)) for seed in range(count))) as told:
            told.con.execute(f"copy (select * from events) to '{file}' (format parquet)")
        return Database([file])


class ByHand:
    """The histories that tests wrote: all together, which a mutated view is built over once; and in parts, of
    which one answers several times as fast."""

    def __init__(self, asked: list[Asked], folders: Iterable[Path]) -> None:
        parts: list[list[Path]] = [[] for _ in range(PARTS)]
        self._part_of: dict[str, int] = {}
        filled = [folder for folder in folders if any(folder.glob("*.parquet"))]
        for number, folder in enumerate(filled):
            part = number % PARTS
            parts[part] += sorted(folder.glob("*.parquet"))
            self._part_of[folder.name.rpartition("-")[0]] = part
        self.whole, *self._parts = (
            _of_files(asked, files) for files in ([file for part in parts for file in part], *parts) if files
        )

    def part(self, run: str) -> Database:
        return self._parts[self._part_of[run.split("/")[0]]]


def _of_files(asked: list[Asked], files: list[Path]) -> Database:
    place = r"^.*/([^/]+)-[0-9a-f]+/([0-9]+)\.parquet$"
    found = Database(files, rf"regexp_replace(filename, '{place}', '\1/\2/') || run")
    found.beside = {each.run: each.folder for each in asked if each.run and each.folder}
    return found


class Judge:
    def __init__(self, chance: Database, hand: ByHand, asked: list[Asked], jobs: int) -> None:
        self._chance, self._hand = chance, hand
        chance.remember()
        hand.whole.remember()
        self._true = {name: ask() for name, ask in self._questions(against_model).items()}
        # What is not the same in a database with other runs is nothing to judge by.
        self.asked = _answered_as_recorded(asked, hand, jobs)
        # When a question last noticed a mutant, in memory that the children share: the next mutant is likely
        # to be noticed by the same.
        self._number = {id(each): number for number, each in enumerate(self.asked)}
        self._noticed = RawArray("d", len(self.asked))

    def fate(self, mutant: Mutant) -> Fate:
        """In a child: it changes the process that it is called in."""
        try:
            if mutant.statement is not None:
                return self._of_view(mutant)
            put_in_place(mutant)
            return self._of_module(mutant)
        except (Refused, Unplaceable, SqlglotError):
            return Fate.INVALID

    def _of_view(self, mutant: Mutant) -> Fate:
        try:
            changed = self._chance.rebuild(mutant)
        except duckdb.Error:
            return Fate.BY_MODEL
        if self._chance.differing(changed) and self._model_notices(against_model):
            return Fate.BY_MODEL
        try:
            different = self._hand.whole.differing(self._hand.whole.rebuild(mutant))
        except duckdb.Error:
            return Fate.BY_HISTORY
        concerned = [each for each in self.asked if each.run in different]
        noticed = self._history_notices(mutant, concerned, lambda _: self._hand.whole)
        if noticed:
            return Fate.BY_HISTORY
        put_view_in_place(mutant)
        tests = OF_VIEWS.get(mutant.path.name, ANY_VIEW)
        return Fate.BY_TEST if fails(*(f"tests/history/{each}" for each in tests)) else Fate.SURVIVED

    def _of_module(self, mutant: Mutant) -> Fate:
        inside = mutant.path.relative_to("harness/checks").as_posix()
        if own_test_fails(inside):
            return Fate.BY_TEST
        called = [each for each in self.asked if f"{inside}: {mutant.where}" in each.calls]
        # A parameter's limits are pydantic's to keep: no call of the check's shows that they were asked.
        own = mutant.path.stem.replace("_", "-")
        refused = [each for each in self.asked if each.run is None and each.check == own]
        if self._history_notices(mutant, [*refused, *(called or self._using(mutant))], self._hand.part):
            return Fate.BY_HISTORY
        try:
            questions = importlib.import_module("tests.checks.test_against_model")
            if self._model_notices(questions, inside):
                return Fate.BY_MODEL
        except REFUSED as error:
            raise Refused(str(error)) from error
        except Exception:  # noqa: BLE001 - whatever it is, the test ends with it
            return Fate.BY_MODEL
        return Fate.SURVIVED

    def _using(self, mutant: Mutant) -> list[Asked]:
        """Questions that come through a file that names a constant, or a class, of the module."""
        name, module = mutant.where.split(".")[0], ".".join(mutant.path.with_suffix("").parts)
        folder = ROOT / "harness" / "checks"
        files = [
            path.relative_to(folder).as_posix()
            for path in folder.rglob("*.py")
            if path == ROOT / mutant.path
            or (module in (text := path.read_text(encoding="utf-8")) and re.search(rf"\b{name}\b", text))
        ]
        if mutant.where.startswith("Params"):
            files = [mutant.path.relative_to("harness/checks").as_posix()]
        return [e for e in self.asked if any(call.split(": ")[0] in files for call in e.calls)]

    def _questions(self, test: Any) -> dict[str, Callable[[], dict[str, Any]]]:
        runs = [run for (run,) in self._chance.con.execute("select run from runs").fetchall()][:OF_RATES]

        def peaks(route: str, rate: float) -> dict[str, Any]:
            return {run: test.peaks(self._chance, route, rate, run).get(run) for run in runs}

        found = {name: (lambda ask=ask: ask(self._chance.con)) for name, (ask, _) in test.QUESTIONS.items()}
        return found | {
            f"throttle, {route}": (lambda route=route, rate=rate: peaks(route, rate)) for route, rate in RATES
        }

    def _model_notices(self, test: Any, inside: str | None = None) -> bool:
        """`inside`: the module that is mutated, where only one is."""
        for name, ask in self._questions(test).items():
            if name.startswith("throttle") and inside is not None and inside not in _built_on("throttle.py"):
                continue  # the costliest by far
            try:
                answers = ask()
            except REFUSED as error:
                raise Refused(str(error)) from error
            except duckdb.Error:
                return True
            if _told(answers) != _told(self._true[name]):
                return True
        return False

    def _history_notices(
        self, mutant: Mutant, asked: list[Asked], database: Callable[[str], Database]
    ) -> bool:
        own = mutant.path.stem.replace("_", "-")

        def order(each: Asked) -> tuple[float, bool]:
            return -self._noticed[self._number[id(each)]], each.check != own

        for each in sorted(asked, key=order):
            if _differs(each, database):
                self._noticed[self._number[id(each)]] = time.monotonic()
                return True
        return False


def _told(answers: dict[str, Any]) -> dict[str, Any]:
    """To the test a run without an answer is one with an empty answer."""
    return {run: answer for run, answer in answers.items() if answer}


def _answered_as_recorded(asked: list[Asked], hand: ByHand, jobs: int) -> list[Asked]:
    """Asks in children, which have the databases as they are now."""
    _shared[:] = [(asked, hand)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        same = pool.map(_same, range(len(asked)), chunksize=50)
        return [each for each, is_same in zip(asked, same, strict=True) if is_same]


_shared: list[tuple[list[Asked], ByHand]] = []


def _same(index: int) -> bool:
    ((asked, hand),) = _shared
    return not any(_differs(asked[index], database) for database in (lambda _: hand.whole, hand.part))


def _differs(asked: Asked, database: Callable[[str], Database]) -> bool:
    """Raises Refused."""
    from pydantic import ValidationError

    from harness.checks import CHECKS, parse_params

    try:
        params = parse_params(asked.check, asked.raw)
        if asked.run is None:
            return True
        finding = CHECKS[asked.check].evaluate(database(asked.run), asked.run, params)
    except ValidationError:
        return asked.run is not None
    except REFUSED as error:
        raise Refused(str(error)) from error
    except Exception:  # noqa: BLE001 - whatever it is, the test ends with it
        return True
    return seen(finding, set(asked.looked)) != asked.looked


def _built_on(module: str) -> set[str]:
    """The files of the checks that one of them imports, itself and theirs among them."""
    folder, found, ahead = ROOT / "harness" / "checks", {"__init__.py"}, [module]
    while ahead:
        if (each := ahead.pop()) in found:
            continue
        found.add(each)
        named = re.findall(
            r"from harness\.checks\.([\w.]+) import", (folder / each).read_text(encoding="utf-8")
        )
        ahead += [f"{name.replace('.', '/')}.py" for name in named]
    return found


def own_tests() -> list[str]:
    """What judges a mutant by itself. It must pass without one, or all that it says is nothing."""
    checks = {f"tests/checks/{test}" for test in DIRECTLY.values()}
    views = {f"tests/history/{test}" for tests in (*OF_VIEWS.values(), ANY_VIEW) for test in tests}
    return sorted(checks | views)


def own_test_fails(inside: str) -> bool:
    test = DIRECTLY.get(inside) or DIRECTLY.get(inside.split("/")[0])
    return test is not None and fails(f"tests/checks/{test}")


def fails(*tests: str) -> bool:
    # pytest rewrites what belongs to a plugin of its own, as the harness does: it would load the true module.
    asked = [*QUIET, "--assert=plain", *(str(ROOT / test) for test in tests)]
    with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
        return int(pytest.main(asked)) != 0
