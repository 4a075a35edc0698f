"""What a proxy is, or should be: a value that can be asked for, read back and compared."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

import msgspec

_NAME = re.compile(r"[^\s/?#%]+")


class ProxyKind(StrEnum):
    """Which program proxies: the real Toxiproxy, or our own server with the same API."""

    TOXIPROXY = "toxiproxy"
    EMBEDDED = "embedded"


class Toxic(msgspec.Struct, frozen=True, kw_only=True):
    """One toxic. Attributes are integers in Toxiproxy's own units (ms, bytes, kB/s; slicer's delay in µs)."""

    name: str
    type: str
    stream: str = "downstream"
    toxicity: float = 1.0
    attributes: dict[str, int] = {}

    def __post_init__(self) -> None:
        check_name(self.name)


class ProxyState(msgspec.Struct, frozen=True, kw_only=True):
    """One proxy. Toxics are in the order of replies: upstream ones first, then as they were added."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    toxics: tuple[Toxic, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name)

    def with_toxic(self, toxic: Toxic) -> ProxyState:
        """The same with one toxic more."""
        both = (*self.toxics, toxic)
        return msgspec.structs.replace(
            self, toxics=tuple(sorted(both, key=lambda each: each.stream != "upstream"))
        )

    def without_toxic(self, name: str) -> ProxyState:
        """The same without the toxic of that name."""
        return msgspec.structs.replace(self, toxics=tuple(each for each in self.toxics if each.name != name))

    def to_detail(self) -> dict[str, Any]:
        """As plain data, for the journal."""
        detail: dict[str, Any] = msgspec.to_builtins(self)
        return detail

    def differences(self, actual: ProxyState) -> list[str]:
        """Where `actual` is not what this state asks for, in words; empty if it is.

        An attribute that was not asked for has to be zero: that is what Toxiproxy makes of it.
        """
        found = [
            f"{field} is {getattr(actual, field)!r}, not {getattr(self, field)!r}"
            for field in ("listen", "upstream", "enabled")
            if getattr(actual, field) != getattr(self, field)
        ]
        wanted = {toxic.name: toxic for toxic in self.toxics}
        present = {toxic.name: toxic for toxic in actual.toxics}
        found += [f"toxic {name} is missing" for name in wanted.keys() - present.keys()]
        found += [f"toxic {name} was not asked for" for name in present.keys() - wanted.keys()]
        for name in sorted(wanted.keys() & present.keys()):
            if _essence(wanted[name]) != _essence(present[name]):
                found.append(f"toxic {name} is {_essence(present[name])}, not {_essence(wanted[name])}")
        return found


def check_name(name: str) -> None:
    """Raises ValueError for a name that a URL could not carry as it is."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a proxy or a toxic: no spaces, `/`, `?`, `#` or `%`")


def _essence(toxic: Toxic) -> tuple[str, str, float, dict[str, int]]:
    attributes = {name: value for name, value in sorted(toxic.attributes.items()) if value != 0}
    return toxic.type, toxic.stream, round(toxic.toxicity, 6), attributes
