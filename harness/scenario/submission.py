"""How mail is handed to the system under test, as its callers do. Values of `body` are templates."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from harness.scenario.part import Part

_HTTP = re.compile(r"(GET|POST|PUT|PATCH|DELETE) (/\S*)")


def _request(line: str) -> str:
    if not _HTTP.fullmatch(line):
        raise ValueError(f"must be a method and a path, such as `POST /messages`; got `{line}`")
    return line


HttpRequest = Annotated[str, AfterValidator(_request)]


class Submit(Part):
    """How mail is handed to the system, as its callers do."""

    http: HttpRequest
    """Method and path, such as `POST /messages`."""
    body: dict[str, Any] | None = None
    """The JSON body, with templates; by default to, from, subject, text, class, headers."""

    @property
    def method(self) -> str:
        return self.http.split(" ", 1)[0]

    @property
    def path(self) -> str:
        return self.http.split(" ", 1)[1]
