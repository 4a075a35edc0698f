"""Nothing moves at the end: how long it was silent, what the queue says, and when that cannot be told."""

from __future__ import annotations

import pytest

from harness.checks.finding import Finding, Verdict
from harness.history.events import Outcome
from tests.checks.histories import Message, Run, check


def judged(run: Run) -> Finding:
    return check(run, "quiescence", "reached")


def test_a_long_silence_and_an_empty_queue_are_a_pass() -> None:
    run = Run()
    run.traffic(0, 10, 1)
    run.reads("queue_depth", 3, 5, None)
    run.reads("queue_depth", 0, 12, None)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["quiet_s"], finding.numbers["needed_s"]) == (90.9, 4.0)
    assert finding.summary == "nothing moved in the last 90.9 s, 4.0 s are needed, the queue was empty"


@pytest.mark.parametrize(("last", "verdict"), [(96, Verdict.PASS), (96.001, Verdict.FAIL)])
def test_exactly_twice_the_longest_retry_is_enough(last: float, verdict: Verdict) -> None:
    run = Run()
    run.copy(run.message(10), last)
    assert judged(run).verdict is verdict


def test_what_moved_last_is_named_the_latest_first() -> None:
    run = Run()
    late, later = run.message(10), run.message(11)
    run.copy(late, 97)
    run.receipt(later, 98, "backup", "deferred", code=451)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert [each.token for each in finding.offenders] == [later.token, late.token]
    assert finding.offenders[0].why == "deferred (451) by backup, 2.000 s before the end"
    assert [each.cause for each in finding.offenders] == ["still tried", "still arriving"]


def test_a_queue_that_still_holds_something_is_a_fail_however_silent_it_was() -> None:
    run = Run()
    run.traffic(0, 10, 1)
    run.reads("queue_depth", 7, 12, None)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.offenders[0].why == "7 waited at the end"
    assert "the queue still held 7" in finding.summary


def test_only_what_was_said_last_of_the_queue_counts() -> None:
    run = Run()
    run.traffic(0, 10, 1)
    run.reads("queue_depth", 7, 12, None)
    run.reads("queue_depth", 0, 13, None)
    assert judged(run).verdict is Verdict.PASS


def test_what_a_stopped_system_says_no_more_is_not_held_against_it() -> None:
    run = Run()
    run.traffic(0, 10, 1)
    run.reads("queue_depth", 0, 13, None)
    run.reads("queue_depth", None, 101, None, error="nobody answers")
    assert judged(run).verdict is Verdict.PASS


def test_probes_do_not_count_as_movement() -> None:
    run = Run()
    run.traffic(0, 10, 1)
    run.receipt(None, 99, "primary", recipient="probe@canary.example", carriers=[])
    assert judged(run).verdict is Verdict.PASS


@pytest.mark.parametrize(("off", "verdict"), [(96, Verdict.FAIL), (96.001, Verdict.INCONCLUSIVE)])
def test_only_who_was_left_alone_for_long_enough_should_be_quiet(off: float, verdict: Verdict) -> None:
    run = Run()
    message = run.message(10)
    run.fault(90, off)
    run.copy(message, 97)
    assert judged(run).verdict is verdict


class TestInconclusive:
    def test_the_longest_retry_is_not_declared(self) -> None:
        run = Run(longest_retry=None)
        run.traffic(0, 10, 1)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "the system's longest retry interval is not declared"

    @pytest.mark.parametrize("last", [10, 99])
    def test_the_record_was_cut(self, last: float) -> None:
        run = Run(finished=False)
        run.copy(run.message(5), last)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_the_system_exited(self) -> None:
        run = Run(outcome=Outcome.SYSTEM_EXITED)
        run.copy(run.message(5), 99)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("again", [False, True])
    def test_the_record_ends_right_after_the_last_message_was_offered(self, again: bool) -> None:
        run = Run()
        run.traffic(0, 10, 1)
        if again:
            message = run.message(90, result="refused")
            run.offer_again(message, 97, 2, "accepted")
        else:
            message = run.message(97)
        run.copy(message, 97.1)
        run.reads("queue_depth", 1, 98, None)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason.startswith("the record ends 3.0 s after the last message was offered")

    def test_a_copy_that_nobody_asked_for_was_read_back(self) -> None:
        run = Run()
        run.traffic(0, 10, 1)
        run.receipt(Message("unknown", "c.unknown@customer.example", 5), 20, observed="after")
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_the_depth_of_the_queue_could_not_be_read(self) -> None:
        run = Run()
        run.traffic(0, 10, 1)
        run.reads("queue_depth", 0, 12, None)
        run.reads("queue_depth", None, 13, None, error="not JSON")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "not JSON" in finding.reason

    @pytest.mark.parametrize(
        ("last", "verdict"),
        [
            (95.8, Verdict.PASS),  # at least 4.0 s
            (95.9, Verdict.INCONCLUSIVE),
            (96.2, Verdict.INCONCLUSIVE),  # at most 4.0 s
            (96.3, Verdict.FAIL),
        ],
    )
    def test_the_clock_error_hides_whether_it_was_long_enough(self, last: float, verdict: Verdict) -> None:
        run = Run(clock_error=0.2)
        run.copy(run.message(10), last)
        assert judged(run).verdict is verdict

    def test_a_record_is_missing(self) -> None:
        run = Run()
        run.traffic(0, 10, 1)
        run.loses_record()
        run.copy(run.message(11), 11.1)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("at", [20, 99])
    def test_receipts_were_read_back(self, at: float) -> None:
        run = Run()
        run.copy(run.message(10), at, observed="after")
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_nothing_was_ever_submitted(self) -> None:
        finding = judged(Run(baseline=0))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "no message was submitted"
