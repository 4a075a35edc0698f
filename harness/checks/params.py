"""What all parameter models share: strict, frozen, with a short-hand for the usual case (`duplicates: none`).

The short-hand is part of the type: it is accepted wherever the model is, and its JSON schema says so.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class CheckParams(BaseModel):
    """`WORDS`: what a short-hand word stands for. `TEXT`: the field that other plain text fills, `COUNT`:
    the one that a plain whole number does."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    WORDS: ClassVar[dict[str, dict[str, Any]]] = {}
    TEXT: ClassVar[str | None] = None
    COUNT: ClassVar[str | None] = None

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        if isinstance(value, dict | BaseModel):
            return value
        if cls.COUNT is not None and isinstance(value, int) and not isinstance(value, bool):
            return {cls.COUNT: value}
        if isinstance(value, str) and value.strip() in cls.WORDS:
            return cls.WORDS[value.strip()]
        if cls.TEXT is not None and isinstance(value, str | int | float):
            return {cls.TEXT: value}
        raise ValueError(f"expected {' or '.join(cls._forms())}; got {_shown(value)}")

    @classmethod
    def _forms(cls) -> Iterator[str]:
        for word in cls.WORDS:
            yield f"`{word}`"
        if cls.TEXT is not None:
            yield "one plain value"
        if cls.COUNT is not None:
            yield "a whole number"
        if keys := [info.alias or name for name, info in cls.model_fields.items()]:
            yield f"a mapping of {', '.join(keys)}"

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        full = handler.resolve_ref_schema(handler(core_schema))
        short: list[JsonSchemaValue] = [{"const": word} for word in cls.WORDS]
        for name in (cls.TEXT, cls.COUNT):
            if name is not None:
                field = full["properties"][name]
                short += field.get("anyOf", [field])[:1]
        return {"anyOf": [*short, full]} if short else full


def as_written(model: type[BaseModel]) -> str:
    """How the parameters of a check stand under `expect:`, by example."""
    return " ".join(inspect.cleandoc(model.__doc__ or "").split())


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "`true`" if value else "`false`"
    return "a list" if isinstance(value, list | tuple) else f"`{value}`"
