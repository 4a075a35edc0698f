"""The catalogue of faults: what there is, with attributes, ranges, examples, and who can play it.

Everything comes from the models of the faults and from the presets themselves; the command line and the
documents print it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic.fields import FieldInfo

from harness.checks.units import DURATION_PATTERN, RATE_PATTERN, SHARE_PATTERN, format_duration, format_share
from harness.providers import presets
from harness.scenario.bytes import BYTE_RATE_PATTERN, SIZE_PATTERN
from harness.scenario.faults import KINDS, SELECTION, ActsIn, FaultBase
from harness.scenario.faults.base import RANGE
from harness.scenario.part import NAME_PATTERN
from harness.scenario.playable import plays, stages, takes_logins
from harness.scenario.schema import Generator

COMMON = ("fault", "at", "for", "on", "incident")
"""What is said of every fault."""


@dataclass(frozen=True)
class Attribute:
    name: str
    takes: str
    """Type and range, in words."""
    default: str
    """As it would be written; empty: there is none."""
    required: bool
    meaning: str


@dataclass(frozen=True)
class Entry:
    """One kind of fault."""

    kind: str
    summary: str
    where: str
    lasts: bool
    """Whether it has `for`."""
    attributes: tuple[Attribute, ...]
    selects: bool
    """Whether it can be told whom to hit."""
    examples: tuple[str, ...]
    played_by: tuple[str, ...]
    """The presets that can; those of faults at the proxy are all of them."""
    stages: Mapping[str, tuple[str, ...]]
    """By preset, where in an attempt it can be put."""


WHERE = {
    ActsIn.PROXY: "on the way to a provider",
    ActsIn.UPSTREAM: "on the way to a provider",
    ActsIn.PROVIDER: "inside a provider",
    ActsIn.SYSTEM: "in the system itself",
}


@cache
def catalogue() -> tuple[Entry, ...]:
    """Every kind, in the order in which the documents tell of them."""
    return tuple(_entry(kind, model) for kind, model in KINDS.items())


@cache
def selection() -> tuple[Attribute, ...]:
    """What each fault inside a provider says of whom it hits."""
    model = KINDS["refuse"]
    return tuple(each for each in _attributes(model) if each.name in SELECTION)


def _entry(kind: str, model: type[FaultBase]) -> Entry:
    attributes = _attributes(model)
    names = {each.name for each in attributes}
    played = {name: endpoints for name in presets.names() if (endpoints := _played_at(kind, model, name))}
    return Entry(
        kind=kind,
        summary=" ".join((model.__doc__ or "").split()),
        where=WHERE[model.acts_in],
        lasts="for_" in model.model_fields,
        attributes=tuple(each for each in attributes if each.name not in SELECTION),
        selects=set(SELECTION) <= names,
        examples=model.examples,
        played_by=tuple(played) if model.acts_in is not ActsIn.SYSTEM else (),
        stages={name: found for name in played if "stage" in names and (found := stages(name, kind))},
    )


def _played_at(kind: str, model: type[FaultBase], preset: str) -> tuple[str, ...]:
    """The endpoints of a preset where a fault can be; the main one is the empty name."""
    everywhere = ("", *presets.load(preset).endpoints)
    if model.acts_in is ActsIn.PROVIDER:
        return tuple(each for each in everywhere if plays(preset, kind, each))
    return tuple(each for each in everywhere if model.acts_in is ActsIn.PROXY or takes_logins(preset, each))


def _attributes(model: type[FaultBase]) -> list[Attribute]:
    schema = model.model_json_schema(by_alias=True, schema_generator=Generator)["properties"]
    return [
        _attribute(info.alias or name, info, schema[info.alias or name])
        for name, info in model.model_fields.items()
        if (info.alias or name) not in COMMON
    ]


def _attribute(name: str, info: FieldInfo, schema: Mapping[str, Any]) -> Attribute:
    return Attribute(
        name=name,
        takes=_takes(schema),
        default=_as_written(info.default, schema) if not info.is_required() else "",
        required=info.is_required(),
        meaning=" ".join((info.description or "").split()),
    )


_BY_PATTERN = {
    DURATION_PATTERN: "a duration",
    RATE_PATTERN: "a rate, such as `2/s`",
    SHARE_PATTERN: "a share, above 0%",
    SIZE_PATTERN: "a size, such as `4kB`",
    BYTE_RATE_PATTERN: "a rate of bytes, such as `10kB/s`",
    NAME_PATTERN: "a name",
}


def _takes(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if schema.get("type") == "integer":
        least, most = schema["minimum"], schema["maximum"]
        return (
            f"a whole number, {least} or more" if most >= 1_000_000 else f"a whole number, {least} to {most}"
        )
    words = _BY_PATTERN.get(schema.get("pattern", ""), "a text")
    return f"{words}, {schema[RANGE]}" if RANGE in schema else words


def _as_written(value: object, schema: Mapping[str, Any]) -> str:
    if value is None:
        return ""
    if schema.get("pattern") == DURATION_PATTERN and isinstance(value, int):
        return format_duration(value)
    if schema.get("pattern") == SHARE_PATTERN and isinstance(value, float):
        return format_share(value)
    return str(value)
