"""Mailpit as a route's provider: its mail read back as receipts while the run goes on.

Mailpit is not ours, so its receipts come after the fact (`observed: after`), it takes no faults of a
provider's own, and has no rejecting listener. Its clock is this machine's wall clock. Where it runs is of no
concern here: mailpit_process.py and the containers testbed start it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from harness.history.events import ClockCalibrated, HarnessWarning
from harness.history.journal import Journal
from harness.providers.mailpit_mail import MailpitError, MailpitReader, RunClock
from harness.testbed.processes import retrieved

POLL_S = 0.1


class MailpitLink:
    def __init__(self, name: str, route: str, system_canaries: tuple[str, ...], journal: Journal) -> None:
        self.name = name
        self._route = route
        self._system_canaries = system_canaries
        self._journal = journal
        self._base_url = ""
        self._reader: MailpitReader | None = None
        self._follower: asyncio.Task[None] | None = None
        self._complained = ("", "")
        self._ending = asyncio.Event()

    def connect_to(self, base_url: str) -> None:
        """Its REST API is there."""
        self._base_url = base_url

    async def calibrate(self, when: str) -> None:
        """Find the wall time of the run's zero; Mailpit stamps its mail with the wall clock."""
        before_ns, wall_ns, after_ns = self._journal.now_ns(), time.time_ns(), self._journal.now_ns()
        epoch_ns = wall_ns - (before_ns + after_ns) // 2
        if self._reader is None:
            self._reader = MailpitReader(
                base_url=self._base_url,
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

    def unread(self) -> str | None:
        """Why its mail is no longer read; None while it is."""
        follower = self._follower
        if follower is not None and follower.done() and not follower.cancelled():
            return f"the mail of provider {self.name} is no longer read: {follower.exception()}"
        return None

    def disconnect(self) -> None:
        if self._reader is not None:
            self._reader.close()
