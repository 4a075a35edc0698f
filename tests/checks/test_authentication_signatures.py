"""DKIM and ARC: each way in which a signature can be wrong, and what nobody can read."""

from __future__ import annotations

import re
from typing import Any

import dkim
import pytest

from harness.checks.finding import Verdict
from harness.scenario.mail import Published, Signer
from harness.scenario.senders import Sender
from harness.testbed.mail.departure import SIGNED, sealed
from harness.testbed.mail.keys import public_own_key, route_key
from tests.checks.kept import (
    DOMAIN,
    SEED,
    START_S,
    Change,
    Kept,
    a_run,
    by,
    causes,
    judged,
    why,
)


def _expiring(at_s: int) -> Change:
    """A signature with `x=`, which the library cannot make: its own `t=` becomes one of the right time."""

    def sign(message: bytes) -> bytes:
        found = dkim.DKIM(message)
        generate = found.gen_header
        at = (b"t", str(at_s - 3600).encode()), (b"x", str(at_s).encode())

        def with_expiry(fields: list[tuple[bytes, bytes]], *rest: Any, **more: Any) -> bytes:
            changed = [each for name, value in fields for each in (at if name == b"t" else ((name, value),))]
            return bytes(generate(changed, *rest, **more))

        found.gen_header = with_expiry
        names = [name for name in SIGNED if name in (b"from", b"to", b"subject")]
        key = route_key(SEED, "primary")
        return bytes(found.sign(b"primary", DOMAIN.encode(), key, include_headers=names)) + message

    return sign


class TestDkim:
    def test_no_signature(self) -> None:
        assert why(judged(a_run(sign=lambda message: message))) == (
            "on primary: dkim: there is no DKIM signature"
        )

    def test_a_body_that_was_changed_after_it_was_signed(self) -> None:
        run = a_run(afterwards=lambda message: message.replace(b"ref: ", b"Ref: "))
        assert "the body was changed after it was signed" in why(judged(run))

    def test_a_field_that_was_changed_after_it_was_signed(self) -> None:
        run = a_run(afterwards=lambda message: message.replace(b"Subject: Receipt", b"Subject: Refund"))
        assert "does not match" in why(judged(run))

    def test_a_selector_that_is_not_in_the_zone(self) -> None:
        run = a_run()
        del run.zone[f"primary._domainkey.{DOMAIN}"]
        assert f"primary._domainkey.{DOMAIN} is not in the zone" in why(judged(run))

    def test_a_key_that_was_revoked(self) -> None:
        run = a_run()
        run.zone[f"primary._domainkey.{DOMAIN}"] = "v=DKIM1; k=rsa; p="
        assert f"the key primary._domainkey.{DOMAIN} is revoked" in why(judged(run))

    def test_another_key_than_the_zone_has(self) -> None:
        assert "does not match" in why(judged(a_run(sign=by("primary", key="backup"))))

    def test_a_signature_that_has_expired_since_the_delivery_stays_good(self) -> None:
        delivered_s = round(START_S) + 11
        assert judged(a_run(sign=_expiring(delivered_s + 60))).verdict is Verdict.PASS

    @pytest.mark.parametrize(("copied", "verdict"), [(3590, Verdict.PASS), (3590.000_001, Verdict.FAIL)])
    def test_it_is_good_until_the_very_second_of_its_expiry(self, copied: float, verdict: Verdict) -> None:
        run = Kept(ends=4000)
        run.mail(at=copied - 0.1, sign=_expiring(round(START_S) + 3600))
        assert judged(run).verdict is verdict

    def test_of_several_that_are_wrong_the_first_is_told(self) -> None:
        above, below = by("x", "one.example", "backup"), by("y", "two.example", "backup")
        assert why(judged(a_run(sign=lambda message: above(below(message))))) == (
            "on primary: dkim: signature of one.example: x._domainkey.one.example is not in the zone"
        )

    @pytest.mark.parametrize("late_s", [1, 3600, 90_000])
    def test_a_signature_that_had_expired_by_the_delivery(self, late_s: int) -> None:
        delivered_s = round(START_S) + 11
        assert "expired" in why(judged(a_run(sign=_expiring(delivered_s - late_s))))

    def test_a_signature_that_nobody_can_read(self) -> None:
        assert causes(judged(a_run(sign=lambda message: b"DKIM-Signature: v=1; nonsense\r\n" + message)))


class TestWhatNobodyCanRead:
    """One copy that makes no sense is a bad copy, and does not keep the others from being judged."""

    @pytest.mark.parametrize(
        "damage", [b"a line that is no field\r\n", b" a field that has no name\r\n", b": \r\n"]
    )
    def test_a_header(self, damage: bytes) -> None:
        run = a_run(afterwards=lambda message: damage + message)
        run.mail("backup", 2)
        finding = judged(run)
        assert "dkim: the header cannot be read" in why(finding)
        assert (finding.counted, finding.numbers["dkim_failed"]) == (2, 1)

    @pytest.mark.parametrize("name", ["a" * 64, "a..b", "x" * 300])
    def test_a_name_that_no_dns_can_have(self, name: str) -> None:
        tag = f"s={name}".encode()
        run = a_run(afterwards=lambda message: message.replace(b"s=primary", tag))
        assert "is not in the zone" in why(judged(run))
        run = a_run(author=f"no-reply@{name}.example", mail_from=f"no-reply@{DOMAIN}")
        assert "publishes no DMARC policy" in why(judged(run))


def _sender() -> Sender:
    return Sender(
        route="backup",
        signer=Signer.PROVIDER,
        domain=DOMAIN,
        selector="backup",
        key="backup",
        published=Published.KEY,
        egress="198.51.100.7",
        in_spf=True,
        bounces=None,
        own="sendgrid.example",
        arc=True,
    )


class TestArc:
    def seal(self, message: bytes) -> bytes:
        return sealed(message, _sender(), SEED, START_S)

    def run(self, afterwards: Change) -> Kept:
        run = a_run(afterwards=afterwards)
        run.zone["shared._domainkey.sendgrid.example"] = (
            f"v=DKIM1; k=rsa; p={public_own_key(SEED, 'sendgrid.example')}"
        )
        return run

    def test_a_seal_that_holds(self) -> None:
        assert judged(self.run(self.seal), {"arc": True}).verdict is Verdict.PASS

    def test_no_seal(self) -> None:
        assert "arc: there is no ARC seal" in why(judged(self.run(lambda message: message), {"arc": True}))
        assert judged(self.run(lambda message: message)).verdict is Verdict.PASS

    def test_a_seal_that_was_broken(self) -> None:
        run = self.run(
            lambda message: re.sub(rb"(ARC-Seal: .*?t=)\d", rb"\g<1>2", self.seal(message), flags=re.S)
        )
        assert "arc: the ARC chain is broken" in why(judged(run, {"arc": True}))


def test_a_signature_made_for_one_message_does_not_hold_for_another() -> None:
    one = by("primary")(b"From: a@shop.example\r\nSubject: one\r\n\r\nx\r\n")
    field = one.partition(b"\r\nFrom:")[0] + b"\r\n"
    run = a_run(sign=lambda message: field + message)
    assert causes(judged(run)) == {"dkim"}
