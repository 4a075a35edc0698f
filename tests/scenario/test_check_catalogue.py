"""The catalogue of checks tells of each what a person needs to use it, and to trust it."""

from __future__ import annotations

import pytest

from harness.checks import CHECKS
from harness.scenario.check_catalogue import CheckEntry, check_catalogue

ENTRIES = {entry.name: entry for entry in check_catalogue()}


def test_every_check_is_in_it() -> None:
    assert list(ENTRIES) == list(CHECKS)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_each_says_what_it_proves_what_it_cannot_and_when_it_is_inconclusive(entry: CheckEntry) -> None:
    words = entry.about.lower()
    assert "proves" in words
    assert any(each in words for each in ("cannot", "not ", "says nothing"))
    assert "inconclusive" in words


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=lambda entry: entry.name)
def test_each_shows_how_it_is_written_and_what_its_parameters_mean(entry: CheckEntry) -> None:
    assert f"`{entry.name}: " in entry.written
    assert [each.name for each in entry.parameters if not each.meaning or not each.takes] == []


def test_a_parameter_is_told_as_it_is_written() -> None:
    (at_most, only) = ENTRIES["duplicates"].parameters
    assert (at_most.takes, at_most.default, at_most.required) == ("a share, such as `10%`", "0%", False)
    assert only.takes.startswith("one or a list of `lost-ack`, `restart`")


def test_a_default_has_its_unit_beside_a_parameter_that_is_needed() -> None:
    class_, _, grace = ENTRIES["pause"].parameters
    assert (class_.default, class_.required) == ("", True)
    assert (grace.default, grace.required) == ("2s", False)


def test_what_is_given_for_each_route_is_told_once() -> None:
    throttle = ENTRIES["throttle"]
    assert throttle.for_each == "route"
    assert [(each.name, each.required) for each in throttle.parameters] == [("rate", True), ("burst", False)]


def test_short_hands_are_told() -> None:
    assert ENTRIES["duplicates"].words == ("none",)
    assert ENTRIES["mttd"].short_for == "target"
