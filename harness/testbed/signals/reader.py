"""The reader of all signals: a poll of one source serves every signal that reads from it.

A value is journalled when it changes, when it stops making sense, and once a second in between; each carries
the time of the previous read, because the truth changed somewhere between the two. What is posted to a
webhook is journalled as it comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.history.events import Signal
from harness.history.journal import Journal
from harness.testbed.signals.question import Question
from harness.testbed.signals.source import Source, Unreachable, Unreadable, Value
from harness.testbed.signals.webhook import Post, Webhook

HEARTBEAT_NS = 1_000_000_000


@dataclass(frozen=True)
class Reading:
    """One signal: where it is read from and how its value is found there."""

    signal: str
    source: Source | Webhook
    question: Question
    every_ns: int = 0  # of a source that is polled
    route: str | None = None
    lag_ns: int = 0  # how old what is read may be: what is so much older may still be missing from it


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
    """Polls until cancelled. Webhooks are heard from the start: the system may post before it is ready."""

    def __init__(self, readings: Sequence[Reading], journal: Journal) -> None:
        self.state = SignalState()
        self._journal = journal
        self._last = {id(reading): _Last() for reading in readings}
        self._polled: dict[Source, list[Reading]] = {}
        self._posted: dict[Webhook, list[Reading]] = {}
        for reading in readings:
            if isinstance(reading.source, Webhook):
                self._posted.setdefault(reading.source, []).append(reading)
            else:
                self._polled.setdefault(reading.source, []).append(reading)
        for hook, group in self._posted.items():
            hook.told = lambda post, group=group: self._take_post(post, group)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for source, group in self._polled.items():
                    tasks.create_task(self._poll(source, group), name=source.how)
                if self._posted:
                    tasks.create_task(self._repeat_posted(), name="webhooks")
        finally:
            for hook in self._posted:
                hook.told = None
            for source in self._polled:
                await source.close()

    async def _poll(self, source: Source, group: list[Reading]) -> None:
        loop = asyncio.get_running_loop()
        every_s = min(reading.every_ns for reading in group) / 1e9
        previous_ns: int | None = None
        due = loop.time()
        while True:
            asked_ns = self._journal.now_ns()
            document, error = await _read(source)
            now_ns = self._journal.now_ns()
            for reading in group:
                since_ns = None if previous_ns is None else max(0, previous_ns - reading.lag_ns)
                self._answer(reading, document, error, now_ns, since_ns)
            # A change after this question was asked may be missing from its answer.
            previous_ns = asked_ns
            due = max(due + every_s, loop.time())
            await asyncio.sleep(due - loop.time())

    def _take_post(self, post: Post, group: list[Reading]) -> None:
        for reading in group:
            self._begin(reading, post.begin_ns)
            self._answer(reading, post.document, post.error, post.end_ns, post.begin_ns, always=True)

    def _begin(self, reading: Reading, now_ns: int) -> None:
        """Before the first post a condition is false, and a value is not known."""
        if self._last[id(reading)].journalled_ns is None:
            if reading.question.is_condition:
                self._note(reading, False, None, now_ns, None)
            else:
                self._note(reading, None, Unreachable("nothing was posted yet").said, now_ns, None)

    async def _repeat_posted(self) -> None:
        """What was posted last holds until the next post, and is told again once a second."""
        group = [reading for each in self._posted.values() for reading in each]
        while True:
            now_ns = self._journal.now_ns()
            for reading in group:
                self._begin(reading, now_ns)
                last = self._last[id(reading)]
                self._note(reading, last.value, last.error, now_ns, last.journalled_ns)
            await asyncio.sleep(HEARTBEAT_NS / 1e9)

    def _answer(
        self,
        reading: Reading,
        document: Any,
        error: Unreadable | None,
        now_ns: int,
        previous_ns: int | None,
        *,
        always: bool = False,
    ) -> None:
        values: list[Value] = [None]
        if error is None:
            try:
                values = reading.question.values(document)
            except Unreadable as unreadable:
                error = unreadable
        for value in values:
            self._note(reading, value, error.said if error else None, now_ns, previous_ns, always=always)

    def _note(
        self,
        reading: Reading,
        value: Value,
        error: str | None,
        now_ns: int,
        previous_ns: int | None,
        *,
        always: bool = False,
    ) -> None:
        """Journal a value, or why there is none; one that was told a moment ago only with `always`."""
        key = (reading.signal, reading.route)
        if error is None:
            self.state.values[key] = value
            self.state.errors.pop(key, None)
        else:
            self.state.errors[key] = error
        last = self._last[id(reading)]
        quiet_ns = now_ns - last.journalled_ns if last.journalled_ns is not None else HEARTBEAT_NS
        if (value, error) == (last.value, last.error) and quiet_ns < HEARTBEAT_NS and not always:
            return
        last.value, last.error, last.journalled_ns = value, error, now_ns
        self._journal.append(
            Signal(
                t_ns=now_ns,
                signal=reading.signal,
                value=value,
                route=reading.route,
                how=reading.source.how,
                previous_read_ns=previous_ns,
                error=error,
            )
        )


async def _read(source: Source) -> tuple[Any, Unreadable | None]:
    try:
        return await source.read(), None
    except Unreadable as error:
        return None, error
