"""Host names of a run: what a route is called on its network, and the real names that it claims with `as:`.

A claimed name leads to the route's proxy for whoever looks it up inside the run's networks, and the run's own
authority vouches for it; so a client whose provider is compiled in is tested as it is. A name that the preset
knows as another endpoint's, such as that of a token service, leads to that one's proxy. Nobody outside is
ever asked for such a name.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, WithJsonSchema

if TYPE_CHECKING:
    from harness.scenario.models import Scenario

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


def route_host(route: str, endpoint: str = "") -> str:
    """An endpoint's own name on the network of its proxy: valid as a host name, and in a certificate."""
    host = route.lower().replace("_", "-")
    return f"{host}.{endpoint}" if endpoint else host


def hosts_of(scenario: Scenario, route: str, endpoint: str = "") -> list[str]:
    """By which names a client finds an endpoint: its own, and the real ones that the route claims for it."""
    wanted = scenario.routes[route]
    real = scenario.preset(route).real_hosts
    return [route_host(route, endpoint), *(host for host in wanted.as_ if real.get(host, "") == endpoint)]


def certificate_names(scenario: Scenario) -> list[str]:
    """Every name besides this machine's own that a client of its routes may verify."""
    found = [
        hosts_of(scenario, name, endpoint)
        for name in scenario.routes
        for endpoint in ("", *scenario.preset(name).endpoints)
    ]
    return list(dict.fromkeys(host for hosts in found for host in hosts))
