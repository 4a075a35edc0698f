"""What the tests look at: every history that they open, and every function of the checks that they come
through.

One run of the unchanged tests records it. A mutant of a view can only be noticed by a test one of whose
histories it changes something in, and a mutant of a function by one that calls it: these are run against
it, and no others.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest

from tests.mutants.mutant import ROOT

TESTS = ("tests/checks", "tests/history")
SHARED = {"evaluation", "units"}  # checks' own files with tests of their own that are no checks
QUIET = (
    "-q", "-x", "--tb=no", "--no-header", "-p", "no:cacheprovider", "-p", "no:mail-failover-harness",
    "-W", "ignore::pytest.PytestAssertRewriteWarning",
)  # fmt: skip
_CHECKS = str(ROOT / "harness" / "checks") + os.sep


def asks_everything(test: str) -> bool:
    """Whether it is one of those that ask every check of random histories: they need no watching."""
    return "/test_against_model.py" in test or "/test_metamorphic.py" in test


class Seen(msgspec.Struct):
    """Of one test: how long it took, which histories it opened, what it called."""

    test: str
    seconds: float = 0
    histories: list[str] = []  # "test_waves/12"
    calls: list[str] = []  # "delivered.py: evaluate"


class Recorder:
    """A pytest plugin."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = 0
        self.seen: dict[str, Seen] = {}
        self._now: Seen | None = None
        self._codes: set[Any] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._now = self.seen.setdefault(item.nodeid, Seen(item.nodeid))
        self._codes = set()
        begun = time.perf_counter()
        try:
            return (yield)
        finally:
            self._now.seconds = time.perf_counter() - begun
            self._now.calls = sorted(
                f"{Path(code.co_filename).name}: {code.co_qualname}" for code in self._codes
            )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        if not asks_everything(item.nodeid):
            sys.setprofile(self._profile)
        try:
            return (yield)
        finally:
            sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(_CHECKS):
            self._codes.add(frame.f_code)

    def opened(self, con: Any) -> None:
        self._opened += 1
        con.execute(
            f"copy (select * from events) to '{self._folder}/{self._opened}.parquet' (format parquet)"
        )
        if self._now is not None:
            self._now.histories.append(f"{Path(self._now.test.split('::')[0]).stem}/{self._opened}")


def test_files(mutated: set[Path]) -> list[Path]:
    """Those that can have to do with any of the mutated files, by its name; what checks share concerns all.

    The longest first, so that they do not come last when several processes share the work.
    """
    files = [path.relative_to(ROOT) for folder in TESTS for path in (ROOT / folder).rglob("test_*.py")]
    files.sort(key=lambda each: -(ROOT / each).stat().st_size)
    own = {path.stem for path in mutated if (ROOT / TESTS[0] / f"test_{path.stem}.py").exists()}
    if len(own) < len(mutated) or own & SHARED:
        return files
    named = re.compile("|".join(re.escape(name).replace("_", "[_-]") for name in sorted(own)))
    return [each for each in files if asks_everything(f"/{each.name}") or named.search(_text(each))]


def _text(path: Path) -> str:
    return path.name + (ROOT / path).read_text(encoding="utf-8")


def place(folder: Path, file: Path) -> Path:
    """Where the record of a file of tests is kept: by what it depends on, so that a change makes it anew."""
    shared = [
        path for part in ("harness/checks", "harness/history", *TESTS) for path in (ROOT / part).rglob("*")
        if path.suffix in (".py", ".sql") and not path.name.startswith("test_")
    ]  # fmt: skip
    told = hashlib.sha256()
    for path in [*sorted(shared), ROOT / file]:
        told.update(path.read_bytes())
    return folder / f"{file.stem}-{told.hexdigest()[:16]}"


def record(folder: Path, file: Path) -> int:
    """Runs one file of tests here; keeps its histories and what was seen. Gives pytest's exit code."""
    from harness.history import store, views

    build = views.create_views
    kept = place(folder, file)
    unfinished = folder / f"unfinished-{os.getpid()}"
    unfinished.mkdir(parents=True)
    recorder = Recorder(unfinished)

    def create_views(con: Any, *rest: Any, **named: Any) -> None:
        recorder.opened(con)
        build(con, *rest, **named)

    views.create_views = create_views  # type: ignore[assignment]
    store.create_views = create_views  # type: ignore[assignment]
    code = pytest.main([*QUIET, str(file)], plugins=[recorder])
    (unfinished / "seen.json").write_bytes(msgspec.json.encode(list(recorder.seen.values())))
    if code == 0:
        unfinished.rename(kept)
    return int(code)


def read(folder: Path, files: list[Path]) -> list[Seen]:
    return [
        seen
        for file in files
        for seen in msgspec.json.decode((place(folder, file) / "seen.json").read_bytes(), type=list[Seen])
    ]
