"""The columns of the `events` table, derived from the events themselves.

Each field of each event kind becomes one column with a fixed type, so reading never guesses. Where two
kinds use one name for different types, or the type is open, the column is JSON. Fields this version does
not know become JSON columns of their own.
"""

from __future__ import annotations

import types
import typing
from enum import StrEnum
from functools import cache

import msgspec

from harness.history.events import AnyEvent

_SCALARS: dict[object, str] = {int: "BIGINT", str: "VARCHAR", bool: "BOOLEAN", float: "DOUBLE"}


@cache
def known_columns() -> dict[str, str]:
    """Name to DuckDB type: the stamp first, then the fields in the order of events.py."""
    columns = {"run": "VARCHAR", "seq": "BIGINT", "kind": "VARCHAR", "t_ns": "BIGINT"}
    for kind in typing.get_args(AnyEvent):
        hints = typing.get_type_hints(kind)
        for field in msgspec.structs.fields(kind):
            column = _column_type(hints[field.name])
            if columns.setdefault(field.encode_name, column) != column:
                columns[field.encode_name] = "JSON"
    return columns


def quoted(name: str) -> str:
    """A name as a SQL identifier; unknown fields may be called anything."""
    return '"' + name.replace('"', '""') + '"'


def struct_literal(columns: dict[str, str]) -> str:
    """For read_json's `columns=`."""
    fields = ", ".join(f"{text_literal(name)}: {text_literal(column)}" for name, column in columns.items())
    return "{" + fields + "}"


def text_literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _column_type(hint: object) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        rest = [argument for argument in arguments if argument is not type(None)]
        return _column_type(rest[0]) if len(rest) == 1 else "JSON"
    if origin is list and arguments == (str,):
        return "VARCHAR[]"
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return "VARCHAR"
    return _SCALARS.get(hint, "JSON")
