"""SPF and DMARC: whether who sent a message may speak for the domain in From."""

from __future__ import annotations

import pytest

from harness.checks.finding import Verdict
from tests.checks.kept import (
    DOMAIN,
    Kept,
    a_run,
    by,
    causes,
    judged,
    key_record,
    why,
)


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

    def test_a_return_path_of_the_author_is_worth_nothing_from_an_address_that_spf_forbids(self) -> None:
        run = a_run(sign=lambda message: message, egress="203.0.113.9")
        finding = judged(run, {"dkim": "any", "spf": "any"})
        assert (causes(finding), finding.numbers["dmarc_failed"]) == ({"dmarc"}, 1)
        assert why(finding) == (
            "on primary: dmarc: from shop.example, validly signed by nobody, return path of shop.example"
        )

    def test_only_who_signed_validly_is_told_and_each_once(self) -> None:
        run = Kept()
        run.zone["one._domainkey.one.example"] = key_record("backup")
        run.zone["two._domainkey.two.example"] = key_record("primary")
        one, two = by("one", "one.example", "backup"), by("two", "two.example", "primary")
        wrong = by("x", "x.example", "backup")
        run.mail(sign=lambda message: two(wrong(one(one(message)))), mail_from="")
        assert judged(run, {"spf": "any"}).offenders[-1].why == (
            "on primary: dmarc: from shop.example, validly signed by two.example, one.example, "
            "return path of nobody"
        )

    @pytest.mark.parametrize(("mode", "verdict"), [("r", Verdict.PASS), ("s", Verdict.FAIL)])
    def test_bounces_to_a_subdomain_are_the_authors_where_the_policy_is_relaxed(
        self, mode: str, verdict: Verdict
    ) -> None:
        run = a_run(sign=lambda message: message, mail_from=f"b@bounces.{DOMAIN}")
        run.zone[f"bounces.{DOMAIN}"] = "v=spf1 ip4:192.0.2.10 -all"
        run.zone[f"_dmarc.{DOMAIN}"] = f"v=DMARC1; p=reject; adkim=r; aspf={mode}"
        assert judged(run, {"dkim": "any"}).verdict is verdict

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
