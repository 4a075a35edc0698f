"""Faults of the system under test itself."""

from __future__ import annotations

from harness.scenario.timeline import Fault
from harness.testbed.faults.injector import Detail, InjectionError
from harness.testbed.system.life import SystemUnderTest


class Kill:
    """kill -9 of the SUT, and after `restart_after` its start again."""

    def __init__(self, fault: Fault, system: SystemUnderTest) -> None:
        self.fault = fault
        self.system = system

    async def inject(self) -> Detail:
        await self.system.kill()
        return {}

    async def confirm(self) -> Detail:
        if self.system.is_running:
            raise InjectionError("kill: the system's process is still running")
        return {"running": False}

    async def act(self) -> Detail:
        if await self.system.is_answered():
            raise InjectionError("kill: something still listens on the system's port")
        return {"canary": "nothing answers on its port"}

    async def remove(self) -> Detail:
        # A removal that was interrupted may have started it already.
        if not self.system.is_running:
            await self.system.start()
        return {"running": True}
