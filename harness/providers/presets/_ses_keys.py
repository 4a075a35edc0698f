"""SNS's signature under its notifications, and the certificate that it is verified with.

The key is derived from a run's secret (harness.providers.seeded_rsa), and the certificate is fixed with it:
issuer, serial number and dates. 1024 bits: the 2048 of the real ones would stop a provider for up to half a
second.
"""

from __future__ import annotations

import hashlib

from harness.providers.seeded_rsa import rsa_key

PURPOSE = "sns"


def sign(secret: str, text: bytes) -> bytes:
    """SHA1 with RSA, as in SNS's signature version 1."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA1

    return rsa_key(PURPOSE, secret).sign(text, PKCS1v15(), SHA1())


def certificate_pem(secret: str) -> str:
    """What a receiver would find at SigningCertURL."""
    from datetime import UTC, datetime

    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    key = rsa_key(PURPOSE, secret)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    serial = int.from_bytes(hashlib.sha256(secret.encode()).digest()[:8], "big") | 1
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2046, 1, 1, tzinfo=UTC))
    )
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
