"""Each route's sender with every default filled in: what keys, zone, signatures and templates follow from."""

from __future__ import annotations

from dataclasses import dataclass

from harness.providers.preset import Preset
from harness.scenario.mail import Published, RouteMail, Signer, usual_selector
from harness.scenario.models import Scenario

SHARED_SELECTOR = "shared"


@dataclass(frozen=True)
class Sender:
    """Who a route's mail is from. `key` names the route whose key it is signed with."""

    route: str
    signer: Signer
    domain: str
    selector: str
    key: str
    published: Published
    egress: str
    in_spf: bool
    bounces: str | None
    """The domain of the return path; None: as the system says."""
    own: str
    """The provider's own domain, with which it signs what is from nobody it knows."""
    arc: bool

    @property
    def own_bounces(self) -> str:
        return f"bounces.{self.own}"

    def vouches_for(self, domain: str) -> bool:
        """Whether mail from there is signed with the account's domain."""
        return domain == self.domain or domain.endswith("." + self.domain)


def from_domain(scenario: Scenario) -> str:
    """The domain in `From` of the scenario's mail."""
    assert scenario.mail is not None, "the scenario has no `mail`"
    return scenario.mail.domain or scenario.system.submit.from_.rpartition("@")[2]


def senders(scenario: Scenario) -> dict[str, Sender]:
    """By route; empty where the scenario says nothing of it. A route on which no mail leaves has none."""
    if scenario.mail is None:
        return {}
    found = {}
    for number, route in enumerate(scenario.routes):
        preset = scenario.preset(route)
        if preset.outgoing is not None:
            found[route] = _sender(scenario, preset, route, number)
    return found


def _sender(scenario: Scenario, preset: Preset, route: str, number: int) -> Sender:
    said = scenario.routes[route].mail or RouteMail()
    domain = said.domain or from_domain(scenario)
    return Sender(
        route=route,
        signer=said.sign,
        domain=domain,
        selector=said.selector or usual_selector(route),
        key=said.key_of or route,
        published=said.published,
        egress=said.egress or f"192.0.2.{10 + number % 200}",
        in_spf=said.in_spf,
        bounces=said.bounces or (None if preset.engine == "smtp" else f"bounces.{domain}"),
        own=f"{preset.name}.example",
        arc=said.arc,
    )
