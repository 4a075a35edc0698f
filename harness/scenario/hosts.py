"""Host names of a run: what a route is called on its network, and the real names that it claims with `as:`.

A claimed name leads to the route's proxy for whoever looks it up inside the run's networks, and the run's own
authority vouches for it; so a client whose provider is compiled in is tested as it is. Nobody outside is
ever asked for such a name.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, WithJsonSchema

if TYPE_CHECKING:
    from harness.scenario.providers import Route

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_LONGEST = 253


def _host_name(given: str) -> str:
    host = given.lower()
    if "://" in host or "/" in host or ":" in host:
        bare = host.partition("://")[2] or host
        bare = re.split(r"[/:]", bare, maxsplit=1)[0]
        raise ValueError(f"must be a host name and nothing else; write `{bare}`")
    if _is_address(host):
        raise ValueError(f"`{given}` is an address, and only a name can be made to lead to a proxy")
    if "*" in host:
        raise ValueError(f"`{given}` is a pattern; name each host that the client asks for")
    if not given.isascii() or len(host) > _LONGEST or not _HOST.fullmatch(host):
        raise ValueError(f"`{given}` is not a whole host name, such as `smtp.office365.com`")
    return host


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


HostName = Annotated[
    str,
    AfterValidator(_host_name),
    WithJsonSchema(
        {"type": "string", "pattern": r"^[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$", "maxLength": _LONGEST}
    ),
]
"""A whole host name, in small letters."""


def route_host(route: str) -> str:
    """A route's own name on the network of its proxy: valid as a host name, and in a certificate."""
    return route.lower().replace("_", "-")


def certificate_names(routes: Mapping[str, Route]) -> list[str]:
    """Every name besides this machine's own that a client of these routes may verify."""
    own = [route_host(name) for name in routes]
    claimed = [host for route in routes.values() for host in route.as_]
    return list(dict.fromkeys([*own, *claimed]))
