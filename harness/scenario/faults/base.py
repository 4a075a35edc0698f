"""What every fault says: when, on what, and where it has to be put in place.

Toxiproxy takes misspelt or out-of-range attributes as zero, so everything is checked here, before it starts.
`attributes()` is what goes into the timeline: plain numbers and texts, times in whole milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from harness.checks.units import NS_PER_MS, NS_PER_S, format_duration
from harness.scenario.part import Length, Line, Part, Time, WholeMs
from harness.scenario.targets import Target

RANGE = "x-range"
"""The keyword of the JSON Schema that tells a duration's bounds, which the schema itself cannot check."""


class ActsIn(StrEnum):
    """What has to be touched to put a fault in place."""

    PROXY = "proxy"  # a toxic, or the proxy switched off
    UPSTREAM = "upstream"  # the proxy turned to the provider's rejecting listener
    PROVIDER = "provider"  # the fake itself, over its control API
    SYSTEM = "system"  # the system under test, whatever runs it


class FaultBase(Part):
    """What every fault says: when, and on what."""

    acts_in: ClassVar[ActsIn]
    masks: ClassVar[bool] = False
    """Whether no canary for another fault gets through behind it."""
    harms_route: ClassVar[bool] = True
    """Whether mail is worse off by its route because of it, so that the system should notice and recover."""
    examples: ClassVar[tuple[str, ...]]
    """Entries of `faults:`, as people write them; the first has no more attributes than it needs."""

    at: Time
    """When it begins, counted from the end of the baseline."""
    on: Target
    """What is broken: a route, an endpoint beside it (`primary.token`, `backup.events`), or the system."""
    incident: Line | None = None
    """Faults with the same label belong to one incident; those that overlap in time do anyhow."""

    @property
    def kind(self) -> str:
        return str(getattr(self, "fault"))  # noqa: B009  each subclass narrows `fault` to its own literal

    @property
    def end_ns(self) -> int:
        """When it is over, on the scenario's clock."""
        raise NotImplementedError

    def attributes(self) -> dict[str, Any]:
        """What the injector is given."""
        return {}


class LastingFault(FaultBase):
    """A fault that is put in place and removed."""

    for_: Annotated[Length, Field(alias="for")]
    """How long it lasts."""

    @property
    def end_ns(self) -> int:
        return self.at + self.for_


@dataclass(frozen=True)
class Between:
    """The bounds of a duration, both included."""

    least_ms: int
    most_ms: int

    def check(self, ns: int) -> int:
        """The duration, if it lies between them. Raises ValueError."""
        if not self.least_ms * NS_PER_MS <= ns <= self.most_ms * NS_PER_MS:
            raise ValueError(f"must be between {self.words}")
        return ns

    @property
    def words(self) -> str:
        least = "0ms" if not self.least_ms else format_duration(self.least_ms * NS_PER_MS)
        return f"{least} and {self.most_ms // 1000}s"

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {RANGE: self.words.replace(" and ", " to ")}


UpToAMinute = Annotated[WholeMs, Between(0, 60_000)]
SomeMoment = Annotated[WholeMs, Between(1, 60_000)]
UpToAnHour = Annotated[WholeMs, Between(0, 3_600_000)]
SomeWait = Annotated[WholeMs, Between(1, 3_600_000)]
SomeSeconds = Annotated[WholeMs, Between(1_000, 3_600_000)]

TEN_SECONDS_NS = 10 * NS_PER_S


def in_ms(ns: int) -> int:
    """A duration as timelines and injectors have it."""
    return ns // NS_PER_MS
