"""A fake as a process on this machine: its start, its end, and what it said when it ended unbidden."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from harness.history.journal import Journal
from harness.providers.wire import ProviderConfig, Ready
from harness.testbed.processes import ChildProcess, ProcessError
from harness.testbed.provider.link import ProviderLink
from harness.testbed.resources import ResourceLedger

START_TIMEOUT_S = 15.0


class ProviderProcess(ProviderLink):
    def __init__(
        self, config: ProviderConfig, run_dir: Path, ledger: ResourceLedger, journal: Journal
    ) -> None:
        super().__init__(config, journal)
        self._run_dir = run_dir
        self._child = ChildProcess(
            ledger, f"provider {config.name}", run_dir / "providers" / f"{config.name}.log"
        )

    async def start(self) -> Ready:
        """Start the process and wait until it listens. Raises ProcessError."""
        config_path = self._run_dir / "providers" / f"{self.name}.json"
        config_path.parent.mkdir(parents=True, exist_ok=True)
        config_path.write_bytes(msgspec.json.encode(self.config))
        argv = [sys.executable, "-m", "harness.providers", str(config_path)]
        await self._child.start(argv, env=os.environ, pipe_stdout=True)
        line = await self._child.first_line(START_TIMEOUT_S)
        try:
            ready = msgspec.json.decode(line, type=Ready)
        except msgspec.DecodeError as error:
            raise ProcessError(f"provider {self.name}: no ready line but {line!r}") from error
        self.connect_to(self.config.control_host, ready.control_port)
        return ready

    def lost(self) -> str | None:
        """How it ended unbidden, or why its journal is no longer followed; None while all is well."""
        return self._child.ending() or self.unfollowed()

    @property
    def is_running(self) -> bool:
        return self._child.is_running

    async def stop(self) -> None:
        await self.disconnect()
        await self._child.stop()
