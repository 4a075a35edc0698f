"""Who the mail is from, as the world can prove it: domains, keys and addresses for DKIM, SPF and DMARC.

`mail:` of the scenario says whose mail it is, `mail:` of a route who signs there and from where it leaves.
The run publishes the keys and policies that follow in its own `dns.zone`; nothing is asked of, or published
in, the real DNS. Without `mail:` none of this is there.
"""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema

from harness.scenario.part import RESERVED_DOMAINS, RESERVED_TLDS, Name, Part, is_reserved

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_FOR_DOCUMENTS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")  # RFC 5737


def _domain(given: str) -> str:
    domain = given.lower()
    if not _DOMAIN.fullmatch(domain):
        raise ValueError(f"`{given}` is not a domain; write for example `shop.example`")
    if not is_reserved(domain):
        names = ", ".join((*("." + tld for tld in RESERVED_TLDS), *RESERVED_DOMAINS))
        raise ValueError(f"`{given}` could be somebody's domain; a drill only ever uses {names}")
    return domain


def _egress(given: str) -> str:
    try:
        address = IPv4Address(given)
    except ValueError as error:
        raise ValueError(f"`{given}` is not an IPv4 address; write for example `192.0.2.10`") from error
    if not any(address in IPv4Network(network) for network in _FOR_DOCUMENTS):
        ranges = ", ".join(_FOR_DOCUMENTS)
        raise ValueError(f"`{given}` could be somebody's address; a drill only ever uses {ranges}")
    return given


Domain = Annotated[
    str, AfterValidator(_domain), WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z0-9.-]+$"})
]
"""A domain that is set aside for tests and documents, in small letters."""

Egress = Annotated[str, AfterValidator(_egress), WithJsonSchema({"type": "string", "pattern": r"^[0-9.]+$"})]
"""An IPv4 address of the ranges set aside for documents."""


def usual_selector(route: str) -> str:
    """The selector of a route that names none."""
    return route.lower().replace("_", "-")


class Signer(StrEnum):
    """Who puts the DKIM signature of the sender's domain on a message."""

    PROVIDER = "provider"
    SYSTEM = "system"
    NOBODY = "nobody"


class Published(StrEnum):
    """What the zone has under a selector."""

    KEY = "key"
    MISSING = "missing"
    REVOKED = "revoked"


class DmarcPolicy(StrEnum):
    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class Mail(Part):
    """Whose mail it is."""

    domain: Domain | None = None
    """The domain in `From`; by default that of the address which `system.submit` is from."""
    dmarc: DmarcPolicy = DmarcPolicy.REJECT
    """The policy that the domain publishes."""


class RouteMail(Part):
    """Who signs what leaves by a route, and from where it leaves."""

    sign: Signer = Signer.PROVIDER
    """Who signs with DKIM. The system is given a key: `{{ routes.primary.dkim.key_file }}`."""
    domain: Domain | None = None
    """`d=` of the signature; by default the domain in `From`. A provider signs only what is from it, or below
    it, and everything else with a domain of its own, such as `sendgrid.example`."""
    selector: Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$", max_length=60)] | None = None
    """The selector; by default the name of the route."""
    key_of: Name | None = None
    """Another route, whose key is used here as well: what should never be."""
    published: Published = Published.KEY
    """What the zone has under the selector: its key, nothing, or a key that was revoked."""
    egress: Egress | None = None
    """The address from which the provider delivers; by default one of 192.0.2.0/24 for each route."""
    in_spf: bool = True
    """Whether SPF allows that address."""
    bounces: Domain | None = None
    """The domain of the return path. By default what the system says by SMTP, and `bounces.` of the signing
    domain where the provider has an API."""
    arc: bool = False
    """Whether the provider seals with ARC."""
