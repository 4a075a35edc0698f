"""What the system under test tells the outside: when it is up, its signals, the states of its messages."""

from __future__ import annotations

import re
from typing import Annotated

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import AfterValidator, Field, model_validator

from harness.checks.units import NS_PER_MS, Duration
from harness.scenario.part import Name, Part, wrong

_SELECTOR = re.compile(
    r"\s*[A-Za-z_:][A-Za-z0-9_:]*"
    r'(?:\{\s*(?:[A-Za-z_]\w*\s*=\s*"(?:[^"\\]|\\.)*"\s*,?\s*)*\})?'
    r"(?:\s*(?:==|!=|>=|<=|>|<)\s*-?\d+(?:\.\d+)?)?\s*"
)


def _jmespath(expression: str) -> str:
    try:
        jmespath.compile(expression)
    except JMESPathError as error:
        reason = str(error).partition("\n")[0].partition(":")[2].strip(" :") or "it cannot be read"
        raise ValueError(f"is not a JMESPath expression: {reason}") from error
    return expression


def _path(path: str) -> str:
    if not path.startswith("/") or any(c.isspace() or ord(c) < 33 for c in path):
        raise ValueError(f"must be a path on the system's own HTTP port, such as `/status`; got `{path}`")
    return path


HttpPath = Annotated[str, AfterValidator(_path)]
Jmespath = Annotated[str, AfterValidator(_jmespath), Field(min_length=1)]


class Ready(Part):
    """When the system is up: this answers 2xx."""

    http: HttpPath
    """A path on the system's port, such as `/status`."""


class Signal(Part):
    """Something the system tells the outside, polled."""

    http: HttpPath | None = None
    """A path that answers JSON; `when` or `value` is JMESPath."""
    prometheus: HttpPath | None = None
    """A path that answers Prometheus text; `when` or `value` is a metric selector."""
    when: Annotated[str, Field(min_length=1)] | None = None
    """True or false: an edge is an event, such as `routes.primary.state == 'down'`."""
    value: Annotated[str, Field(min_length=1)] | None = None
    """A number or text, such as `queue.pending`."""
    route: Name | None = None
    """The route it speaks of; `detected` speaks of the first route unless it says."""
    every: Annotated[Duration, AfterValidator(lambda ns: _poll(ns))] = 100 * NS_PER_MS
    """How often it is read."""

    @model_validator(mode="after")
    def _one_source_one_question(self) -> Signal:
        if (self.http is None) == (self.prometheus is None):
            raise wrong("a signal is read from `http` or from `prometheus`, one of them")
        if (self.when is None) == (self.value is None):
            raise wrong("a signal has `when` (true or false) or `value` (a number or text), one of them")
        key = "when" if self.when is not None else "value"
        if self.http is not None:
            try:
                _jmespath(self.expression)
            except ValueError as error:
                raise wrong(f"`{self.expression}` {error}", key=key) from error
        elif not _SELECTOR.fullmatch(self.expression):
            raise wrong(
                f"`{self.expression}` is not a metric selector",
                key=key,
                advice='Write for example `queue_pending`, or `route_up{route="primary"} == 0`.',
            )
        return self

    @property
    def path(self) -> str:
        return self.http or self.prometheus or ""

    @property
    def expression(self) -> str:
        return self.when or self.value or ""


class States(Part):
    """Where the system tells the state of its messages."""

    http: HttpPath
    """A path that answers JSON."""
    items: Jmespath
    """JMESPath to a list of {token or recipient, state}."""


def _poll(ns: int) -> int:
    if not 10 * NS_PER_MS <= ns <= 60_000 * NS_PER_MS:
        raise ValueError("must be between 10ms and 60s")
    return ns
