"""What conduct needs of a testbed, whichever it is: parts that start and stop, faults, the system, the
clocks.
"""

from __future__ import annotations

from typing import Any, Protocol

from harness.history.journal import Journal
from harness.scenario.timeline import Fault
from harness.testbed.faults import FaultInjector
from harness.testbed.resources import ResourceLedger
from harness.testbed.signals.reader import SignalReader
from harness.testbed.system.life import SystemUnderTest


class TestbedError(Exception):
    """The testbed could not be set up, and the SUT is not to blame. The message says which part and why."""


class Testbed(Protocol):
    """One run's pieces. `prepare` touches nothing but files; `start` brings providers and proxies up."""

    name: str
    proxy: str

    def binaries(self) -> dict[str, Any]:
        """What is run at each endpoint: {"<route>.<endpoint>": {"path", "version", ...}}; before `start`."""
        ...

    async def start(self, journal: Journal, ledger: ResourceLedger) -> None:
        """Providers and proxies, their clocks calibrated, their journals followed. Raises TestbedError."""
        ...

    @property
    def system(self) -> SystemUnderTest: ...

    @property
    def signals(self) -> SignalReader: ...

    def injector(self, fault: Fault) -> FaultInjector: ...

    def lost(self) -> str | None:
        """A part of the testbed's own that ended unbidden, in words; None while all are at work."""
        ...

    async def verify_clean(self) -> list[str]:
        """Send a canary through every endpoint; what is still broken, in words."""
        ...

    async def settle(self, within_s: float) -> None:
        """Wait until what providers took is passed on: events to the SUT, copies to the inbox."""
        ...

    async def stop_system(self) -> None: ...

    async def finish(self) -> None:
        """Take the last receipts and calibrate the clocks again; the SUT is stopped by now."""
        ...

    async def stop(self) -> None:
        """End every process. Never raises for a part that is already gone."""
        ...
