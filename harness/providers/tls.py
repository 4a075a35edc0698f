"""Certificates of one run: a private CA and one server certificate for every name a provider claims.

Beside it lie its flawed twins, for faults: each has one flaw and no other. The CA's own key is never written,
so the files of a finished run can sign nothing.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from harness.providers.errors import ConfigError

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_LONG_AGO = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC))


class Flaw(StrEnum):
    """What is wrong with a certificate; all else about it is right."""

    EXPIRED = "expired"
    WRONG_NAME = "wrong-name"  # for a host of somebody else
    UNTRUSTED = "untrusted"  # of an authority that nobody knows


def make_ca(folder: Path, names: Sequence[str] = ()) -> tuple[Path, Path, Path]:
    """Write ca.pem, server.pem (with its chain) and server.key into `folder`; returns their paths.

    The certificate is for this machine's loopback names and for `names` besides (host names or addresses).
    Its flawed twins (`flawed_paths`) hold chain and key in one file each.
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
    stranger = trustme.CA(organization_name="Nobody that anybody knows")
    begins, ends = _LONG_AGO
    flawed = {
        Flaw.EXPIRED: authority.issue_cert(*LOCAL_NAMES, *names, not_before=begins, not_after=ends),
        Flaw.WRONG_NAME: authority.issue_cert("mail.somebody-else.example"),
        Flaw.UNTRUSTED: stranger.issue_cert(*LOCAL_NAMES, *names),
    }
    for flaw, path in flawed_paths(cert_path).items():
        path.touch(mode=0o600)
        path.write_bytes(flawed[flaw].private_key_and_cert_chain_pem.bytes())
    return ca_path, cert_path, key_path


def flawed_paths(cert_path: Path) -> Mapping[Flaw, Path]:
    """Where the flawed twins of a certificate are."""
    return {flaw: cert_path.with_name(f"{cert_path.stem}.{flaw}.pem") for flaw in Flaw}


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


def flawed_contexts(cert_path: str | None) -> Mapping[Flaw, ssl.SSLContext]:
    """A server context for each flawed twin that is there; a certificate of the user's own has none."""
    paths = {} if cert_path is None else flawed_paths(Path(cert_path))
    contexts = {flaw: server_context(str(path), str(path)) for flaw, path in paths.items() if path.exists()}
    return {flaw: context for flaw, context in contexts.items() if context is not None}
