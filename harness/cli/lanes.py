"""A timeline as lanes of text: time runs to the right, with a lane for each stream, fault and operator.

Pure: a timeline and a width in, lines out. A lane of messages shows how many fall into each column, from a
light dot to a full block; a lane of faults shows each fault's kind inside its window.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness.scenario.timeline import Fault, Marker, Message, Operator, Timeline

LABEL = 14
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)


@dataclass(frozen=True)
class _Axis:
    start_ns: int
    end_ns: int
    cells: int

    def cell(self, at_ns: int) -> int:
        share = (at_ns - self.start_ns) / (self.end_ns - self.start_ns)
        return max(0, min(self.cells - 1, int(share * self.cells)))


def diagram(timeline: Timeline, width: int = 100, *, unicode: bool = True) -> list[str]:
    """The lanes of a timeline in at most `width` columns; without `unicode`, in ASCII."""
    cells = max(20, width - LABEL - 1)
    # The drain's deadline is an allowance; the picture shows a little of it, not minutes of nothing.
    after_ns = min(timeline.drain_deadline_ns, (timeline.baseline_ns + timeline.storm_ns) // 8)
    axis = _Axis(-timeline.baseline_ns, timeline.storm_ns + max(after_ns, 1), cells)
    lines = [_line("", _ruler(axis)), _line("phase", _phases(timeline, axis, unicode))]
    messages = [entry for entry in timeline.entries if isinstance(entry, Message)]
    for stream in dict.fromkeys(message.stream for message in messages):
        times = [message.at_ns for message in messages if message.stream == stream]
        lines.append(_line(stream, _density(times, axis, unicode)))
    faults = [entry for entry in timeline.entries if isinstance(entry, Fault)]
    for target in dict.fromkeys(fault.target for fault in faults):
        for number, lane in enumerate(_lanes_of([f for f in faults if f.target == target])):
            lines.append(
                _line(f"✗ {target}" if unicode else f"x {target}", _windows(lane, axis, unicode), number)
            )
    operator = [entry for entry in timeline.entries if isinstance(entry, Operator)]
    for number, marks in enumerate(_moments(operator, axis, unicode)):
        lines.append(_line("operator", marks, number))
    return lines


def _line(label: str, cells: str, number: int = 0) -> str:
    shown = label if number == 0 else ""
    if len(shown) > LABEL - 1:
        shown = shown[: LABEL - 2] + "…"
    return f"{shown:<{LABEL}}{cells}".rstrip()


def _ruler(axis: _Axis) -> str:
    span_s = (axis.end_ns - axis.start_ns) / 1e9
    step = next((step for step in _STEPS_S if span_s / step * 8 <= axis.cells), _STEPS_S[-1])
    text = [" "] * axis.cells
    at_s = -(-axis.start_ns // 10**9) // step * step
    while at_s * 10**9 < axis.end_ns:
        label = f"{at_s}s"
        cell = axis.cell(at_s * 10**9)
        if at_s * 10**9 >= axis.start_ns and cell + len(label) <= axis.cells:
            text[cell : cell + len(label)] = label
        at_s += step
    return "".join(text)


def _phases(timeline: Timeline, axis: _Axis, unicode: bool) -> str:
    text = ["─" if unicode else "-"] * axis.cells
    for entry in timeline.entries:
        if isinstance(entry, Marker) and entry.at_ns < axis.end_ns:
            name = "drain" if entry.marker == "heal" else entry.marker
            cell = axis.cell(entry.at_ns)
            label = ("├" if unicode else "|") + name
            text[cell : cell + len(label)] = label[: axis.cells - cell]
    return "".join(text)


def _density(times: list[int], axis: _Axis, unicode: bool) -> str:
    counts = Counter(axis.cell(at) for at in times)
    most = max(counts.values())
    shades = "·░▒▓█" if unicode else ".:-=#"
    return "".join(_shade(counts[cell], most, shades) for cell in range(axis.cells))


def _shade(count: int, most: int, shades: str) -> str:
    if not count:
        return " "
    return shades[min(len(shades) - 1, count * len(shades) // (most + 1))]


def _moments(steps: list[Operator], axis: _Axis, unicode: bool) -> list[str]:
    """Lanes of marks, each with its action's name; one that would cover another is in the next lane."""
    lanes: list[str] = []
    for step in steps:
        cell = axis.cell(step.at_ns)
        mark = (("▼" if unicode else "v") + step.action)[: axis.cells - cell]
        number = next((n for n, lane in enumerate(lanes) if len(lane) < cell), len(lanes))
        if number == len(lanes):
            lanes.append("")
        lanes[number] = lanes[number].ljust(cell) + mark
    return lanes


def _lanes_of(faults: list[Fault]) -> list[list[Fault]]:
    """Faults of one target, spread so that no two of one lane overlap."""
    lanes: list[list[Fault]] = []
    for fault in faults:
        free = (lane for lane in lanes if (lane[-1].until_ns or lane[-1].at_ns) <= fault.at_ns)
        lane = next(free, None)
        if lane is None:
            lanes.append([fault])
        else:
            lane.append(fault)
    return lanes


def _windows(faults: list[Fault], axis: _Axis, unicode: bool) -> str:
    text = [" "] * axis.cells
    fill, left, right = ("━", "┣", "┫") if unicode else ("=", "[", "]")
    for fault in faults:
        first = axis.cell(fault.at_ns)
        last = axis.cell(fault.until_ns) if fault.until_ns is not None else first
        width = last - first + 1
        if width < 3:
            inside = fault.type if fault.until_ns is None else ""
            window = (("▼" if unicode else "v") + inside)[: axis.cells - first]
        else:
            name = fault.type[: width - 2]
            window = left + name.center(width - 2, fill) + right
        text[first : first + len(window)] = window
    return "".join(text)
