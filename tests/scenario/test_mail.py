"""`mail` of a scenario and of its routes: what follows by default, what is refused, what the system gets."""

from __future__ import annotations

import pytest

from harness.scenario import mail_references
from harness.scenario.mail import Signer
from harness.scenario.models import Scenario
from harness.scenario.senders import from_domain, senders
from harness.testbed.credentials import fingerprints
from tests.scenario.writing import changed, loaded, problem

MAIL = ("providers:\n", "mail: {domain: shop.example}\nproviders:\n")
PRIMARY = "primary: {provider: m365}"
SIGNS = (PRIMARY, "primary: {provider: m365, mail: {sign: system}}")
EXPECT = ("  mttd: 5s\n", "  mttd: 5s\n  authentication: all\n")


def with_mail(*changes: tuple[str, str]) -> Scenario:
    return loaded(MAIL, *changes)


def test_without_mail_nothing_follows() -> None:
    assert senders(loaded()) == {}


def test_the_domain_is_by_default_that_of_the_address_which_mail_is_from() -> None:
    assert from_domain(loaded(("providers:\n", "mail: {dmarc: none}\nproviders:\n"))) == "shop.example"


def test_every_route_has_a_sender_of_its_own_by_default_and_mailpit_has_none() -> None:
    found = senders(with_mail())
    assert list(found) == ["primary", "backup"]
    primary, backup = found.values()
    assert (primary.signer, primary.domain, primary.selector) == (Signer.PROVIDER, "shop.example", "primary")
    assert (primary.egress, backup.egress) == ("192.0.2.10", "192.0.2.11")
    assert (primary.bounces, backup.bounces) == (None, "bounces.shop.example")
    assert (primary.own, backup.own) == ("microsoft365-smtp.example", "sendgrid.example")
    assert backup.vouches_for("news.shop.example") and not backup.vouches_for("workshop.example")


def test_a_scenario_with_mail_loads_again_from_what_was_resolved() -> None:
    scenario = with_mail(SIGNS, EXPECT)
    assert Scenario.model_validate(scenario.resolved()).model_dump() == scenario.model_dump()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("{domain: shop.com}", "could be somebody's domain"),
        ("{domain: shop}", "is not a domain"),
        ("{egress: 8.8.8.8}", "could be somebody's address"),
        ("{egress: here}", "is not an IPv4 address"),
        ("{key_of: bakcup}", "bakcup"),
        ("{key_of: primary}", "has a key of its own already"),
        ("{sign: me}", "sign"),
        ("{selector: backup}", "has the selector `backup` as `primary` has, and another key"),
        ("{selector: backup, domain: Shop.example}", "and another key"),
    ],
)
def test_what_a_route_may_not_say(written: str, said: str) -> None:
    text = changed(MAIL, (PRIMARY, f"primary: {{provider: m365, mail: {written}}}"))
    assert said in problem(text).render()


@pytest.mark.parametrize(
    "written",
    [
        "{selector: backup, key_of: backup}",
        "{selector: backup, domain: mail.shop.example}",
        "{selector: backup, published: missing}",
        "{selector: backup, sign: nobody}",
    ],
)
def test_one_selector_for_two_routes_where_no_two_keys_would_have_one_name(written: str) -> None:
    assert with_mail((PRIMARY, f"primary: {{provider: m365, mail: {written}}}")).mail is not None


def test_a_route_that_says_who_signs_needs_to_know_whose_mail_it_is() -> None:
    assert "the scenario has no `mail`" in problem(changed(SIGNS)).render()


def test_authentication_needs_to_know_whose_mail_it_is() -> None:
    assert "the scenario has no `mail`" in problem(changed(EXPECT)).render()


def test_mailpit_keeps_its_mail_to_itself() -> None:
    third = ("third: {provider: pit}", "third: {provider: pit, mail: {sign: system}}")
    assert "`mailpit`" in problem(changed(MAIL, third)).render()


def test_one_click_is_asked_of_a_class_that_there_is() -> None:
    expect = (EXPECT[0], "  mttd: 5s\n  authentication: {one_click: [marketing, marketting]}\n")
    assert "marketting" in problem(changed(MAIL, expect)).render()


def test_without_the_libraries_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail_references, "LIBRARIES", ("dkim", "no_such_library"))
    said = problem(changed(MAIL)).render()
    assert "(no_such_library)" in said and "pip install 'mail-failover-harness[auth]'" in said


class TestOneAccountForTwoRoutes:
    SAME = ("grid: {fake: sendgrid, limits: {rate: 50/s, burst: 50}}", "grid: {fake: microsoft365-smtp}")

    def backup(self, account_of: str) -> tuple[str, str]:
        return "backup: {provider: grid}", f"backup: {{provider: grid, account_of: {account_of}}}"

    def test_their_fingerprints_are_one(self) -> None:
        found = fingerprints(loaded(self.SAME, self.backup("primary")), 7)
        assert found["primary"] == found["backup"]

    @pytest.mark.parametrize(
        ("account_of", "said"), [("primray", "primray"), ("backup", "an account of its own already")]
    )
    def test_it_is_another_route_that_there_is(self, account_of: str, said: str) -> None:
        assert said in problem(changed(self.SAME, self.backup(account_of))).render()

    def test_both_lead_to_the_same_kind_of_provider(self) -> None:
        said = problem(changed(self.backup("primary"))).render()
        assert "`primary` leads to another kind of provider" in said


class TestTemplates:
    URL = '{PRIMARY_URL: "{{ routes.primary.url }}"'

    def env(self, text: str) -> tuple[str, str]:
        return self.URL, f'{{PRIMARY_URL: "{{{{ routes.primary.url }}}}", KEY: "{{{{ {text} }}}}"'

    @pytest.mark.parametrize("name", ["selector", "domain", "key_file", "key"])
    def test_where_the_system_signs_it_is_given_a_key(self, name: str) -> None:
        assert with_mail(SIGNS, self.env(f"routes.primary.dkim.{name}"))

    def test_where_the_provider_signs_there_is_none(self) -> None:
        said = problem(changed(MAIL, self.env("routes.backup.dkim.key_file"))).render()
        assert "there is no variable `routes.backup.dkim`" in said

    def test_a_misspelt_one_is_told(self) -> None:
        said = problem(changed(MAIL, SIGNS, self.env("routes.primary.dkim.keyfile"))).render()
        assert "routes.primary.dkim.key_file" in said
