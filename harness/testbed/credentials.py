"""Credentials of a run: one account for each route, one for the harness's canary; no two share a secret."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from harness.providers.credentials import OF_THE_ACCOUNT, fill
from harness.providers.preset import Preset
from harness.providers.wire import Account
from harness.scenario.providers import MAILPIT

if TYPE_CHECKING:
    from harness.scenario.models import Scenario


def route_account(scenario: Scenario, seed: int, route: str) -> Account:
    """What the SUT logs in with on this route."""
    credential, tenant = scenario.preset(route).credential, scenario.routes[route].tenant
    owner = scenario.routes[route].account_of or route
    return credential.account(seed, f"app-{owner}", scope="route", tenant=tenant)


def fingerprints(scenario: Scenario, seed: int) -> dict[str, str]:
    """By route what tells its secret from others without giving it away; a route without a login has none."""
    secrets = {route: route_account(scenario, seed, route).secret for route in scenario.mail_routes}
    return {
        route: hashlib.sha256(f"credential\0{secret}".encode()).hexdigest()[:16]
        for route, secret in secrets.items()
        if secret and scenario.preset(route).name != MAILPIT
    }


def canary_account(preset: Preset, seed: int, provider: str) -> Account:
    """What the harness's own canary logs in with."""
    return preset.credential.account(seed, "harness-canary", scope=provider, canary=True)


def events_secret(preset: Preset, seed: int, route: str, account: Account) -> str:
    """What the provider signs this route's events with; empty where it posts none."""
    if preset.events is None:
        return ""
    if preset.events.secret == OF_THE_ACCOUNT:
        return account.secret
    return fill(preset.events.secret, str(seed), "events", route)


def events_key(preset: Preset, seed: int, route: str, account: Account) -> str:
    """What the system verifies those signatures with; empty where they are unsigned."""
    secret = events_secret(preset, seed, route, account)
    return preset.events.verifies_with(secret) if preset.events is not None and secret else ""
