from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.providers.tls import make_ca


@dataclass(frozen=True)
class Certificates:
    ca: Path
    config: dict[str, str]  # for ProviderConfig

    def client_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    ca, cert, key = make_ca(tmp_path_factory.mktemp("tls"), ["smtp.office365.com", "api.sendgrid.com"])
    return Certificates(ca=ca, config={"tls_cert_path": str(cert), "tls_key_path": str(key)})
