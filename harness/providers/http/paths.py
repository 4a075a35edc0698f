"""Which route of the API a request's path belongs to, on one endpoint.

Templates are written as Starlette's. Its own router is left out: it looks at one path after the other, copies
the scope and makes an object of each match, for every request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
from starlette.routing import compile_path

from harness.providers.http.messages import HttpRoute


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is under one path: a route for each method, and the values of the template's fields."""

    routes: Mapping[str, HttpRoute] = {}
    params: dict[str, str] = {}


NOTHING = Found()


class Paths:
    def __init__(self, routes: Iterable[HttpRoute]) -> None:
        self._plain: dict[str, Found] = {}
        self._templates: list[tuple[re.Pattern[str], dict[str, HttpRoute]]] = []
        by_path: dict[str, dict[str, HttpRoute]] = {}
        for route in routes:
            by_path.setdefault(route.path, {})[route.method] = route
        for path, methods in by_path.items():
            pattern, _, fields = compile_path(path)
            if fields:
                self._templates.append((pattern, methods))
            else:
                self._plain[path] = Found(routes=methods)

    def find(self, path: str) -> Found:
        """What is under this path (percent signs resolved); NOTHING where nothing is."""
        if (plain := self._plain.get(path)) is not None:
            return plain
        for pattern, methods in self._templates:
            if (match := pattern.fullmatch(path)) is not None:
                return Found(routes=methods, params=match.groupdict())
        return NOTHING
