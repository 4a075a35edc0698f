"""What all parts of a scenario file share: strict, frozen models, and the small types of their fields.

Keys are spelt as in the file; where one is a Python keyword (`for`, `class`) the attribute has an underscore.
Unknown keys are refused here; the loader turns pydantic's errors into problems with line and column.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from harness.checks.units import NS_PER_MS, Duration, format_duration

RESERVED_TLDS = ("test", "example", "invalid")
RESERVED_DOMAINS = ("example.com", "example.net", "example.org")
NAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?$"
_SPECIAL = frozenset('<>()[],;:"\\')
_LONGEST_NS = 7 * 24 * 3600 * 1_000_000_000


class Part(BaseModel):
    """A mapping in the scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def exactly_one(*keys: str) -> ConfigDict:
    """For the JSON Schema of a part with one of these keys; its own validator says it to people."""
    one_of = [{"required": [key]} for key in keys]
    return ConfigDict(json_schema_extra=lambda schema: schema.update(oneOf=one_of))


def wrong(message: str, *, key: str = "", advice: str = "") -> PydanticCustomError:
    """An error of a part as a whole, with what to do; `key` is the one to point at."""
    # The message is passed beside the template, so that braces in it stay braces.
    return PydanticCustomError("part", "{text}", {"text": message, "key": key, "advice": advice})


def is_reserved(address: str) -> bool:
    """Whether mail to this address can reach nobody: its domain is set aside for tests and documents."""
    domain = address.rpartition("@")[2].lower().rstrip(".")
    return domain.rpartition(".")[2] in RESERVED_TLDS or any(
        domain == reserved or domain.endswith("." + reserved) for reserved in RESERVED_DOMAINS
    )


def _reserved(address: str) -> str:
    local, at, domain = address.rpartition("@")
    if not address.isascii():
        raise ValueError(f"`{address}` is not plain ASCII, and mail here goes without SMTPUTF8")
    if not at or not local or not domain or any(c.isspace() or ord(c) < 32 or c in _SPECIAL for c in address):
        raise ValueError(f"`{address}` is not a mail address; write for example `ann@customer.example`")
    if not is_reserved(address):
        raise ValueError(
            f"`{address}` could be somebody's real address; a drill only ever mails reserved domains: "
            f"{', '.join('.' + tld for tld in RESERVED_TLDS)}, {', '.join(RESERVED_DOMAINS)}. "
            f"Write for example `{local}@customer.example`"
        )
    return address


def _whole_ms(ns: int) -> int:
    if ns % NS_PER_MS:
        raise ValueError(f"is `{format_duration(ns)}`, and proxies and providers count whole milliseconds")
    return ns


def _positive(ns: int) -> int:
    if ns <= 0:
        raise ValueError("must be longer than 0s")
    return ns


def _bounded(ns: int) -> int:
    if ns > _LONGEST_NS:
        raise ValueError(f"is `{format_duration(ns)}`, and the longest a run may last is 168h")
    return ns


def _no_line_breaks(text: str) -> str:
    if any(ord(c) < 32 and c != "\t" for c in text):
        raise ValueError("must be one line, without control characters")
    return text


def _as_text(value: object) -> object:
    """`SENDERS: 4` is what people write; an environment only holds text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if value is None:
        raise ValueError("is empty; write '' for an empty text, or leave the key out")
    return value


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("cannot hold a NUL character")
    return text


Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=60)]
"""A name given in the file: letters, digits, - and _."""

Address = Annotated[
    str,
    AfterValidator(_reserved),
    AfterValidator(str.lower),  # who sends to `Probe@…` and who to `probe@…` mean the same mailbox
    WithJsonSchema({"type": "string", "pattern": r"^[^\s@]+@[^\s@]+$"}),
]
"""A mail address in a domain that is set aside for tests."""

Time = Annotated[Duration, AfterValidator(_bounded)]
"""A point in time or a length, in nanoseconds; may be 0."""

Length = Annotated[Duration, AfterValidator(_positive), AfterValidator(_bounded)]
"""A length in nanoseconds, above 0."""

WholeMs = Annotated[Duration, AfterValidator(_whole_ms), AfterValidator(_bounded)]
"""A length in nanoseconds that is a whole number of milliseconds; may be 0."""

Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Line = Annotated[str, AfterValidator(_no_line_breaks), Field(min_length=1, max_length=500)]
Text = Annotated[str, AfterValidator(_no_nul)]
EnvText = Annotated[
    str,
    BeforeValidator(_as_text),
    AfterValidator(_no_nul),
    WithJsonSchema({"type": ["string", "number", "boolean"]}),
]

Command = Annotated[tuple[Text, ...], Field(min_length=1)]
"""A program and its arguments; the word `python` is the interpreter that runs the harness."""

Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
