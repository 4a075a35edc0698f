"""From a scenario's `signals` and `states` to sources and questions, templates filled in.

Signals that read the same thing share one source, and so one read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.scenario.models import Scenario
from harness.scenario.signals import Signal, States
from harness.scenario.system import CONTAINED
from harness.scenario.templates import render, render_words
from harness.testbed.commands import Surround
from harness.testbed.signals.command import CommandSource, Takes
from harness.testbed.signals.file import FileSource
from harness.testbed.signals.http import HttpSource, PrometheusSource
from harness.testbed.signals.log import LogFollower
from harness.testbed.signals.question import AskFirstColumn, AskJson, AskMetrics, AskText, Question
from harness.testbed.signals.reader import Reading
from harness.testbed.signals.source import Bounds, Source
from harness.testbed.signals.sql import SqlSource
from harness.testbed.signals.webhook import Webhook

PUMP_LAG_NS, ENGINE_LAG_NS = 5_000_000, 20_000_000
"""How long a line of the system's output takes into the log that is read: through a pump on this machine, or
from the engine as well. Mostly it is less than 1 ms; this much is from a machine that was busy."""

ALL_STATES = Bounds(timeout_s=10.0, size_bytes=128 * 1024 * 1024)
"""The states of all messages are one long answer."""


@dataclass(frozen=True)
class Reach:
    """How the harness, on this machine, gets at what the system tells."""

    base_url: str
    log_path: Path
    """What the system prints; it begins with the run."""
    context: Mapping[str, Any]
    """What templates may name."""
    commands: Surround
    """For commands: the system's environment. Other relative paths are relative to its folder, too."""

    def text(self, template: str) -> str:
        return render(template, self.context)

    def words(self, templates: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(render_words(templates, self.context))

    def path(self, template: str) -> Path:
        return self.commands.cwd / self.text(template)


def webhook_names(scenario: Scenario) -> list[str]:
    names = (signal.webhook for signal in scenario.system.signals.values())
    return list(dict.fromkeys(name for name in names if name is not None))


def readings_of(scenario: Scenario, reach: Reach, webhooks: Mapping[str, Webhook]) -> list[Reading]:
    sources = _Sources(reach, webhooks)
    readings = []
    for name, signal in scenario.system.signals.items():
        source = sources.of(signal)
        readings.append(
            Reading(
                signal=name,
                source=source,
                question=_question(signal, source, reach),
                every_ns=signal.every_ns,
                route=scenario.signal_route(name),
                lag_ns=_lag_ns(scenario, signal),
            )
        )
    return readings


def _lag_ns(scenario: Scenario, signal: Signal) -> int:
    if signal.source != "log" or signal.file is not None:
        return 0
    return ENGINE_LAG_NS if scenario.system.kind in CONTAINED else PUMP_LAG_NS


def states_source(states: States, reach: Reach) -> Source:
    """Gives the document in which `items` is looked for; by SQL the rows themselves."""
    match states.source:
        case "http":
            return HttpSource(reach.base_url, states.http or "", ALL_STATES)
        case "file":
            return FileSource(reach.path(states.file or ""), is_json=True, bounds=ALL_STATES)
        case "sql":
            database = reach.text(states.database or "")
            return SqlSource(database, states.sql or "", reach.commands.cwd, all_rows=True, bounds=ALL_STATES)
        case _:
            argv = reach.words(states.command or ())
            return CommandSource(argv, reach.commands, bounds=ALL_STATES)


class _Sources:
    """One source for everything that is read in the same way from the same place."""

    def __init__(self, reach: Reach, webhooks: Mapping[str, Webhook]) -> None:
        self._reach = reach
        self._webhooks = webhooks
        self._made: dict[Hashable, Source] = {}

    def of(self, signal: Signal) -> Source | Webhook:
        reach = self._reach
        match signal.source:
            case "http":
                path = signal.http or ""
                return self._one(("http", path), lambda: HttpSource(reach.base_url, path))
            case "prometheus":
                path = signal.prometheus or ""
                return self._one(("prometheus", path), lambda: PrometheusSource(reach.base_url, path))
            case "log":
                return self._log(signal)
            case "file":
                file, is_json = reach.path(signal.file or ""), signal.format == "json"
                return self._one(("file", file, is_json), lambda: FileSource(file, is_json=is_json))
            case "sql":
                database, query = reach.text(signal.database or ""), signal.sql or ""
                return self._one(
                    ("sql", database, query), lambda: SqlSource(database, query, reach.commands.cwd)
                )
            case "command":
                argv, takes = reach.words(signal.command or ()), Takes(signal.format or Takes.JSON)
                return self._one(
                    ("command", argv, takes),
                    lambda: CommandSource(argv, reach.commands, takes=takes),
                )
            case _:
                return self._webhooks[signal.webhook or ""]

    def _log(self, signal: Signal) -> Source:
        """What the system prints belongs to the run from its first line; a file may be older than the run."""
        if signal.file is None:
            return self._one(("log",), lambda: LogFollower(self._reach.log_path, whole=True))
        path = self._reach.path(signal.file)
        return self._one(("log", path), lambda: LogFollower(path, whole=False, name=str(path)))

    def _one(self, key: Hashable, make: Callable[[], Source]) -> Source:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def _question(signal: Signal, source: Source | Webhook, reach: Reach) -> Question:
    is_condition = signal.when is not None
    if isinstance(source, LogFollower):
        until = None if signal.until is None else reach.text(signal.until)
        return source.watch(reach.text(signal.log or ""), until)
    if signal.source == "sql" and not signal.expression:
        return AskFirstColumn()
    if signal.source == "prometheus":
        return AskMetrics(signal.expression, is_condition)
    if signal.format == "text":
        return AskText(signal.expression, is_condition)
    return AskJson(signal.expression, is_condition)
