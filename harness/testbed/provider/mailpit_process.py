"""Mailpit as a process on this machine."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from harness.history.journal import Journal
from harness.providers.mailpit import MailpitError, MailpitLaunch, MailpitProcess
from harness.providers.wire import BoundListener, Ready
from harness.testbed.discover import find_tool
from harness.testbed.processes import ProcessError
from harness.testbed.provider.mailpit import MailpitLink
from harness.testbed.proxy.ports import candidate_ports
from harness.testbed.resources import MARKER, ResourceLedger, What

START_TRIES = 5


class MailpitProvider(MailpitLink):
    """The same life as a provider process of ours: start, calibrate, follow, finish, stop."""

    def __init__(
        self,
        name: str,
        route: str,
        system_canaries: tuple[str, ...],
        run_dir: Path,
        ledger: ResourceLedger,
        journal: Journal,
    ) -> None:
        super().__init__(name, route, system_canaries, journal)
        self._run_dir = run_dir
        self._ledger = ledger
        self._process: MailpitProcess | None = None
        self._seen: psutil.Process | None = None

    @property
    def _ledger_name(self) -> str:
        return f"provider {self.name}"

    @property
    def is_running(self) -> bool:
        return self._process is not None

    async def start(self) -> Ready:
        """Raises ProcessError where Mailpit is not here or does not get ready."""
        binary = find_tool("mailpit")
        if binary is None:
            raise ProcessError(f"provider {self.name}: mailpit is not on PATH nor in ./.tools")
        folder = self._run_dir / "providers"
        folder.mkdir(exist_ok=True)
        ports = iter(candidate_ports(f"mailpit {self.name}"))
        for attempt in range(1, START_TRIES + 1):
            launch = MailpitLaunch(
                binary=binary,
                smtp_port=next(ports),
                http_port=next(ports),
                database=folder / f"{self.name}-{attempt}.db",
            )
            self._ledger.making(What.PROCESS, self._ledger_name)
            process = MailpitProcess(
                launch,
                folder / f"{self.name}.log",
                environ={MARKER: self._ledger.marker},
                on_process=self._record_pid,
            )
            try:
                await process.start()
            except MailpitError as error:
                # Most likely one of the ports was taken; the next try has others.
                if attempt == START_TRIES:
                    raise ProcessError(f"provider {self.name}: {error}") from error
                continue
            self._process = process
            self.connect_to(launch.base_url)
            return Ready(
                provider=self.name,
                control_port=launch.http_port,
                listeners=[
                    BoundListener(route=self._route, endpoint="smtp", port=launch.smtp_port, rejecting_port=0)
                ],
            )
        raise AssertionError("the last try raised")

    def _record_pid(self, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._seen = psutil.Process(pid)
            started_at = self._seen.create_time()
            self._ledger.made(What.PROCESS, self._ledger_name, pid=pid, started_at=started_at)

    def lost(self) -> str | None:
        """How it ended unbidden, or why its mail is no longer read; None while all is well."""
        if self._process is None or self._seen is None:
            return None
        if not self._seen.is_running():
            return f"provider {self.name}: Mailpit (process {self._seen.pid}) ended by itself"
        return self.unread()

    async def stop(self) -> None:
        self.disconnect()
        if self._process is not None:
            await self._process.stop()
            self._process = None
            self._ledger.gone(What.PROCESS, self._ledger_name)
