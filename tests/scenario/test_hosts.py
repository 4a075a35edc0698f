"""Host names that routes claim: which are names, who may claim them, and what follows."""

from __future__ import annotations

import pytest

from harness.scenario.hosts import certificate_names, route_host
from tests.scenario.writing import changed, loaded, problem, problems

CONTAINED = ("process: [python, -m, mailrouter]", "container: {image: shop}")


def claiming(primary: str, backup: str = "[api.sendgrid.com]") -> tuple[tuple[str, str], ...]:
    return (
        CONTAINED,
        ("{provider: m365}", f"{{provider: m365, as: {primary}}}"),
        ("{provider: grid}", f"{{provider: grid, as: {backup}}}"),
    )


def test_claimed_hosts_are_kept_in_small_letters_and_vouched_for() -> None:
    scenario = loaded(*claiming("[SMTP.Office365.com, smtp-legacy.office365.com]"))
    assert scenario.routes["primary"].as_ == ("smtp.office365.com", "smtp-legacy.office365.com")
    assert certificate_names(scenario) == [
        "primary",
        "smtp.office365.com",
        "smtp-legacy.office365.com",
        "backup",
        "api.sendgrid.com",
        "third",
    ]


def test_a_scenario_that_claims_a_host_needs_containers_without_saying_so() -> None:
    assert loaded(*claiming("[smtp.office365.com]")).least_testbed == "containers"
    assert loaded().least_testbed is None


def test_claims_survive_being_written_out_and_read_again() -> None:
    resolved = loaded(*claiming("[smtp.office365.com]")).resolved()
    assert resolved["routes"]["primary"]["as"] == ["smtp.office365.com"]


@pytest.mark.parametrize(
    ("primary", "backup", "where"),
    [
        ("[smtp.office365.com, Smtp.Office365.com]", "[api.sendgrid.com]", "routes.primary.as[1]"),
        ("[api.sendgrid.com]", "[x.example, API.sendgrid.com]", "routes.backup.as[1]"),
    ],
)
def test_a_host_is_claimed_once(primary: str, backup: str, where: str) -> None:
    found = problem(changed(*claiming(primary, backup)))
    assert found.path == where
    assert "already leads to route `primary`" in found.message


@pytest.mark.parametrize(
    "host", ["http://x.example", "x.example:25", "*.x.example", "::1", "10.0.0.1", "ß.example"]
)
def test_what_is_no_host_name_is_refused(host: str) -> None:
    assert [found.path for found in problems(changed(*claiming(f"['{host}']")))] == ["routes.primary.as[0]"]


@pytest.mark.parametrize(("route", "host"), [("primary", "primary"), ("My_Route", "my-route")])
def test_a_route_is_called_by_a_name_that_a_certificate_can_hold(route: str, host: str) -> None:
    assert route_host(route) == host
