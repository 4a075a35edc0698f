"""Which domains are one organisation's, and where DMARC's record is looked for."""

from __future__ import annotations

import pytest

from harness.checks.mail.verify import Verifier, is_aligned, organisation
from harness.checks.mail.zone import Zone, public_part


@pytest.mark.parametrize(
    ("domain", "theirs"),
    [
        ("shop.example", "shop.example"),
        ("a.b.shop.example", "shop.example"),
        ("mail.my-shop.test", "my-shop.test"),
        ("mail.example.com", "example.com"),
        ("a.shop.co.uk", "shop.co.uk"),
        ("example", "example"),
    ],
)
def test_the_organisation_of_a_domain(domain: str, theirs: str) -> None:
    assert organisation(domain) == theirs


def test_two_organisations_below_a_reserved_suffix_are_two() -> None:
    assert not is_aligned("shop.example", "sendgrid.example", "r")
    assert is_aligned("shop.example", "mail.shop.example", "r")
    assert not is_aligned("shop.example", "mail.shop.example", "s")
    assert is_aligned("shop.example", "shop.example", "s")
    assert not is_aligned("", "", "r")


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ("v=DMARC1; p=reject", True),
        ("v=DMARC1; sp=reject", False),  # no policy in it
        ("p=reject; v=DMARC1", False),  # the version comes first (RFC 7489, 6.3)
        ("v=DMARC1; p", False),
    ],
)
def test_the_policy_of_a_subdomain_is_its_organisations(record: str, found: bool) -> None:
    zone = Zone(f'_dmarc.shop.example. 60 IN TXT "{record}"\n')
    message = b"From: a@news.shop.example\r\n\r\nx\r\n"
    verified = Verifier(zone).verify(message, "a@news.shop.example", "192.0.2.1", 0)
    assert ("publishes no DMARC policy" in verified.dmarc) is not found


def test_a_zone_joins_strings_and_knows_no_other_name() -> None:
    zone = Zone('a.example. 60 IN TXT "v=DKIM1; p=AB" "CD"\na.example. 60 IN A 192.0.2.1\n')
    assert (
        zone.texts("A.example") == ["v=DKIM1; p=ABCD"] and public_part(zone.texts("a.example")[0]) == "ABCD"
    )
    assert zone.text(b"b.example.") is None and zone.records("a.example", "MX") == []
