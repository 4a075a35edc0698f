"""Faults that are on at once and cannot all be proved, each refused with the times.

Every fault is met by the harness's own canary before it counts (harness.testbed.faults). A canary cannot see
past a fault that lets nothing through; of the faults inside a provider it meets the one that was put last;
and a system cannot be dead and frozen at the same time.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from harness.checks.units import NS_PER_S, format_duration
from harness.providers.errors import FaultRefused
from harness.scenario.document import Document
from harness.scenario.errors import Problem
from harness.scenario.faults import ActsIn, FaultBase, Selective, provider_fault
from harness.scenario.models import Scenario
from harness.scenario.targets import SYSTEM, is_way_back, parts

CONNECT = "connect"
"""The stage of an SMTP session at which even a canary that only looks whether anything answers is hit."""


def overlapping(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """Every fault that could not be proved because of another one."""
    yield from _masked(scenario, document)
    yield from _crowded(scenario, document)
    yield from _at_once(scenario, document)


def _masked(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """A fault that lies wholly behind one that lets nothing through cannot be proved to act."""
    for number, fault in enumerate(scenario.faults):
        for other_number, other in enumerate(scenario.faults):
            if number == other_number or not _hides(scenario, other, fault):
                continue
            inside = other.at <= fault.at and fault.end_ns <= other.end_ns
            both = _hides(scenario, fault, other) and number < other_number and fault.at == other.at
            if inside and not both:
                yield document.problem(
                    ("faults", number),
                    f"`{fault.kind}` lies within `{other.kind}` "
                    f"({document.label(('faults', other_number))}, {seconds(other.at)} to "
                    f"{seconds(other.end_ns)}), which lets nothing through on `{fault.on}`, so it could not "
                    "be proved",
                    advice="Shift one of them, or put it on another route.",
                )
                break


def _hides(scenario: Scenario, other: FaultBase, fault: FaultBase) -> bool:
    """Whether a canary for `fault` meets `other` instead."""
    if other.on != fault.on:
        # Behind the way of events is the system itself; a partition leaves that way as it is.
        return other.on == SYSTEM and other.kind != "partition" and is_way_back(fault.on)
    beside = fault.acts_in is not ActsIn.PROVIDER and _stage(scenario, other) == CONNECT
    return other.masks or beside


def _stage(scenario: Scenario, fault: FaultBase) -> str:
    """Where in an attempt a fault inside a provider acts."""
    if not isinstance(fault, Selective):
        return ""
    wanted = provider_fault("f", fault.kind, fault.on, fault.attributes())
    try:
        return scenario.preset(parts(fault.on)[0]).place_fault(wanted).stage
    except FaultRefused:
        return ""


def _crowded(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """Of two faults inside a provider the earlier one must have been proved before the next begins."""
    inside = [(each.at, number) for number, each in enumerate(scenario.faults) if isinstance(each, Selective)]
    for on in dict.fromkeys(scenario.faults[number].on for _, number in inside):
        here = sorted(each for each in inside if scenario.faults[each[1]].on == on)
        for (began, before), (at, number) in pairwise(here):
            earlier, fault = scenario.faults[before], scenario.faults[number]
            assert isinstance(earlier, Selective)
            if at < began + earlier.proved_within_ns:
                yield document.problem(
                    ("faults", number),
                    f"`{fault.kind}` begins at {seconds(at)} on `{on}`, and `{earlier.kind}` "
                    f"({document.label(('faults', before))}, from {seconds(began)}) is not proved yet: of "
                    "the faults inside a provider the harness's canary meets the one that was put last",
                    advice=f"Let it begin at {seconds(began + earlier.proved_within_ns)} or later, or before "
                    "the other one.",
                )


def _at_once(scenario: Scenario, document: Document) -> Iterator[Problem]:
    """The system itself can be dead, frozen or cut off, but not two of these: none could be proved."""
    on_system = sorted(
        (fault.at, number) for number, fault in enumerate(scenario.faults) if fault.on == SYSTEM
    )
    for (_, before), (at, number) in pairwise(on_system):
        earlier, fault = scenario.faults[before], scenario.faults[number]
        if at < max(earlier.end_ns, earlier.at + 1):
            yield document.problem(
                ("faults", number),
                f"`{fault.kind}` begins at {seconds(at)}, before `{earlier.kind}` "
                f"({document.label(('faults', before))}, {seconds(earlier.at)} to {seconds(earlier.end_ns)}) "
                "is over, and the system can be in one such state only",
                advice="Let one end before the other begins, with time for the system to come back.",
            )


def seconds(ns: int) -> str:
    """A time in seconds, as people calculate."""
    if ns < NS_PER_S:
        return format_duration(ns)
    return f"{ns / NS_PER_S:,.1f}".removesuffix(".0") + " s"
