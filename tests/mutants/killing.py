"""Running the tests against a mutant, in a child forked out of a pytest session that has collected them
all.

A mutant is killed if a test fails, and by nothing else. One that makes them run for too long is killed as
well; one that Python or DuckDB does not take at all is none.
"""

from __future__ import annotations

import os
import resource
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path

import duckdb
import pytest
from hypothesis import Phase, settings

from tests.mutants.corpus import QUIET
from tests.mutants.mutant import Mutant
from tests.mutants.placing import Unplaceable, put_in_place

BARE = (*QUIET, "--capture=no", "-p", "no:warnings", "-p", "no:logging")
REFUSED = (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException)


class Fate(StrEnum):
    KILLED = "killed"
    TIMEOUT = "killed by the time it took"
    SURVIVED = "survived"
    INVALID = "no mutant"


_BY_CODE = {0: Fate.SURVIVED, 1: Fate.KILLED, 3: Fate.INVALID}


class Killer:
    """A pytest plugin: instead of running the tests it runs `work`, which forks children that run some."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._items: dict[str, pytest.Item] = {}
        self._failed = self._invalid = False

    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if self._items:
            return None  # of a child
        self._items = {item.nodeid: item for item in session.items}
        self._work()
        return True

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, call: pytest.CallInfo[None]) -> None:
        if call.excinfo is not None and not call.excinfo.errisinstance(pytest.skip.Exception):
            self._failed = True
            self._invalid |= call.excinfo.errisinstance(REFUSED)

    def judged(self, mutant: Mutant, tests: Sequence[str]) -> int:
        """In a child: the exit code for its fate."""
        try:
            anew = put_in_place(mutant)
        except Unplaceable:
            return 3
        if anew:
            code = pytest.main([*BARE, *tests], plugins=[self])
            return (
                3 if self._invalid else {0: 0, 1: 1, 2: 1}.get(int(code), 70)
            )  # 2: it cannot even be imported
        for name in tests:
            item = self._items[name]
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if self._failed:
                return 3 if self._invalid else 1
        return 0


def in_session(killer: Killer, files: Sequence[Path]) -> None:
    """Collects the tests of these files, and lets the killer work."""
    settings.register_profile(
        "mutants", derandomize=True, database=None, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")
    code = pytest.main([*BARE, *map(str, files)], plugins=[killer])
    if code != 0:
        raise SystemExit(f"the tests could not be collected: pytest ends with {code}")


class Children:
    """At most so many at once."""

    def __init__(self, jobs: int, cpu_seconds: int, seconds: float = 7200) -> None:
        self._jobs, self._cpu_seconds, self._seconds = jobs, cpu_seconds, seconds
        self._running: dict[int, tuple[Callable[[Fate], None], float]] = {}

    def run(self, work: Callable[[], int], done: Callable[[Fate], None]) -> None:
        while len(self._running) >= self._jobs:
            self._reap()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                sink = os.open(os.devnull, os.O_WRONLY)
                os.dup2(sink, 1)
                # Of the processor, not of the clock: a busy machine kills no mutant.
                resource.setrlimit(resource.RLIMIT_CPU, (self._cpu_seconds, self._cpu_seconds))
                code = work()
            except BaseException:  # noqa: BLE001 - a child must not go on as its parent
                traceback.print_exc()
            finally:
                os._exit(code)
        self._running[pid] = (done, time.monotonic() + self._seconds)

    def finish(self) -> None:
        while self._running:
            self._reap()

    def _reap(self) -> None:
        for pid, (done, deadline) in list(self._running.items()):
            late = time.monotonic() > deadline
            if late:
                os.kill(pid, signal.SIGKILL)
            ended, status = os.waitpid(pid, 0 if late else os.WNOHANG)
            if ended:
                del self._running[pid]
                code = os.waitstatus_to_exitcode(status)
                if late:
                    raise RuntimeError(
                        "a child that ran tests does not come to an end, and does not work either"
                    )
                if code in (-signal.SIGXCPU, -signal.SIGKILL):
                    done(Fate.TIMEOUT)
                elif code in _BY_CODE:
                    done(_BY_CODE[code])
                else:
                    raise RuntimeError(f"a child that ran tests ended with {code}")
        time.sleep(0.005)
