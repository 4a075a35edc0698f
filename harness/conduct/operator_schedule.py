"""An operator's actions at their absolute times, journalled as decisions of the scenario.

An event has the time at which the action began: what it lets go may be on its way before it is answered. A
scenario whose action was not done was not carried out, so that ends the storm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from harness.conduct.errors import ActionNotDone
from harness.history.events import HarnessWarning, Operator
from harness.history.journal import Journal
from harness.scenario.timeline import Operator as Step
from harness.testbed.system.operator import ActionFailed

BY = "scenario"


class OperatorSchedule:
    def __init__(self, steps: Sequence[Step], act: Callable[[str], Awaitable[str]], journal: Journal) -> None:
        """`act` does one action by its name and tells what was answered; it raises ActionFailed."""
        self._steps = list(steps)
        self._act = act
        self._journal = journal

    async def run(self, origin_ns: int) -> None:
        """Follow the schedule to its end. Raises ActionNotDone at the first action that fails."""
        try:
            async with asyncio.TaskGroup() as group:
                for step in self._steps:
                    group.create_task(self._one(step, origin_ns), name=f"operator {step.action}")
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures

    async def _one(self, step: Step, origin_ns: int) -> None:
        while (wait_ns := origin_ns + step.at_ns - self._journal.now_ns()) > 0:
            await asyncio.sleep(wait_ns / 1e9)
        began_ns = self._journal.now_ns()
        try:
            answer = await self._act(step.action)
        except ActionFailed as error:
            self._journal.append(
                HarnessWarning(
                    t_ns=self._journal.now_ns(),
                    warning="action-not-done",
                    subject=f"operator {step.action}",
                    detail=str(error),
                )
            )
            raise ActionNotDone(
                f"the operator's `{step.action}` at {step.at_ns / 1e9:g} s was not done: {error}"
            ) from error
        self._journal.append(
            Operator(t_ns=began_ns, action=step.action, by=BY, detail=answer, class_=step.class_)
        )
