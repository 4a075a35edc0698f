"""Signals out of Prometheus text: a selector, and for a condition a comparison with a number.

`queue_depth{class="marketing"}` gives the sum of the samples it matches; `route_up{route="primary"} == 0`
gives true or false. That is as much of PromQL as one scrape can answer.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_SELECTOR = re.compile(r"\s*([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\})?\s*")
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_CONDITION = re.compile(r"(.*?)(==|!=|<=|>=|<|>)\s*(-?\d+(?:\.\d+)?)\s*$")


@dataclass(frozen=True)
class Sample:
    name: str
    labels: dict[str, str]
    value: float


@dataclass(frozen=True)
class Query:
    """A parsed selector; `compare` and `bound` are set for a condition."""

    name: str
    labels: dict[str, str]
    compare: str | None = None
    bound: float = 0.0

    def evaluate(self, samples: list[Sample]) -> float | bool | None:
        """None when nothing matches: an absent metric is not zero."""
        wanted = self.labels.items()
        matching = [s.value for s in samples if s.name == self.name and wanted <= s.labels.items()]
        if not matching:
            return None
        total = sum(matching)
        return _COMPARE[self.compare](total, self.bound) if self.compare else total


def parse_query(text: str) -> Query:
    """Raises ValueError that shows the form expected."""
    compare, bound, selector = None, 0.0, text
    # The comparison is looked for behind the braces: label values may hold its characters.
    head, brace, tail = text.rpartition("}")
    if match := _CONDITION.fullmatch(tail):
        selector, compare, bound = head + brace + match[1], match[2], float(match[3])
    match = _SELECTOR.fullmatch(selector)
    if not match:
        raise ValueError(
            f'{text!r} is not a metric selector; write `name`, `name{{label="value"}}` '
            f'or, for a condition, `name{{label="value"}} == 0`'
        )
    labels = dict(_LABEL.findall(match[2] or ""))
    if match[2] and _LABEL.sub("", match[2]).strip():
        raise ValueError(f'{match[2]!r} is not a list of labels; write `label="value", other="value"`')
    return Query(name=match[1], labels=labels, compare=compare, bound=bound)


def parse_samples(text: str) -> list[Sample]:
    """Every sample of an exposition. Raises ValueError when the text is none."""
    return [
        Sample(sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
