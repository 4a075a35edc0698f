"""Children that each judge one mutant, forked from a process that has everything open: at most so many at
once, each with so much of the processor and no more."""

from __future__ import annotations

import os
import resource
import signal
import time
import traceback
from collections.abc import Callable
from enum import StrEnum

CPU_SECONDS = 300  # several times what the longest survivor takes


class Fate(StrEnum):
    BY_MODEL = "killed by the model"
    BY_HISTORY = "killed by a history"
    BY_TEST = "killed by a test of its own"
    TIMEOUT = "killed by the time it took"
    SURVIVED = "survived"
    INVALID = "no mutant"  # Python or DuckDB does not take it at all

    @property
    def killed(self) -> bool:
        return self not in (Fate.SURVIVED, Fate.INVALID)


_FATES = list(Fate)


class Children:
    def __init__(self, jobs: int, cpu_seconds: int = CPU_SECONDS, seconds: float = 3600) -> None:
        self._jobs, self._cpu_seconds, self._seconds = jobs, cpu_seconds, seconds
        self._running: dict[int, tuple[Callable[[Fate], None], float]] = {}

    def run(self, work: Callable[[], Fate], done: Callable[[Fate], None]) -> None:
        while len(self._running) >= self._jobs:
            self._reap()
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                # Of the processor, not of the clock: a busy machine kills no mutant.
                resource.setrlimit(resource.RLIMIT_CPU, (self._cpu_seconds, self._cpu_seconds))
                code = _FATES.index(work())
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
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended and time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise RuntimeError("a child does not come to an end, and does not work either")
            if not ended:
                continue
            del self._running[pid]
            code = os.waitstatus_to_exitcode(status)
            if code in (-signal.SIGXCPU, -signal.SIGKILL):
                done(Fate.TIMEOUT)
            elif 0 <= code < len(_FATES):
                done(_FATES[code])
            else:
                raise RuntimeError(f"a child ended with {code}")
        time.sleep(0.002)
