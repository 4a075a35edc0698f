"""Request bodies as Toxiproxy reads them: lax where it is lax, and refused where it refuses.

Toxiproxy decodes with Go's encoding/json: the first JSON value counts and what follows is ignored, keys match
in any case, unknown keys are ignored, `null` leaves a field as it is, an integer field takes no `1.0`. One
mistyped field refuses the request, yet the fields beside it have been decoded by then; `Decoded` says both.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NoReturn


class BodyError(ValueError):
    """A request body that Toxiproxy would refuse; the text is the reason it gives."""


class GoType(StrEnum):
    """The types of fields; the values are the names that the error texts use."""

    STRING = "string"
    BOOL = "bool"
    INT64 = "int64"
    FLOAT32 = "float32"
    STRUCT = "struct"


@dataclass(slots=True)
class Decoded:
    """What a body sets. `error` is the first mistyped field, if any: the caller refuses the request."""

    values: dict[str, Any] = field(default_factory=dict)
    error: BodyError | None = None


def parse(body: bytes) -> Any:
    """The first JSON value of `body`. Raises BodyError if there is none."""
    text = body.decode("utf-8", errors="replace").lstrip(" \t\r\n")
    if not text:
        raise BodyError("EOF")
    try:
        value, _ = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()):
            raise BodyError("unexpected EOF") from error
        raise BodyError(f"invalid character {text[error.pos]!r}") from error
    except RecursionError as error:
        raise BodyError("exceeded max depth") from error
    return value


def decode(value: Any, types: Mapping[str, GoType], go_type: str) -> Decoded:
    """The fields of `value` that `types` names. Raises BodyError if `value` is neither an object nor null.

    `go_type` is what the error texts call the struct.
    """
    decoded = Decoded()
    if value is None:
        return decoded
    if not isinstance(value, dict):
        raise mistyped(value, go_type)
    names = {name.lower(): name for name in types}
    for key, item in value.items():
        name = names.get(key.lower())
        if name is None or item is None:
            continue
        if _fits(item, types[name]):
            decoded.values[name] = item
        elif decoded.error is None:
            decoded.error = BodyError(
                f"json: cannot unmarshal {_json_name(item)} into Go struct field "
                f"{go_type.rpartition('.')[2]}.{name} of type {types[name]}"
            )
    return decoded


def mistyped(value: Any, go_type: str) -> BodyError:
    """The refusal of a whole value of the wrong type."""
    return BodyError(f"json: cannot unmarshal {_json_name(value)} into Go value of type {go_type}")


def to_float32(number: float) -> float:
    """`number` as a 32-bit float, with as few digits as tell it apart (0.3, not 0.3000000119)."""
    kept = _float32(number)
    for digits in range(1, 10):
        short = float(f"{kept:.{digits}g}")
        if _float32(short) == kept:
            return int(short) if short.is_integer() else short
    return kept


def _fits(item: Any, wanted: GoType) -> bool:
    match wanted:
        case GoType.STRING:
            return isinstance(item, str)
        case GoType.BOOL:
            return isinstance(item, bool)
        case GoType.INT64:
            return type(item) is int and -(2**63) <= item < 2**63
        case GoType.FLOAT32:
            return type(item) in (int, float) and _is_float32(item)
        case GoType.STRUCT:
            return isinstance(item, dict)


def _float32(number: float) -> float:
    kept: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return kept


def _is_float32(number: float) -> bool:
    try:
        _float32(number)
    except (OverflowError, struct.error):
        return False
    return True


def _json_name(item: Any) -> str:
    match item:
        case bool():
            return "bool"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return f"number {item}"


def _no_constant(name: str) -> NoReturn:
    raise BodyError(f"invalid character {name[0]!r} looking for beginning of value")
