"""The catalogue of checks: what each proves and what it cannot, how it is written, what it takes.

Everything comes from the checks themselves: the text at the top of each one's file, and the model of its
parameters. The command line and the documents print it.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from harness.checks import CHECKS, Check
from harness.checks.params import CheckParams, as_written
from harness.checks.units import DURATION_PATTERN, RATE_PATTERN, SHARE_PATTERN
from harness.scenario.schema import Generator


@dataclass(frozen=True)
class Parameter:
    name: str
    takes: str
    """Type and range, in words."""
    default: str
    """As it would be written; empty: there is none."""
    required: bool
    meaning: str


@dataclass(frozen=True)
class CheckEntry:
    """One check."""

    name: str
    summary: str
    by_default: bool
    """Whether it is reported also where nobody expects it."""
    written: str
    """How it stands under `expect:`, by example."""
    words: tuple[str, ...]
    """Short-hands that stand for a set of parameters."""
    short_for: str
    """The parameter that a plain value is for; empty: none."""
    for_each: str
    """Its parameters are given for each of these, by name; empty: they are given once."""
    parameters: tuple[Parameter, ...]
    about: str
    """What it proves, what it cannot, and when it is inconclusive: paragraphs with an empty line between."""


@cache
def check_catalogue() -> tuple[CheckEntry, ...]:
    """Every check, in the order in which they are asked."""
    return tuple(_entry(check) for check in CHECKS.values())


def _entry(check: Check) -> CheckEntry:
    model = check.params
    each = _model_of_each(model)
    short = model if issubclass(model, CheckParams) else None
    return CheckEntry(
        name=check.name,
        summary=check.summary,
        by_default=check.by_default,
        written=as_written(model),
        words=tuple(short.WORDS) if short else (),
        short_for=(short.TEXT or "") if short else "",
        for_each="route" if each is not None else "",
        parameters=_parameters(each or model),
        about=inspect.cleandoc(importlib.import_module(check.module).__doc__ or ""),
    )


def _model_of_each(model: type[BaseModel]) -> type[BaseModel] | None:
    """What stands behind each name, where a check is written as a mapping of names."""
    root = model.model_fields.get("root")
    of = getattr(root.annotation, "__args__", ())[-1:] if root is not None else ()
    return of[0] if of and isinstance(of[0], type) and issubclass(of[0], BaseModel) else None


def _parameters(model: type[BaseModel]) -> tuple[Parameter, ...]:
    schema = model.model_json_schema(by_alias=True, schema_generator=Generator)
    whole = next((each for each in schema.get("anyOf", []) if "properties" in each), schema)
    known: Mapping[str, Any] = schema.get("$defs", {})
    written = _defaults(model)
    return tuple(
        Parameter(
            name=name,
            takes=_takes(whole["properties"][name], known),
            default=written.get(name, _alone(info.default)),
            required=info.is_required(),
            meaning=" ".join((info.description or "").split()),
        )
        for field, info in model.model_fields.items()
        if field != "root" and (name := info.alias or field)
    )


def _defaults(model: type[BaseModel]) -> dict[str, str]:
    """The defaults as a scenario would have them: with their units. What is needed has none."""
    dumped = model.model_construct().model_dump(mode="json", by_alias=True)
    return {name: _alone(value) for name, value in dumped.items()}


def _alone(value: object) -> str:
    if value is None or value is PydanticUndefined or value == () or value == []:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


_BY_PATTERN = {
    DURATION_PATTERN: "a duration, such as `5s`",
    RATE_PATTERN: "a rate, such as `10/s`",
    SHARE_PATTERN: "a share, such as `10%`",
}
_BY_TYPE = {
    "boolean": "`true` or `false`",
    "number": "a number",
    "string": "a text",
    "object": "a mapping",
    "integer": "a whole number",
}


def _takes(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return _takes(known[schema["$ref"].rpartition("/")[2]], known)
    if "anyOf" in schema:
        kinds = dict.fromkeys(_takes(each, known) for each in schema["anyOf"])
        one_or_several = [each for each in kinds if f"a list of {each}" in kinds]
        if one_or_several:
            return f"one or a list of {one_or_several[0]}"
        return ", or ".join(kinds)
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"a list of {_takes(schema.get('items', {}), known)}"
    words = _BY_PATTERN.get(schema.get("pattern", "")) or _BY_TYPE.get(schema.get("type", ""), "any value")
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    return f"{words}, {least} or more" if words == _BY_TYPE["integer"] and least is not None else words
