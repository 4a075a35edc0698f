"""What the end of a run lets checks conclude: whether it was quiet, and whether states are known."""

from __future__ import annotations

import pytest

from harness.checks.finding import Finding, Verdict
from harness.history.events import HarnessWarning
from tests.checks.histories import Run, check, ns


def judged(run: Run) -> Finding:
    """One message is missing: lost if nothing moves any more, and not to be told otherwise."""
    return check(run, "delivered", "all")


def missing(*, ends: float = 14.0, longest_retry: str | None = "2s") -> Run:
    """Offered at 10 s and never seen again; four seconds must be quiet."""
    run = Run(ends=ends, longest_retry=longest_retry)
    run.traffic(0, 5, 1)
    run.message(10)
    return run


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (14.0, ""),
        (
            13.9,
            "1 message is missing, but the last 3.9 s were quiet where 4.0 s are needed, "
            "so they may still come",
        ),
    ],
)
def test_exactly_long_enough_is_quiet(ends: float, reason: str) -> None:
    finding = judged(missing(ends=ends))
    assert (finding.verdict, finding.reason) == (
        Verdict.INCONCLUSIVE if reason else Verdict.FAIL,
        reason,
    )


def test_nobody_knows_how_long_a_system_retries_that_does_not_say_so() -> None:
    assert judged(missing(ends=1000, longest_retry=None)).reason == (
        "1 message is missing, but the system's longest retry interval is not known, so they may still come"
    )


@pytest.mark.parametrize("ends", [14.0, 20.0])
def test_what_still_waits_in_the_queue_may_still_come(ends: float) -> None:
    run = missing(ends=ends)
    run.reads("queue_depth", 3, 12, None)
    assert judged(run).reason == (
        "1 message is missing, but the system's queue still held 3 at the end, so they may still come"
    )


@pytest.mark.parametrize("ends", [14.0, 20.0])
def test_a_queue_whose_last_reading_made_no_sense_may_hold_anything(ends: float) -> None:
    run = missing(ends=ends)
    run.reads("queue_depth", 3, 11, None)
    run.reads("queue_depth", "many", 12, None)
    assert judged(run).reason == (
        "1 message is missing, but the last reading of the system's queue made no sense, "
        "so they may still come"
    )


@pytest.mark.parametrize(("depths", "moves"), [((3, 0), False), ((0, 3), True)])
def test_of_readings_at_one_instant_the_last_counts(depths: tuple[int, int], moves: bool) -> None:
    run = missing(ends=20)
    for depth in depths:
        run.reads("queue_depth", depth, 12, None)
    assert ("queue still held" in judged(run).reason) == moves


def test_states_that_could_not_be_read_are_told_as_the_harness_first_saw_it() -> None:
    run = missing()
    for at, detail in ((12, "it answered 500"), (13, "nobody answers")):
        run.events.append(HarnessWarning(t_ns=ns(at), warning="states-unreadable", detail=detail))
    finding = judged(run)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason == (
        "1 message is missing, but what the system holds could not be read (it answered 500)"
    )


def test_other_warnings_say_nothing_about_its_states() -> None:
    run = missing()
    run.events.append(HarnessWarning(t_ns=ns(12), warning="late-driver", detail="40 ms"))
    assert judged(run).verdict is Verdict.FAIL
