"""Credentials of a run: one account for each route, one for the harness's canary; no two share a secret.

Derived from the seed, so that a run can be repeated to the letter; worthless anywhere else.
"""

from __future__ import annotations

import base64
import hashlib

from harness.providers.wire import Account


def _secret(seed: int, *parts: str) -> str:
    digest = hashlib.sha256("\0".join((str(seed), *parts)).encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _account(engine: str, username: str, secret: str, *, canary: bool = False) -> Account:
    if engine == "http":
        # The shape of a SendGrid key: prefix, 22 characters, 43 characters.
        return Account(username="apikey", secret=f"SG.{secret[:22]}.{secret}", canary=canary)
    return Account(username=username, secret=secret, canary=canary)


def route_account(engine: str, seed: int, route: str) -> Account:
    """What the SUT logs in with on this route."""
    return _account(engine, f"app-{route}@contoso.example", _secret(seed, "route", route))


def canary_account(engine: str, seed: int, provider: str) -> Account:
    """What the harness's own canary logs in with."""
    return _account(engine, "harness-canary@contoso.example", _secret(seed, "canary", provider), canary=True)
