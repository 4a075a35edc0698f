"""How many messages a provider can take in a time, from its own limits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.checks.units import NS_PER_S
from harness.scenario.providers import Provider, preset_of

_MINUTE_NS = 60 * NS_PER_S


@dataclass(frozen=True)
class Capacity:
    """A rate with a burst, or so many in each fixed minute."""

    rate: float | None = None
    burst: float = 0.0
    each_minute: int | None = None

    def within(self, length_ns: int) -> float:
        """The most messages that can be taken in any time of that length."""
        if self.each_minute is not None:
            return self.each_minute * self._minutes(length_ns)
        return (self.rate or 0.0) * length_ns / NS_PER_S + self.burst

    def words(self, length_ns: int) -> str:
        """The calculation, for a message."""
        if self.each_minute is not None:
            return f"{self.each_minute} × {self._minutes(length_ns)} minutes"
        return f"{self.rate:g}/s × {length_ns / NS_PER_S:g} s + {self.burst:g}"

    @staticmethod
    def _minutes(length_ns: int) -> int:
        """How many fixed minutes a time can touch: a short one may lie across the turn of the minute."""
        return math.ceil(length_ns / _MINUTE_NS) + 1


def capacity_of(provider: Provider) -> Capacity | None:
    """What limits a provider with the scenario's changes; None where nothing does."""
    preset = preset_of(provider.fake)
    if preset is None:
        return None
    limits = preset.limits.model_validate(provider.limits)
    each_minute = getattr(limits, "messages_per_minute", None)
    rate = getattr(limits, "rate", None) or getattr(limits, "max_send_rate", None)
    if each_minute is not None:
        return Capacity(each_minute=each_minute)
    if rate is not None:
        return Capacity(rate=rate, burst=getattr(limits, "burst", None) or max(1.0, rate))
    return None
