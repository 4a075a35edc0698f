"""Signals and states out of a command that is run for each read: what it prints, or its exit code.

It runs in a session of its own, with the system's environment and the run's marker. It has a deadline; when
it is over, whatever is left of its process group is killed, and what it prints is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.testbed.signals.source import LONGEST_TEXT, Bounds, Garbage, Unreachable, parse_json

COMMAND = Bounds(timeout_s=5.0)
LAST_WORDS_S = 0.2
"""How long its output may take after its exit; a child left behind may hold the pipe for ever."""


class Takes(StrEnum):
    """What of a command is the document."""

    JSON = "json"
    TEXT = "text"
    EXIT_CODE = "exit-code"


class CommandSource:
    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        folder: Path,
        takes: Takes = Takes.JSON,
        bounds: Bounds = COMMAND,
    ) -> None:
        """`env` holds the run's marker, by which `heal` finds what even a kill of the group has missed."""
        self._argv = list(argv)
        self._env = env
        self._folder = folder
        self._takes = takes
        self._bounds = bounds

    @property
    def how(self) -> str:
        return f"command {' '.join(self._argv)[:100]}"

    async def read(self) -> Any:
        code, printed, complaint = await self._run()
        if self._takes is Takes.EXIT_CODE:
            return code
        if code != 0:
            raise Garbage(f"exit code {code}{': ' if complaint else ''}{complaint}")
        if self._takes is Takes.TEXT:
            return printed.decode("utf-8", "replace")
        return parse_json(printed)

    async def _run(self) -> tuple[int, bytes, str]:
        """(exit code, standard output, the last of standard error). Raises Unreadable."""
        async with contextlib.AsyncExitStack() as stack:
            out = await _Pipe.open(stack, self._bounds.size_bytes)
            err = await _Pipe.open(stack, self._bounds.size_bytes)
            try:
                process = await asyncio.create_subprocess_exec(
                    *self._argv,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=out.write_fd,
                    stderr=err.write_fd,
                    env=dict(self._env),
                    cwd=self._folder,
                    start_new_session=True,
                )
            except OSError as error:
                raise Unreachable(f"cannot run {self._argv[0]!r}: {error.strerror or error}") from error
            finally:
                out.close_write()
                err.close_write()
            try:
                async with asyncio.timeout(self._bounds.timeout_s):
                    code = await _ending(process, out)
                await asyncio.wait((out.ended, err.ended), timeout=LAST_WORDS_S)
            except TimeoutError as error:
                raise Unreachable(f"it has not ended within {self._bounds.timeout_s:g} s") from error
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return code, bytes(out.kept), err.kept.decode("utf-8", "replace").strip()[-LONGEST_TEXT:]

    async def close(self) -> None:
        pass


async def _ending(process: asyncio.subprocess.Process, out: _Pipe) -> int:
    """Its exit code. Raises Garbage when it prints without end."""
    exit_ = asyncio.ensure_future(process.wait())
    try:
        await asyncio.wait((exit_, out.flooded), return_when=asyncio.FIRST_COMPLETED)
        if out.flooded.done():
            raise Garbage(f"it printed {len(out.kept)} bytes and more")
        return exit_.result()
    finally:
        exit_.cancel()


class _Pipe(asyncio.Protocol):
    """A pipe of our own, which can be closed while a stranger still holds its other end."""

    def __init__(self, limit: int) -> None:
        loop = asyncio.get_running_loop()
        self.kept = bytearray()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.flooded: asyncio.Future[None] = loop.create_future()
        self._limit = limit
        read_fd, self.write_fd = os.pipe()
        self._read_end = os.fdopen(read_fd, "rb", buffering=0)

    @classmethod
    async def open(cls, stack: contextlib.AsyncExitStack, limit: int) -> _Pipe:
        pipe = cls(limit)
        stack.callback(pipe.close_write)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: pipe, pipe._read_end)
        stack.callback(transport.close)
        return pipe

    def close_write(self) -> None:
        """Our copy of the end that the command writes to."""
        if self.write_fd >= 0:
            os.close(self.write_fd)
            self.write_fd = -1

    def data_received(self, data: bytes) -> None:
        self.kept += data[: self._limit - len(self.kept)]
        if len(self.kept) >= self._limit and not self.flooded.done():
            self.flooded.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
