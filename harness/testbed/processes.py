"""Child processes of a run: each in a session of its own, marked, logged to a file, written down first.

The ledger line comes before the process and the marker is in its environment, so that a harness killed
between the two leaves nothing that `heal` cannot find.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from harness.testbed.resources import MARKER, ResourceLedger, What

STOP_WAIT_S = 3.0


class ProcessError(Exception):
    """A part of the testbed could not be started; the message says which, and shows its last words."""


def log_tail(path: Path, lines: int = 20, limit_bytes: int = 64_000) -> list[str]:
    """The last lines of a log, whatever its size and whatever bytes are in it."""
    if not path.exists():
        return []
    with path.open("rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - limit_bytes))
        text = log.read().decode("utf-8", "replace")
    return [line[:500] for line in text.splitlines()[-lines:]]


def how_it_ended(code: int | None) -> str:
    """An exit code as Python tells it, in words: `exited with code 3`, `was killed by SIGKILL`."""
    if code is None or code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def retrieved(task: asyncio.Task[None]) -> None:
    """A task's done-callback: what broke it is told by whoever watches it, and not once more by asyncio."""
    if not task.cancelled():
        task.exception()


class ChildProcess:
    """One process of the run, from its ledger line to its end."""

    def __init__(self, ledger: ResourceLedger, name: str, log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        self._ledger = ledger
        self._process: asyncio.subprocess.Process | None = None

    async def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path | None = None,
        pipe_stdout: bool = False,
        stdin: int = asyncio.subprocess.DEVNULL,
        output: int | None = None,
    ) -> None:
        """Start it; `output` is a file descriptor that takes its output in place of the log.

        Raises ProcessError where the program is not there or cannot be run.
        """
        self._ledger.making(What.PROCESS, self.name)
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=stdin,
                    stdout=asyncio.subprocess.PIPE if pipe_stdout else output or log,
                    stderr=output or log,
                    env={**env, MARKER: self._ledger.marker},
                    cwd=cwd,
                    start_new_session=True,
                )
            except OSError as error:
                self._ledger.gone(What.PROCESS, self.name)
                raise ProcessError(
                    f"{self.name}: cannot run {argv[0]!r}: {error.strerror or error}"
                ) from error
        self.record_pid(self._process.pid)

    def record_pid(self, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            started_at = psutil.Process(pid).create_time()
            self._ledger.made(What.PROCESS, self.name, pid=pid, started_at=started_at)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def pipes(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
        """Its standard input and output, where it was started with pipes for both."""
        assert self._process is not None and self._process.stdin is not None
        assert self._process.stdout is not None
        return self._process.stdin, self._process.stdout

    @property
    def returncode(self) -> int | None:
        return self._process.returncode if self._process else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def ending(self) -> str | None:
        """How it ended and its last words; None while it runs, or was never started."""
        if self._process is None or self._process.returncode is None:
            return None
        return f"{self.name} {how_it_ended(self._process.returncode)}{self._last_words()}"

    async def first_line(self, timeout_s: float) -> bytes:
        """The first line of its standard output. Raises ProcessError when it ends or takes too long."""
        assert self._process is not None and self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), timeout_s)
        except TimeoutError:
            raise ProcessError(
                f"{self.name} did not get ready within {timeout_s:g} s{self._last_words()}"
            ) from None
        if not line:
            raise ProcessError(f"{self.name} ended before it was ready{self._last_words()}")
        return line

    def _last_words(self) -> str:
        tail = log_tail(self.log_path)
        return ":\n  " + "\n  ".join(tail) if tail else "; it wrote nothing"

    async def wait(self) -> int:
        assert self._process is not None
        return await self._process.wait()

    def signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    async def kill(self) -> int:
        """SIGKILL to the whole group, and wait for its leader to be gone."""
        self.signal_group(signal.SIGKILL)
        code = await self.wait()
        self._ledger.gone(What.PROCESS, self.name)
        return code

    async def stop(self, wait_s: float = STOP_WAIT_S) -> None:
        """SIGTERM, a while to comply, then SIGKILL to what is left of the group."""
        if self._process is None:
            return
        if self.is_running:
            self.signal_group(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), wait_s)
        await self.kill()
