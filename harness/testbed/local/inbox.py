"""The inbox as a process on this machine, where Mailpit is found."""

from __future__ import annotations

from pathlib import Path

from harness.testbed.provider.mailpit_process import LocalMailpit
from harness.testbed.resources import ResourceLedger


class LocalInbox:
    def __init__(self, run_dir: Path, ledger: ResourceLedger) -> None:
        self._mailpit = LocalMailpit("inbox", run_dir / "inbox", "inbox", ledger)
        self.base_url = ""

    async def start(self) -> str:
        """Raises ProcessError."""
        launch = await self._mailpit.start()
        self._mailpit.step_back()
        self.base_url = launch.base_url
        return f"{launch.host}:{launch.smtp_port}"

    async def stop(self) -> None:
        await self._mailpit.stop()

    def leave(self) -> None:
        self._mailpit.leave(self.base_url)
