"""Questions to a document: JMESPath, a regular expression, a metric selector, the first column of a row.

An answer is true or false, a number or a text. Whatever else a document gives is garbage: an unknown queue
is not an empty one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Protocol

import jmespath

from harness.testbed.signals.prometheus import parse_query
from harness.testbed.signals.source import LONGEST_TEXT, Garbage, Value, storable

LARGEST_INT = 2**63
VALUE_GROUP = "value"
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


class Question(Protocol):
    @property
    def is_condition(self) -> bool:
        """Whether it is answered by true or false."""
        ...

    def values(self, document: Any) -> list[Value]:
        """What a document says: one value, or all that came since the read before. Raises Unreadable."""
        ...


@dataclass(frozen=True)
class AskJson:
    """JMESPath over a document of mappings, lists and plain values."""

    expression: str
    is_condition: bool

    def values(self, document: Any) -> list[Value]:
        return [sensible(search(self.expression, document), self.expression, self.is_condition)]


@dataclass(frozen=True)
class AskMetrics:
    """A selector over Prometheus samples."""

    expression: str
    is_condition: bool

    def values(self, document: Any) -> list[Value]:
        found = parse_query(self.expression).evaluate(document)
        return [sensible(found, self.expression, self.is_condition)]


@dataclass(frozen=True)
class AskText:
    """A regular expression over a text: whether it is found, or what its group `value` holds."""

    expression: str
    is_condition: bool

    def values(self, document: Any) -> list[Value]:
        found = re.search(self.expression, document, re.MULTILINE)
        if self.is_condition:
            return [found is not None]
        if found is None:
            raise Garbage(f"`{self.expression}` is not found in the text")
        return [sensible(captured(found), self.expression, False)]


@dataclass(frozen=True)
class AskFirstColumn:
    """The first column of a row."""

    is_condition: bool = False

    def values(self, document: Any) -> list[Value]:
        if document is None:
            raise Garbage("the query gave no row")
        return [sensible(next(iter(document.values()), None), "the first column", self.is_condition)]


def search(expression: str, document: Any) -> Any:
    """What JMESPath finds in a document. Raises Garbage where the document does not fit the question."""
    try:
        return jmespath.search(expression, document)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        # Not only its own errors: `depth > `3`` of a text, or `ceil` of an infinity, are Python's.
        raise Garbage(f"{expression}: {error}") from error


def captured(found: re.Match[str]) -> Value:
    """The group `value` of a match, else all of it; a number where it looks like one."""
    text = found[VALUE_GROUP] if VALUE_GROUP in found.re.groupindex else found[0]
    if text is None:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def sensible(found: object, expression: str, is_condition: bool) -> Value:
    """What was found, if it is a value of the right kind. Raises Garbage."""
    if is_condition and not isinstance(found, bool):
        raise Garbage(f"`{expression}` gave {_shown(found)}, neither true nor false")
    if not isinstance(found, bool | int | float | str):
        raise Garbage(f"`{expression}` gave {_shown(found)}, not a value")
    if isinstance(found, float) and not math.isfinite(found):
        raise Garbage(f"`{expression}` gave {found}, not a number")
    if isinstance(found, int) and abs(found) >= LARGEST_INT:
        raise Garbage(f"`{expression}` gave a number of {found.bit_length()} bits")
    return storable(found[:LONGEST_TEXT]) if isinstance(found, str) else found


def _shown(found: object) -> str:
    return repr(found)[:LONGEST_TEXT]
