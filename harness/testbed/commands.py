"""Commands that a run gives to this machine and waits for: bounded in time, in output, in what they leave.

Each runs in a session of its own, carries the run's marker, and is killed with everything that it started
when it ends, when its time is over, or when whoever waits for it is cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.testbed.processes import how_it_ended
from harness.testbed.resources import MARKER

LARGEST_OUTPUT = 8 * 1024 * 1024
LAST_WORDS_S = 1.0
"""How long what it left behind may keep its output open after its end."""
KILLED_S = 10.0
"""How long a process that was killed may take to be gone, on a machine that is busy."""


class CommandNotRun(Exception):
    """There is no such program, or it cannot be run; the message says which."""


@dataclass(frozen=True)
class Surround:
    """Where and as what the run's commands are run."""

    env: Mapping[str, str]
    cwd: Path
    marker: str


@dataclass(frozen=True)
class Ended:
    """How it ended. `code` as Python has it, a negative number is a signal; None: its time was over."""

    code: int | None
    stdout: bytes
    stderr: bytes

    def words(self) -> str:
        """How it ended, and the last line it wrote."""
        ended = "took too long and was killed" if self.code is None else how_it_ended(self.code)
        lines = (self.stderr or self.stdout).decode("utf-8", "replace").strip().splitlines()
        return f"{ended}: {lines[-1][:200]}" if lines else ended


async def run_command(
    argv: Sequence[str],
    surround: Surround,
    *,
    timeout_s: float,
    stdin: bytes = b"",
    most_bytes: int | None = None,
) -> Ended:
    """Run it to its end. What it prints beyond LARGEST_OUTPUT is read and dropped; with `most_bytes` it is
    killed once it has printed as many. Raises CommandNotRun."""
    loop = asyncio.get_running_loop()
    try:
        transport, talk = await loop.subprocess_exec(
            lambda: _Talk(most_bytes),
            *argv,
            env={**surround.env, MARKER: surround.marker},
            cwd=surround.cwd,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise CommandNotRun(f"cannot run {argv[0]!r}: {reason}") from error
    try:
        into = transport.get_pipe_transport(0)
        assert isinstance(into, asyncio.WriteTransport)
        into.write(stdin)
        into.close()
        code: int | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await talk.heard_enough.wait()
            code = transport.get_returncode()
        _kill_group(transport.get_pid())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await talk.said_all.wait()
    finally:
        _kill_group(transport.get_pid())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(KILLED_S):
                await talk.exited.wait()
        transport.close()
    return Ended(code, bytes(talk.kept[1]), bytes(talk.kept[2]))


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


class _Talk(asyncio.SubprocessProtocol):
    """What a command says. Its own end is one thing, the end of its output another: a child may hold that."""

    def __init__(self, most_bytes: int | None) -> None:
        self._most_bytes = most_bytes
        self.heard_enough = asyncio.Event()
        self.exited = asyncio.Event()
        self.said_all = asyncio.Event()
        self.kept = {1: bytearray(), 2: bytearray()}
        self._open = {1, 2}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        limit = self._most_bytes or LARGEST_OUTPUT
        self.kept[fd] += data[: max(0, limit - len(self.kept[fd]))]
        if self._most_bytes is not None and len(self.kept[fd]) >= limit:
            self.heard_enough.set()

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        self._open.discard(fd)
        if not self._open:
            self.said_all.set()

    def process_exited(self) -> None:
        self.heard_enough.set()
        self.exited.set()
