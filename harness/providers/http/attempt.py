"""A request under way: what its connection fills in, and its handler looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from harness.providers.http.messages import HttpRequest, HttpRoute

if TYPE_CHECKING:
    from harness.providers.http.connection import ProviderConnection


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    begin_ns: int
    connection: ProviderConnection
    head: HttpRequest
    route: HttpRoute | None  # None: nothing of the API is there
    body: bytearray = msgspec.field(default_factory=bytearray)  # as far as it has come
