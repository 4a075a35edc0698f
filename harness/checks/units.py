"""Quantities as people write them: `400ms`, `10/s`, `10%`.

Each type is pydantic-annotated: text goes in, a plain number with a fixed unit comes out (nanoseconds, per
second, a share of one), and it is written back as text in JSON. A bare number is refused: nobody should
have to guess whether `timeout: 5` means seconds. Every error names the unit and gives an example.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)"
_DURATION_UNITS = {
    "ms": NS_PER_MS,
    "s": NS_PER_S,
    "m": 60 * NS_PER_S,
    "min": 60 * NS_PER_S,
    "h": 3600 * NS_PER_S,
}
_RATE_UNITS = {"s": 1, "min": 60, "h": 3600}

DURATION_PATTERN = rf"^\s*{_NUMBER}\s*(?:ms|s|m|min|h)\s*$"
RATE_PATTERN = rf"^\s*{_NUMBER}\s*/\s*(?:s|min|h)\s*$"
SHARE_PATTERN = rf"^\s*{_NUMBER}\s*%\s*$"

_DURATION = re.compile(rf"\s*({_NUMBER})\s*(ms|s|min|m|h)\s*")
_RATE = re.compile(rf"\s*({_NUMBER})\s*/\s*(s|min|h)\s*")
_SHARE = re.compile(rf"\s*({_NUMBER})\s*%\s*")


def parse_duration(value: object) -> int:
    """Text such as `400ms`, `5s`, `1.5m` or `1h` to nanoseconds. Raises ValueError."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        exact = Decimal(match[1]) * _DURATION_UNITS[match[2]]
        if exact != exact.to_integral_value():
            raise ValueError(f"a duration is a whole number of nanoseconds, and {value!r} is not")
        return int(exact)
    raise ValueError(
        "a duration needs a number and a unit, ms, s, m or h, for example `5s` or `400ms`; "
        f"got {_shown(value)}{_suggest(value, 's')}"
    )


def parse_rate(value: object) -> float:
    """Text such as `10/s`, `600/min` or `1/h` to a rate per second. Raises ValueError."""
    if isinstance(value, str) and (match := _RATE.fullmatch(value)):
        return float(Decimal(match[1]) / _RATE_UNITS[match[2]])
    raise ValueError(
        "a rate needs a number and a unit, /s, /min or /h, for example `10/s` or `600/min`; "
        f"got {_shown(value)}{_suggest(value, '/s')}"
    )


def parse_share(value: object) -> float:
    """Text such as `10%` or `0.5%` to a share of one, 0.0 to 1.0. Raises ValueError."""
    if isinstance(value, str) and (match := _SHARE.fullmatch(value)):
        percent = Decimal(match[1])
        if percent > 100:
            raise ValueError(f"a share is between 0% and 100%, for example `10%`; got {_shown(value)}")
        return float(percent / 100)
    raise ValueError(
        f"a share needs a number and the unit %, for example `10%`; got {_shown(value)}{_suggest(value, '%')}"
    )


def format_duration(ns: int) -> str:
    """Nanoseconds as text that `parse_duration` reads back exactly."""
    if ns == 0:
        return "0s"
    for unit in ("h", "m", "s"):
        size = _DURATION_UNITS[unit]
        if ns % size == 0:
            return f"{ns // size}{unit}"
    return f"{_plain(Decimal(ns) / NS_PER_MS)}ms"


def format_rate(per_second: float) -> str:
    """A rate per second as text that `parse_rate` reads back exactly."""
    return f"{_plain(Decimal(repr(per_second)))}/s"


def format_share(share: float) -> str:
    """A share of one as text that `parse_share` reads back exactly."""
    return f"{_plain(Decimal(repr(share)) * 100)}%"


def _plain(number: Decimal) -> str:
    """Without exponent and without trailing zeros: 10, 0.5."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _shown(value: object) -> str:
    return f"`{value}`" if isinstance(value, str | int | float) else type(value).__name__


def _suggest(value: object, unit: str) -> str:
    """A bare number is the commonest slip; show what was probably meant."""
    text = str(value).strip()
    if not re.fullmatch(_NUMBER, text):
        return ""
    if unit == "%" and Decimal(text) < 1:
        text = _plain(Decimal(text) * 100)  # 0.1 was meant as a share of one
    return f"; did you mean `{text}{unit}`?"


Duration = Annotated[
    int,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": DURATION_PATTERN,
            "description": "A duration with its unit: ms, s, m or h.",
            "examples": ["5s", "400ms", "2m", "1h"],
        }
    ),
]
"""Nanoseconds, from `400ms`, `5s`, `2m`, `1h`."""

Rate = Annotated[
    float,
    BeforeValidator(parse_rate),
    PlainSerializer(format_rate, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": RATE_PATTERN,
            "description": "A rate with its unit: /s, /min or /h.",
            "examples": ["10/s", "600/min", "1/h"],
        }
    ),
]
"""Per second, from `10/s`, `600/min`, `1/h`."""

Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(format_share, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": SHARE_PATTERN,
            "description": "A share, 0% to 100%.",
            "examples": ["10%", "0.5%"],
        }
    ),
]
"""0.0 to 1.0, from `10%`."""
