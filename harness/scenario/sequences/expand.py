"""Sequences in a scenario's `faults:` become the ordinary faults that they stand for, before anything else
looks at them.

The new entries stand where the sequence stood, with its place in the file, so that whatever is wrong with one
of them is told there. All of them carry one `incident` label.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, ValidationError

from harness.checks.units import NS_PER_S, format_duration
from harness.scenario.document import Document, Path, Place, lookup
from harness.scenario.errors import Problem, nearest, shown
from harness.scenario.explain import explain
from harness.scenario.faults import FaultBase
from harness.scenario.part import Line, Name, Part, Time
from harness.scenario.providers import preset_behind
from harness.scenario.sequences import library
from harness.scenario.sequences.library import Sequence, Version
from harness.scenario.targets import parts, target_of
from harness.scenario.written import names, unknown

SHORTEST_NS = NS_PER_S
"""No step is made shorter: a fault must have been proved before the next one can be."""
KEY = "sequence"


class SequenceUse(Part):
    """An outage that people know by name: several faults, one after the other."""

    at: Time
    """When it begins, counted from the end of the baseline."""
    on: Name
    """The route that it happens to."""
    sequence: Name
    """Its name; `harness faults` lists them."""
    speed: Annotated[float, Field(ge=1, le=100_000, allow_inf_nan=False)] = 1.0
    """How many times faster than it really was; no step becomes shorter than a second."""
    status: Name | None = None
    """The route of the status page that tells of it, where it has one."""
    incident: Line | None = None
    """The label of its faults; by default its name."""


def expand(document: Document) -> list[Problem]:
    """Change the document in place; what cannot be expanded is taken out, and told."""
    faults = lookup(document.data, ("faults",))
    if not isinstance(faults, list) or not any(_is_one(entry) for entry in faults):
        return []
    problems: list[Problem] = []
    entries: list[Any] = []
    places: dict[Path, Place] = {}
    labels: list[str] = []
    for index, entry in enumerate(faults):
        label = document.label(("faults", index))
        if _is_one(entry):
            wrong, made = _expanded(document, index, entry)
            problems += wrong
            labels += [f"{label} (step {number} of {entry[KEY]})" for number in range(1, len(made) + 1)]
        else:
            made = [entry]
            labels.append(label)
        for each in made:
            _move(document, index, len(entries), places, whole=_is_one(entry))
            entries.append(each)
    for path in [path for path in document.places if path[:1] == ("faults",) and len(path) > 1]:
        del document.places[path]
    document.places |= places
    document.data["faults"] = entries
    document.fault_labels = tuple(labels)
    return problems


def _is_one(entry: object) -> bool:
    return isinstance(entry, dict) and KEY in entry


def _move(document: Document, old: int, new: int, places: dict[Path, Place], *, whole: bool) -> None:
    """Where an entry's pieces stand; of a step, only that its sequence stands there."""
    for path, place in document.places.items():
        if path[:2] == ("faults", old) and (not whole or len(path) == 2):
            places[("faults", new, *path[2:])] = place


def _expanded(
    document: Document, index: int, entry: dict[str, Any]
) -> tuple[list[Problem], list[dict[str, Any]]]:
    path: Path = ("faults", index)
    if "fault" in entry:
        message = "an entry is one `fault`, or a whole `sequence` of them"
        return [document.problem((*path, "fault"), message, at_key=True)], []
    try:
        use = SequenceUse.model_validate(entry)
    except ValidationError as error:
        return explain(document, error, SequenceUse, path), []
    if use.sequence not in library.names():
        found = unknown(document, (*path, KEY), "sequence", use.sequence, library.names())
        return [found], []
    sequence = library.load(use.sequence)
    problems = [*_unsuitable(document, path, use, sequence)]
    return problems, [] if problems else list(_steps(document, use, sequence))


def _fake(document: Document, route: str) -> str:
    preset = preset_behind(document, route)
    return "" if preset is None else preset.name


def _unsuitable(document: Document, path: Path, use: SequenceUse, sequence: Sequence) -> Iterator[Problem]:
    routes = names(document, "routes")
    if use.on not in routes:
        yield unknown(document, (*path, "on"), "route", use.on, routes)
    elif (fake := _fake(document, use.on)) not in sequence.fakes:
        yield document.problem(
            (*path, KEY),
            f"`{use.sequence}` cannot happen to {shown(fake)}, which {shown(use.on)} leads to",
            choices=tuple(name for name in library.names() if fake in library.load(name).fakes),
            advice=f"It is for {', '.join(sequence.fakes) or 'no preset that is here'}.",
        )
    if use.status is None:
        return
    if sequence.told is None:
        message = f"nothing is known of what a status page said in `{use.sequence}`"
        yield document.problem((*path, "status"), message, at_key=True, advice="Leave it out.")
    elif use.status not in routes:
        yield unknown(document, (*path, "status"), "route", use.status, routes)
    elif not sequence.told.suits(fake := _fake(document, use.status)):
        valid = [route for route in routes if sequence.told.suits(_fake(document, route))]
        yield document.problem(
            (*path, "status"),
            f"{shown(use.status)} leads to {shown(fake)}, which is no status page",
            meant=nearest(use.status, valid),
            choices=tuple(valid),
            advice=f"A route to one has `fake: {' or '.join(sequence.told.presets)}`.",
        )


def _steps(document: Document, use: SequenceUse, sequence: Sequence) -> Iterator[dict[str, Any]]:
    version = sequence.version_for(_fake(document, use.on))
    assert version is not None
    told = sequence.told if use.status is not None else None
    when = _sped_up(version, told, use.speed)
    for step in (*version.steps, *(told.steps if told is not None else ())):
        place, endpoint = parts(step.on)
        route = use.status if place == library.STATUS else use.on
        yield step.model_dump(mode="json", by_alias=True, exclude_none=True) | {
            "at": format_duration(use.at + when[step.at]),
            "for": format_duration(when[step.end_ns] - when[step.at]),
            "on": target_of(str(route), endpoint) if endpoint else route,
            "incident": use.incident or use.sequence,
        }


def _sped_up(version: Version, told: Version | None, speed: float) -> dict[int, int]:
    """When each moment of the steps comes. The order stays, and no step is made shorter than SHORTEST_NS."""
    steps: list[FaultBase] = [*version.steps, *(told.steps if told is not None else ())]
    moments = sorted({0, *(step.at for step in steps), *(step.end_ns for step in steps)})
    when, at = {0: 0}, 0
    for before, moment in pairwise(moments):
        length = moment - before
        at += max(round(length / speed), min(length, SHORTEST_NS))
        when[moment] = at
    return when
