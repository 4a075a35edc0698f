"""Expectations of operators' work and of alarms that nothing in the scenario could decide: each is refused.

The rules are as in feasible.py: functions from a scenario to problems, which refuse only what is certain.
That nobody approves anything is no mistake: it shows that nothing leaves then.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.checks.pause import PausedBy
from harness.scenario.document import Document
from harness.scenario.errors import Problem
from harness.scenario.models import Scenario
from harness.scenario.operator import RELEASING


def pause(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """Somebody must pause, or something must be there to be detected and somebody to tell of it."""
    params = getattr(scenario.expect, "pause", None)
    if params is None:
        return
    if params.from_ is PausedBy.OPERATOR and not _is_paused(scenario, params.class_):
        yield document.problem(
            ("expect", "pause"),
            f"nobody pauses `{params.class_}`: no step of `operator` does, and no signal says `paused`",
            at_key=True,
            advice="Add a step such as `{at: 5s, action: pause}`, or write `from: detection`.",
        )
    if params.from_ is PausedBy.DETECTION and not _can_detect(scenario):
        yield document.problem(
            ("expect", "pause"),
            "a pause from the detection on needs the signal `detected`, and the system has none",
            at_key=True,
            advice="Add it to `system.signals`.",
        )
    if params.from_ is PausedBy.DETECTION and not _breaks_a_route(scenario):
        yield document.problem(
            ("expect", "pause"), "no fault is on a route, so there is nothing to be detected", at_key=True
        )


def approval(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """Something must make mail wait."""
    params = getattr(scenario.expect, "approval", None)
    if params is not None and not _breaks_a_route(scenario) and not _is_paused(scenario, params.class_):
        yield document.problem(
            ("expect", "approval"),
            f"nothing makes `{params.class_}` wait: no fault is on a route, and nobody pauses it",
            at_key=True,
            advice="Add a fault, or a step such as `{at: 5s, action: pause}`.",
        )


def priority(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """There must be mail of both classes, and something that lets a backlog go."""
    params = getattr(scenario.expect, "priority", None)
    if params is None:
        return
    for class_ in (params.first, params.then):
        if class_ not in {stream.class_ for stream in scenario.workload}:
            yield document.problem(
                ("expect", "priority"),
                f"`{params.first}` is to go before a backlog of `{params.then}`, and no stream is `{class_}`",
                at_key=True,
                advice="Name two classes of the workload: `{first: transactional, then: digest}`.",
            )
    said = any(step.action in RELEASING for step in scenario.operator)
    if not said and not scenario.faults and not _is_paused(scenario, params.then):
        yield document.problem(
            ("expect", "priority"),
            "nothing lets a backlog go: there is no fault that could end, and no operator's "
            f"{', '.join(f'`{each}`' for each in RELEASING)}",
            at_key=True,
        )


def false_alarm(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """An alarm is an edge of the signal `detected`."""
    if getattr(scenario.expect, "false-alarm", None) is not None and not _can_detect(scenario):
        yield document.problem(
            ("expect", "false-alarm"),
            "an alarm is told by the signal `detected`, and the system has none",
            at_key=True,
            advice="Add it to `system.signals`.",
        )


def _can_detect(scenario: Scenario) -> bool:
    return "detected" in scenario.system.signals


def _is_paused(scenario: Scenario, class_: str) -> bool:
    said = any(step.action == "pause" and step.class_ in (None, class_) for step in scenario.operator)
    return said or "paused" in scenario.system.signals


def _breaks_a_route(scenario: Scenario) -> bool:
    return any(scenario.breaks_a_route(fault) for fault in scenario.faults)
