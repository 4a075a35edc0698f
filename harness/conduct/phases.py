"""The phases of a run: set-up, baseline (a gate), storm, heal, drain.

Each phase is a coroutine that does one thing and raises RunEnded when the run cannot go on. Times of the
timeline count from the end of the baseline; `origin_ns` is that moment on the run's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from harness.conduct.driver import Driver
from harness.conduct.errors import BaselineUnmet, RemovalFailed, SystemExited
from harness.conduct.fault_schedule import FaultSchedule
from harness.conduct.operator_schedule import OperatorSchedule
from harness.conduct.pulse import Pulse, until
from harness.history.events import HarnessWarning, Phase, PhaseEntered
from harness.history.journal import Journal
from harness.scenario.models import Scenario
from harness.scenario.timeline import Fault, Message, Operator, Timeline
from harness.testbed.base import Testbed, TestbedError
from harness.testbed.processes import how_it_ended
from harness.testbed.resources import ResourceLedger
from harness.testbed.system.life import SystemNotReady

GRACE_S = 3.0
"""After the baseline's last message, how long its copies may take beyond their objective."""

SETTLE_LEAST_S, SETTLE_MOST_S = 1.0, 20.0
"""How long providers' events and copies may take once all else is quiet: more than their longest wait."""

SILENCE_MARGIN_NS = 250_000_000
"""How much longer than needed the drain waits, besides twice the clock error of the beginning, so that the
record shows the silence: what clocks drift counts as error as well, and is not known before the end."""

WATCH_EVERY_S = 0.1
SETTLE_S = 3 * WATCH_EVERY_S


