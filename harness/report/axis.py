"""The time axis that all charts of a report share: its span, its ticks, and the bins that values are gathered
in.

Times are nanoseconds from the end of the baseline, so the baseline itself is at negative times. The number
of bins is bounded, so a page stays small however long the run was.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.report.words import NS_PER_MS, NS_PER_S

MAX_RATE_BINS = 180
LEVELS_PER_RATE_BIN = 4
MAX_TICKS = 8

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True)
class Axis:
    from_ns: int
    to_ns: int
    rate_bin_ns: int  # for what is counted per second
    level_bin_ns: int  # for what has a height at every instant

    @property
    def span_ns(self) -> int:
        return self.to_ns - self.from_ns

    def percent(self, t_ns: float) -> float:
        """Where an instant lies, in percent of the axis, kept within it."""
        return round(min(100.0, max(0.0, (t_ns - self.from_ns) * 100 / self.span_ns)), 3)

    def bins(self, bin_ns: int) -> int:
        return -(-self.span_ns // bin_ns)


@dataclass(frozen=True)
class Tick:
    percent: float
    text: str
    major: bool  # stays on a narrow page


def make_axis(from_ns: int, to_ns: int) -> Axis:
    """An axis that begins and ends on whole bins. An empty span becomes one second."""
    to_ns = max(to_ns, from_ns + NS_PER_S)
    step = next(
        (s * NS_PER_S for s in _STEPS_S if (to_ns - from_ns) / (s * NS_PER_S) <= MAX_RATE_BINS),
        (to_ns - from_ns) // MAX_RATE_BINS + 1,
    )
    begin = from_ns // step * step
    end = -(-to_ns // step) * step
    return Axis(begin, end, step, max(100 * NS_PER_MS, step // LEVELS_PER_RATE_BIN))


def ticks(axis: Axis) -> list[Tick]:
    """Whole steps that include 0, few enough to be read."""
    step_s = next((s for s in _STEPS_S if axis.span_ns / (s * NS_PER_S) <= MAX_TICKS), 86400)
    while axis.span_ns / (step_s * NS_PER_S) > MAX_TICKS:
        step_s *= 2
    step = step_s * NS_PER_S
    first = -(-axis.from_ns // step)
    found = []
    for index in range(first, axis.to_ns // step + 1):
        found.append(Tick(axis.percent(index * step), _tick_text(index * step_s, step_s), index % 2 == 0))
    return found


def _tick_text(value_s: int, step_s: int) -> str:
    sign, size = ("−" if value_s < 0 else ""), abs(value_s)
    if size == 0:
        return "0"
    if step_s >= 3600:
        return f"{sign}{size // 3600} h"
    if step_s >= 60:
        hours, minutes = divmod(size // 60, 60)
        return f"{sign}{hours} h {minutes:02d}" if hours else f"{sign}{minutes} min"
    return f"{sign}{size} s"
