"""`harness faults`: everything that can be broken, by one command."""

from __future__ import annotations

import json

from harness.scenario.faults import KINDS
from harness.scenario.sequences import library
from tests.cli.conftest import Harness


def test_it_lists_every_fault_and_every_sequence_with_an_entry_to_copy(harness: Harness) -> None:
    ended = harness("faults")
    assert ended.code == 0
    for kind, model in KINDS.items():
        assert f"\n{kind}  " in ended.out
        assert f"- {model.examples[0]}" in ended.out
    for name in library.names():
        assert f"sequence: {name}" in ended.out


def test_one_fault_is_told_in_full(harness: Harness) -> None:
    ended = harness("faults", "ack-loss")
    assert ended.code == 0
    for example in KINDS["ack-loss"].examples:
        assert example in ended.out
    (stages,) = [
        line for line in ended.out.splitlines() if line.strip().startswith("stages reply, mid-reply:")
    ]
    assert "sendgrid" in stages
    assert "recipient" in ended.out
    assert "sequence" not in ended.out


def test_a_sequence_is_told_with_its_steps_and_sources(harness: Harness) -> None:
    ended = harness("faults", "m365-2026-01-22")
    assert ended.code == 0
    assert "MO1221364" in ended.out
    assert "named: temporary-server-error" in ended.out
    assert "source:" in ended.out


def test_ranges_defaults_and_what_is_needed_are_told(harness: Harness) -> None:
    told = harness("faults", "latency").out
    assert "a duration, 1ms to 60s; needed" in told
    assert "by default 0s" in told


def test_programs_get_one_document(harness: Harness) -> None:
    document = json.loads(harness("faults", "--json").out)
    assert [each["kind"] for each in document["faults"]] == list(KINDS)
    assert [each["sequence"] for each in document["sequences"]] == list(library.names())
    assert {each["name"] for each in document["selection"]} >= {"share", "nth", "recipient"}
    (one,) = json.loads(harness("faults", "hang", "--json").out)["faults"]
    assert "sendgrid" in one["played_by"]


def test_an_unknown_name_is_exit_2_with_what_was_meant(harness: Harness) -> None:
    ended = harness("faults", "ack-los")
    assert ended.code == 2
    assert "did you mean `harness faults ack-loss`" in ended.err


def test_providers_tell_what_they_can_play(harness: Harness) -> None:
    by_name = {each["name"]: each for each in json.loads(harness("providers", "--json").out)}
    assert "key-rotated" in by_name["sendgrid"]["faults"]
    assert by_name["microsoft-graph"]["endpoints"] == ["token"]
    assert by_name["sendgrid"]["events"] and not by_name["smtp"]["events"]


def test_a_plan_shows_the_faults_of_a_sequence(harness: Harness) -> None:
    sets = "faults=[{at: 5s, on: primary, sequence: m365-2026-01-22, speed: 1000}]"
    ended = harness("plan", "scenarios/m365-auth-outage.yaml", "--set", sets)
    assert ended.code == 0
    assert ended.out.count("temporary-server-error") == 3
