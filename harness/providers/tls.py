"""Certificates of one run: a private CA and one server certificate for every name a provider claims.

The CA's own key is never written, so the files of a finished run can sign nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from harness.providers.errors import ConfigError

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


def make_ca(folder: Path, names: Sequence[str] = ()) -> tuple[Path, Path, Path]:
    """Write ca.pem, server.pem (with its chain) and server.key into `folder`; returns their paths.

    The certificate is for this machine's loopback names and for `names` besides (host names or addresses).
    """
    # Not at the top: provider processes never make a certificate, and this import is most of their start.
    import trustme

    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="Mail failover harness, for one run only")
    certificate = authority.issue_cert(*LOCAL_NAMES, *names)
    ca_path, cert_path, key_path = (folder / name for name in ("ca.pem", "server.pem", "server.key"))
    authority.cert_pem.write_to_path(str(ca_path))
    for part in certificate.cert_chain_pems:
        part.write_to_path(str(cert_path), append=part is not certificate.cert_chain_pems[0])
    key_path.touch(mode=0o600)
    certificate.private_key_pem.write_to_path(str(key_path))
    return ca_path, cert_path, key_path


def server_context(cert_path: str | None, key_path: str | None) -> ssl.SSLContext | None:
    """A TLS server context for the two files, None when neither is given; raises ConfigError."""
    if cert_path is None and key_path is None:
        return None
    if cert_path is None or key_path is None:
        raise ConfigError("tls_cert_path and tls_key_path are given together or not at all")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(cert_path, key_path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot load certificate {cert_path} with key {key_path}: {error}") from error
    return context
