"""When mail took another route: the switch, its interval, and what an impact without one means."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Run, check
from tests.checks.mitigations import outage


def judged(run: Run, params: Any = "8s") -> Finding:
    return check(run, "mttm", params)


def test_a_switch_in_time_is_a_pass() -> None:
    finding = judged(outage(15))
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["mttm_s_max"], finding.numbers["mttm_s_mean"]) == (5, 5)
    assert finding.summary == "mail took another route 5.0 s after the fault"


@pytest.mark.parametrize(("at", "verdict"), [(18, Verdict.PASS), (18.001, Verdict.FAIL)])
def test_exactly_at_the_target_is_in_time(at: float, verdict: Verdict) -> None:
    assert judged(outage(at)).verdict is verdict


def test_too_late_is_a_fail_that_names_the_incident() -> None:
    finding = judged(outage(19))
    assert finding.verdict is Verdict.FAIL
    assert finding.offenders[0].subject == "incident f1"
    assert finding.offenders[0].why == "switched 9.0 s after outage on primary"
    assert "the target is 8.0 s" in finding.summary


@pytest.mark.parametrize(
    ("at", "verdict"),
    [(17.7, Verdict.PASS), (17.8, Verdict.INCONCLUSIVE), (18.2, Verdict.INCONCLUSIVE), (18.3, Verdict.FAIL)],
)
def test_a_clock_error_that_spans_the_target_is_inconclusive(at: float, verdict: Verdict) -> None:
    assert judged(outage(at, run=Run(clock_error=0.25))).verdict is verdict


def test_how_long_the_fault_took_to_come_on_widens_the_value() -> None:
    run = Run()
    run.fault(10, 20, takes=0.5)
    for message in [run.message(10 + number / 10) for number in range(20)]:
        run.copy(message, 18.2, "backup")
    assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_every_incident_must_meet_the_target() -> None:
    run = outage(15)
    outage(49, run=run, on=40, off=50)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert (finding.numbers["incidents"], finding.numbers["mttm_s_mean"]) == (2, 7)


def test_an_impact_without_a_switch_took_for_ever() -> None:
    finding = judged(outage(None))
    assert finding.verdict is Verdict.FAIL
    assert (finding.numbers["mttm_s_max"], finding.numbers["unmitigated"]) == ("infinite", 1)
    assert "never switched away from outage on primary" in finding.offenders[0].why


@pytest.mark.parametrize(("copies", "verdict"), [(2, Verdict.FAIL), (3, Verdict.PASS)])
def test_so_many_in_a_row_that_it_is_no_chance_are_a_switch(copies: int, verdict: Verdict) -> None:
    """Three, after a baseline of 20 by the primary alone: (1/22)³ is less than a thousandth."""
    run = outage(None)
    for number in range(copies):
        run.copy(run.message(15 + number / 100), 15.5 + number / 100, "backup")
    assert judged(run).verdict is verdict


def test_without_impact_and_without_a_switch_it_was_not_needed() -> None:
    run = Run()
    run.fault(10, 20, "latency", attributes={"latency": 50})
    run.traffic(0, 30, 0.5)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["mttm_s_max"], finding.numbers["not_needed"]) == (None, 1)
    assert "not needed" in finding.summary


def test_a_switch_before_any_impact_is_measured() -> None:
    run = Run()
    run.fault(10, 20)
    run.traffic(0, 10, 0.5)
    run.traffic(10, 20, 0.5, via="backup")
    run.detects(10.2)
    finding = judged(run)
    assert (finding.verdict, finding.numbers["mttm_s_max"]) == (Verdict.PASS, 0.1)


def test_an_operators_switch_counts_as_any_other() -> None:
    run = outage(15)
    run.operator("switch", 14.9)
    assert judged(run).verdict is Verdict.PASS


def test_a_fault_on_a_route_that_mail_does_not_take_needs_no_switch_whatever_the_traffic_looks_like() -> None:
    """After 5 copies of a baseline, 39 more by the primary would look like a switch, 20 s after the fault."""
    run = Run(baseline=5)
    run.fault(10, 50, target="backup")
    run.traffic(30, 60, 0.5)
    finding = judged(run)
    assert (finding.verdict, finding.numbers["not_needed"]) == (Verdict.PASS, 1)


def test_a_switch_back_is_measured_where_mail_had_gone_on_by_the_backup() -> None:
    run = outage(15, run=Run(baseline=3))
    run.traffic(20, 40, 0.5, via="backup")
    run.fault(40, 50, target="backup")
    for message in [run.message(40 + number / 10) for number in range(60)]:
        run.copy(message, max(message.at + 0.1, 45))
    finding = judged(run)
    assert (finding.verdict, finding.numbers["mttm_s_max"]) == (Verdict.PASS, 5)


class TestInconclusive:
    def test_without_a_target_it_is_measured_only(self) -> None:
        finding = judged(outage(15), {})
        assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "no target was set")
        assert finding.numbers["mttm_s_max"] == 5

    @pytest.mark.parametrize("fault", [False, True])
    def test_no_incident_on_a_route(self, fault: bool) -> None:
        run = Run()
        run.traffic(0, 20, 0.5)
        if fault:
            run.kill(5, 6)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == ("there was no incident on a route" if fault else "there was no incident")

    def test_only_campaigns_were_there_to_be_sent(self) -> None:
        run = Run(baseline=0)
        run.fault(10, 20)
        run.traffic(5, 25, 0.5, class_="marketing", via="backup")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "no transactional message" in finding.reason

    def test_the_record_ends_before_a_switch(self) -> None:
        run = outage(None, run=Run(finished=False, longest_retry="60s"))
        assert judged(run, "60s").verdict is Verdict.INCONCLUSIVE
        assert judged(run).verdict is Verdict.FAIL, "but it had not come when the target was over"

    def test_what_was_overdue_had_been_offered_late_by_the_driver(self) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 50})
        for number in range(5):
            run.copy(run.message(12, offered=14 + number / 10), 14.2 + number / 10)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "had been offered late by the driver" in finding.reason
        assert (finding.numbers["unmitigated"], finding.numbers["not_needed"]) == (0, 0)

    @pytest.mark.parametrize(("after", "verdict"), [(1.1, Verdict.INCONCLUSIVE), (1.101, Verdict.FAIL)])
    def test_they_were_overdue_for_less_than_the_clock_error(self, after: float, verdict: Verdict) -> None:
        run = Run(clock_error=0.1)
        run.fault(10, 20, "latency", attributes={"latency": 1000})
        for message in [run.message(12) for _ in range(3)]:
            run.copy(message, 12 + after)
        assert judged(run).verdict is verdict

    def test_a_few_copies_by_the_usual_route_do_not_show_that_the_backup_was_left(self) -> None:
        run = outage(15)
        run.traffic(20, 40, 0.5, via="backup")
        run.fault(40, 50, target="backup")
        for message in [run.message(40 + number / 10) for number in range(30)]:
            run.copy(message, max(message.at + 0.1, 45))
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "mail did not usually take backup, so leaving incident f2 cannot be told"

    def test_one_of_two_incidents_had_no_mail_with_a_time_to_keep(self) -> None:
        run = outage(15)
        run.fault(40, 50)
        run.traffic(35, 39, 1, class_="marketing", via="backup")
        run.copy(run.message(45, "marketing"), 45.5, "backup")
        run.receipt(run.message(45, "marketing"), 46, result="aborted")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "no transactional message was there to be sent during incident f2"

    @pytest.mark.parametrize("switches_at", [None, 19])
    def test_what_is_missing_of_the_record_may_be_the_switch(self, switches_at: float | None) -> None:
        run = outage(switches_at)
        run.loses_record("backup")
        run.copy(run.message(30), 30.1, "backup")
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("at", [15, 19])
    def test_copies_were_read_back(self, at: float) -> None:
        run = outage(at)
        run.copy(run.message(30), 30.1, "backup", observed="after")
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_nobody_met_the_fault(self) -> None:
        run = Run()
        run.traffic(0, 5, 0.5)
        run.fault(60, 70)
        assert judged(run).verdict is Verdict.INCONCLUSIVE
