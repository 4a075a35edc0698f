"""Reading what the SUT says of itself: a poll of one address serves every signal that reads from it.

A value is journalled when it changes, when it stops making sense, and once a second in between; each carries the
time of the previous read, because the truth changed somewhere between the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx
import jmespath
from jmespath.exceptions import JMESPathError

from harness.history.events import Signal
from harness.history.journal import Journal
from harness.testbed.prometheus import parse_query, parse_samples

HEARTBEAT_NS = 1_000_000_000
READ_TIMEOUT_S = 1.0

Value = bool | int | float | str | None


class Format(StrEnum):
    JSON = "http"
    PROMETHEUS = "prometheus"


class Garbage(Exception):
    """The answer came and made no sense."""


@dataclass(frozen=True)
class Reading:
    """One signal: where it is read from and how its value is found there."""

    signal: str
    path: str
    format: Format
    expression: str  # JMESPath over the JSON, or a metric selector (prometheus.py)
    is_condition: bool  # `when:` gives true or false, `value:` gives what it finds
    every_ns: int
    route: str | None = None

    @property
    def how(self) -> str:
        return f"{self.format.value} {self.path}"


@dataclass
class _Last:
    value: Value = None
    error: str | None = None
    journalled_ns: int | None = None


@dataclass
class SignalState:
    """What the signals say now; conduct looks here for the gate and for quiescence."""

    values: dict[tuple[str, str | None], Value] = field(default_factory=dict)
    errors: dict[tuple[str, str | None], str] = field(default_factory=dict)


class SignalReader:
    """Polls until cancelled. `base_url` is the SUT's."""

    def __init__(self, readings: Sequence[Reading], base_url: str, journal: Journal) -> None:
        self.readings = list(readings)
        self.state = SignalState()
        self._journal = journal
        self._client = httpx.AsyncClient(base_url=base_url, timeout=READ_TIMEOUT_S, trust_env=False)
        self._last = {id(r): _Last() for r in self.readings}

    async def run(self) -> None:
        sources: dict[tuple[str, Format], list[Reading]] = {}
        for reading in self.readings:
            sources.setdefault((reading.path, reading.format), []).append(reading)
        try:
            async with asyncio.TaskGroup() as polls:
                for group in sources.values():
                    polls.create_task(self._poll(group))
        finally:
            await self._client.aclose()

    async def _poll(self, group: list[Reading]) -> None:
        loop = asyncio.get_running_loop()
        every_s = min(reading.every_ns for reading in group) / 1e9
        previous_ns: int | None = None
        due = loop.time()
        while True:
            asked_ns = self._journal.now_ns()
            document, error = await self._fetch(group[0])
            now_ns = self._journal.now_ns()
            for reading in group:
                self._note(reading, document, error, now_ns, previous_ns)
            # A change after this question was asked may be missing from its answer.
            previous_ns = asked_ns
            due = max(due + every_s, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _fetch(self, reading: Reading) -> tuple[Any, str | None]:
        try:
            answer = await self._client.get(reading.path)
            if answer.status_code != 200:
                return None, f"garbage: HTTP {answer.status_code}"
            return parse_document(answer, reading.format), None
        except httpx.TransportError as error:
            return None, f"unreachable: {type(error).__name__}"
        except (Garbage, ValueError) as error:
            return None, f"garbage: {error}"

    def _note(
        self, reading: Reading, document: Any, error: str | None, now_ns: int, previous_ns: int | None
    ) -> None:
        value: Value = None
        if error is None:
            try:
                value = evaluate(reading, document)
            except Garbage as garbage:
                error = f"garbage: {garbage}"
        key = (reading.signal, reading.route)
        if error is None:
            self.state.values[key] = value
            self.state.errors.pop(key, None)
        else:
            self.state.errors[key] = error
        last = self._last[id(reading)]
        quiet_ns = now_ns - last.journalled_ns if last.journalled_ns is not None else None
        if (value, error) == (last.value, last.error) and quiet_ns is not None and quiet_ns < HEARTBEAT_NS:
            return
        last.value, last.error, last.journalled_ns = value, error, now_ns
        self._journal.append(
            Signal(
                t_ns=now_ns,
                signal=reading.signal,
                value=value,
                route=reading.route,
                how=reading.how,
                previous_read_ns=previous_ns,
                error=error,
            )
        )


def parse_document(answer: httpx.Response, format_: Format) -> Any:
    """The JSON document, or the list of Prometheus samples. Raises Garbage or ValueError."""
    if format_ is Format.JSON:
        return answer.json()
    samples = parse_samples(answer.text)
    if not samples:
        raise Garbage("no Prometheus sample in the answer")
    return samples


def evaluate(reading: Reading, document: Any) -> Value:
    """The signal's value in a document. Raises Garbage when it is not a value of the right kind."""
    if reading.format is Format.PROMETHEUS:
        found = parse_query(reading.expression).evaluate(document)
    else:
        try:
            found = jmespath.search(reading.expression, document)
        except JMESPathError as error:
            raise Garbage(f"{reading.expression}: {error}") from error
    if reading.is_condition and not isinstance(found, bool):
        raise Garbage(f"`{reading.expression}` gave {found!r}, neither true nor false")
    if not isinstance(found, bool | int | float | str):
        raise Garbage(f"`{reading.expression}` gave {found!r}, not a value")
    return found
