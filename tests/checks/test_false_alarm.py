"""No alarm without a fault that explains it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Run, check


def judged(run: Run, params: Any = "none") -> Finding:
    return check(run, "false-alarm", params)


def outage(target: str = "primary", type_: str = "outage", **more: Any) -> Run:
    """From 10 to 20 s."""
    run = Run(**more)
    run.fault(10, 20, type_, target)
    return run


def test_an_alarm_during_a_fault_is_explained() -> None:
    run = outage()
    run.detects(12, until=22)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["alarms"], finding.numbers["false_alarms"]) == (1, 0)
    assert finding.summary == "0 of 1 alarm had no fault to explain it, 0 allowed"


def test_silence_is_a_pass_too() -> None:
    run = Run()
    run.reads("detected", False, 1)
    run.reads("detected", False, 50)
    assert judged(run).verdict is Verdict.PASS


def test_an_alarm_without_any_fault_is_a_fail_that_says_when() -> None:
    run = Run()
    run.detects(30, until=31)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.offenders[0].subject == "route primary"
    assert (
        finding.offenders[0].why == "an alarm at 40.000 s of the run, before any fault that could explain it"
    )


@pytest.mark.parametrize(
    ("at", "verdict"),
    [(9.999, Verdict.FAIL), (10, Verdict.PASS), (25.1, Verdict.PASS), (25.101, Verdict.FAIL)],
)
def test_from_the_injection_to_the_end_and_a_grace(at: float, verdict: Verdict) -> None:
    run = outage()
    run.detects(at, poll=0.1)  # the edge lies in the tenth of a second before
    assert judged(run).verdict is verdict


def test_the_grace_can_be_chosen() -> None:
    run = outage()
    run.detects(28)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.offenders[0].why.endswith("8.000 s after the last fault that could explain it")
    assert judged(run, {"grace": "8s"}).verdict is Verdict.PASS


def test_some_may_be_allowed() -> None:
    run = Run()
    for at in (30, 40):
        run.detects(at, until=at + 1)
    assert judged(run, {"at_most": 2}).verdict is Verdict.PASS
    assert judged(run, {"at_most": 1}).verdict is Verdict.FAIL


def test_an_alarm_that_comes_again_is_another_one() -> None:
    run = outage()
    run.detects(12, until=22)
    run.detects(30, until=31)
    assert (judged(run).numbers["alarms"], judged(run).numbers["false_alarms"]) == (2, 1)


class TestWhichFaultExplains:
    def test_not_one_of_another_route(self) -> None:
        run = outage("backup")
        run.detects(12)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.offenders[0].cause == "without a fault"

    def test_each_route_is_judged_by_itself(self) -> None:
        run = outage("backup")
        run.detects(12, "backup")
        run.reads("detected", False, 12)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["signals"]) == (Verdict.PASS, 2)

    def test_one_of_an_endpoint_that_mail_needs(self) -> None:
        run = outage("primary.token")
        run.detects(12)
        assert judged(run).verdict is Verdict.PASS

    def test_one_of_the_system_explains_all(self) -> None:
        run = Run()
        run.kill(10, 12)
        run.detects(14, "backup")
        assert judged(run).verdict is Verdict.PASS

    def test_any_one_where_the_signal_names_no_route(self) -> None:
        run = outage("backup")
        run.reads("detected", False, 11, None)
        run.reads("detected", True, 12, None, before=11)
        assert judged(run).verdict is Verdict.PASS

    @pytest.mark.parametrize(
        ("target", "type_"), [("primary.events", "outage"), ("primary", "bounce"), ("primary", "status")]
    )
    def test_not_one_that_holds_up_no_mail(self, target: str, type_: str) -> None:
        run = outage(target, type_)
        run.detects(12)
        assert judged(run).verdict is Verdict.FAIL


class TestInconclusive:
    def test_no_signal_was_ever_read(self) -> None:
        assert judged(outage()).reason == "no detection signal was ever read"

    def test_only_answers_without_sense_were(self) -> None:
        run = outage()
        run.reads("detected", None, 50, error="not JSON")
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_it_made_no_sense_while_nothing_was_broken(self) -> None:
        run = outage()
        run.detects(12, until=22)
        run.reads("detected", None, 40, error="not JSON")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "the detection signal made no sense 1 time when nothing was broken"

    @pytest.mark.parametrize(("again", "verdict"), [(44, Verdict.PASS), (44.001, Verdict.INCONCLUSIVE)])
    def test_but_a_short_gap_between_two_readings_is_like_any_other(
        self, again: float, verdict: Verdict
    ) -> None:
        run = Run()
        run.reads("detected", False, 39)
        run.reads("detected", None, 40, error="nobody answers")
        run.reads("detected", False, again)
        assert judged(run).verdict is verdict

    def test_while_something_was_an_alarm_would_have_been_right(self) -> None:
        run = outage()
        run.detects(12, until=22)
        run.reads("detected", None, 24, error="not JSON")
        assert judged(run).verdict is Verdict.PASS

    def test_nor_does_it_matter_what_a_stopped_system_says(self) -> None:
        run = outage()
        run.detects(12, until=22)
        run.reads("detected", None, 101, error="nobody answers")
        assert judged(run).verdict is Verdict.PASS

    def test_it_was_on_from_the_beginning(self) -> None:
        run = outage()
        run.reads("detected", True, 1)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_an_edge_that_may_have_been_during_the_fault_is_no_fail(self) -> None:
        run = outage()
        run.reads("detected", False, 24)
        run.reads("detected", True, 40, before=39.9)
        run.reads("detected", None, 30, error="not JSON")
        assert judged(run).verdict is Verdict.INCONCLUSIVE
