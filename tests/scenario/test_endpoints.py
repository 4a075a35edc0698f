"""Endpoints beside the one that mail goes through, and routes without mail: what a file may say of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.scenario.errors import Problem
from harness.scenario.hosts import certificate_names, hosts_of
from harness.scenario.plan import incidents, plan
from harness.scenario.timeline import Fault
from tests.providers.stand_ins import TOKEN_HOST, standing_in
from tests.scenario.test_hosts import CONTAINED
from tests.scenario.writing import changed, loaded, problem

FAULTS = "faults:\n"
STATUS = (
    ("  pit: {fake: mailpit}\n", "  pit: {fake: mailpit}\n  page: {fake: smtp}\n"),
    ("routes:\n", "routes:\n  status: {provider: page}\n"),
)
"""A route without mail, and it comes first."""


@pytest.fixture(autouse=True)
def _stand_ins() -> Iterator[None]:
    with standing_in():
        yield


def fault(text: str) -> tuple[str, str]:
    return (FAULTS, f"{FAULTS}  - {{at: 1s, for: 1s, {text}}}\n")


class TestAnEndpointBeside:
    @pytest.mark.parametrize(
        "what",
        [
            "outage", "blackhole", "reset", "auth-failure", "ack-loss", "latency, latency: 100ms",
            "refuse, code: 429", "refuse, named: too-many-requests",
        ],
    )  # fmt: skip
    def test_it_can_have_the_faults_that_a_route_can(self, what: str) -> None:
        scenario = loaded(fault(f"on: backup.token, fault: {what}"))
        assert scenario.faults[0].on == "backup.token"
        assert scenario.breaks_a_route(scenario.faults[0]) and not scenario.is_aside(scenario.faults[0])

    def refused(self, text: str) -> Problem:
        return problem(changed(fault(text)))

    def test_one_that_the_routes_provider_does_not_have_is_refused_with_those_it_has(self) -> None:
        found = self.refused("on: backup.tokn, fault: outage")
        assert found.path == "faults[0].on" and found.message == "there is no endpoint `backup.tokn`"
        assert found.meant == "backup.token"
        assert found.choices == ("backup.token", "backup.events")
        assert self.refused("on: primary.token, fault: outage").choices == ("primary.events",)

    def test_the_system_is_not_broken_there_and_no_answer_is_invented(self) -> None:
        assert (
            self.refused("on: backup.token, fault: pause").message == "`pause` cannot act on `backup.token`"
        )
        assert "too-many-requests" in self.refused("on: backup.token, fault: refuse, named: slow").choices

    def test_detection_and_recovery_can_be_timed_from_a_fault_there_alone(self) -> None:
        other = "  - {at: 7s, for: 2s, on: backup, fault: latency, latency: 400ms, jitter: 100ms}\n"
        scenario = loaded((other, ""), ("on: primary", "on: backup.token"))
        assert {name for name, _ in scenario.expectations()} >= {"mttd", "mttr"}

    def test_it_belongs_to_the_incident_of_its_route(self) -> None:
        scenario = loaded(fault("on: backup.token, fault: outage"), sets=("faults.1.at=1500ms",))
        assert incidents(scenario) == ["i1", "i1", "i1"]

    def test_its_address_is_known_to_templates_of_that_route_alone(self) -> None:
        url = ("SENDERS: 4", 'SENDERS: 4, TOKEN_URL: "{{ routes.backup.token_url }}"')
        assert loaded(url).system.env["TOKEN_URL"] == "{{ routes.backup.token_url }}"
        wrong = problem(changed((url[0], url[1].replace("backup", "primary"))))
        assert wrong.message == "there is no variable `routes.primary.token_url`"
        assert "routes.primary.events_key" in wrong.choices

    def test_a_claimed_host_leads_to_the_endpoint_whose_it_is_and_a_strange_one_to_the_mails(self) -> None:
        hosts = f"[{TOKEN_HOST}, api.sendgrid.com, api.eu.sendgrid.example]"
        scenario = loaded(CONTAINED, ("{provider: grid}", f"{{provider: grid, as: {hosts}}}"))
        assert hosts_of(scenario, "backup") == ["backup", "api.sendgrid.com", "api.eu.sendgrid.example"]
        assert hosts_of(scenario, "backup", "token") == ["backup.token", TOKEN_HOST]
        assert {"backup.token", TOKEN_HOST, "api.sendgrid.com"} <= set(certificate_names(scenario))

    def test_an_external_system_must_be_told_where_it_is(self) -> None:
        system = "external: {host: 127.0.0.1, port: 8080}"
        changes = (
            ("process: [python, -m, mailrouter]", system),
            ('  env: {PRIMARY_URL: "{{ routes.primary.url }}", SENDERS: 4}\n', ""),
            ("{provider: m365}", "{provider: m365, listen: 127.0.0.1:2525}"),
            ("{provider: grid}", "{provider: grid, listen: 127.0.0.1:2526}"),
            ("{provider: pit}", "{provider: pit, listen: 127.0.0.1:2527}"),
        )
        found = problem(changed(*changes))
        assert found.path == "routes.backup" and "{{ routes.backup.token_url }}" in found.message
        told = (*changes[:1], *changes[2:], (changes[1][0], "  setup: [[configure, x]]\n"))
        assert loaded(*told).routes["backup"].listen == "127.0.0.1:2526"


class TestARouteWithoutMail:
    def test_it_is_never_the_usual_one(self) -> None:
        scenario = loaded(*STATUS)
        assert next(iter(scenario.routes)) == "status"
        assert scenario.mail_routes == ("primary", "backup", "third")
        assert scenario.signal_route("detected") == "primary"

    def test_a_fault_there_breaks_none_and_ties_no_incidents_together(self) -> None:
        during = fault("on: status, fault: outage")
        scenario = loaded(*STATUS, during, sets=("faults.0.for=20s", "faults.2.at=15s"))
        (there,) = [each for each in scenario.faults if each.on == "status"]
        assert scenario.is_aside(there) and not scenario.breaks_a_route(there)
        assert incidents(scenario) == ["i1", "i2", "i3"]

    def test_nothing_is_timed_from_a_fault_there(self) -> None:
        text = changed(*STATUS, ("  - {at: 5s, for: 8s, on: primary, fault: auth-failure}\n", ""))
        text = text.replace("on: backup, fault: latency", "on: status, fault: latency")
        for check in ("mttd", "mttr"):
            other = {"mttd": "mttr", "mttr": "mttd"}[check]
            found = problem(text, f"expect.{other}=null", "expect.waves=null")
            assert found.path == f"expect.{check}" and "no mail depends" in found.message

    def test_it_can_be_refused_and_cut_but_asks_nobody_for_a_login(self) -> None:
        for what in ("outage", "refuse, code: 429", "latency, latency: 1s"):
            loaded(*STATUS, fault(f"on: status, fault: {what}"))
        found = problem(changed(*STATUS, fault("on: status, fault: auth-failure")))
        assert found.path == "faults[0].fault" and "asks nobody" in found.message

    def test_a_system_announces_an_outage_where_its_page_is_managed(self) -> None:
        page = (STATUS[0][0], STATUS[0][1].replace("{fake: smtp}", "{fake: statuspage}"))
        url = ("SENDERS: 4", 'SENDERS: 4, PAGE: "{{ routes.status.manage_url }}/v1"')
        refused = fault("on: status.manage, fault: refuse, named: manage-rate-limited")
        scenario = loaded(page, STATUS[1], url, refused)
        (there,) = [each for each in scenario.faults if each.on == "status.manage"]
        assert scenario.is_aside(there) and not scenario.breaks_a_route(there)
        faults = [each for each in plan(scenario, 1).entries if isinstance(each, Fault)]
        (planned,) = [each for each in faults if each.target == "status.manage"]
        assert (planned.type, planned.attributes["named"]) == ("refuse", "manage-rate-limited")

    def test_no_mail_is_counted_there(self) -> None:
        found = problem(changed(*STATUS, ("throttle: {primary:", "throttle: {status: {rate: 5/s}, primary:")))
        assert found.path == "expect.throttle.status" and "no mail goes by `status`" in found.message

    def test_its_provider_takes_none_of_the_load(self) -> None:
        # All the others' limits are known, and the mail is too much for them.
        text = changed(*STATUS, ("  third: {provider: pit}\n", ""), ("count: 100", "count: 9000"))
        found = problem(text, "expect.waves=null")
        assert found.path == "expect.delivered" and "the providers take at most" in found.message

    def test_somewhere_mail_must_go(self) -> None:
        text = changed(*STATUS)
        for route in (
            "  primary: {provider: m365}\n",
            "  backup: {provider: grid}\n",
            "  third: {provider: pit}\n",
        ):
            text = text.replace(route, "")
        text = text.replace("routes.primary.url", "routes.status.url").replace("on: primary", "on: status")
        text = text.replace("on: backup", "on: status").replace("fault: auth-failure", "fault: outage")
        found = problem(text, "expect.throttle=null", "system.signals=null")
        assert found.path == "routes" and "takes mail" in found.message
