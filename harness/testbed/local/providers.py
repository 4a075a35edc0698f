"""From the scenario's providers and routes to provider processes with their configuration."""

from __future__ import annotations

from pathlib import Path

from harness.history.journal import Journal
from harness.providers import presets
from harness.providers.wire import ProviderConfig, RouteListener
from harness.scenario.models import Scenario
from harness.scenario.providers import MAILPIT
from harness.testbed.local.credentials import canary_account, route_account
from harness.testbed.local.mailpit import MailpitProvider
from harness.testbed.local.provider import ProviderProcess
from harness.testbed.resources import ResourceLedger


def routes_of(scenario: Scenario, provider: str) -> list[str]:
    return [name for name, route in scenario.routes.items() if route.provider == provider]


def provider_for(
    name: str,
    scenario: Scenario,
    run_dir: Path,
    seed: int,
    *,
    cert_path: Path,
    key_path: Path,
    ledger: ResourceLedger,
    journal: Journal,
) -> ProviderProcess | MailpitProvider:
    """The provider's process, not yet started. Each route has a listener and an account of its own."""
    wanted = scenario.providers[name]
    routes = routes_of(scenario, name)
    if wanted.fake == MAILPIT:
        return MailpitProvider(name, routes[0], scenario.system.canaries, run_dir, ledger, journal)
    preset = presets.load(wanted.fake)
    https = {
        route for route in routes if preset.engine == "http" and scenario.routes[route].as_
    }  # its client asks for the provider's real host, and that one has nothing but HTTPS
    has_tls = "starttls" in preset.scheme or bool(https)
    config = ProviderConfig(
        name=name,
        preset=wanted.fake,
        listeners=[
            RouteListener(
                route=route, account=route_account(preset.engine, seed, route), https=route in https
            )
            for route in routes
        ],
        canary_account=canary_account(preset.engine, seed, name),
        seed=seed,
        limits=dict(wanted.limits),
        system_canaries=list(scenario.system.canaries),
        journal_path=str(run_dir / "providers" / f"{name}.jsonl"),
        pack_path=str(run_dir / "bodies" / f"{name}.pack"),
        tls_cert_path=str(cert_path) if has_tls else None,
        tls_key_path=str(key_path) if has_tls else None,
    )
    return ProviderProcess(config, run_dir, ledger, journal)
