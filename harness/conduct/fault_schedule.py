"""Faults at their absolute times: each is injected, confirmed, proved by the canary, and removed, all
journalled.

An action is journalled before and after; the on-disk ledger learns of a fault before it is made. A fault that
cannot be put in place, confirmed or proved ends the storm: a run whose fault did not act proves nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from harness.conduct.errors import InjectionFailed, RemovalFailed, RunEnded, SystemExited
from harness.history.events import (
    FaultActed,
    FaultActive,
    FaultFailed,
    FaultInjecting,
    FaultRemoved,
    FaultRemoving,
)
from harness.history.journal import Journal
from harness.scenario.faults import KINDS, ActsIn
from harness.scenario.overlaps import CONNECT
from harness.scenario.targets import SYSTEM, is_way_back
from harness.scenario.timeline import Fault
from harness.testbed.faults import MASKING, FaultInjector, InjectionError
from harness.testbed.resources import ResourceLedger, What
from harness.testbed.system.life import SystemNotReady

PROVE_WITHIN_S = 5.0
PROVE_EVERY_S = 0.1


class FaultSchedule:
    def __init__(
        self,
        faults: Sequence[Fault],
        injector: Callable[[Fault], FaultInjector],
        journal: Journal,
        ledger: ResourceLedger,
    ) -> None:
        self._faults = list(faults)
        self._injector = injector
        self._journal = journal
        self._ledger = ledger
        self._active: dict[str, tuple[Fault, FaultInjector]] = {}
        self._origin_ns = 0

    async def run(self, origin_ns: int) -> None:
        """Follow the schedule to its end. Raises InjectionFailed at the first fault that does not hold."""
        self._origin_ns = origin_ns
        try:
            async with asyncio.TaskGroup() as group:
                for fault in self._faults:
                    group.create_task(self._one(fault), name=f"fault {fault.id}")
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def _sleep_until(self, at_ns: int) -> None:
        while (wait_ns := self._origin_ns + at_ns - self._journal.now_ns()) > 0:
            await asyncio.sleep(wait_ns / 1e9)

    async def _one(self, fault: Fault) -> None:
        await self._sleep_until(fault.at_ns)
        injector = self._injector(fault)
        self._ledger.making(What.FAULT, fault.id, {"type": fault.type, "on": fault.target})
        self._journal.append(FaultInjecting(**self._fields(fault)))
        self._active[fault.id] = (fault, injector)
        stage = "inject"
        try:
            await injector.inject()
            stage = "confirm"
            self._journal.append(FaultActive(**self._fields(fault), detail=await injector.confirm()))
            self._ledger.made(What.FAULT, fault.id)
            stage = "act"
            detail = await self._prove(fault, injector)
            self._journal.append(FaultActed(**self._fields(fault), detail=detail))
        except InjectionError as error:
            self._journal.append(FaultFailed(**self._fields(fault), stage=stage, error=str(error)))
            raise InjectionFailed(
                f"fault {fault.id} ({fault.type} on {fault.target}), {stage}: {error}"
            ) from error
        if fault.until_ns is not None:
            await self._sleep_until(fault.until_ns)
            await self._remove(fault, injector)

    async def _prove(self, fault: Fault, injector: FaultInjector) -> dict[str, Any]:
        """Send canaries until one meets the fault; another fault that masks this one is waited out."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PROVE_WITHIN_S
        while True:
            try:
                return await injector.act()
            except InjectionError:
                if any(_masks(other, fault) for other, _ in self._active.values()):
                    deadline = loop.time() + PROVE_WITHIN_S
                ended = fault.until_ns is not None and (
                    self._journal.now_ns() >= self._origin_ns + fault.until_ns
                )
                if ended or loop.time() >= deadline:
                    raise
            await asyncio.sleep(PROVE_EVERY_S)

    async def _remove(self, fault: Fault, injector: FaultInjector) -> None:
        self._journal.append(FaultRemoving(**self._fields(fault)))
        try:
            detail = await injector.remove()
        except InjectionError as error:
            self._journal.append(FaultFailed(**self._fields(fault), stage="remove", error=str(error)))
            if isinstance(error.__cause__, SystemNotReady):
                raise SystemExited(
                    f"after fault {fault.id} ({fault.type}) the system did not come back: {error.__cause__}"
                ) from error
            raise RemovalFailed(f"fault {fault.id} ({fault.type} on {fault.target}): {error}") from error
        self._journal.append(FaultRemoved(**self._fields(fault), detail=detail))
        self._active.pop(fault.id, None)
        self._ledger.gone(What.FAULT, fault.id)

    async def remove_all(self) -> None:
        """Heal: take away whatever is still active, in reverse order.

        Raises RemovalFailed, or SystemExited where the system did not come back, after trying all.
        """
        failure: RunEnded | None = None
        for fault, injector in reversed(list(self._active.values())):
            try:
                await self._remove(fault, injector)
            except RunEnded as error:
                failure = error
        if failure is not None:
            raise failure

    def forget(self) -> None:
        """The processes that held the faults are gone, and the faults with them."""
        for fault_id in list(self._active):
            with contextlib.suppress(OSError):
                self._ledger.gone(What.FAULT, fault_id)
        self._active.clear()

    def _fields(self, fault: Fault) -> dict[str, Any]:
        return {
            "t_ns": self._journal.now_ns(),
            "fault": fault.id,
            "incident": fault.incident,
            "type": fault.type,
            "target": fault.target,
            "scheduled_ns": self._origin_ns + fault.at_ns,
            "attributes": fault.attributes,
        }


def _masks(other: Fault, fault: Fault) -> bool:
    """Whether a canary for `fault` meets `other` instead: on the same way, or, behind the way of events back,
    in the system itself."""
    if other.target == SYSTEM and is_way_back(fault.target):
        return True
    if other.target != fault.target or other.id == fault.id:
        return False
    # Without a greeting no canary of the network's faults gets through either.
    silent = other.attributes.get("stage") == CONNECT and KINDS[fault.type].acts_in is not ActsIn.PROVIDER
    return silent or other.type in MASKING