class Conductor:
    """Takes one run through its phases; `run.py` handles everything that can end it from outside."""

    def __init__(
        self,
        scenario: Scenario,
        timeline: Timeline,
        testbed: Testbed,
        journal: Journal,
        ledger: ResourceLedger,
    ) -> None:
        self.scenario = scenario
        self.timeline = timeline
        self.testbed = testbed
        self.journal = journal
        self.ledger = ledger
        self.pulse = Pulse()
        self.faults: FaultSchedule | None = None
        self._driver: Driver | None = None
        self._operator: OperatorSchedule | None = None
        self._background: list[asyncio.Task[None]] = []
        self._failure: BaseException | None = None
        self._failed = asyncio.Event()

    def enter(self, phase: Phase) -> int:
        now_ns = self.journal.now_ns()
        self.journal.append(PhaseEntered(t_ns=now_ns, phase=phase))
        return now_ns

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(coroutine, name=name)
        task.add_done_callback(self._background_ended)
        self._background.append(task)

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """Something of ours broke beside the phases; the first such error ends the run."""
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if self._failure is None:
            self._failure = error
            self._failed.set()

    async def _watch_testbed(self) -> None:
        """Raises TestbedError once a part of the testbed ends unbidden: what follows would prove nothing."""
        while (lost := self.testbed.lost()) is None:
            await asyncio.sleep(WATCH_EVERY_S)
        raise TestbedError(lost)

    async def _raise_own_failure(self, settle_s: float = 0.0) -> None:
        """An end has been reached; was it ours? A part that has just died takes a moment to be noticed."""
        if settle_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._failed.wait(), settle_s)
        if self._failure is not None:
            raise self._failure

    async def through_phases(self) -> None:
        """From set-up to the end of the drain. Raises RunEnded, or TestbedError from the set-up."""
        self.enter(Phase.SETUP)
        self._spawn(self.pulse.follow(self.journal), "pulse")
        await self.testbed.start(self.journal, self.ledger)
        self._spawn(self._watch_testbed(), "the testbed's life")
        try:
            await self.testbed.system.start()
        except SystemNotReady as error:
            await self._raise_own_failure(SETTLE_S)
            raise BaselineUnmet(str(error)) from error
        self._spawn(self.testbed.signals.run(), "signals")
        self._driver = Driver(self.testbed.system, self.journal, self._fail)
        self.faults = FaultSchedule(
            [entry for entry in self.timeline.entries if isinstance(entry, Fault)],
            self.testbed.injector,
            self.journal,
            self.ledger,
        )
        self._operator = OperatorSchedule(
            [entry for entry in self.timeline.entries if isinstance(entry, Operator)],
            self.testbed.system.operate,
            self.journal,
        )
        try:
            await self._guarded(self._baseline())
        except SystemExited as error:
            raise BaselineUnmet(str(error)) from error
        await self._guarded(self._storm())
        await self._guarded(self.heal())
        await self._guarded(self._drain())

    async def _guarded(self, phase: Coroutine[Any, Any, None]) -> None:
        """A phase to its end, unless the system exits or something of ours breaks; ours goes first."""
        work = asyncio.create_task(phase)
        exit_ = asyncio.create_task(self.testbed.system.exited.wait())
        failed = asyncio.create_task(self._failed.wait())
        tasks = (work, exit_, failed)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            went_well = work.done() and not work.cancelled() and work.exception() is None
            await self._raise_own_failure(0.0 if went_well else SETTLE_S)
            if work.done():
                work.result()
            else:
                system = self.testbed.system
                raise SystemExited(f"the system {how_it_ended(system.exit_code)}{system.last_words()}")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _baseline(self) -> None:
        """Ordinary mail without a fault. Raises BaselineUnmet unless all of it arrives in time."""
        assert self._driver is not None
        messages = [m for m in self.timeline.entries if isinstance(m, Message) and m.baseline]
        begin_ns = self.enter(Phase.BASELINE)
        await self._driver.send(messages, begin_ns + self.timeline.baseline_ns)
        rest_s = (begin_ns + self.timeline.baseline_ns - self.journal.now_ns()) / 1e9
        await asyncio.sleep(max(0.0, rest_s))
        within_s = max((m.within_ns or 0 for m in messages), default=0) / 1e9
        tokens = {m.token for m in messages}
        arrived = await until(lambda: tokens <= self.pulse.handed_off.keys(), within_s + GRACE_S)
        self._judge_baseline(messages, begin_ns + self.timeline.baseline_ns, arrived)

    def _judge_baseline(self, messages: list[Message], origin_ns: int, arrived: bool) -> None:
        missing = [m for m in messages if m.token not in self.pulse.handed_off]
        if not arrived:
            said = f"; last, {self.pulse.last_refusal}" if self.pulse.last_refusal else ""
            raise BaselineUnmet(
                f"{len(missing)} of {len(messages)} baseline messages reached no provider "
                f"without any fault{said}{self.testbed.system.last_words()}"
            )
        late = [
            m
            for m in messages
            if m.within_ns is not None and self.pulse.handed_off[m.token] > origin_ns + m.at_ns + m.within_ns
        ]
        if late:
            worst_ns = max(self.pulse.handed_off[m.token] - origin_ns - m.at_ns for m in late)
            raise BaselineUnmet(
                f"{len(late)} of {len(messages)} baseline messages were late without any fault, "
                f"the worst by {worst_ns / 1e9:.1f} s after it was sent{self.testbed.system.last_words()}"
            )
        for (name, route), value in self.testbed.signals.state.values.items():
            if name == "detected" and value:
                said = f"the system says that route {route} is down, before any fault"
                raise BaselineUnmet(f"{said}{self.testbed.system.last_words()}")

    async def _storm(self) -> None:
        """The workload, the faults and the operator, side by side."""
        assert self._driver is not None and self.faults is not None and self._operator is not None
        origin_ns = self.enter(Phase.STORM)
        messages = [m for m in self.timeline.entries if isinstance(m, Message) and not m.baseline]
        driving = asyncio.create_task(self._driver.send(messages, origin_ns))
        breaking = asyncio.create_task(self.faults.run(origin_ns))
        operating = asyncio.create_task(self._operator.run(origin_ns))
        ending = asyncio.create_task(self._sleep_until(origin_ns + self.timeline.storm_ns))
        tasks = {driving, breaking, operating, ending}
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _sleep_until(self, at_ns: int) -> None:
        while (wait_ns := at_ns - self.journal.now_ns()) > 0:
            await asyncio.sleep(wait_ns / 1e9)

    async def heal(self) -> None:
        """Remove what is still active and prove by canaries that every way is free. Raises RemovalFailed."""
        self.enter(Phase.HEAL)
        if self.faults is not None:
            await self.faults.remove_all()
        broken = await self.testbed.verify_clean()
        if broken:
            raise RemovalFailed("after the heal: " + "; ".join(broken))

    async def _drain(self) -> None:
        """Wait until nothing moves: no receipt for twice the longest retry, queue depth 0 where told."""
        assert self._driver is not None
        began_ns = self.enter(Phase.DRAIN)
        margin_ns = SILENCE_MARGIN_NS + 2 * self.pulse.clock_error_ns
        silence_ns = 2 * self.scenario.system.longest_retry + margin_ns
        await self._driver.finish()
        deadline_s = self.timeline.drain_deadline_ns / 1e9
        patience_s = deadline_s + margin_ns / 1e9
        if not await until(lambda: self._is_quiet(silence_ns, began_ns), patience_s, poll_s=0.05):
            self._warn("no-quiescence", f"something still moved when the drain's {deadline_s:g} s were over")
        left_s = deadline_s - (self.journal.now_ns() - began_ns) / 1e9
        await self.testbed.settle(min(max(left_s, SETTLE_LEAST_S), SETTLE_MOST_S))
        await self.testbed.system.read_states()

    def _is_quiet(self, silence_ns: int, began_ns: int) -> bool:
        if self.journal.now_ns() - max(began_ns, self.pulse.last_activity_ns) < silence_ns:
            return False
        depths = [
            value for (name, _), value in self.testbed.signals.state.values.items() if name == "queue_depth"
        ]
        unreadable = any(name == "queue_depth" for name, _ in self.testbed.signals.state.errors)
        return not unreadable and all(depth == 0 for depth in depths)

    def _warn(self, warning: str, detail: str) -> None:
        self.journal.append(
            HarnessWarning(t_ns=self.journal.now_ns(), warning=warning, subject="conduct", detail=detail)
        )

    async def end_background(self) -> None:
        """Stop polling and following; nothing is journalled by them any more."""
        if self._driver is not None:
            self._driver.cancel()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)  # what broke one has been told
        self._background.clear()
