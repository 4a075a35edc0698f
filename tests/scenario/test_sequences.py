"""Outages that people know by name: each is whole, loads on every preset that it is for, and stands in the
plan as the ordinary faults that it is made of.
"""

from __future__ import annotations

import pytest

from harness.checks.units import NS_PER_S
from harness.providers import presets
from harness.scenario.errors import Problem
from harness.scenario.loader import load_text
from harness.scenario.plan import plan
from harness.scenario.sequences import library
from harness.scenario.timeline import Fault
from tests.scenario.writing import FILE, problem, problems

SECOND = NS_PER_S
ENTRY = "at: 5s, on: primary, sequence:"

NAMED_PRESETS = {
    preset
    for name in library.names()
    for version in library.load(name).versions
    for preset in ([] if version.presets == library.ANY else version.presets)
} | {preset for name in library.names() if (told := library.load(name).told) for preset in told.presets}
EVERYWHERE = [(name, fake) for name in library.names() for fake in library.load(name).fakes]


def scenario(fake: str, *faults: str) -> str:
    lines = "\n".join(f"  - {{{fault}}}" for fault in faults)
    return f"""\
scenario: drill
summary: What happened once.
providers:
  one: {{fake: {fake}}}
  two: {{fake: sendgrid}}
  page: {{fake: statuspage}}
routes:
  primary: {{provider: one}}
  backup: {{provider: two}}
  page: {{provider: page}}
system:
  process: [python, -m, mailrouter]
  submit: {{http: "POST /messages"}}
  longest_retry: 2s
workload:
  - {{stream: receipts, class: transactional, rate: 20/min, for: 20s, within: 1s}}
faults:
{lines}
drain: {{deadline: 60s}}
expect: {{duplicates: none}}
"""


def faults(text: str) -> list[Fault]:
    return [entry for entry in plan(load_text(text, FILE)).entries if isinstance(entry, Fault)]


def refused(fake: str, *entries: str) -> Problem:
    return problem(scenario(fake, *entries))


def test_the_presets_that_sequences_name_are_there() -> None:
    """Or a sequence would be for nobody, and no test here would say so."""
    assert set(presets.names()) >= NAMED_PRESETS


def test_those_that_were_promised_are_there_and_for_somebody() -> None:
    promised = {
        "backup-cold",
        "entra-secret-expired",
        "graph-504-but-sent",
        "m365-2026-01-22",
        "m365-smtp-auth-retired",
        "provider-silent-drop",
        "ses-throttled-drops",
    }
    assert set(library.names()) == promised
    assert all(library.load(name).fakes for name in promised)


@pytest.mark.parametrize("name", library.names())
def test_each_says_what_happened_and_where_that_is_known_from(name: str) -> None:
    sequence = library.load(name)
    assert len(sequence.about) > 200
    assert sequence.sources
    assert len(sequence.summary) < 130


@pytest.mark.parametrize(("name", "fake"), EVERYWHERE)
@pytest.mark.parametrize("speed", [1, 100, 100_000])
def test_it_loads_on_every_preset_that_it_is_for_at_any_speed(name: str, fake: str, speed: int) -> None:
    told = ", status: page" if library.load(name).told is not None else ""
    planned = faults(scenario(fake, f"{ENTRY} {name}, speed: {speed}{told}"))
    steps = library.load(name).version_for(fake)
    assert steps is not None
    assert [fault.type for fault in planned if fault.target != "page"] == [step.kind for step in steps.steps]
    assert {fault.incident for fault in planned} == {"i1"}
    assert min(fault.at_ns for fault in planned) == 5 * SECOND
    for fault in planned:
        assert fault.until_ns is not None
        assert fault.until_ns - fault.at_ns >= SECOND


def test_the_outage_of_january_keeps_its_times() -> None:
    first, second, third = faults(scenario("microsoft365-smtp", f"{ENTRY} m365-2026-01-22"))
    minutes = 60 * SECOND
    assert (first.at_ns, first.until_ns) == (5 * SECOND, 5 * SECOND + 97 * minutes)  # 14:37 to 16:14
    assert second.at_ns - 5 * SECOND == 127 * minutes  # half an hour of false recovery
    assert third.at_ns - 5 * SECOND == 265 * minutes  # 19:02
    assert third.until_ns == 5 * SECOND + 596 * minutes  # 00:33


def test_a_hundred_times_faster_it_fits_into_a_run() -> None:
    one, page = f"{ENTRY} m365-2026-01-22, speed: 100", ", status: page"
    ends = [fault.until_ns or 0 for fault in faults(scenario("microsoft365-smtp", one))]
    assert max(ends) == round((5 + 357.6) * SECOND)
    with_page = faults(scenario("microsoft365-smtp", one + page))
    assert [(fault.type, fault.target) for fault in with_page if fault.target == "page"] == [
        ("refuse", "page"),
        ("status", "page"),
    ]


