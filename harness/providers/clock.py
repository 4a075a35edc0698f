"""A provider's clock: the running loop's time, and wall time as epoch + loop time.

Nothing else in a provider may read a clock, so the same code runs on a virtual loop.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class Clock:
    """`epoch_s` is the wall time (Unix seconds) at which the loop's own time was 0."""

    def __init__(self, epoch_s: float, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.epoch_s = epoch_s
        self._loop = loop or asyncio.get_running_loop()

    def now_s(self) -> float:
        return self._loop.time()

    def now_ns(self) -> int:
        return round(self._loop.time() * 1e9)

    def wall_s(self) -> float:
        """Unix seconds."""
        return self.epoch_s + self._loop.time()

    def wall(self) -> datetime:
        return datetime.fromtimestamp(self.wall_s(), UTC)
