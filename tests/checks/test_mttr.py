"""When mail flowed in time again: overdue, impact, restored, drained, and their borders."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from harness.history.events import Outcome
from tests.checks.histories import Message, Run, check


def judged(run: Run, params: Any = "5s") -> Finding:
    return check(run, "mttr", params)


def late(run: Run, at: float, arrives: float, count: int = 2, via: str = "backup") -> list[Message]:
    """Transactional messages, due within 1 s, that arrive when they do."""
    messages = [run.message(at) for _ in range(count)]
    for message in messages:
        run.copy(message, arrives, via)
    return messages


def outage(run: Run | None = None) -> Run:
    run = run or Run()
    run.fault(10, 20)
    return run


def test_restored_in_time_is_a_pass() -> None:
    run = outage()
    late(run, 10, 14)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert finding.numbers["mttr_s_max"] == 4
    assert finding.numbers["worst_late_s"] == 4
    assert finding.summary == "mail flowed in time again 4.0 s after the fault"


def test_exactly_at_the_target_is_a_pass_and_a_moment_later_a_fail() -> None:
    for arrives, verdict in ((15, Verdict.PASS), (15.001, Verdict.FAIL)):
        run = outage()
        late(run, 10, arrives)
        assert judged(run).verdict is verdict


def test_a_clock_error_that_spans_the_target_is_inconclusive() -> None:
    run = outage(Run(clock_error=0.01))
    late(run, 10, 15)
    assert judged(run).reason == "the measurement's error spans the target"


def test_a_failure_names_the_incident_then_the_worst_messages() -> None:
    run = outage()
    worst = late(run, 10, 17, 1)[0]
    late(run, 10, 16)
    finding = judged(run)
    assert finding.offenders[0].subject == "incident f1"
    assert finding.offenders[1].token == worst.token


class TestImpact:
    def test_fewer_than_two_overdue_at_once_are_none(self) -> None:
        run = outage()
        late(run, 10, 18, 1)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.summary.startswith("recovery was not needed")
        assert judged(run, {"target": "5s", "min_overdue": 1}).verdict is Verdict.FAIL

    def test_two_that_only_touch_are_none(self) -> None:
        run = outage()
        late(run, 10, 18, 1)
        late(run, 17, 19, 1)
        assert judged(run).numbers["with_impact"] == 0

    def test_a_message_exactly_in_time_is_not_overdue(self) -> None:
        run = outage()
        late(run, 10, 11, 5)
        run.detects(12)
        assert judged(run).numbers["overdue"] == 0

    def test_it_lasts_until_the_last_one_that_began_before_the_next_incident(self) -> None:
        run = outage()
        late(run, 10, 12)
        late(run, 15, 17)
        run.fault(40, 50)
        late(run, 41, 43)
        finding = judged(run, "8s")
        assert finding.numbers["incidents"] == 2
        assert finding.numbers["mttr_s_max"] == 7
        assert finding.numbers["mttr_s_mean"] == 5

    def test_lateness_counts_from_the_first_schedule(self) -> None:
        run = outage()
        for _ in range(2):
            message = run.message(10, result="refused")
            run.offer_again(message, 16, 2, "accepted")
            run.copy(message, 16.1, "backup")
        assert judged(run).verdict is Verdict.FAIL

    def test_marketing_is_never_overdue(self) -> None:
        run = outage()
        for _ in range(5):
            run.copy(run.message(10, "marketing", within=1), 90)
        late(run, 10, 12)
        assert judged(run).verdict is Verdict.PASS


class TestEnds:
    def test_never_arriving_is_for_ever(self) -> None:
        run = outage()
        run.message(10)
        run.message(10)
        finding = judged(run, "1h")
        assert finding.verdict is Verdict.FAIL
        assert finding.numbers["mttr_s_max"] == "infinite"
        assert finding.offenders[1].why == "never arrived"

    def test_refused_to_the_end_is_for_ever_too(self) -> None:
        run = outage()
        run.message(10, result="refused")
        run.message(10, result="refused")
        assert judged(run, "1h").verdict is Verdict.FAIL

    def test_where_the_record_is_cut_only_what_was_seen_is_certain(self) -> None:
        run = outage(Run(finished=False))
        run.message(10)
        run.message(10)
        run.copy(run.message(30), 30.1)
        assert judged(run, "5s").verdict is Verdict.FAIL
        assert judged(run, "1h").verdict is Verdict.INCONCLUSIVE

    def test_an_impact_that_began_before_the_fault_belongs_to_the_first_incident(self) -> None:
        run = Run()
        for _ in range(2):
            run.copy(run.message(8.9), 10.5)
        outage(run)
        run.receipt(None, 11, result="refused")
        for number in range(40):
            run.message(9 + number * 0.25)
        assert judged(run, "5s").verdict is Verdict.FAIL

    def test_a_hold_told_only_at_the_end_counts_from_when_the_fate_became_unknown(self) -> None:
        run = outage()
        for _ in range(2):
            message = run.message(10)
            run.receipt(message, 10.1, "primary", "aborted")
            run.says(message, "held", 59)
        assert judged(run, "5s").verdict is Verdict.PASS

    def test_what_the_harness_cut_short_did_not_last_for_ever(self) -> None:
        for outcome, verdict in (
            (Outcome.INJECTION_FAILED, Verdict.INCONCLUSIVE),
            (Outcome.INTERRUPTED, Verdict.INCONCLUSIVE),
            (Outcome.SYSTEM_EXITED, Verdict.FAIL),
        ):
            run = outage(Run(ends=20, outcome=outcome))
            for _ in range(2):
                run.message(12)
            assert judged(run, "15s").verdict is verdict, outcome

    def test_an_expiry_ends_it(self) -> None:
        run = outage()
        for _ in range(2):
            run.message(10, expires=14)
        assert judged(run).numbers["mttr_s_max"] == 4

    def test_a_valid_hold_ends_it_and_an_invalid_one_does_not(self) -> None:
        for result, verdict in (("aborted", Verdict.PASS), ("deferred", Verdict.FAIL)):
            run = outage()
            for _ in range(2):
                message = run.message(10)
                run.receipt(message, 10.1, "primary", result)
                run.says(message, "held", 13)
            assert judged(run).verdict is verdict


class TestDrained:
    @pytest.mark.parametrize(("measure", "mttr"), [("restored", 3), ("drained", 9)])
    def test_the_last_overdue_message_counts(self, measure: str, mttr: float) -> None:
        run = outage()
        late(run, 10, 13)
        late(run, 10, 19, 1)
        finding = judged(run, {"target": "10s", "measure": measure})
        assert finding.numbers["mttr_s_max"] == mttr


class TestInconclusive:
    def test_no_incident(self) -> None:
        run = Run()
        run.traffic(0, 5, 1)
        assert judged(run).reason == "there was no incident"

    def test_nothing_transactional(self) -> None:
        run = outage()
        run.traffic(9, 21, 0.5, class_="marketing")
        assert judged(run).reason == "no transactional message had a time to keep"

    def test_a_fault_that_was_never_met(self) -> None:
        run = Run()
        run.traffic(0, 5, 0.5)
        outage(run)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "no transactional message had a time to keep"

    def test_times_that_were_read_back(self) -> None:
        run = outage()
        for _ in range(2):
            run.copy(run.message(10), 14, "backup", observed="after")
        assert "without exact times" in judged(run).reason

    def test_a_missing_record_may_be_the_copy(self) -> None:
        run = outage()
        run.message(10)
        run.message(10)
        run.loses_record()
        run.copy(run.message(30), 30.1)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "1 record is missing from m365" in finding.reason


class TestALateDriver:
    """Who was given a message late cannot have sent it earlier: so much of its wait is the harness's own."""

    def driven_late(self, offered: float, arrives: float) -> Run:
        run = outage()
        late(run, 10, 12)
        for _ in range(2):
            run.copy(run.message(13, offered=offered), arrives, "backup")
        return run

    def test_neither_passes_nor_fails_by_what_was_offered_late(self) -> None:
        finding = judged(self.driven_late(offered=16, arrives=16.1))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "the measurement's error spans the target"
        assert finding.error.startswith("± 2.050 s")  # from the impact before, to the end of the late ones

    def test_is_no_excuse_for_what_the_system_took_on_top(self) -> None:
        assert judged(self.driven_late(offered=13.2, arrives=16.1)).verdict is Verdict.FAIL

    def test_does_no_harm_where_the_target_is_met_all_the_same(self) -> None:
        assert judged(self.driven_late(offered=14.5, arrives=14.6)).verdict is Verdict.PASS

    def test_alone_it_may_be_that_no_recovery_was_needed(self) -> None:
        run = outage()
        for _ in range(2):
            run.copy(run.message(13, offered=16), 16.1, "backup")
        assert judged(run).verdict is Verdict.INCONCLUSIVE
        assert judged(run, {"target": "5s", "measure": "drained"}).verdict is Verdict.INCONCLUSIVE

    def test_by_no_more_than_the_time_that_the_message_had_makes_nothing_overdue_of_its_own(self) -> None:
        run = outage()
        for _ in range(2):
            run.copy(run.message(10, offered=10.5), 14, "backup")
        assert judged(run).numbers["mttr_s_max"] == 4
        assert judged(run).error.startswith("± 0.000 s")
