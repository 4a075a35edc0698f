"""A pytest plugin that records what tests of the checks ask: `pytest -p tests.mutants.recording`.

It watches every check that is asked, and what is read of its answer. A file of tests is kept (corpus.py) once
all of its tests have passed, in one process.
"""

from __future__ import annotations

import copy
import os
import pickle
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.mutants.corpus import Asked, place, test_files
from tests.mutants.looked import seen, watched
from tests.mutants.mutant import ROOT

QUIET = (
    "-q", "-x", "--tb=short", "--no-header", "-p", "no:cacheprovider", "-p", "no:mail-failover-harness",
    "-p", "no:warnings", "-p", "no:logging", "-p", "no:randomly", "-p", "no:xdist",
)  # fmt: skip
_CHECKS = str(ROOT / "harness" / "checks") + "/"


def record(file: Path) -> int:
    """Runs one file of tests here and keeps what it asks. Gives pytest's exit code."""
    return int(pytest.main([*QUIET, "-p", __name__, str(file)]))


def pytest_configure(config: pytest.Config) -> None:
    recorder = _Recorder()
    recorder.watch()
    config.pluginmanager.register(recorder)


class _File:
    """What one file of tests has asked so far."""

    def __init__(self, path: Path) -> None:
        self.kept = place(path)
        self.stem = path.stem
        self.folder = self.kept.with_name(f"{self.kept.name}.unfinished-{os.getpid()}")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.asked: list[Asked] = []
        self.passed = 0
        self._histories: dict[int, tuple[Any, int]] = {}

    def number(self, history: Any) -> int:
        if id(history) not in self._histories:
            number = len(self._histories) + 1
            self._histories[id(history)] = (history, number)
            history.con.execute(
                f"copy (select * from events) to '{self.folder}/{number}.parquet' (format parquet)"
            )
        return self._histories[id(history)][1]

    def keep(self) -> None:
        asked = [
            each if each.folder is None else replace(each, folder=self.kept / each.folder.name)
            for each in self.asked
        ]
        (self.folder / "asked.pickle").write_bytes(pickle.dumps(asked))
        shutil.rmtree(self.kept, ignore_errors=True)
        self.folder.rename(self.kept)


class _Recorder:
    def __init__(self) -> None:
        self._wanted = set(test_files())
        self._tests: Counter[Path] = Counter()  # of each file, as collected
        self._files: dict[Path, _File] = {}
        self._file: _File | None = None  # of the test that runs
        self._test = ""
        self._raw: dict[int, tuple[Any, Any, set[Any]]] = {}
        self._open: list[tuple[Asked, set[str], Any, set[Any]]] = []

    def watch(self) -> None:
        """For the rest of this process."""
        from harness.checks import CHECKS, Check

        for check in CHECKS.values():
            model = check.params
            model.model_validate = self._validate(check.name, model.model_validate)  # type: ignore
        evaluate = Check.evaluate.fget  # type: ignore[attr-defined]
        Check.evaluate = property(lambda check: self._evaluate(check.name, evaluate(check)))  # type: ignore

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._tests = Counter(_file_of(item) for item in session.items)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        path = _file_of(item)
        if path not in self._wanted:
            return (yield)
        if path not in self._files:
            self._files[path] = _File(path)
        file = self._file = self._files[path]
        self._test, self._open, self._raw = item.nodeid, [], {}
        try:
            result = yield
            file.passed += 1
            return result
        finally:
            self._file = None
            for asked, parts, finding, codes in self._open:
                if parts:
                    asked.looked, asked.calls = seen(finding, parts), _called(codes)
                    file.asked.append(asked)
            if file.passed == self._tests[path]:
                file.keep()
                del self._files[path]

    def pytest_sessionfinish(self) -> None:
        for file in self._files.values():
            shutil.rmtree(file.folder, ignore_errors=True)

    def _validate(self, name: str, validate: Callable[..., Any]) -> Callable[..., Any]:
        def read(raw: Any) -> Any:
            if self._file is None:
                return validate(raw)
            kept, codes = copy.deepcopy(raw), set[Any]()
            try:
                with _profiled(codes):
                    made = validate(raw)
            except ValueError:
                refused = Asked(self._test, name, kept, looked={"refused": True}, calls=_called(codes))
                self._file.asked.append(refused)
                raise
            self._raw[id(made)] = (made, kept, codes)
            return made

        return read

    def _evaluate(self, name: str, evaluate: Callable[..., Any]) -> Callable[..., Any]:
        def ask(history: Any, run: str, params: Any) -> Any:
            made, raw, before = self._raw.get(id(params), (None, None, set()))
            if self._file is None or made is not params:
                return evaluate(history, run, params)
            codes = set[Any]()
            with _profiled(codes):
                finding = evaluate(history, run, params)
            number = self._file.number(history)
            folder = history.folder(run)
            asked = Asked(self._test, name, raw, f"{self._file.stem}/{number}/{run}")
            if folder is not None and (Path(folder) / "dns.zone").exists():
                asked.folder = self._file.folder / f"{number}"
                if not asked.folder.exists():
                    shutil.copytree(folder, asked.folder)
            parts = set[str]()
            self._open.append((asked, parts, finding, codes | before))
            return watched(finding, parts)

        return ask


def _file_of(item: pytest.Item) -> Path:
    return item.path.relative_to(ROOT) if item.path.is_relative_to(ROOT) else item.path


@contextmanager
def _profiled(calls: set[Any]) -> Iterator[None]:
    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_CHECKS):
            calls.add(frame.f_code)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)


def _called(codes: set[Any]) -> frozenset[str]:
    names = (
        (code.co_filename.removeprefix(_CHECKS), code.co_qualname.replace("<locals>.", "")) for code in codes
    )
    return frozenset(f"{file}: {name.split('.<')[0]}" for file, name in names)
