"""Mail that proves its sender, and mail that does not: what is asked, and what is told of it."""

from __future__ import annotations

import socket
from typing import Any

import dkim
import pytest
from pydantic import ValidationError

from harness.checks import parse_params
from harness.checks.finding import Finding, Verdict
from harness.checks.mail.clock import as_of
from harness.history.events import Receipt
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
    judge,
    judged,
    key_record,
    opened,
    why,
)

UNSUBSCRIBE = (
    f"List-Unsubscribe: <https://{DOMAIN}/u?m=1>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
)


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
        assert finding.numbers == {
            "copies": 2, "not_kept": 0, "without_aligned_signature": 0, "dkim_failed": 0, "spf_failed": 0,
            "dmarc_failed": 0, "arc_failed": None, "one_click_failed": None, "shared_keys": 0,
            "shared_credentials": 0,
        }  # fmt: skip

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

    def test_what_is_asked_for_is_counted_and_what_is_not_has_no_number(self) -> None:
        run = a_run(sign=lambda message: message, egress="203.0.113.9", class_="m")
        finding = judged(run, {"dkim": "any", "spf": "any", "dmarc": "any", "arc": True, "one_click": "m"})
        asked = ("dkim", "spf", "dmarc", "arc", "one_click")
        assert [finding.numbers[f"{each}_failed"] for each in asked] == [None, None, None, 1, 1]
        assert [each.cause for each in finding.offenders] == ["arc"]
        assert why(finding) == (
            "on primary: arc: there is no ARC seal; one-click: there is no https address in List-Unsubscribe"
        )

    def test_a_class_has_a_name(self) -> None:
        with pytest.raises(ValidationError):
            parse_params("authentication", {"one_click": ["m", ""]})

    def test_what_is_not_asked_for_is_not_judged(self) -> None:
        run = a_run(sign=lambda message: message, egress="203.0.113.9")
        assert causes(judged(run)) == {"dkim"} and judged(run).numbers["spf_failed"] == 1
        assert judged(run, {"dkim": "any", "spf": "any", "dmarc": "any"}).verdict is Verdict.PASS

    def test_spf_alone_is_enough_for_dmarc_and_the_missing_signature_is_told(self) -> None:
        finding = judged(a_run(sign=lambda message: message), {"dkim": "any"})
        assert (finding.verdict, finding.numbers["without_aligned_signature"]) == (Verdict.PASS, 1)


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
        assert why(finding) == f"backup and primary sign with one key, primary._domainkey.{DOMAIN}"
        assert finding.offenders[0].subject == "backup and primary"

    def test_one_key_is_published_for_a_route_that_was_not_used_yet(self) -> None:
        run = a_run()
        run.zone[f"backup._domainkey.{DOMAIN}"] = key_record("primary")
        finding = judged(run)
        both = f"backup._domainkey.{DOMAIN} and primary._domainkey.{DOMAIN}"
        assert (why(finding), finding.offenders[0].subject) == (f"one key is published as {both}", both)

    def test_each_key_that_is_shared_is_told_beside_those_that_are_not(self) -> None:
        run = a_run()
        run.zone[f"old._domainkey.{DOMAIN}"] = key_record("backup")
        run.zone[f"other._domainkey.{DOMAIN}"] = f"v=DKIM1; k=rsa; p={public_own_key(SEED, 'other')}"
        run.zone[f"third._domainkey.{DOMAIN}"] = f"v=DKIM1; k=rsa; p={public_own_key(SEED, 'third')}"
        run.zone[f"fourth._domainkey.{DOMAIN}"] = f"v=DKIM1; k=rsa; p={public_own_key(SEED, 'third')}"
        finding = judged(run)
        assert (finding.verdict, finding.numbers["shared_keys"]) == (Verdict.FAIL, 2)
        assert [each.subject for each in finding.offenders] == [
            f"backup._domainkey.{DOMAIN} and old._domainkey.{DOMAIN}",
            f"fourth._domainkey.{DOMAIN} and third._domainkey.{DOMAIN}",
        ]

    def test_who_shares_a_key_or_a_secret_is_told_before_any_copy(self) -> None:
        run = Kept(credentials={"primary": "aa", "backup": "aa"})
        run.mail("primary", 1)
        run.mail("backup", 2, sign=by("primary"))
        run.mail("primary", 3, sign=lambda message: message)
        assert [(each.cause, each.subject) for each in judged(run).offenders] == [
            ("shared key", "backup and primary"),
            ("shared credential", "backup and primary"),
            ("dkim", None),
        ]

    def test_of_a_key_that_stands_everywhere_no_more_than_twenty_places_are_told(self) -> None:
        run = a_run()
        places = [f"s{number:02}._domainkey.{DOMAIN}" for number in range(21)]
        run.zone |= dict.fromkeys(places, f"v=DKIM1; k=rsa; p={public_own_key(SEED, 'everywhere')}")
        finding = judged(run)
        told = f"{', '.join(places[:19])} and {places[19]}"
        assert why(finding) == f"one key is published as {told}"
        assert finding.offenders[0].subject == told

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
            finding = judge(history)
        assert causes(finding) == {"dkim"}
        assert finding.numbers["spf_failed"] == finding.numbers["dmarc_failed"] == 1

    def test_a_thousand_of_one_kind_do_not_hide_another(self) -> None:
        run = Kept()
        for number in range(30):
            run.mail(at=number, sign=lambda message: message)
        run.mail("backup", 40, egress="203.0.113.9")
        *bad, (spf, _) = [(each.token, each.recipient) for each in run.events if isinstance(each, Receipt)]
        finding = judged(run)
        assert [each.cause for each in finding.offenders] == ["dkim", "spf", *["dkim"] * 8]
        first = [token for token, _ in bad[:9]]
        assert [each.token for each in finding.offenders] == [first[0], spf, *first[1:]]
        assert finding.summary.startswith("31 of 31 copies not authenticated: dkim 30, spf 1")

    def test_it_looks_at_each_copy_of_an_outage_and_at_no_probe(self) -> None:
        run = a_run()
        run.receipt(None, 3, canary="system", recipient="probe@canary.example", token="canary0000000001")
        assert judged(run).counted == 1
