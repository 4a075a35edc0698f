"""Flapping: how often transactional mail changed its route."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Run, check


def judged(run: Run, params: Any = None) -> Finding:
    return check(run, "flapping", params or {"at_most": 2})


def outage(run: Run) -> None:
    """Between 5 and 15 s, and met."""
    run.fault(5, 15)
    run.receipt(run.message(5.5, result="refused"), 5.6, "primary", "deferred")


def test_a_failover_and_its_failback_are_two_changes() -> None:
    run = Run()
    outage(run)
    run.traffic(0, 5, 0.5)
    run.traffic(6, 15, 0.5, via="backup")
    run.traffic(16, 20, 0.5)
    finding = judged(run)
    assert (finding.verdict, finding.numbers["changes"]) == (Verdict.PASS, 2)
    assert judged(run, {"at_most": 1}).verdict is Verdict.FAIL


def test_to_and_fro_is_a_fail_that_tells_each_change() -> None:
    run = Run()
    outage(run)
    for at in range(6, 16, 2):
        run.traffic(at, at + 1, 0.5, via="backup")
        run.traffic(at + 1, at + 2, 0.5)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.numbers["changes"] == 10
    assert finding.offenders[0].cause == "primary to backup"


def test_the_first_change_is_from_where_the_baseline_went() -> None:
    run = Run()
    outage(run)
    run.traffic(6, 8, 0.5, via="backup")
    assert judged(run, "none").verdict is Verdict.FAIL


def test_what_was_under_way_when_the_route_was_left_is_no_change() -> None:
    run = Run()
    outage(run)
    slow = run.message(4)
    run.traffic(6, 8, 0.5, via="backup")
    run.copy(slow, 7.2, took=3.0)  # began at 4.2, before the first on the backup
    assert judged(run).numbers["changes"] == 1


def test_campaigns_and_probes_do_not_count() -> None:
    run = Run()
    outage(run)
    run.traffic(0, 5, 0.5)
    run.traffic(1, 4, 1, via="backup", class_="marketing")
    run.receipt(None, 3, "backup", recipient="probe@canary.example", carriers=[])
    finding = judged(run, "none")
    assert (finding.verdict, finding.numbers["changes"]) == (Verdict.PASS, 0)


def test_a_refused_attempt_is_no_change() -> None:
    run = Run()
    outage(run)
    for message in run.traffic(0, 5, 0.5):
        run.receipt(message, message.at + 0.05, "backup", "deferred")
    assert judged(run, "none").numbers["changes"] == 0


def test_nothing_arrived_is_inconclusive() -> None:
    run = Run()
    run.message(5)
    assert judged(run).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("spoilt", ["unexposed", "gap", "read back"])
def test_a_record_that_cannot_tell_is_inconclusive(spoilt: str) -> None:
    run = Run()
    if spoilt != "unexposed":
        outage(run)
    else:
        run.fault(60, 70)
    if spoilt == "gap":
        run.loses_record()
    run.traffic(0, 5, 0.5)
    if spoilt == "read back":
        run.copy(run.message(6), 6.1, observed="after")
    assert judged(run, "none").verdict is Verdict.INCONCLUSIVE


def test_copies_that_began_at_the_same_time_are_in_the_order_of_the_journal() -> None:
    run = Run()
    outage(run)
    for via in ("primary", "backup"):
        run.copy(run.message(6), 6.1, via)
    assert judged(run, "none").numbers["changes"] == 1


@pytest.mark.parametrize(("apart", "verdict"), [(0.1, Verdict.INCONCLUSIVE), (0.11, Verdict.FAIL)])
def test_what_is_within_the_clock_error_has_no_order_and_fails_nobody(apart: float, verdict: Verdict) -> None:
    run = Run(clock_error=0.05)
    outage(run)
    for at, via in ((6, "primary"), (7, "backup"), (7 + apart, "primary"), (8, "backup")):
        run.copy(run.message(at), at + 0.1, via)
    finding = judged(run)
    assert finding.numbers["changes"] == 3
    assert finding.verdict is verdict
    assert verdict is Verdict.FAIL or "in which order" in finding.reason
    assert judged(run, {"at_most": 3}).verdict is Verdict.PASS
    assert judged(run, "none").verdict is Verdict.FAIL  # one change there was, in whatever order
