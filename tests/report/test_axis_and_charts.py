"""One axis for all charts, with a bounded number of bins; charts that are only numbers."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from harness.report.axis import MAX_RATE_BINS, MAX_TICKS, make_axis, ticks
from harness.report.charts import Series, levels, nice_ceiling, stacked

S = 1_000_000_000


@pytest.mark.parametrize("span_s", [0, 1, 20, 73, 600, 5_000, 86_400, 40 * 86_400])
def test_any_span_has_few_bins_and_few_ticks(span_s: int) -> None:
    axis = make_axis(-11 * S, (span_s - 11) * S)
    assert axis.from_ns <= -11 * S and axis.to_ns >= (span_s - 11) * S
    assert axis.bins(axis.rate_bin_ns) <= MAX_RATE_BINS + 2
    assert 1 <= len(ticks(axis)) <= MAX_TICKS + 2


def test_zero_is_a_tick_and_lies_where_the_axis_says() -> None:
    axis = make_axis(-10 * S, 30 * S)
    zero = next(tick for tick in ticks(axis) if tick.text == "0")
    assert zero.percent == 25.0 == axis.percent(0)


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.3, 1), (7, 8), (12, 15), (101, 150), (1e6, 1e6)])
def test_the_top_of_a_chart_is_a_round_number(value: float, top: float) -> None:
    assert nice_ceiling(value) == top


def test_bars_stand_on_each_other() -> None:
    axis = make_axis(0, 4 * S)
    chart = stacked(
        "k", "Taken", "", "/s", axis, [Series("a", "r0", [1, 0, 2, 0]), Series("b", "r1", [1, 0, 0, 4])]
    )
    paths = {path.get("class"): path.get("d", "") for path in ET.fromstring(chart.svg).iter("path")}
    assert chart.top == "4/s"
    assert paths["fill r0"].count("M") == 2 and paths["fill r1"].count("M") == 2
    assert "M30.0 75.0H220.0V50.0H30.0Z" in paths["fill r1"], "on top of the first route's bar"
    assert chart.label == "Taken: a at most 2/s; b at most 4/s"


def test_an_empty_chart_is_a_chart() -> None:
    axis = make_axis(0, 4 * S)
    chart = levels("k", "Overdue", "", "", axis, [Series("a", "r0", [0.0] * axis.bins(axis.level_bin_ns))])
    assert chart.top == "1"
    assert all(
        path.get("d") == ""
        for path in ET.fromstring(chart.svg).iter("path")
        if path.get("class") == "line r0"
    )


def test_a_limit_is_drawn_inside_the_chart() -> None:
    axis = make_axis(0, 1 * S)
    values = [5.0] * axis.bins(axis.level_bin_ns)
    chart = levels("k", "Wave", "", "", axis, [Series("a", "r0", values)], ("allowed 10", 10))
    assert chart.limits == [("allowed 10", 0.0)] and chart.top == "10"
