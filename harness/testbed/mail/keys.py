"""DKIM keys of a run: one for each route, one for each provider's own domain, all from the seed.

1024 bits, the least that verifiers take (RFC 8301): a run signs thousands of messages, and 2048 take five
times as long. They are worthless anywhere else.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from harness.providers.seeded_rsa import rsa_key
from harness.scenario.mail import Signer
from harness.scenario.models import Scenario
from harness.scenario.senders import Sender, senders

FOLDER = "dkim"


def route_key(seed: int, route: str) -> bytes:
    """The private key of a route's account, as PEM."""
    return _pem(_secret(seed, "route", route))


def own_key(seed: int, domain: str) -> bytes:
    """The private key with which a provider signs for its own domain, as PEM."""
    return _pem(_secret(seed, "provider", domain))


def public_route_key(seed: int, route: str) -> str:
    """As in `p=`."""
    return _public(_secret(seed, "route", route))


def public_own_key(seed: int, domain: str) -> str:
    """As in `p=`."""
    return _public(_secret(seed, "provider", domain))


def keys_of_the_system(scenario: Scenario, seed: int) -> dict[str, bytes]:
    """By route the private key that the system under test signs with, where it signs."""
    return {
        route: route_key(seed, sender.key)
        for route, sender in senders(scenario).items()
        if sender.signer is Signer.SYSTEM
    }


def file_name(sender: Sender) -> str:
    return f"{sender.route}.pem"


def write_keys(run_dir: Path, scenario: Scenario, seed: int) -> None:
    """For the system alone to read, as such a file is anywhere."""
    for route, pem in keys_of_the_system(scenario, seed).items():
        folder = run_dir / FOLDER
        folder.mkdir(exist_ok=True)
        path = folder / file_name(senders(scenario)[route])
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)


def dkim_variables(scenario: Scenario, seed: int, folder: str) -> dict[str, dict[str, str]]:
    """What the system is told of the keys that it signs with; `folder` is where it finds their files."""
    found = senders(scenario)
    return {
        route: {
            "selector": found[route].selector,
            "domain": found[route].domain,
            "key_file": f"{folder}/{file_name(found[route])}",
            "key": pem.decode(),
        }
        for route, pem in keys_of_the_system(scenario, seed).items()
    }


def _secret(seed: int, *names: str) -> str:
    return "\0".join((str(seed), *names))


def _pem(secret: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa_key("dkim", secret)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _public(secret: str) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa_key("dkim", secret).public_key()
    return base64.b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
