"""Where parameters of checks name a route."""

from __future__ import annotations

from harness.checks import CHECKS
from harness.checks.routes import NamedRoute, named_routes
from harness.scenario.check_catalogue import check_catalogue


def test_a_fallback_names_one_and_a_throttle_one_for_each_bucket() -> None:
    fallback = {"after": "1s", "within": "2s", "route": "sms"}
    assert list(named_routes("fallback", fallback)) == [NamedRoute("sms", "route", is_key=False)]
    assert list(named_routes("throttle", {"primary": {}, "route": {}})) == [
        NamedRoute("primary", "primary", is_key=True),
        NamedRoute("route", "route", is_key=True),
    ]


def test_what_is_written_wrongly_or_left_out_names_none() -> None:
    for written in (None, "sms", {}, {"route": None}, {"route": ["sms"]}, {"rute": "sms"}):
        assert list(named_routes("fallback", written)) == []
    assert list(named_routes("throttle", "primary")) == []
    assert list(named_routes("own.late", {"route": "sms"})) == []


def test_every_check_that_takes_a_route_is_asked_for_it() -> None:
    takes = {
        entry.name
        for entry in check_catalogue()
        if entry.for_each == "route" or "route" in [each.name for each in entry.parameters]
    }
    assert takes == {name for name in CHECKS if list(named_routes(name, {"route": "sms"}))}
    assert takes == {"fallback", "throttle"}
