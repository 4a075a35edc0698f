"""The routes that parameters of checks name: a misspelt one is a mistake of who expects, not of the system.

Parameters flow in as they were written, a scenario's before it runs and those that a stored run is judged
again by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.checks import CHECKS
from harness.history.events import RunStarted


@dataclass(frozen=True)
class NamedRoute:
    route: str
    at: str
    """The key at which it stands."""
    is_key: bool
    """Whether it is that key itself."""


class NoSuchRoute(Exception):
    """What is expected names a route that the run does not have."""

    def __init__(self, run: str, check: str, named: NamedRoute, routes: tuple[str, ...]) -> None:
        super().__init__(f"expect.{check}.{named.at}: run {run} has no route `{named.route}`")
        self.route = named.route
        self.routes = routes


def named_routes(check: str, written: object) -> Iterator[NamedRoute]:
    """Those that the parameters of a check name; none of what is no check, or no mapping."""
    if check not in CHECKS or not isinstance(written, dict):
        return
    fields = CHECKS[check].params.model_fields
    if "root" in fields:
        yield from (NamedRoute(route, route, is_key=True) for route in written)
    elif "route" in fields and isinstance(route := written.get("route"), str):
        yield NamedRoute(route, "route", is_key=False)


def refuse_unknown(run: str, started: RunStarted, expectations: Iterable[dict[str, Any]]) -> None:
    """Raises NoSuchRoute. A run that does not say which routes it had may have had any."""
    declared = started.resolved.get("routes")
    routes = tuple(declared) if isinstance(declared, dict) else ()
    for each in expectations if routes else ():
        for named in named_routes(str(each["check"]), each.get("params")):
            if named.route not in routes:
                raise NoSuchRoute(run, str(each["check"]), named, routes)
