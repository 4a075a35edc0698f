"""What the tests of the checks ask, recorded once: histories, checks, parameters, and what they look at of
each answer.

One run of the unchanged tests records it, a file of tests at a time; it is kept in `.mutants` until the tests
or what they test change. Random histories are not recorded: those are asked of the model (judging.py).
"""

from __future__ import annotations

import copy
import hashlib
import pickle
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.mutants.looked import Looked, seen, watched
from tests.mutants.mutant import ROOT

FOLDER = ROOT / ".mutants"
TESTS = Path("tests/checks")
AT_RANDOM = ("test_against_model.py", "test_metamorphic.py")
QUIET = (
    "-q", "-x", "--tb=short", "--no-header", "-p", "no:cacheprovider", "-p", "no:mail-failover-harness",
    "-p", "no:warnings", "-p", "no:logging", "-p", "no:randomly", "-p", "no:xdist",
)  # fmt: skip
_CHECKS = str(ROOT / "harness" / "checks") + "/"


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
    told = hashlib.sha256()
    for path in [*sorted(shared), ROOT / file, Path(__file__), Path(__file__).with_name("looked.py")]:
        told.update(path.read_bytes())
    return FOLDER / f"{file.stem}-{told.hexdigest()[:16]}"


def forget_old() -> None:
    kept = {place(file) for file in test_files()}
    for old in [each for each in FOLDER.iterdir() if each.is_dir() and each not in kept]:
        shutil.rmtree(old)


@contextmanager
def profiled(calls: set[Any]) -> Iterator[None]:
    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_CHECKS):
            calls.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


def called(codes: set[Any]) -> frozenset[str]:
    names = (
        (code.co_filename.removeprefix(_CHECKS), code.co_qualname.replace("<locals>.", "")) for code in codes
    )
    return frozenset(f"{file}: {name.split('.<')[0]}" for file, name in names)


class _Recorder:
    """A pytest plugin that watches every check that is asked."""

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder, self._stem = folder, stem
        self._test = ""
        self._histories: dict[int, tuple[Any, int]] = {}
        self._raw: dict[int, tuple[Any, Any, set[Any]]] = {}
        self._open: list[tuple[Asked, set[str], Any, set[Any]]] = []
        self.asked: list[Asked] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self._test = item.nodeid
        self._open, self._raw = [], {}
        try:
            return (yield)
        finally:
            for asked, parts, finding, codes in self._open:
                if parts:
                    asked.looked, asked.calls = seen(finding, parts), called(codes)
                    self.asked.append(asked)

    def validate(self, name: str, validate: Callable[..., Any]) -> Callable[..., Any]:
        def read(raw: Any) -> Any:
            kept, codes = copy.deepcopy(raw), set[Any]()
            try:
                with profiled(codes):
                    made = validate(raw)
            except ValueError:
                refused = Asked(self._test, name, kept, looked={"refused": True}, calls=called(codes))
                self.asked.append(refused)
                raise
            self._raw[id(made)] = (made, kept, codes)
            return made

        return read

    def evaluate(self, name: str, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        def ask(history: Any, run: str, params: Any) -> Any:
            codes = set[Any]()
            with profiled(codes):
                finding = evaluate(history, run, params)
            made, raw, before = self._raw.get(id(params), (None, None, set()))
            if made is not params:
                return finding
            number = self._kept(history)
            folder = history.folder(run)
            asked = Asked(self._test, name, raw, f"{self._stem}/{number}/{run}")
            if folder is not None and (Path(folder) / "dns.zone").exists():
                asked.folder = self._folder / f"{number}"
                if not asked.folder.exists():
                    shutil.copytree(folder, asked.folder)
            parts = set[str]()
            self._open.append((asked, parts, finding, codes | before))
            return watched(finding, parts)

        return ask

    def _kept(self, history: Any) -> int:
        if id(history) not in self._histories:
            number = len(self._histories) + 1
            self._histories[id(history)] = (history, number)
            history.con.execute(
                f"copy (select * from events) to '{self._folder}/{number}.parquet' (format parquet)"
            )
        return self._histories[id(history)][1]


def record(file: Path) -> int:
    """Runs one file of tests here and keeps what it asks. Gives pytest's exit code."""
    from harness.checks import CHECKS, Check

    kept = place(file)
    unfinished = kept.with_name(f"{kept.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    recorder = _Recorder(unfinished, file.stem)
    for check in CHECKS.values():
        model = check.params
        model.model_validate = recorder.validate(check.name, model.model_validate)  # type: ignore
    evaluate = Check.evaluate.fget  # type: ignore[attr-defined]
    Check.evaluate = property(lambda check: recorder.evaluate(check.name, evaluate(check)))  # type: ignore
    code = int(pytest.main([*QUIET, str(file)], plugins=[recorder]))
    asked = [
        each if each.folder is None else replace(each, folder=kept / each.folder.name)
        for each in recorder.asked
    ]
    (unfinished / "asked.pickle").write_bytes(pickle.dumps(asked))
    if code == 0:
        unfinished.rename(kept)
    return code


def read(files: list[Path]) -> list[Asked]:
    """What is asked, each question once."""
    found: list[Asked] = []
    for file in files:
        found += pickle.loads((place(file) / "asked.pickle").read_bytes())
    return found
