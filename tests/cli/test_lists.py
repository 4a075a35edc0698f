"""What is listed for people: columns that stand under one another, in lines that fit the terminal."""

from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Harness

COPIED = ("    - {", "      - {")
"""Entries to copy are not broken."""


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize(
    "words",
    [
        "providers",
        "checks",
        "checks duplicates",
        "faults",
        "faults ack-loss",
        "faults slice",
        "faults m365-2026-01-22",
    ],
)
def test_no_line_is_wider_than_the_terminal(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, columns: int, words: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = harness(*words.split()).out.splitlines()
    assert [each for each in lines if len(each) > columns and not each.startswith(COPIED)] == []


def test_the_answers_of_a_provider_stand_under_one_another_however_long_their_names(harness: Harness) -> None:
    for block in harness("providers").out.split("\n\n"):
        answers = re.findall(r"^    [a-z0-9-]+ +(?=\d{3} )", block, re.MULTILINE)
        assert len({len(each) for each in answers}) <= 1, block


def test_a_meaning_goes_on_below_its_beginning(harness: Harness) -> None:
    said = harness("faults", "bounce").out.splitlines()
    (start,) = [number for number, line in enumerate(said) if line.startswith("    event ")]
    assert said[start + 1].startswith(" " * len("    event "))


def test_presets_with_the_same_stages_are_listed_once(harness: Harness) -> None:
    told = harness("faults", "ack-loss").out
    assert told.count("stages ") == 2
    assert "stages reply, mid-reply: in-app, mailgun, microsoft-graph" in told
