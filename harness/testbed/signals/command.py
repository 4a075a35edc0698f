"""Signals and states out of a command that is run for each read: what it prints, or its exit code.

It runs as every command of a run does (harness/testbed/commands.py), with the system's environment, and is
ended when it takes too long or prints without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from harness.testbed.commands import CommandNotRun, Surround, run_command
from harness.testbed.signals.source import Bounds, Garbage, Unreachable, parse_json

COMMAND = Bounds(timeout_s=5.0)


class Takes(StrEnum):
    """What of a command is the document."""

    JSON = "json"
    TEXT = "text"
    EXIT_CODE = "exit-code"


class CommandSource:
    def __init__(
        self,
        argv: Sequence[str],
        surround: Surround,
        *,
        takes: Takes = Takes.JSON,
        bounds: Bounds = COMMAND,
    ) -> None:
        self._argv = list(argv)
        self._surround = surround
        self._takes = takes
        self._bounds = bounds

    @property
    def how(self) -> str:
        return f"command {' '.join(self._argv)[:100]}"

    async def read(self) -> Any:
        timeout_s, most = self._bounds.timeout_s, self._bounds.size_bytes
        try:
            ended = await run_command(self._argv, self._surround, timeout_s=timeout_s, most_bytes=most)
        except CommandNotRun as error:
            raise Unreachable(str(error)) from error
        if most in (len(ended.stdout), len(ended.stderr)):
            raise Garbage(f"it printed {most} bytes and more")
        if ended.code is None:
            raise Unreachable(f"it had not ended after {timeout_s:g} s")
        if self._takes is Takes.EXIT_CODE:
            return ended.code
        if ended.code != 0:
            raise Garbage(ended.words())
        if self._takes is Takes.TEXT:
            return ended.stdout.decode("utf-8", "replace")
        return parse_json(ended.stdout)

    async def close(self) -> None:
        pass
