"""The run's own DNS zone, as a master file (RFC 1035): keys (RFC 6376), SPF (RFC 7208), DMARC (RFC 7489).

Whole names of several domains in one file; there is no SOA, since nobody serves it. What the scenario plants
(a selector that is missing, a revoked key, an address that SPF does not allow) is left out or empty here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.scenario.mail import Published, Signer
from harness.scenario.models import Scenario
from harness.scenario.senders import SHARED_SELECTOR, Sender, from_domain, senders
from harness.testbed.mail.keys import public_own_key, public_route_key

FILE = "dns.zone"
TTL_S = 3600
_LONGEST_STRING = 255


def write_zone(run_dir: Path, scenario: Scenario, seed: int) -> None:
    """Nothing where the scenario has no `mail`."""
    if scenario.mail is not None:
        (run_dir / FILE).write_text(zone(scenario, seed), encoding="ascii")


def zone(scenario: Scenario, seed: int) -> str:
    """The file's text; the scenario has `mail`."""
    assert scenario.mail is not None, "the scenario has no `mail`"
    found = senders(scenario)
    records = dict(
        [
            *_keys(found, seed),
            *_spf(found, from_domain(scenario)),
            (f"_dmarc.{from_domain(scenario)}", f"v=DMARC1; p={scenario.mail.dmarc}; adkim=r; aspf=r"),
        ]
    )
    lines = [f"{name}. {TTL_S} IN TXT {_strings(text)}" for name, text in sorted(records.items())]
    return "\n".join(["; DNS of one run: what DKIM, SPF and DMARC are verified against", *lines, ""])


def _keys(found: dict[str, Sender], seed: int) -> Iterator[tuple[str, str]]:
    for sender in found.values():
        yield f"{SHARED_SELECTOR}._domainkey.{sender.own}", _key_record(public_own_key(seed, sender.own))
        if sender.signer is Signer.NOBODY or sender.published is Published.MISSING:
            continue
        revoked = sender.published is Published.REVOKED
        public = "" if revoked else public_route_key(seed, sender.key)
        yield f"{sender.selector}._domainkey.{sender.domain}", _key_record(public)


def _key_record(public: str) -> str:
    return f"v=DKIM1; k=rsa; p={public}"


def _spf(found: dict[str, Sender], domain: str) -> Iterator[tuple[str, str]]:
    """For each domain of a return path the addresses from which its mail may come."""
    allowed = [sender for sender in found.values() if sender.in_spf]
    for each in dict.fromkeys([domain, *(sender.bounces for sender in found.values() if sender.bounces)]):
        uses = [sender for sender in allowed if each in (sender.bounces, domain)]
        yield each, _spf_record([sender.egress for sender in uses])
    for own in dict.fromkeys(sender.own_bounces for sender in found.values()):
        yield own, _spf_record([sender.egress for sender in found.values() if sender.own_bounces == own])


def _spf_record(addresses: list[str]) -> str:
    return " ".join(["v=spf1", *(f"ip4:{address}" for address in dict.fromkeys(addresses)), "-all"])


def _strings(text: str) -> str:
    """A TXT record's strings hold 255 characters each; whoever reads them joins them."""
    parts = (text[at : at + _LONGEST_STRING] for at in range(0, len(text), _LONGEST_STRING))
    return " ".join(f'"{part}"' for part in parts)
