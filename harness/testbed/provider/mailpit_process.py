"""Mailpit as a process on this machine: a route's provider, or whatever else a run wants one for."""

from __future__ import annotations

import contextlib
from pathlib import Path

import psutil

from harness.history.journal import Journal
from harness.providers.mailpit import MailpitLaunch, MailpitProcess
from harness.providers.mailpit_mail import MailpitError
from harness.providers.wire import BoundListener, Ready
from harness.testbed.discover import find_tool
from harness.testbed.processes import ProcessError
from harness.testbed.provider.mailpit import MailpitLink
from harness.testbed.proxy.ports import candidate_ports
from harness.testbed.resources import MARKER, ResourceLedger, What

START_TRIES = 5
NICENESS = 5


class LocalMailpit:
    """One Mailpit of a run, from its line in the ledger to its end. `name` is as the ledger has it."""

    def __init__(self, name: str, folder: Path, stem: str, ledger: ResourceLedger) -> None:
        self.name = name
        self._folder = folder
        self._stem = stem
        self._ledger = ledger
        self._process: MailpitProcess | None = None
        self._seen: psutil.Process | None = None

    @property
    def is_running(self) -> bool:
        return self._process is not None

    async def start(self) -> MailpitLaunch:
        """Raises ProcessError where Mailpit is not here or does not get ready."""
        binary = find_tool("mailpit")
        if binary is None:
            raise ProcessError(f"{self.name}: mailpit is not on PATH nor in ./.tools")
        self._folder.mkdir(exist_ok=True)
        ports = iter(candidate_ports(f"mailpit {self._ledger.marker} {self.name}"))
        for attempt in range(1, START_TRIES + 1):
            launch = MailpitLaunch(
                binary=binary,
                smtp_port=next(ports),
                http_port=next(ports),
                database=self._folder / f"{self._stem}-{attempt}.db",
            )
            self._ledger.making(What.PROCESS, self.name)
            process = MailpitProcess(
                launch,
                self._folder / f"{self._stem}.log",
                environ={MARKER: self._ledger.marker},
                on_process=self._record_pid,
            )
            try:
                await process.start()
            except MailpitError as error:
                # Most likely one of the ports was taken; the next try has others.
                if attempt == START_TRIES:
                    self._ledger.gone(What.PROCESS, self.name)
                    raise ProcessError(f"{self.name}: {error}") from error
                continue
            self._process = process
            return launch
        raise AssertionError("the last try raised")

    def _record_pid(self, pid: int) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._seen = psutil.Process(pid)
            started_at = self._seen.create_time()
            self._ledger.made(What.PROCESS, self.name, pid=pid, started_at=started_at)

    def step_back(self) -> None:
        """From now on it takes what computing time the rest leaves: it must not slow what it looks at."""
        with contextlib.suppress(psutil.Error):
            if self._seen is not None:
                self._seen.nice(NICENESS)

    def lost(self) -> str | None:
        """How it ended unbidden; None while it runs, or was never started."""
        if self._process is None or self._seen is None or self._seen.is_running():
            return None
        return f"{self.name}: Mailpit (process {self._seen.pid}) ended by itself"

    async def stop(self) -> None:
        if self._process is not None:
            await self._process.stop()
            self._process = None
            self._ledger.gone(What.PROCESS, self.name)

    def leave(self, url: str) -> None:
        """Let it run on when the run is over, for people to look into; the ledger says where it is."""
        if self._process is not None:
            self._ledger.kept(What.PROCESS, self.name, url)
            self._process.leave()
            self._process = None


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
        self._mailpit = LocalMailpit(f"provider {name}", run_dir / "providers", name, ledger)

    @property
    def is_running(self) -> bool:
        return self._mailpit.is_running

    async def start(self) -> Ready:
        """Raises ProcessError where Mailpit is not here or does not get ready."""
        launch = await self._mailpit.start()
        self.connect_to(launch.base_url)
        listener = BoundListener(route=self._route, endpoint="smtp", port=launch.smtp_port, rejecting_port=0)
        return Ready(provider=self.name, control_port=launch.http_port, listeners=[listener])

    def lost(self) -> str | None:
        """How it ended unbidden, or why its mail is no longer read; None while all is well."""
        return self._mailpit.lost() or self.unread()

    async def stop(self) -> None:
        self.disconnect()
        await self._mailpit.stop()