def test_where_a_step_would_be_too_short_the_order_stays() -> None:
    planned = faults(scenario("microsoft365-smtp", f"{ENTRY} m365-2026-01-22, speed: 100000"))
    times = [(fault.at_ns // SECOND, (fault.until_ns or 0) // SECOND) for fault in planned]
    assert times == [(5, 6), (7, 8), (8, 9)]


def test_a_token_service_is_found_beside_the_route() -> None:
    (fault,) = faults(scenario("microsoft-graph", f"{ENTRY} entra-secret-expired, speed: 1000"))
    assert fault.target == "primary.token"


def test_a_provider_has_its_own_version() -> None:
    by_api, _ = faults(scenario("ses-v2", f"{ENTRY} ses-throttled-drops"))
    by_smtp, _ = faults(scenario("smtp", f"{ENTRY} ses-throttled-drops"))
    assert by_api.attributes["named"] == "sending-rate-exceeded"
    assert (by_smtp.attributes["code"], by_smtp.attributes["stage"]) == (454, "body")


def test_a_label_of_ones_own_joins_other_faults() -> None:
    one = f"{ENTRY} m365-smtp-auth-retired, speed: 100, incident: worst day"
    other = "at: 60s, for: 2s, on: backup, fault: outage, incident: worst day"
    assert {fault.incident for fault in faults(scenario("microsoft365-smtp", one, other))} == {"i1"}


def test_what_is_resolved_has_ordinary_faults_and_loads_again() -> None:
    loaded = load_text(scenario("microsoft365-smtp", f"{ENTRY} m365-2026-01-22, speed: 100"), FILE)
    written = loaded.resolved()["faults"]
    assert [each["fault"] for each in written] == ["refuse"] * 3
    assert {each["incident"] for each in written} == {"m365-2026-01-22"}


class TestRefused:
    def test_a_provider_that_it_cannot_happen_to(self) -> None:
        found = refused("sendgrid", f"{ENTRY} m365-2026-01-22")
        assert found.path == "faults[0].sequence"
        assert "It is for microsoft365-smtp." in found.render()
        assert "provider-silent-drop" in found.choices

    def test_a_name_that_nobody_knows(self) -> None:
        assert refused("smtp", f"{ENTRY} backup-colt").meant == "backup-cold"

    def test_a_status_page_that_is_none(self) -> None:
        found = refused("microsoft365-smtp", f"{ENTRY} m365-2026-01-22, status: backup")
        assert (found.path, found.choices) == ("faults[0].status", ("page",))

    def test_a_status_page_that_never_said_anything(self) -> None:
        assert "Leave it out" in refused("smtp", f"{ENTRY} backup-cold, status: page").advice

    @pytest.mark.parametrize(
        ("entry", "key"),
        [
            ("at: 5s, on: primery, sequence: backup-cold", "on"),
            ("at: 5s, on: primary, sequence: backup-cold, sped: 100", "sped"),
            ("at: 5s, on: primary, sequence: backup-cold, speed: 0.5", "speed"),
            ("at: 5, on: primary, sequence: backup-cold", "at"),
            ("at: 5s, on: primary, sequence: backup-cold, fault: outage", "fault"),
        ],
    )
    def test_other_slips(self, entry: str, key: str) -> None:
        found = refused("smtp", entry)
        assert found.path == f"faults[0].{key}"
        assert found.line == 18

    def test_a_step_that_cannot_be_proved_is_told_at_the_sequence(self) -> None:
        other = "at: 5s, for: 9s, on: primary, fault: silent-drop"
        found = refused("microsoft365-smtp", other, f"{ENTRY} m365-smtp-auth-retired")
        assert found.path == "faults[1] (step 1 of m365-smtp-auth-retired)"
        assert found.line == 19

    def test_faults_after_a_sequence_keep_their_numbers(self) -> None:
        found = refused(
            "microsoft365-smtp",
            f"{ENTRY} m365-2026-01-22",
            "at: 5s, for: 2s, on: bakup, fault: outage",
        )
        assert (found.path, found.line) == ("faults[1].on", 19)

    def test_a_change_from_outside_counts_the_entries_of_the_file(self) -> None:
        text = scenario(
            "microsoft365-smtp", f"{ENTRY} m365-2026-01-22", "at: 5s, for: 2s, on: backup, fault: outage"
        )
        assert not problems(text, "faults.1.for=3s", "faults.0.speed=100")
        assert problem(text, "faults.0.speed=fast").override == "faults.0.speed=fast"
