"""Durations, numbers and names as people say them."""

from __future__ import annotations

import math

import pytest

from harness.checks.finding import Finding, Verdict
from harness.report import words


@pytest.mark.parametrize(
    ("value_s", "said"),
    [
        (0, "0 s"),
        (0.0002, "0.2 ms"),
        (0.000_001, "0.1 ms"),
        (0.0099, "9.9 ms"),
        (0.085, "85 ms"),
        (0.0999, "0.1 s"),
        (2.14, "2.1 s"),
        (99.94, "99.9 s"),
        (99.96, "1 min 40 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (7620, "2 h 07 min"),
        (-0.5, "−0.5 s"),
        (math.inf, "never"),
    ],
)
def test_spans_of_time(value_s: float, said: str) -> None:
    assert words.seconds(value_s) == said


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("mttd_s_max", 2.1, ("mttd max", "2.1 s")),
        ("window_ns", 1_900_000_000, ("window", "1.9 s")),
        ("spread_ms", 100, ("spread", "0.1 s")),
        ("rate_per_s", 20.0, ("rate", "20/s")),
        ("held_share", 0.013, ("held share", "1.3 %")),
        ("messages", 12400, ("messages", "12,400")),
        ("mttr_s", None, ("mttr", "–")),
        ("mttr_s_max", math.inf, ("mttr max", "never")),
        ("route", "primary", ("route", "primary")),
        ("s", 3, ("s", "3")),
    ],
)
def test_the_numbers_of_a_finding(name: str, value: float, said: tuple[str, str]) -> None:
    assert words.measure(name, value) == said


def test_what_decides_comes_first_and_bad_news_before_good() -> None:
    def made(check: str, verdict: Verdict, decides: bool) -> Finding:
        return Finding(check=check, verdict=verdict, summary="", decides=decides)

    findings = [
        made("reported-fail", Verdict.FAIL, False),
        made("pass", Verdict.PASS, True),
        made("unknown", Verdict.INCONCLUSIVE, True),
        made("fail", Verdict.FAIL, True),
    ]
    assert [f.check for f in words.ordered(findings)] == ["fail", "unknown", "pass", "reported-fail"]


def test_control_characters_do_not_reach_a_terminal() -> None:
    assert words.printable("a\x1b[31mb\x07\nc") == "a·[31mb·\nc"


def test_a_number_and_its_unit_stay_together() -> None:
    assert words.unbroken("in 2.1 s, 3 sheep, 10 %") == "in 2.1\u00a0s, 3 sheep, 10\u00a0%"
