"""The sequences there are, read from the files beside this one and checked when they are asked for."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from harness.providers import presets
from harness.scenario.document import read_value
from harness.scenario.faults import Fault, provider_fault
from harness.scenario.part import Line, Name, Part, Text
from harness.scenario.playable import refused

FOLDER = Path(__file__).parent
ROUTE, STATUS = "route", "status"
"""What a step is `on`: the route that the sequence is put on (or an endpoint beside it, `route.token`), or
the route of the status page."""
ANY = "any"

Steps = Annotated[tuple[Fault, ...], Field(min_length=1)]


class Version(Part):
    """How it looks at some providers."""

    presets: Annotated[tuple[Name, ...], Field(min_length=1)] | Literal["any"]
    """Whose preset these steps are for; `any`: every one that takes mail and can play them."""
    steps: Steps

    def suits(self, fake: str) -> bool:
        """Whether it is for this preset."""
        if self.presets != ANY:
            return fake in self.presets
        asked = [provider_fault("f", step.kind, "", step.attributes()) for step in self.steps]
        preset = presets.load(fake)
        return preset.carries_mail and all(
            refused(preset, msgspec.structs.replace(each, route=None)) is None for each in asked
        )


class Sequence(Part):
    """One outage that people know by name."""

    sequence: Name
    summary: Line
    """What it does, in a sentence."""
    about: Text
    """What happened, and what of it is known; what is assumed is said to be."""
    sources: Annotated[tuple[Line, ...], Field(min_length=1)]
    """Where that is known from."""
    versions: Annotated[tuple[Version, ...], Field(min_length=1)]
    """What is done to the route; the first that suits its provider."""
    told: Version | None = None
    """What the status page says meanwhile, if there is one."""

    def version_for(self, fake: str) -> Version | None:
        return next((each for each in self.versions if each.suits(fake)), None)

    @property
    def fakes(self) -> tuple[str, ...]:
        """The presets that it is for."""
        return tuple(name for name in presets.names() if self.version_for(name) is not None)

    def length_ns(self, *, told: bool) -> int:
        """How long it really lasts, with what the status page says or without."""
        parts = [*self.versions, *([self.told] if told and self.told is not None else [])]
        return max(step.end_ns for part in parts for step in part.steps)


@cache
def names() -> tuple[str, ...]:
    """Of all sequences, sorted."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))


@cache
def written(name: str) -> dict[str, Any]:
    """One of them as it was written."""
    read = read_value((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    assert isinstance(read, dict), f"{name}.yaml is no mapping"
    return read


@cache
def load(name: str) -> Sequence:
    """One of them. Raises pydantic's ValidationError where a file of ours is wrong."""
    found = Sequence.model_validate(written(name))
    assert found.sequence == name, f"{name}.yaml calls itself {found.sequence}"
    return found
