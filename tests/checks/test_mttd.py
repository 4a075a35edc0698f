"""When a fault was detected: edges, intervals, inference, and when it cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.detections import outage
from tests.checks.histories import Run, check


def judged(run: Run, params: Any = "5s") -> Finding:
    return check(run, "mttd", params)


def test_a_signal_in_time_is_a_pass() -> None:
    run = outage()
    run.detects(12)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert finding.numbers["mttd_s_max"] == 2
    assert finding.numbers["mttd_s_mean"] == 1.95
    assert finding.summary == "detected in 1.9 s" or finding.summary == "detected in 2.0 s"


def test_too_late_is_a_fail_that_names_the_incident() -> None:
    run = outage()
    run.detects(18)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.offenders[0].subject == "incident f1"
    assert "the target is 5.0 s" in finding.summary


class TestInterval:
    def test_exactly_at_the_target_is_a_pass(self) -> None:
        run = outage()
        run.detects(15)
        assert judged(run).verdict is Verdict.PASS

    def test_a_poll_that_spans_the_target_is_inconclusive(self) -> None:
        run = outage()
        run.detects(15.05, poll=0.1)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "the measurement's error spans the target"

    def test_a_poll_wholly_beyond_it_is_a_fail(self) -> None:
        run = outage()
        run.detects(15.2, poll=0.1)
        assert judged(run).verdict is Verdict.FAIL

    def test_how_long_the_fault_took_to_come_on_widens_it(self) -> None:
        run = Run()
        run.fault(10, 20, takes=0.5)
        run.traffic(10, 20, 0.5, via="backup", after=2)
        run.detects(15.3, poll=0.1)
        finding = judged(run)  # between 4.7 and 5.3 s
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.error.startswith("± 0.300 s")

    def test_answers_without_sense_before_the_edge_widen_it(self) -> None:
        run = outage()
        run.reads("detected", False, 14, before=13.9)
        run.reads("detected", None, 14.1, before=14, error="not JSON")
        run.reads("detected", None, 15, before=14.9, error="not JSON")
        run.reads("detected", True, 15.1, before=15)
        assert judged(run).verdict is Verdict.INCONCLUSIVE


class TestWhichEdgeCounts:
    def test_the_first_one(self) -> None:
        run = outage()
        run.detects(12, until=13)
        run.detects(17)
        assert judged(run).numbers["mttd_s_max"] == 2

    def test_not_one_of_another_route(self) -> None:
        run = outage()
        run.detects(12, route="backup")
        run.detects(18)
        assert judged(run).verdict is Verdict.FAIL

    def test_not_one_before_the_fault(self) -> None:
        run = outage()
        run.detects(8, until=9)
        run.detects(18)
        assert judged(run).numbers["mttd_s_max"] == 8

    @pytest.mark.parametrize(("at", "verdict"), [(25, Verdict.PASS), (25.1, Verdict.FAIL)])
    def test_one_shortly_after_the_end_still(self, at: float, verdict: Verdict) -> None:
        run = outage()
        run.detects(at)
        assert judged(run, "20s").verdict is verdict

    def test_every_incident_must_meet_the_target(self) -> None:
        run = outage()
        outage(40, 50, switches_at=45, run=run)
        run.detects(12, until=21)
        run.detects(48)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.numbers["incidents"] == 2
        assert finding.numbers["mttd_s_mean"] == pytest.approx(4.95)

    def test_faults_with_one_label_are_one_incident(self) -> None:
        run = Run()
        run.fault(10, 20, incident="i")
        run.fault(15, 25, "latency", "backup", incident="i", attributes={"latency": 10})
        run.traffic(10, 20, 0.2, via="backup", after=2)
        run.detects(12)
        assert judged(run).numbers["incidents"] == 1


class TestNeverDetected:
    def test_with_impact_it_took_for_ever(self) -> None:
        run = outage()
        run.reads("detected", False, 1)
        run.reads("detected", False, 50)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.numbers["mttd_s_max"] == "infinite"
        assert "never detected" in finding.offenders[0].why

    def test_without_impact_it_cannot_be_told_whether_it_was_needed(self) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        run.traffic(0, 30, 0.5)
        run.reads("detected", False, 1)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "nothing was overdue because of it" in finding.reason

    def test_what_only_the_driver_made_late_does_not_count_as_impact(self) -> None:
        run = Run()
        run.fault(10, 20)
        run.reads("detected", False, 9)
        for _ in range(2):
            run.copy(run.message(13, offered=16), 16.1, "backup")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "what was overdue had been offered late by the driver" in finding.reason

    def test_where_the_record_is_cut_it_may_have_come_later(self) -> None:
        run = outage(run=Run(finished=False))
        run.reads("detected", False, 1)
        assert judged(run).verdict is Verdict.INCONCLUSIVE


class TestInferred:
    def test_without_a_signal_the_switch_tells(self) -> None:
        finding = judged(outage(switches_at=14))
        assert finding.verdict is Verdict.PASS
        assert finding.numbers["inferred"] == 1
        assert "inferred from the switch" in finding.summary

    def test_one_message_by_another_route_is_no_switch(self) -> None:
        run = Run(baseline=5)  # k = 4 at the share this little traffic shows
        run.fault(10, 20)
        for number in range(10):
            message = run.message(10 + number / 5)
            run.copy(message, 21 + number / 10, "backup" if number < 3 else "primary")
        finding = judged(run)
        assert finding.numbers["inferred"] == 1
        assert finding.numbers["mttd_s_max"] == "infinite"

    def test_without_signal_and_switch_an_impact_went_undetected(self) -> None:
        assert judged(outage(switches_at=None)).verdict is Verdict.FAIL


class TestInconclusive:
    def test_no_incident(self) -> None:
        run = Run()
        run.traffic(0, 10, 1)
        assert judged(run).reason == "there was no incident"

    def test_a_kill_of_the_system_is_on_no_route(self) -> None:
        run = Run()
        run.traffic(0, 10, 0.1)
        run.kill(5, 6)
        assert judged(run).reason == "there was no incident on a route"

    def test_a_signal_without_sense(self) -> None:
        run = outage()
        for at in (11, 12, 13):
            run.reads("detected", None, at, before=at - 1, error="404")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "made no sense" in finding.reason

    def test_a_signal_that_was_on_before(self) -> None:
        run = outage()
        run.detects(5)
        assert "was on before incident f1 began" in judged(run).reason

    def test_a_fault_that_was_never_met(self) -> None:
        run = Run()
        run.traffic(0, 5, 0.5)
        run.fault(10, 20)
        run.detects(12)  # by the system's own probe
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "never met" in finding.reason

    def test_no_target(self) -> None:
        run = outage()
        run.detects(12)
        finding = judged(run, {})
        assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "no target was set")
        assert finding.numbers["mttd_s_max"] == 2


def test_a_record_with_a_hole_cannot_say_that_nothing_detected_it() -> None:
    run = outage(switches_at=None)
    run.reads("detected", False, 5)
    run.reads("detected", False, 50)
    assert judged(run).verdict is Verdict.FAIL
    run.loses_record()
    run.copy(run.message(50), 50.1)
    finding = judged(run)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "not certain that anything was overdue" in finding.reason


def test_an_incident_elsewhere_does_not_end_the_time_to_detect_this_one() -> None:
    for elsewhere, undetected in (("backup", 0), ("primary", 1)):
        run = Run()
        run.fault(10, 12)
        run.fault(13, 20, "latency", elsewhere, attributes={"latency": 100})
        for _ in range(3):
            run.copy(run.message(10), 13.6, "backup")
        run.detects(13.5)
        finding = judged(run)
        # On the same route the later incident takes the detection, and the first one has none.
        assert finding.numbers["undetected"] == undetected, elsewhere
