"""The charts of the HTML report: binned numbers flow in, small inline SVG comes out.

A chart is drawn in a box of 1000 × 100 units that the page stretches to whatever width it has; words and
axis labels are HTML beside it, so they keep their size. All charts share one axis, so a moment is at the
same place in each. Colours are classes: the style sheet knows light, dark and print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from harness.report.axis import Axis

WIDTH = 1000
HEIGHT = 100


@dataclass(frozen=True)
class Series:
    """One line or layer. `values` has one number per bin; `colour` is a class of the style sheet."""

    name: str
    colour: str
    values: Sequence[float]


@dataclass(frozen=True)
class Chart:
    key: str
    title: str
    note: str  # one line under the title: what is counted
    unit: str
    bin_ns: int
    series: list[Series]
    svg: Markup
    top: str  # the value at the chart's upper edge
    label: str  # for those who do not see it
    limits: list[tuple[str, float]] = field(default_factory=list)  # name, percent from the top
    marks: list[tuple[float, float, str]] = field(default_factory=list)  # left and width in percent, name


def stacked(key: str, title: str, note: str, unit: str, axis: Axis, series: list[Series]) -> Chart:
    """Bars per bin, one layer on the other, for what is counted per second."""
    count = axis.bins(axis.rate_bin_ns)
    totals = [sum(layer.values[index] for layer in series) for index in range(count)]
    top = nice_ceiling(max(totals, default=0))
    base = [0.0] * count
    paths = []
    for layer in series:
        data = []
        for index, value in enumerate(layer.values):
            if value:
                left, right = _x(axis, axis.rate_bin_ns, index), _x(axis, axis.rate_bin_ns, index + 1)
                gap = (right - left) * 0.12
                low, high = _y(base[index], top), _y(base[index] + value, top)
                data.append(f"M{left + gap:.1f} {low:.1f}H{right - gap:.1f}V{high:.1f}H{left + gap:.1f}Z")
                base[index] += value
        paths.append(f'<path class="fill {layer.colour}" d="{"".join(data)}"/>')
    return Chart(
        key,
        title,
        note,
        unit,
        axis.rate_bin_ns,
        series,
        _svg(paths),
        _top(top, unit),
        _label(title, series, unit),
    )


def levels(
    key: str,
    title: str,
    note: str,
    unit: str,
    axis: Axis,
    series: list[Series],
    limit: tuple[str, float] | None = None,
) -> Chart:
    """Step lines over a tinted area, stacked where there are several, for what has a height at any time."""
    count = axis.bins(axis.level_bin_ns)
    base = [0.0] * count
    heights: list[list[float]] = []
    for layer in series:
        base = [below + value for below, value in zip(base, layer.values, strict=True)]
        heights.append(list(base))
    top = nice_ceiling(max([*base, limit[1] if limit else 0], default=0))
    paths = []
    below = [0.0] * count
    for layer, height in zip(series, heights, strict=True):
        paths.append(f'<path class="area {layer.colour}" d="{_area(axis, below, height, top)}"/>')
        paths.append(f'<path class="line {layer.colour}" d="{_line(axis, below, height, top)}"/>')
        below = height
    limits = []
    if limit:
        y = _y(limit[1], top)
        paths.append(f'<path class="limit" d="M0 {y:.1f}H{WIDTH}"/>')
        limits.append((limit[0], y))
    return Chart(
        key,
        title,
        note,
        unit,
        axis.level_bin_ns,
        series,
        _svg(paths),
        _top(top, unit),
        _label(title, series, unit),
        limits,
    )


def nice_ceiling(value: float) -> float:
    """The next 1, 2, 2.5, 5 or 10 times a power of ten; at least 1."""
    if value <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= value - 1e-9)


def _area(axis: Axis, below: list[float], height: list[float], top: float) -> str:
    """The area between two step lines, as one closed shape for each stretch that is not empty."""
    shapes = []
    for first, last in _stretches(below, height):
        up = [f"M{_x(axis, axis.level_bin_ns, first):.1f} {_y(height[first], top):.1f}"]
        for index in range(first, last):
            if index > first and height[index] != height[index - 1]:
                up.append(f"V{_y(height[index], top):.1f}")
            if index + 1 == last or height[index + 1] != height[index]:
                up.append(f"H{_x(axis, axis.level_bin_ns, index + 1):.1f}")
        for index in range(last - 1, first - 1, -1):
            up.append(f"V{_y(below[index], top):.1f}")
            up.append(f"H{_x(axis, axis.level_bin_ns, index):.1f}")
        shapes.append("".join(up) + "Z")
    return "".join(shapes)


def _line(axis: Axis, below: list[float], height: list[float], top: float) -> str:
    """The upper edge only, from and back to the ground."""
    drawn = []
    for first, last in _stretches(below, height):
        drawn.append(f"M{_x(axis, axis.level_bin_ns, first):.1f} {_y(below[first], top):.1f}")
        before = math.nan
        for index in range(first, last):
            if height[index] != before:
                if index > first:
                    drawn.append(f"H{_x(axis, axis.level_bin_ns, index):.1f}")
                drawn.append(f"V{_y(height[index], top):.1f}")
                before = height[index]
        drawn.append(f"H{_x(axis, axis.level_bin_ns, last):.1f}V{_y(below[last - 1], top):.1f}")
    return "".join(drawn)


def _stretches(below: list[float], height: list[float]) -> list[tuple[int, int]]:
    found, first = [], -1
    for index, (low, high) in enumerate(zip(below, height, strict=True)):
        if high > low and first < 0:
            first = index
        elif high <= low and first >= 0:
            found.append((first, index))
            first = -1
    if first >= 0:
        found.append((first, len(height)))
    return found


def _x(axis: Axis, bin_ns: int, index: int) -> float:
    return min(float(WIDTH), index * bin_ns * WIDTH / axis.span_ns)


def _y(value: float, top: float) -> float:
    return HEIGHT - value * HEIGHT / top


def _top(value: float, unit: str) -> str:
    return f"{value:,.10g}{unit}"


def _svg(paths: list[str]) -> Markup:
    # Every part is a number or a class name of ours; nothing from the outside is in here.
    middle = f'<path class="grid" d="M0 {HEIGHT / 2:.0f}H{WIDTH}M0 0H{WIDTH}"/>'
    return Markup(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" aria-hidden="true">'
        f"{middle}{''.join(paths)}</svg>"
    )


def _label(title: str, series: list[Series], unit: str) -> str:
    peaks = [f"{layer.name} at most {max(layer.values, default=0):,.4g}{unit}" for layer in series]
    return f"{title}: " + ("; ".join(peaks) if peaks else "nothing")
