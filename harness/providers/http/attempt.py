"""A request under way: what its connection fills in, and its handler looks at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.providers.http.messages import HttpRequest, HttpRoute

if TYPE_CHECKING:
    from harness.providers.http.connection import ProviderConnection


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    id: str
    begin_ns: int
    connection: ProviderConnection
    head: HttpRequest
    route: HttpRoute | None  # None: nothing of the API is there
    body: bytearray = field(default_factory=bytearray)  # as far as it has come
