"""Where the SUT finds a route: the proxy's address and the route's own credentials, never the provider's.

The provider's address is the harness's secret; the SUT is given the proxy's, so that no connection bypasses
the faults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from harness.scenario.models import Scenario
from harness.scenario.providers import MAILPIT
from harness.scenario.targets import target_of
from harness.scenario.templates import endpoint_variable
from harness.testbed.credentials import events_key, route_account

SUBMISSION, HTTPS, HTTP = 587, 443, 8080


@dataclass(frozen=True)
class RouteAddress:
    """A route as a client sees it: where mail goes, and the endpoints beside that. `scheme` as in
    `smtp+starttls` or `sendgrid+http`."""

    route: str
    scheme: str
    host: str
    port: int
    username: str = ""
    password: str = ""
    tenant: str = ""
    events_key: str = ""
    """What the signatures of its events are verified with; empty where there are none."""
    beside: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Where the other endpoints are, by name; they speak as this one does, in the clear or under TLS."""

    @property
    def url(self) -> str:
        """The whole address in one string, credentials percent-encoded."""
        login = f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@" if self.username else ""
        return f"{self.scheme}://{login}{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """For HTTP APIs: scheme, host and port alone."""
        transport = self.scheme.rpartition("+")[2] if self.is_http else self.scheme
        return f"{transport}://{self.host}:{self.port}"

    def endpoint(self, name: str) -> RouteAddress:
        """One of those beside, as an address of its own."""
        host, port = self.beside[name]
        return replace(self, route=target_of(self.route, name), host=host, port=port, beside={})

    @property
    def is_https(self) -> bool:
        return self.scheme.endswith("+https")

    @property
    def api_key(self) -> str:
        return self.password

    @property
    def is_http(self) -> bool:
        return self.scheme.endswith(("+http", "+https"))

    def template_context(self) -> dict[str, Any]:
        """What `{{ routes.<name>.… }}` offers."""
        return {
            "url": self.url,
            "base_url": self.base_url,
            "scheme": self.scheme,
            "host": self.host,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "api_key": self.api_key,
            "tenant": self.tenant,
            "events_key": self.events_key,
            **{endpoint_variable(name): self.endpoint(name).base_url for name in self.beside},
        }


def route_address(
    scenario: Scenario,
    seed: int,
    route: str,
    at: tuple[str, int],
    beside: Mapping[str, tuple[str, int]],
) -> RouteAddress:
    """A route at that host and port, with the account that a run with this seed has for it; Mailpit has none.

    `beside`: where the endpoints of its preset are.
    """
    wanted, preset = scenario.routes[route], scenario.preset(route)
    account = None if preset.name == MAILPIT else route_account(scenario, seed, route)
    host, port = at
    return RouteAddress(
        route=route,
        scheme=scheme_of(preset.scheme, claims_hosts=bool(wanted.as_)),
        host=host,
        port=port,
        username=account.username if account else "",
        password=account.secret if account else "",
        tenant=wanted.tenant,
        events_key=events_key(preset, seed, route, account) if account else "",
        beside=beside,
    )


def scheme_of(preset_scheme: str, *, claims_hosts: bool) -> str:
    """A route's scheme: its preset's, and HTTPS where a client will ask for the provider's real host."""
    return f"{preset_scheme}s" if claims_hosts and preset_scheme.endswith("+http") else preset_scheme


def usual_port(scheme: str) -> int:
    """Where a provider's clients find it: the port that they too may have compiled in."""
    if scheme.endswith("+https"):
        return HTTPS
    return HTTP if scheme.endswith("+http") else SUBMISSION
