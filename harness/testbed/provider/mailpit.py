"""Mailpit as a route's provider: its process, and its mail read back as receipts while the run goes on.

Mailpit is not ours, so its receipts come after the fact (`observed: after`), it takes no faults of a
provider's own, and has no rejecting listener. Its clock is this machine's wall clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import psutil

from harness.history.events import ClockCalibrated, HarnessWarning
from harness.history.journal import Journal
from harness.providers.mailpit import (
    MailpitError,
    MailpitLaunch,
    MailpitProcess,
    MailpitReader,
    RunClock,
)
from harness.providers.wire import BoundListener, Ready
from harness.testbed.discover import find_tool
from harness.testbed.processes import ProcessError, retrieved
from harness.testbed.proxy.ports import candidate_ports
from harness.testbed.resources import MARKER, ResourceLedger, What

POLL_S = 0.1
START_TRIES = 5


class MailpitProvider:
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
        self.name = name
        self._route = route
        self._system_canaries = system_canaries
        self._run_dir = run_dir
        self._ledger = ledger
        self._journal = journal
        self._process: MailpitProcess | None = None
        self._seen: psutil.Process | None = None
        self._reader: MailpitReader | None = None
        self._follower: asyncio.Task[None] | None = None
        self._complained = ("", "")
        self._ending = asyncio.Event()

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
        follower = self._follower
        if follower is not None and follower.done() and not follower.cancelled():
            return f"the mail of provider {self.name} is no longer read: {follower.exception()}"
        return None

    async def calibrate(self, when: str) -> None:
        """Find the wall time of the run's zero; Mailpit stamps its mail with the wall clock."""
        before_ns, wall_ns, after_ns = self._journal.now_ns(), time.time_ns(), self._journal.now_ns()
        epoch_ns = wall_ns - (before_ns + after_ns) // 2
        assert self._process is not None
        if self._reader is None:
            self._reader = MailpitReader(
                base_url=self._process.launch.base_url,
                provider=self.name,
                route=self._route,
                clock=RunClock(epoch_ns=epoch_ns, error_ns=(after_ns - before_ns) // 2 + 1),
                system_canaries=self._system_canaries,
            )
        self._journal.append(
            ClockCalibrated(
                t_ns=self._journal.now_ns(),
                source=self.name,
                when=when,
                offset_ns=-epoch_ns,
                error_ns=self._reader.error_ns,
            )
        )

    def follow(self) -> None:
        self._follower = asyncio.create_task(self._follow(), name=f"mail of {self.name}")
        self._follower.add_done_callback(retrieved)

    async def _follow(self) -> None:
        # It is told to end rather than cancelled: mail that a cancelled poll had read would be lost.
        while not self._ending.is_set():
            await self._take()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), POLL_S)

    async def _take(self, *, last: bool = False) -> None:
        assert self._reader is not None
        try:
            receipts = await asyncio.to_thread(self._reader.poll)
        except MailpitError as error:
            # The next poll brings what this one missed; after the last there is none.
            self._warn("receipt-gap" if last else "mailpit-unreadable", str(error))
            return
        for receipt in receipts:
            self._journal.append(receipt)

    async def finish(self) -> None:
        """Take the last mail."""
        if self._follower is not None:
            self._ending.set()
            await asyncio.gather(self._follower, return_exceptions=True)  # `lost` tells what broke it
            self._follower = None
        if self._reader is not None:
            await self._take(last=True)

    def _warn(self, warning: str, detail: str) -> None:
        if (warning, detail) != self._complained:
            self._complained = (warning, detail)
            self._journal.append(
                HarnessWarning(t_ns=self._journal.now_ns(), warning=warning, subject=self.name, detail=detail)
            )

    async def stop(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._process is not None:
            await self._process.stop()
            self._process = None
            self._ledger.gone(What.PROCESS, self._ledger_name)
