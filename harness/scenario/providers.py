"""Providers and routes: what each path leads to, and what a provider can do in a drill.

A fake is known by the name of its preset; its limits are checked by the preset's own model. Mailpit is a real
program and not ours: it has no limits here, and faults inside a provider cannot be put into it.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, field_serializer

from harness.checks.units import RATE_PATTERN, format_rate, parse_rate
from harness.providers import presets
from harness.providers.preset import Preset
from harness.scenario.document import Document, lookup
from harness.scenario.hosts import HostName
from harness.scenario.mail import RouteMail
from harness.scenario.part import Name, Part

MAILPIT = "mailpit"
FAKES = tuple(sorted({*presets.names(), MAILPIT}))

if TYPE_CHECKING:
    Fake = str
else:
    Fake = Literal[FAKES]


def _limit(value: object) -> object:
    """A number, or a rate as text; either becomes a number (a rate per second)."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a limit is a number, or a rate such as `50/s`")
    return parse_rate(value) if isinstance(value, str) else value


Limit = Annotated[
    int | float,
    BeforeValidator(_limit),
    Field(ge=0, allow_inf_nan=False),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": RATE_PATTERN},
            ],
            "description": "A number, or a rate with its unit, such as 50/s.",
        }
    ),
]


class Provider(Part):
    """A service that takes responsibility for a message."""

    fake: Fake
    """Which provider it looks and fails like."""
    limits: dict[str, Limit] = Field(default_factory=dict)
    """Where it differs from the provider's own limits."""

    @field_serializer("limits", when_used="json")
    def _as_written(self, limits: dict[str, int | float]) -> dict[str, int | float | str]:
        return {key: format_rate(value) if key == "rate" else value for key, value in limits.items()}


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    try:
        IPv4Address(host)
        number = int(port)
    except ValueError:
        number = 0
    if not 1 <= number <= 65535 or not port.isdecimal() or IPv4Address(host).is_unspecified:
        raise ValueError(
            f"must be an address of this machine and a port, such as `127.0.0.1:2525`; got `{text}`"
        )
    return text


class Route(Part):
    """A named path from the system under test, through a proxy, to a provider."""

    provider: Name
    """The provider it leads to."""
    as_: Annotated[tuple[HostName, ...], Field(alias="as")] = ()
    """Real host names that lead here, for a client with its provider compiled in; needs containers. One that
    the provider has for another of its endpoints leads to that."""
    tenant: Name | Literal[""] = ""
    """Whose account it is at the provider; faults can be about one tenant alone."""
    account_of: Name | None = None
    """Another route to such a provider, whose account is used here as well: what should never be."""
    mail: RouteMail | None = None
    """Who signs what leaves by it, and from where; needs `mail` of the scenario."""
    listen: Annotated[str, AfterValidator(_address)] | None = None
    """Where its proxy listens, for a system that is configured once: such as `127.0.0.1:2525`."""


def preset_of(fake: str) -> Preset | None:
    """The preset behind a fake: its limits' model, its named answers, its faults. None for Mailpit."""
    return None if fake == MAILPIT else presets.load(fake)


def preset_behind(document: Document, route: str) -> Preset | None:
    """What a route leads to, as it is written; None where that makes no sense, which is told elsewhere."""
    provider = lookup(document.data, ("routes", route, "provider"))
    fake = lookup(document.data, ("providers", provider, "fake")) if isinstance(provider, str) else None
    return presets.load(fake) if isinstance(fake, str) and fake in FAKES else None
