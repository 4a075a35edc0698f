"""From the scenario's providers and routes to the configuration of each fake."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.providers import presets
from harness.providers.preset import Preset
from harness.providers.wire import ProviderConfig, RouteListener
from harness.scenario.models import Scenario
from harness.scenario.providers import MAILPIT
from harness.testbed.address import scheme_of
from harness.testbed.credentials import canary_account, events_secret, route_account


@dataclass(frozen=True)
class Places:
    """Where a fake finds its certificate and puts its records, as it sees the paths itself."""

    journal: Path
    pack: Path
    cert: Path
    key: Path


def routes_of(scenario: Scenario, provider: str) -> list[str]:
    return [name for name, route in scenario.routes.items() if route.provider == provider]


@dataclass(frozen=True)
class Onward:
    """Where a fake passes on what it took, as it sees the addresses itself."""

    relay: str | None = None  # host:port of the inbox
    events: Mapping[str, str] = field(default_factory=dict)  # route -> URL of the SUT's endpoint


def main_endpoint(preset: Preset) -> str:
    """What its listeners call the endpoint that mail goes through."""
    return "api" if preset.engine == "http" else "smtp"


def relays(preset: Preset) -> bool:
    """Whether such a fake gives copies to an inbox: those that take mail as SMTP has it."""
    return preset.engine == "smtp"


def wants_an_inbox(scenario: Scenario) -> bool:
    """Whether any of its providers would relay what it takes."""
    fakes = {scenario.providers[route.provider].fake for route in scenario.routes.values()}
    return any(relays(presets.load(fake)) for fake in fakes if fake != MAILPIT)


def config_of(name: str, scenario: Scenario, seed: int, places: Places, onward: Onward) -> ProviderConfig:
    """Each route has a listener and an account of its own. The provider is one of ours, not Mailpit."""
    wanted = scenario.providers[name]
    preset = presets.load(wanted.fake)
    routes = routes_of(scenario, name)
    https = {
        route
        for route in routes
        if scheme_of(preset.scheme, claims_hosts=bool(scenario.routes[route].as_)).endswith("+https")
    }
    has_tls = "starttls" in preset.scheme or bool(https)
    return ProviderConfig(
        name=name,
        preset=wanted.fake,
        listeners=[
            RouteListener(
                route=route,
                account=route_account(scenario, seed, route),
                https=route in https,
                events_secret=events_secret(preset, seed, route),
                events_url=onward.events.get(route),
            )
            for route in routes
        ],
        canary_account=canary_account(preset, seed, name),
        seed=seed,
        limits=dict(wanted.limits),
        system_canaries=list(scenario.system.canaries),
        journal_path=str(places.journal),
        pack_path=str(places.pack),
        tls_cert_path=str(places.cert) if has_tls else None,
        tls_key_path=str(places.key) if has_tls else None,
        relay=onward.relay if relays(preset) else None,
    )
