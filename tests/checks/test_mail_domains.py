"""Which domains are one organisation's, and where DMARC's record is looked for."""

from __future__ import annotations

import logging

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
    for author, domain in (("", ""), ("shop.example", ""), ("", "shop.example")):
        assert not is_aligned(author, domain, "r") and not is_aligned(author, domain, "s")


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


SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=s; h=from; b=x; bh=x\r\n"


def test_of_two_keys_at_one_name_the_first_holds() -> None:
    zone = Zone('s._domainkey.a.example. 60 IN TXT "p=AB"\ns._domainkey.a.example. 60 IN TXT "p=CD"\n')
    message = SIGNATURE + b"From: b@a.example\r\n\r\n"
    (signature,) = Verifier(zone).verify(message, "b@a.example", "192.0.2.1", 0).signatures
    assert (signature.selector, signature.domain, signature.key) == ("s", "a.example", "AB")
    assert sorted(zone.keys()) == [("s._domainkey.a.example", "AB"), ("s._domainkey.a.example", "CD")]


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("mx", "pass"),
        ("ptr", "pass"),
        ("a:mail.shop.example", "pass"),
        ("a", "SPF of shop.example does not allow 192.0.2.1"),
        ("ptr:other.example", "SPF of shop.example does not allow 192.0.2.1"),
    ],
)
def test_spf_asks_the_zone_for_whatever_it_needs(policy: str, said: str) -> None:
    zone = Zone(
        f'shop.example. 60 IN TXT "v=spf1 {policy} -all"\n'
        "shop.example. 60 IN A 192.0.2.9\n"
        "shop.example. 60 IN MX 10 mail.shop.example.\n"
        "mail.shop.example. 60 IN A 192.0.2.1\n"
        "1.2.0.192.in-addr.arpa. 60 IN PTR mail.shop.example.\n"
    )
    message = b"From: a@shop.example\r\n\r\nx\r\n"
    assert Verifier(zone).verify(message, "a@shop.example", "192.0.2.1", 0).spf == said


def test_what_libraries_have_to_say_of_bad_signatures_goes_to_no_log() -> None:
    heard: list[logging.LogRecord] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record)

    ear, theirs = Ear(), logging.getLogger("harness.checks.mail")
    level = theirs.level
    logging.getLogger().addHandler(ear)
    theirs.setLevel(logging.DEBUG)
    try:
        zone = Zone('s._domainkey.a.example. 60 IN TXT "v=DKIM1; p=AB"\n')
        message = SIGNATURE + b"From: b@a.example\r\n\r\nx\r\n"
        Verifier(zone).verify(message, "b@a.example", "192.0.2.1", 0)
    finally:
        theirs.setLevel(level)
        logging.getLogger().removeHandler(ear)
    assert not heard


def test_a_zone_joins_strings_and_knows_no_other_name() -> None:
    zone = Zone('a.example. 60 IN TXT "v=DKIM1; p=AB" "CD"\na.example. 60 IN A 192.0.2.1\n')
    assert (
        zone.texts("A.example") == ["v=DKIM1; p=ABCD"] and public_part(zone.texts("a.example")[0]) == "ABCD"
    )
    assert zone.text(b"b.example.") is None and zone.records("a.example", "MX") == []
