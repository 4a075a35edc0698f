"""Sizes and rates of bytes as people write them: `200B`, `4kB`, `10kB/s`. A kilobyte is 1000 bytes.

As with the other quantities (harness.checks.units) a bare number is refused; what comes out is bytes, or
bytes a second.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_UNITS = {"B": 1, "kB": 1000, "MB": 1_000_000}
_NUMBER = r"(?:\d+(?:\.\d+)?|\.\d+)"
_SIZE = re.compile(rf"\s*({_NUMBER})\s*(B|kB|MB)\s*")
_RATE = re.compile(rf"\s*({_NUMBER})\s*(B|kB|MB)\s*/\s*s\s*")

SIZE_PATTERN = rf"^\s*{_NUMBER}\s*(?:B|kB|MB)\s*$"
BYTE_RATE_PATTERN = rf"^\s*{_NUMBER}\s*(?:B|kB|MB)\s*/\s*s\s*$"


def parse_size(value: object) -> int:
    """Text such as `200B` or `1.5kB` to bytes. Raises ValueError."""
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return _whole(Decimal(match[1]) * _UNITS[match[2]], value)
    raise ValueError(f"a size needs a number and a unit, B, kB or MB, for example `4kB`; got `{value}`")


def parse_byte_rate(value: object) -> int:
    """Text such as `10kB/s` to bytes a second. Raises ValueError."""
    if isinstance(value, str) and (match := _RATE.fullmatch(value)):
        return _whole(Decimal(match[1]) * _UNITS[match[2]], value)
    raise ValueError(
        f"a rate of bytes needs a number and a unit, B/s, kB/s or MB/s, for example `10kB/s`; got `{value}`"
    )


def format_size(size: int) -> str:
    """Bytes as text that `parse_size` reads back exactly."""
    for unit in ("MB", "kB"):
        if size and size % _UNITS[unit] == 0:
            return f"{size // _UNITS[unit]}{unit}"
    return f"{size}B"


def format_byte_rate(per_second: int) -> str:
    return f"{format_size(per_second)}/s"


def _whole(exact: Decimal, value: str) -> int:
    if exact != exact.to_integral_value():
        raise ValueError(f"`{value}` is no whole number of bytes")
    return int(exact)


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN, "examples": ["200B", "4kB"]}),
]
"""Bytes, from `200B`, `4kB`."""

ByteRate = Annotated[
    int,
    BeforeValidator(parse_byte_rate),
    PlainSerializer(format_byte_rate, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": BYTE_RATE_PATTERN, "examples": ["10kB/s"]}),
]
"""Bytes a second, from `10kB/s`."""
