"""What stops mail of a class and lets it go: pauses of which the system speaks route by route."""

from __future__ import annotations

import pytest

from harness.checks.finding import Verdict
from tests.checks.histories import Run, check


def paused(route: str | None = "annex") -> Run:
    """The system says of one route that it is paused, from 10 s to 20 s."""
    run = Run()
    for at, value in ((9, False), (10, True), (20, False)):
        run.reads("paused", value, at, route, before=at - 1)
    return run


@pytest.mark.parametrize(
    ("tried", "attempts", "verdict"), [(15, 1, Verdict.FAIL), (19.2, 0, Verdict.PASS), (25, 0, Verdict.PASS)]
)
def test_a_pause_of_one_route_ends_when_the_system_says_so_of_it(
    tried: float, attempts: int, verdict: Verdict
) -> None:
    """It may have ended as early as the reading before."""
    run = paused(f"annex {attempts} {tried}")
    run.copy(run.message(8, "marketing"), tried)
    finding = check(run, "pause", "marketing")
    assert (finding.numbers["pauses"], finding.numbers["attempts"]) == (1, attempts)
    assert finding.verdict is verdict


def test_it_does_not_end_when_the_system_says_so_of_another_route() -> None:
    run = paused()
    for at, value in ((11, True), (13, False)):
        run.reads("paused", value, at, "elsewhere", before=at - 1)
    run.copy(run.message(8, "marketing"), 15)
    finding = check(run, "pause", "marketing")
    assert (finding.numbers["pauses"], finding.numbers["attempts"]) == (1, 1)


def test_two_words_at_one_instant_are_two_pauses() -> None:
    run = Run()
    run.operator("pause", 10)
    run.operator("pause", 10, "marketing")
    run.operator("pause", 10, "digest")
    run.message(12, "marketing")
    finding = check(run, "pause", "marketing")
    assert (finding.verdict, finding.numbers["pauses"]) == (Verdict.PASS, 2)


def test_what_turns_off_at_the_instant_at_which_a_pause_begins_does_not_end_it() -> None:
    run = paused()
    for at, value in ((7, False), (8, True), (10, False)):
        run.reads("paused", value, at, "elsewhere", before=at - 1)
    run.copy(run.message(8, "marketing"), 15)
    finding = check(run, "pause", "marketing")
    assert (finding.numbers["pauses"], finding.numbers["attempts"]) == (2, 1)
