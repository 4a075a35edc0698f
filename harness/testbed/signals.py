"""Reading what the SUT says of itself: a poll of one address serves every signal that reads from it.

A value is journalled when it changes, when it stops making sense, and once a second in between; each carries
the time of the previous read, because the truth changed somewhere between the two.
"""

from __future__ import annotations

import asyncio
import math
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
LARGEST_ANSWER = 8 * 1024 * 1024
LONGEST_TEXT = 200
LARGEST_INT = 2**63

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
            async with asyncio.timeout(READ_TIMEOUT_S):
                answer = await self._get(reading.path)
            if answer.status_code != 200:
                return None, f"garbage: HTTP {answer.status_code}"
            return parse_document(answer, reading.format), None
        except TimeoutError:
            return None, f"unreachable: no whole answer within {READ_TIMEOUT_S:g} s"
        except httpx.TransportError as error:
            return None, f"unreachable: {type(error).__name__}"
        except (Garbage, httpx.HTTPError, ValueError, RecursionError) as error:
            return None, f"garbage: {str(error)[:LONGEST_TEXT]}"

    async def _get(self, path: str) -> httpx.Response:
        """The whole answer, unless it is longer than any sensible one. Raises Garbage."""
        body = bytearray()
        async with self._client.stream("GET", path) as answer:
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_ANSWER:
                    raise Garbage(f"an answer of more than {LARGEST_ANSWER} bytes")
            return httpx.Response(answer.status_code, content=bytes(body))

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
        except (JMESPathError, RecursionError) as error:
            raise Garbage(f"{reading.expression}: {error}") from error
    if reading.is_condition and not isinstance(found, bool):
        raise Garbage(f"`{reading.expression}` gave {_shown(found)}, neither true nor false")
    if not isinstance(found, bool | int | float | str):
        raise Garbage(f"`{reading.expression}` gave {_shown(found)}, not a value")
    if isinstance(found, float) and not math.isfinite(found):
        raise Garbage(f"`{reading.expression}` gave {found}, not a number")
    if isinstance(found, int) and abs(found) >= LARGEST_INT:
        raise Garbage(f"`{reading.expression}` gave a number of {found.bit_length()} bits")
    return found[:LONGEST_TEXT] if isinstance(found, str) else found


def _shown(found: object) -> str:
    return repr(found)[:LONGEST_TEXT]
