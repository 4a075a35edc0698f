"""Credentials of a run: one account for each route, one for the harness's canary; no two share a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.providers.credentials import fill
from harness.providers.preset import Preset
from harness.providers.wire import Account

if TYPE_CHECKING:
    from harness.scenario.models import Scenario


def route_account(scenario: Scenario, seed: int, route: str) -> Account:
    """What the SUT logs in with on this route."""
    credential, tenant = scenario.preset(route).credential, scenario.routes[route].tenant
    return credential.account(seed, f"app-{route}", scope="route", tenant=tenant)


def canary_account(preset: Preset, seed: int, provider: str) -> Account:
    """What the harness's own canary logs in with."""
    return preset.credential.account(seed, "harness-canary", scope=provider, canary=True)


def events_secret(preset: Preset, seed: int, route: str) -> str:
    """What the provider signs this route's events with; empty where it posts none."""
    return "" if preset.events is None else fill(preset.events.secret, str(seed), "events", route)


def events_key(preset: Preset, seed: int, route: str) -> str:
    """What the system verifies those signatures with; empty where they are unsigned."""
    secret = events_secret(preset, seed, route)
    return preset.events.verifies_with(secret) if preset.events is not None and secret else ""
