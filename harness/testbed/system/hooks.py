"""Commands of the scenario's own around the system: `setup` before its first start, `teardown` after its end.

Each is a process of the run, one after another, its output in hooks.log. The tear-down is owed once the
set-up has begun, whatever came of it, and is bounded in time: a run that was interrupted must end.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Sequence
from pathlib import Path

from harness.testbed.commands import Surround
from harness.testbed.processes import ChildProcess, ProcessError, how_it_ended, log_tail
from harness.testbed.resources import ResourceLedger

SETUP_TIMEOUT_S = 60.0
TEARDOWN_TIMEOUT_S = 10.0
"""For all commands of it together."""

Words = Sequence[str]


class HookFailed(Exception):
    """A command did not end with 0; the message says which, how it ended, and its last lines."""


class Hooks:
    def __init__(
        self,
        setup: Sequence[Words],
        teardown: Sequence[Words],
        surround: Surround,
        run_dir: Path,
        ledger: ResourceLedger,
    ) -> None:
        self._setup = setup
        self._teardown = teardown
        self._surround = surround
        self._log_path = run_dir / "hooks.log"
        self._ledger = ledger
        self._owes_teardown = False

    async def set_up(self) -> None:
        """Raises HookFailed at the first command that does not end with 0."""
        self._owes_teardown = True
        for number, words in enumerate(self._setup, start=1):
            await self._run(f"setup {number}", words, SETUP_TIMEOUT_S)

    async def tear_down(self) -> list[str]:
        """Each command has its turn; what went wrong, in words."""
        if not self._owes_teardown:
            return []
        self._owes_teardown = False
        complaints = []
        deadline_s = asyncio.get_running_loop().time() + TEARDOWN_TIMEOUT_S
        for number, words in enumerate(self._teardown, start=1):
            left_s = max(0.0, deadline_s - asyncio.get_running_loop().time())
            try:
                await self._run(f"teardown {number}", words, left_s)
            except HookFailed as error:
                complaints.append(str(error))
        return complaints

    async def _run(self, name: str, words: Words, timeout_s: float) -> None:
        with self._log_path.open("ab") as log:
            log.write(f"$ {shlex.join(words)}\n".encode())
        before = self._log_path.stat().st_size
        command = ChildProcess(self._ledger, name, self._log_path)
        try:
            await command.start(words, env=self._surround.env, cwd=self._surround.cwd)
        except ProcessError as error:
            raise HookFailed(str(error)) from error
        ended = "took too long and was killed"
        try:
            async with asyncio.timeout(timeout_s):
                ended = how_it_ended(await command.wait())
        except TimeoutError:
            pass
        finally:
            await command.kill()  # what it left running as well
        if ended != how_it_ended(0):
            wrote = self._log_path.stat().st_size > before
            tail = "\n  ".join(log_tail(self._log_path, limit_bytes=self._log_path.stat().st_size - before))
            said = f"; its last lines:\n  {tail}" if wrote else "; it wrote nothing"
            raise HookFailed(f"{name}, `{shlex.join(words)}`, {ended}{said}")
