"""Quantities with their units, both ways, and errors that say what was meant."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from harness.checks.units import (
    Duration,
    Rate,
    Share,
    format_duration,
    format_rate,
    format_share,
    parse_duration,
    parse_rate,
    parse_share,
)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("400ms", 400_000_000),
        ("5s", 5_000_000_000),
        ("1.5m", 90_000_000_000),
        ("2min", 120_000_000_000),
        ("1h", 3_600_000_000_000),
        (" 0.1 s ", 100_000_000),
        ("0s", 0),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize(
    ("text", "per_s"), [("10/s", 10.0), ("600/min", 10.0), ("1/h", 1 / 3600), ("0.5 /s", 0.5)]
)
def test_rates(text: str, per_s: float) -> None:
    assert parse_rate(text) == per_s


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("0.5 %", 0.005), ("100%", 1.0), ("0%", 0.0)])
def test_shares(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize(
    ("type_", "wrong", "says"),
    [
        (Duration, 5, "did you mean `5s`?"),
        (Duration, "5", "did you mean `5s`?"),
        (Duration, "5 parsecs", "ms, s, m or h, for example `5s`"),
        (Duration, "-5s", "a duration needs a number and a unit"),
        (Duration, "0.0000000001s", "whole number of nanoseconds"),
        (Duration, True, "got `True`"),
        (Duration, None, "got NoneType"),
        (Rate, 10, "did you mean `10/s`?"),
        (Rate, "10/m", "/s, /min or /h, for example `10/s`"),
        (Share, 0.1, "did you mean `10%`?"),
        (Share, 10, "did you mean `10%`?"),
        (Share, "101%", "between 0% and 100%"),
    ],
)
def test_errors_name_the_unit_and_give_an_example(type_: Any, wrong: Any, says: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(says)):
        TypeAdapter(type_).validate_python(wrong)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1, "0.000001ms"),
        (400_000_000, "400ms"),
        (1_500_000_000, "1500ms"),
        (90_000_000_000, "90s"),
        (120_000_000_000, "2m"),
        (7_200_000_000_000, "2h"),
    ],
)
def test_durations_are_written_in_the_largest_unit_that_holds_them_whole(ns: int, text: str) -> None:
    assert format_duration(ns) == text


def test_rates_and_shares_are_written_without_exponents_or_needless_zeros() -> None:
    assert [format_rate(each) for each in (10.0, 0.5, 1e-7)] == ["10/s", "0.5/s", "0.0000001/s"]
    assert [format_share(each) for each in (0.1, 0.005, 1.0, 0.0)] == ["10%", "0.5%", "100%", "0%"]


@pytest.mark.parametrize(
    ("type_", "written", "meant"),
    [
        (Duration, 0.5, "; did you mean `0.5s`?"),
        (Duration, " 5 ", "; did you mean `5s`?"),
        (Rate, 0.5, "; did you mean `0.5/s`?"),
        (Share, 0.5, "; did you mean `50%`?"),
        (Share, 1, "; did you mean `1%`?"),
        (Share, 1.5, "; did you mean `1.5%`?"),
        (Share, True, "got `True`"),
        (Share, "many", "got `many`"),
        (Share, [10], "got list"),
    ],
)
def test_a_number_without_its_unit_is_answered_with_what_was_probably_meant(
    type_: Any, written: Any, meant: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(type_).validate_python(written)
    assert refused.value.errors()[0]["msg"].endswith(meant)


@given(st.integers(0, 10**18))
def test_durations_read_back_exactly(ns: int) -> None:
    text = format_duration(ns)
    assert parse_duration(text) == ns
    jsonschema.validate(text, TypeAdapter(Duration).json_schema())


@given(st.floats(0, 1e9, allow_nan=False))
def test_rates_read_back_exactly(per_s: float) -> None:
    text = format_rate(per_s)
    assert parse_rate(text) == per_s
    jsonschema.validate(text, TypeAdapter(Rate).json_schema())


@given(st.floats(0, 1, allow_nan=False))
def test_shares_read_back_exactly(share: float) -> None:
    text = format_share(share)
    assert parse_share(text) == pytest.approx(share, abs=1e-18)
    jsonschema.validate(text, TypeAdapter(Share).json_schema())
