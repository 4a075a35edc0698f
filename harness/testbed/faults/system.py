"""Faults of the system under test itself: dead, asked to end, frozen, cut off from its routes.

Only one of them is on at a time; the scenario's own check sees to that. Each is read back from whatever runs
the system, and proved by a canary: at the system's port, or, for a partition, through the routes' network.
"""

from __future__ import annotations

import asyncio

from harness.scenario.timeline import Fault
from harness.testbed.faults.injector import Detail, InjectionError
from harness.testbed.system.life import SystemUnderTest

SILENCE_S = 0.6
"""A system that says nothing for so long counts as dead or frozen; an answer takes some milliseconds."""
REJOIN_WITHIN_S = 5.0
REJOIN_POLL_S = 0.05


class _OnSystem:
    def __init__(self, fault: Fault, system: SystemUnderTest) -> None:
        self.fault = fault
        self.system = system

    async def _must_run(self) -> None:
        # The fault before may have ended on time and the system still be on its way up.
        if not await self.system.settled():
            raise InjectionError(f"{self.fault.type}: the system is not running")


class Kill(_OnSystem):
    """kill -9 of the SUT, and after `restart_after` its start again."""

    async def inject(self) -> Detail:
        await self._must_run()
        await self.system.kill()
        return {}

    async def confirm(self) -> Detail:
        if self.system.is_running:
            raise InjectionError(f"{self.fault.type}: the system is still running")
        return {"running": False}

    async def act(self) -> Detail:
        if await self.system.says_anything_within(SILENCE_S):
            raise InjectionError(f"{self.fault.type}: something still answers on the system's port")
        return {"canary": "nothing answers on its port"}

    async def remove(self) -> Detail:
        # A removal that was interrupted may have started it already.
        if not self.system.is_running:
            await self.system.start()
        return {"running": True}


class Restart(Kill):
    """Asked to end, and killed where it takes longer than `grace`; then started again."""

    async def inject(self) -> Detail:
        await self._must_run()
        await self.system.end(int(self.fault.attributes["grace"]) / 1000)
        return {}


class Pause(_OnSystem):
    """Frozen: connections stay open, whoever opens another gets no word."""

    async def inject(self) -> Detail:
        await self._must_run()
        await self.system.pause()
        return {}

    async def confirm(self) -> Detail:
        if not await self.system.host.is_paused():
            raise InjectionError("pause: the system is not frozen")
        return {"paused": True}

    async def act(self) -> Detail:
        if await self.system.answers_within(SILENCE_S):
            raise InjectionError("pause: the system still answers on its port")
        return {"canary": f"no word on its port within {SILENCE_S:g} s"}

    async def remove(self) -> Detail:
        await self.system.resume()
        if await self.system.host.is_paused():
            raise InjectionError("pause: the system is still frozen")
        return {"paused": False}


class Partition(_OnSystem):
    """Cut off from the network of its routes; its callers still reach it."""

    async def inject(self) -> Detail:
        await self._must_run()
        await self.system.host.cut_off()
        return {}

    async def confirm(self) -> Detail:
        if not await self.system.host.is_cut_off():
            raise InjectionError("partition: the system is still in the routes' network")
        return {"cut_off": True}

    async def act(self) -> Detail:
        if await self.system.host.is_heard_on_routes():
            raise InjectionError("partition: something still passes between the system and its routes")
        return {"canary": "nothing passes between the routes and the system"}

    async def remove(self) -> Detail:
        await self.system.host.rejoin()
        try:
            async with asyncio.timeout(REJOIN_WITHIN_S):
                while not await self.system.host.is_heard_on_routes():
                    await asyncio.sleep(REJOIN_POLL_S)
        except TimeoutError:
            raise InjectionError(
                f"partition: nothing passes between the system and its routes {REJOIN_WITHIN_S:g} s after it"
            ) from None
        return {"cut_off": await self.system.host.is_cut_off()}
