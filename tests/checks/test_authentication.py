"""Mail that proves its sender, and mail that does not, in each way that the check names."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path
from typing import Any

import dkim
import pytest

from harness.checks import CHECKS, evaluate, parse_params
from harness.checks.finding import Finding, Verdict
from harness.checks.mail.clock import as_of
from harness.history.store import History, to_parquet
from harness.scenario.mail import Signer
from harness.testbed.mail.departure import SIGNED, sealed
from harness.testbed.mail.keys import public_own_key, route_key
from tests.checks.histories import Run, check
from tests.checks.kept import DOMAIN, SEED, START_S, Change, Kept, by, judged, key_record, opened

UNSUBSCRIBE = (
    f"List-Unsubscribe: <https://{DOMAIN}/u?m=1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)


def a_run(via: str = "primary", **more: Any) -> Kept:
    run = Kept()
    run.mail(via, **more)
    return run


def causes(finding: Finding) -> set[str]:
    return {offender.cause for offender in finding.offenders}


def why(finding: Finding) -> str:
    assert finding.verdict is Verdict.FAIL, finding
    return finding.offenders[0].why


def covering(*names: bytes) -> Change:
    """Signs these header fields and no others."""

    def sign(message: bytes) -> bytes:
        key = route_key(SEED, "primary")
        with as_of(START_S):
            field = bytes(dkim.sign(message, b"primary", DOMAIN.encode(), key, include_headers=list(names)))
        return field + message

    return sign


class TestGood:
    def test_both_routes_with_a_key_each(self) -> None:
        run = Kept()
        run.mail("primary", 1)
        run.mail("backup", 2)
        finding = judged(run)
        assert (finding.verdict, finding.counted, finding.offenders) == (Verdict.PASS, 2, [])
        assert finding.numbers["without_aligned_signature"] == 0
        assert finding.summary.startswith("2 copies (1 by backup and 1 by primary), each authenticated")

    def test_a_domain_with_a_hyphen_is_one_domain(self) -> None:
        run = Kept()
        run.zone = {name.replace(DOMAIN, "my-shop.example"): text for name, text in run.zone.items()}
        run.mail(author="no-reply@my-shop.example", sign=by("primary", "my-shop.example"))
        assert judged(run).verdict is Verdict.PASS

    def test_a_subdomain_is_aligned_where_the_policy_is_relaxed_and_only_there(self) -> None:
        run = Kept()
        run.zone["primary._domainkey.mail.shop.example"] = key_record("primary")
        del run.zone[f"primary._domainkey.{DOMAIN}"]
        run.mail(sign=by("primary", "mail.shop.example"), mail_from="b@elsewhere.example")
        assert judged(run, {"spf": "any"}).verdict is Verdict.PASS
        run.zone[f"_dmarc.{DOMAIN}"] = "v=DMARC1; p=reject; adkim=s; aspf=s"
        assert causes(judged(run, {"spf": "any"})) == {"dmarc"}

    def test_a_second_signature_counts_where_the_first_is_of_the_provider(self) -> None:
        run = Kept()
        run.zone["shared._domainkey.sendgrid.example"] = f"v=DKIM1; k=rsa; p={public_own_key(SEED, 'x')}"
        run.mail(sign=lambda message: by("shared", "sendgrid.example", "backup")(by("primary")(message)))
        finding = judged(run)
        assert (finding.verdict, finding.numbers["dkim_failed"]) == (Verdict.PASS, 0)

    def test_a_signature_that_has_expired_since_the_delivery_stays_good(self) -> None:
        delivered_s = round(START_S) + 11
        assert judged(a_run(sign=_expiring(delivered_s + 60))).verdict is Verdict.PASS

    def test_what_is_not_asked_for_is_not_judged(self) -> None:
        run = a_run(sign=lambda message: message, egress="203.0.113.9")
        assert causes(judged(run)) == {"dkim"} and judged(run).numbers["spf_failed"] == 1
        assert judged(run, {"dkim": "any", "spf": "any", "dmarc": "any"}).verdict is Verdict.PASS

    def test_spf_alone_is_enough_for_dmarc_and_the_missing_signature_is_told(self) -> None:
        finding = judged(a_run(sign=lambda message: message), {"dkim": "any"})
        assert (finding.verdict, finding.numbers["without_aligned_signature"]) == (Verdict.PASS, 1)


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


class TestSpfAndDmarc:
    def test_an_address_that_spf_does_not_allow(self) -> None:
        run = a_run("backup")
        run.zone[DOMAIN] = "v=spf1 ip4:192.0.2.10 -all"
        finding = judged(run)
        assert causes(finding) == {"spf"}
        assert why(finding) == f"on backup: spf: SPF of {DOMAIN} does not allow 198.51.100.7"

    def test_a_return_path_without_spf(self) -> None:
        assert "bounces.example has no SPF record" in why(judged(a_run(mail_from="b@bounces.example")))

    def test_softfail_is_no_pass(self) -> None:
        run = a_run("backup")
        run.zone[DOMAIN] = "v=spf1 ip4:192.0.2.10 ~all"
        assert "says softfail" in why(judged(run))

    def test_signed_by_the_provider_alone_and_bounces_there(self) -> None:
        """The record of DKIM and SPF is perfect, and it is the record of somebody else."""
        run = Kept()
        run.zone["shared._domainkey.sendgrid.example"] = key_record("backup")
        del run.zone[f"backup._domainkey.{DOMAIN}"]
        run.zone["bounces.sendgrid.example"] = "v=spf1 ip4:198.51.100.7 -all"
        run.mail(
            "backup",
            sign=by("shared", "sendgrid.example", "backup"),
            mail_from="b@bounces.sendgrid.example",
        )
        finding = judged(run)
        assert causes(finding) == {"dmarc"}
        assert "from shop.example, validly signed by sendgrid.example" in why(finding)

    def test_a_domain_without_a_policy(self) -> None:
        run = a_run()
        del run.zone[f"_dmarc.{DOMAIN}"]
        assert "publishes no DMARC policy" in why(judged(run))

    def test_two_authors_in_one_field_are_nobodys_domain_either(self) -> None:
        run = a_run(author="no-reply@shop.example>, Ann <ann@bank.example")
        assert "dmarc: From does not name one domain" in why(judged(run))

    def test_two_authors_of_one_domain_and_a_name_with_a_comma(self) -> None:
        two = a_run(author=f"no-reply@{DOMAIN}>, Ann <ann@{DOMAIN}", mail_from=f"b@{DOMAIN}")
        assert judged(two).verdict is Verdict.PASS
        assert judged(a_run(author=f"no-reply@{DOMAIN}", name="Shop, Inc")).verdict is Verdict.PASS

    def test_no_return_path(self) -> None:
        assert "spf: there is no return path" in why(judged(a_run(mail_from="")))

    def test_two_authors_are_nobodys_domain(self) -> None:
        run = a_run(afterwards=lambda message: b"From: ann@bank.example\r\n" + message)
        assert "dmarc: From does not name one domain" in why(judged(run))


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


def _sender() -> Any:
    from harness.scenario.mail import Published
    from harness.scenario.senders import Sender

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


class TestOneClick:
    def newsletter(self, fields: str = UNSUBSCRIBE, **more: Any) -> Finding:
        return judged(a_run(class_="marketing", fields=fields, **more), {"one_click": "marketing"})

    def test_as_rfc_8058_has_it(self) -> None:
        assert self.newsletter().verdict is Verdict.PASS

    def test_only_of_the_classes_that_are_asked_for(self) -> None:
        run = a_run()
        run.mail("backup", 2, class_="marketing", fields=UNSUBSCRIBE)
        assert judged(run, {"one_click": "marketing"}).verdict is Verdict.PASS
        assert causes(judged(a_run(), {"one_click": ["marketing", "transactional"]})) == {"one-click"}

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ("", "no https address"),
            ("List-Unsubscribe: <mailto:stop@shop.example>\r\n", "no https address"),
            (UNSUBSCRIBE.splitlines()[0] + "\r\n", "no List-Unsubscribe-Post"),
            (UNSUBSCRIBE.replace("One-Click", "Yes"), "no List-Unsubscribe-Post"),
        ],
    )
    def test_what_is_missing(self, fields: str, said: str) -> None:
        assert said in why(self.newsletter(fields))

    def test_fields_that_no_signature_covers(self) -> None:
        sign = covering(b"from", b"to", b"subject", b"list-unsubscribe")
        assert "covers List-Unsubscribe and List-Unsubscribe-Post" in why(self.newsletter(sign=sign))


class TestShared:
    def test_one_key_signs_on_both_routes(self) -> None:
        run = Kept()
        run.mail("primary", 1)
        run.mail("backup", 2, sign=by("primary"))
        finding = judged(run)
        assert (finding.numbers["shared_keys"], causes(finding)) == (1, {"shared key"})
        assert why(finding).startswith("backup and primary sign with one key")

    def test_one_key_is_published_for_a_route_that_was_not_used_yet(self) -> None:
        run = a_run()
        run.zone[f"backup._domainkey.{DOMAIN}"] = key_record("primary")
        assert "one key is published as backup._domainkey.shop.example and primary" in why(judged(run))

    def test_two_revoked_keys_are_not_one(self) -> None:
        run = a_run()
        for selector in ("old", "older"):
            run.zone[f"{selector}._domainkey.{DOMAIN}"] = "v=DKIM1; k=rsa; p="
        assert judged(run).verdict is Verdict.PASS

    def test_two_routes_log_in_with_one_secret(self) -> None:
        run = Kept(credentials={"primary": "aa", "backup": "aa", "third": "bb"})
        run.mail()
        finding = judged(run)
        assert (finding.numbers["shared_credentials"], causes(finding)) == (1, {"shared credential"})
        assert why(finding).startswith("backup and primary log in with one secret")

    def test_a_secret_for_each_route(self) -> None:
        run = Kept(credentials={"primary": "aa", "backup": "bb"})
        run.mail()
        assert judged(run).verdict is Verdict.PASS


class TestInconclusive:
    def test_events_without_their_folder(self) -> None:
        run = Run()
        run.traffic(0, 2, 1)
        finding = check(run, "authentication", "all")
        assert finding.verdict is Verdict.INCONCLUSIVE and "open the run's folder" in finding.reason

    def test_parquet_alone(self, tmp_path: Path) -> None:
        run = a_run()
        run.write(tmp_path)
        parquet = to_parquet(tmp_path)
        with History.open(parquet) as history:
            (finding, *_) = evaluate(history, "run", [{"check": "authentication", "params": "all"}])
        assert finding.verdict is Verdict.INCONCLUSIVE and "open the run's folder" in finding.reason
        with History.open(tmp_path) as history:
            (finding, *_) = evaluate(history, "run", [{"check": "authentication", "params": "all"}])
        assert finding.verdict is Verdict.PASS

    @pytest.mark.parametrize("missing", ["dns.zone", "outbound/index.jsonl", "outbound/kept.pack"])
    def test_a_folder_without_a_part_of_it(self, missing: str, tmp_path: Path) -> None:
        a_run().write(tmp_path)
        (tmp_path / missing).unlink()
        with History.open(tmp_path) as history:
            finding = _judge(history)
        assert finding.verdict is Verdict.INCONCLUSIVE and Path(missing).name in finding.reason

    def test_a_zone_that_is_none(self, tmp_path: Path) -> None:
        a_run().write(tmp_path)
        (tmp_path / "dns.zone").write_text("this is no zone")
        with History.open(tmp_path) as history:
            assert "not a zone file" in _judge(history).reason

    def test_a_copy_whose_message_was_not_kept(self) -> None:
        run = a_run()
        run.mail("backup", 2, kept=False)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason.startswith("1 copy on backup cannot be judged")

    def test_a_bad_copy_stands_beside_one_that_was_not_kept(self) -> None:
        run = a_run(sign=lambda message: message)
        run.mail("backup", 2, kept=False)
        assert judged(run).verdict is Verdict.FAIL

    def test_no_copies(self) -> None:
        assert judged(Kept()).reason == "there are no copies of mail"

    def test_no_copy_of_a_class_that_one_must_be_able_to_unsubscribe_from(self) -> None:
        finding = judged(a_run(), {"one_click": ["marketing", "digest"]})
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "there is no copy of marketing and digest mail"

    def test_a_fault_that_the_system_never_met(self) -> None:
        run = a_run()
        run.fault(5, 10)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE and "never met incident f1" in finding.reason

    def test_a_bad_copy_stands_without_exposure(self) -> None:
        run = a_run(sign=lambda message: message)
        run.fault(5, 10)
        assert judged(run).verdict is Verdict.FAIL

    def test_records_are_missing(self) -> None:
        run = a_run()
        run.loses_record()
        run.mail(at=2)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_libraries_are_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in ("harness.checks.mail.verify", "harness.checks.mail.zone", "dkim"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setitem(sys.modules, "spf", None)
        finding = judged(a_run(sign=lambda message: message))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "(spf); say `pip install 'mail-failover-harness[auth]'`" in finding.reason


def _judge(history: History) -> Finding:
    return CHECKS["authentication"].evaluate(history, "run", parse_params("authentication", "all"))


class TestManners:
    def test_the_real_dns_is_never_asked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever is not in the zone does not exist; a socket would be a question to somebody."""
        run = Kept()
        run.zone[DOMAIN] = "v=spf1 include:_spf.elsewhere.example a mx ptr exists:%{i}.e.example -all"
        run.mail(sign=by("unknown", "elsewhere.example", "primary"))
        with opened(run) as history:

            def refuse(*_: object, **__: object) -> None:
                raise AssertionError("a socket was made")

            monkeypatch.setattr(socket, "socket", refuse)
            monkeypatch.setattr(socket, "getaddrinfo", refuse)
            finding = _judge(history)
        assert causes(finding) == {"dkim"}
        assert finding.numbers["spf_failed"] == finding.numbers["dmarc_failed"] == 1

    def test_a_thousand_of_one_kind_do_not_hide_another(self) -> None:
        run = Kept()
        for number in range(30):
            run.mail(at=number, sign=lambda message: message)
        run.mail("backup", 40, egress="203.0.113.9")
        finding = judged(run)
        assert len(finding.offenders) == 10 and causes(finding) == {"dkim", "spf"}
        assert finding.summary.startswith("31 of 31 copies not authenticated: dkim 30, spf 1")

    def test_it_looks_at_each_copy_of_an_outage_and_at_no_probe(self) -> None:
        run = a_run()
        run.receipt(None, 3, canary="system", recipient="probe@canary.example", token="canary0000000001")
        assert judged(run).counted == 1


def test_a_signature_made_for_one_message_does_not_hold_for_another() -> None:
    one = by("primary")(b"From: a@shop.example\r\nSubject: one\r\n\r\nx\r\n")
    field = one.partition(b"\r\nFrom:")[0] + b"\r\n"
    run = a_run(sign=lambda message: field + message)
    assert causes(judged(run)) == {"dkim"}
