"""Faults of the system under test itself: dead, asked to end, frozen, cut off from its routes."""

from __future__ import annotations

from typing import Any, Literal

from harness.scenario.faults.base import (
    TEN_SECONDS_NS,
    ActsIn,
    FaultBase,
    LastingFault,
    UpToAMinute,
    UpToAnHour,
    in_ms,
)


class Kill(FaultBase):
    """The system under test is killed (SIGKILL) and started again."""

    acts_in = ActsIn.SYSTEM
    examples = ("{at: 5s, on: system, fault: kill, restart_after: 1s}",)
    fault: Literal["kill"]
    restart_after: UpToAnHour
    """How long it stays dead."""

    @property
    def end_ns(self) -> int:
        return self.at + self.restart_after

    def attributes(self) -> dict[str, Any]:
        return {"restart_after": in_ms(self.restart_after)}


class Restart(FaultBase):
    """The system under test is asked to end (SIGTERM), and started again."""

    acts_in = ActsIn.SYSTEM
    examples = (
        "{at: 5s, on: system, fault: restart}",
        "{at: 5s, on: system, fault: restart, grace: 5s, restart_after: 2s}",
    )
    fault: Literal["restart"]
    grace: UpToAMinute = TEN_SECONDS_NS
    """How long it may take to end; it is killed then."""
    restart_after: UpToAnHour = 0
    """How long it stays down, counted from `at`."""

    @property
    def end_ns(self) -> int:
        return self.at + self.restart_after

    def attributes(self) -> dict[str, Any]:
        return {"grace": in_ms(self.grace), "restart_after": in_ms(self.restart_after)}


class Pause(LastingFault):
    """The system under test is frozen (SIGSTOP): it keeps its connections and does nothing."""

    acts_in = ActsIn.SYSTEM
    examples = ("{at: 5s, for: 3s, on: system, fault: pause}",)
    fault: Literal["pause"]


class Partition(LastingFault):
    """The system under test is cut off from every route, and reachable by its callers; needs containers."""

    acts_in = ActsIn.SYSTEM
    examples = ("{at: 5s, for: 4s, on: system, fault: partition}",)
    fault: Literal["partition"]
