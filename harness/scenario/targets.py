"""What a fault can be `on`: a route, an endpoint beside it (`primary.token`, `backup.events`), or the system.

A route by itself means the endpoint that mail goes through. Those beside it that its provider's preset has
are needed on the way: a fault on `<route>.token` breaks the route. `<route>.events` is the way back: the
provider's POSTs about what became of the mail. No mail depends on it, so a fault there breaks no route, and
nothing about detection, switching or recovery is measured from it; `Scenario.breaks_a_route` says which do.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema

from harness.scenario.errors import shown

SYSTEM = "system"
EVENTS = "events"

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?"
_TARGET = re.compile(rf"{_PART}(?:\.{_PART})?")
_LONGEST = 121


def _target(text: str) -> str:
    if len(text) > _LONGEST or not _TARGET.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is not what a fault can be on: a route such as `primary`, an endpoint beside it "
            f"such as `primary.token` or `backup.{EVENTS}`, or `{SYSTEM}`"
        )
    return text


Target = Annotated[
    str,
    AfterValidator(_target),
    WithJsonSchema({"type": "string", "pattern": rf"^{_TARGET.pattern}$", "maxLength": _LONGEST}),
]


def parts(target: str) -> tuple[str, str]:
    """(route, endpoint): the endpoint is empty where it is the one that mail goes through."""
    route, _, endpoint = target.partition(".")
    return route, endpoint


def target_of(route: str, endpoint: str) -> str:
    """The other way round."""
    return f"{route}.{endpoint}" if endpoint else route


def is_way_back(target: str) -> bool:
    """Whether what the fault is on leads from a provider to the system."""
    return parts(target)[1] == EVENTS
