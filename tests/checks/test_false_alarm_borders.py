"""What an alarm is made of, which fault is near it, and who is named: the borders of `false-alarm`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from harness.history.journal import write_events
from harness.history.store import History
from tests.checks.histories import Run, check, opened
from tests.checks.two_files import check_in_two_files


def judged(run: Run, params: Any = "none") -> Finding:
    return check(run, "false-alarm", params)


def outage(target: str = "primary", type_: str = "outage", *, run: Run | None = None) -> Run:
    """From 10 to 20 s."""
    run = run or Run()
    run.fault(10, 20, type_, target)
    return run


def garbage(run: Run, at: float, route: str | None = "primary", signal: str = "detected") -> None:
    run.reads(signal, None, at, route, error="not JSON")


def recorded(run: Run) -> Finding:
    """Of events in the order in which they stand, whatever their times."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        write_events(path, run.name, run.events)
        with History.open(path) as history:
            return CHECKS["false-alarm"].evaluate(history, run.name, parse_params("false-alarm", "none"))


class TestTheNumbers:
    def test_of_three_signals(self) -> None:
        run = outage()
        run.detects(12, until=30)
        run.detects(40, until=41)
        run.detects(50, "backup", until=51)
        run.reads("detected", False, 60, None)
        run.reads("detected", False, 60.5)
        garbage(run, 61)
        run.reads("detected", False, 62)
        run.reads("detected", True, 101, before=62)
        run.reads("paused", True, 63, None)
        finding = judged(run, {"at_most": 2})
        assert finding.verdict is Verdict.PASS
        assert finding.numbers == {
            "alarms": 3,
            "false_alarms": 2,
            "allowed": 2,
            "signals": 3,
            "readings": 12,
        }
        assert (finding.counted, finding.offenders) == (12, [])

    def test_a_reading_at_the_very_end_is_one(self) -> None:
        run = Run()
        run.detects(100, poll=0.5)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["readings"], finding.numbers["alarms"]) == (
            Verdict.FAIL,
            2,
            1,
        )

    def test_of_two_readings_at_one_moment_the_last_is_the_later(self) -> None:
        run = Run()
        run.reads("detected", False, 30)
        run.reads("detected", True, 30, before=30)
        run.reads("detected", True, 40, before=30)
        finding = judged(run)
        assert (finding.numbers["alarms"], finding.numbers["false_alarms"]) == (1, 1)

    def test_of_two_readings_at_one_moment_the_first_recorded_is_the_earlier_wherever_it_lies(self) -> None:
        run = Run()
        run.reads("detected", False, 30)
        run.reads("detected", True, 30, before=30)
        run.reads("detected", False, 40, before=30)
        finding = check_in_two_files(run, "false-alarm", {"at_most": 1})
        assert (finding.verdict, finding.reason) == (Verdict.PASS, "")
        assert (finding.numbers["alarms"], finding.numbers["false_alarms"]) == (1, 1)

    def test_of_two_signals_read_by_turns_are_of_each_by_itself(self) -> None:
        run = outage()
        run.fault(10, 20, target="backup")
        for at, truth in ((9, False), (12, True)):
            run.reads("detected", truth, at, "primary", before=at - 3)
            run.reads("detected", truth, at, "backup", before=at - 3)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["alarms"], finding.numbers["signals"]) == (
            Verdict.PASS,
            2,
            2,
        )

    def test_readings_come_in_their_order_whenever_they_were_recorded(self) -> None:
        run = Run()
        run.reads("detected", True, 31, before=30)
        run.reads("detected", False, 30)
        finding = recorded(run)
        assert (finding.numbers["alarms"], finding.verdict) == (1, Verdict.FAIL)


class TestWhatIsNoAlarm:
    def test_another_signal_that_turns_on(self) -> None:
        run = Run()
        run.reads("detected", False, 50)
        run.says_paused(30, 40)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["alarms"]) == (Verdict.PASS, 0)

    def test_the_signal_that_turns_off(self) -> None:
        run = outage()
        run.detects(12, until=40)
        assert judged(run).numbers["false_alarms"] == 0

    @pytest.mark.parametrize("poll", [0.9, 30])
    def test_what_was_found_on_after_the_record_was_over(self, poll: float) -> None:
        run = Run()
        run.detects(101, poll=poll)
        finding = judged(run)
        assert (finding.numbers["alarms"], finding.numbers["false_alarms"]) == (0, 0)


class TestWhichFaultExplains:
    def test_not_one_of_another_run(self) -> None:
        broken, whole = outage(run=Run("broken")), Run("whole")
        for run in (broken, whole):
            run.detects(12)
            garbage(run, 14)
            run.reads("detected", True, 20, before=14)
        with opened(broken, whole) as history:
            findings = {
                run.name: CHECKS["false-alarm"].evaluate(
                    history, run.name, parse_params("false-alarm", {"at_most": 1})
                )
                for run in (broken, whole)
            }
        assert findings["broken"].verdict is Verdict.PASS
        assert findings["broken"].numbers["readings"] == 3
        assert findings["whole"].numbers["false_alarms"] == 1
        assert findings["whole"].reason == "the detection signal made no sense 1 time when nothing was broken"

    def test_one_that_came_on_at_the_very_reading(self) -> None:
        run = outage()
        run.detects(10)
        assert judged(run).verdict is Verdict.PASS

    @pytest.mark.parametrize("route", ["primary", None])
    def test_one_of_the_systems_own_for_every_signal(self, route: str | None) -> None:
        run = outage("system", "slow")
        run.reads("detected", False, 11, route)
        garbage(run, 12, route)
        run.reads("detected", True, 19, route, before=11)
        assert judged(run).verdict is Verdict.PASS


class TestWithoutSense:
    @pytest.mark.parametrize(("at", "times"), [(9.999, 1), (10, 0), (25, 0), (25.001, 1)])
    def test_counts_where_nothing_was_broken(self, at: float, times: int) -> None:
        run = outage()
        run.reads("detected", False, 1)
        garbage(run, at)
        run.reads("detected", False, 50)
        finding = judged(run)
        assert finding.reason == (
            "the detection signal made no sense 1 time when nothing was broken" if times else ""
        )

    def test_does_not_count_for_two_short_times_of_which_each_ends_in_an_answer(self) -> None:
        run = Run()
        run.reads("detected", False, 30)
        garbage(run, 31)
        run.reads("detected", False, 34)
        garbage(run, 36)
        run.reads("detected", False, 38)
        finding = judged(run)
        assert (finding.verdict, finding.reason) == (Verdict.PASS, "")

    def test_counts_each_time(self) -> None:
        run = Run()
        run.reads("detected", False, 30)
        for at in (31, 32, 40):
            garbage(run, at)
        run.reads("detected", False, 41)
        garbage(run, 42)  # alone, and not for long
        run.reads("detected", False, 43)
        assert judged(run).reason == "the detection signal made no sense 3 times when nothing was broken"

    def test_counts_from_the_first_question_on(self) -> None:
        run = Run()
        garbage(run, 30)
        run.reads("detected", False, 36)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize(("last", "verdict"), [(95, Verdict.PASS), (94.999, Verdict.INCONCLUSIVE)])
    def test_counts_to_the_end_of_the_record(self, last: float, verdict: Verdict) -> None:
        run = Run()
        run.reads("detected", False, last)
        garbage(run, 100)
        garbage(run, 100.001)
        run.reads("detected", False, 120)
        finding = judged(run)
        assert finding.verdict is verdict
        assert ("1 time " in finding.reason) == (verdict is Verdict.INCONCLUSIVE)

    def test_is_of_each_signal_by_itself(self) -> None:
        run = Run()
        run.reads("detected", False, 30, "primary")
        run.reads("detected", False, 30.5, "backup")
        garbage(run, 31, "primary")
        run.reads("detected", False, 32, "backup")
        run.reads("detected", False, 34, None)
        run.reads("detected", False, 36, "primary")
        assert judged(run).reason == "the detection signal made no sense 1 time when nothing was broken"

    def test_lasts_to_the_answer_that_was_recorded_after_it_at_the_same_moment(self) -> None:
        run = Run()
        run.reads("detected", False, 30)
        garbage(run, 36)
        for at in (36, 37):
            run.reads("detected", False, at)
        assert judged(run).reason == "the detection signal made no sense 1 time when nothing was broken"

    def test_is_not_made_shorter_by_a_signal_without_a_route(self) -> None:
        run = Run()
        run.reads("detected", False, 30, None)
        garbage(run, 31, None)
        run.reads("detected", False, 40, None)
        run.reads("detected", False, 30, "backup")
        run.reads("detected", False, 33, "backup")
        assert judged(run).reason == "the detection signal made no sense 1 time when nothing was broken"

    def test_of_another_signal_does_not_matter(self) -> None:
        run = Run()
        run.reads("detected", False, 30)
        garbage(run, 40, signal="paused")
        run.reads("detected", False, 50)
        assert judged(run).verdict is Verdict.PASS

    def test_is_not_excused_by_a_fault_on_another_route(self) -> None:
        run = outage("backup")
        run.reads("detected", False, 9)
        garbage(run, 12)
        run.reads("detected", False, 19)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_is_excused_by_any_fault_where_the_signal_names_no_route(self) -> None:
        run = outage("backup")
        run.reads("detected", False, 9, None)
        garbage(run, 12, None)
        run.reads("detected", False, 19, None)
        assert judged(run).verdict is Verdict.PASS

    def test_is_as_long_as_readings_in_their_order_say(self) -> None:
        run = Run()
        run.reads("detected", False, 34)
        run.reads("detected", False, 30)
        garbage(run, 33)
        run.reads("detected", False, 40)
        assert recorded(run).verdict is Verdict.PASS


class TestOffenders:
    def test_come_as_they_were_told_and_those_at_one_moment_by_route(self) -> None:
        run = outage()
        run.detects(60, "primary", until=61)
        run.detects(50, "primary", until=51)
        run.detects(50, "backup", until=51)
        run.reads("detected", False, 54, None)
        run.reads("detected", True, 55, None, before=54)
        finding = judged(run)
        assert [(each.subject, each.why, each.cause) for each in finding.offenders] == [
            (
                "route backup",
                "an alarm at 60.000 s of the run, before any fault that could explain it",
                "without a fault",
            ),
            (
                "route primary",
                "an alarm at 60.000 s of the run, 30.000 s after the last fault that could explain it",
                "after the fault",
            ),
            (
                "the system",
                "an alarm at 65.000 s of the run, 35.000 s after the last fault that could explain it",
                "after the fault",
            ),
            (
                "route primary",
                "an alarm at 70.000 s of the run, 40.000 s after the last fault that could explain it",
                "after the fault",
            ),
        ]

    def test_are_ten_at_most(self) -> None:
        run = Run()
        for at in range(30, 54, 2):
            run.detects(at, until=at + 1)
        offenders = judged(run).offenders
        assert [each.why.split(" s ")[0] for each in offenders] == [
            f"an alarm at {at + 10}.000" for at in range(30, 50, 2)
        ]

    @pytest.mark.parametrize("target", ["primary", "system"])
    def test_say_how_long_after_the_last_fault_before_them(self, target: str) -> None:
        run = outage(target, "slow")
        run.fault(22, 30, "slow", target)
        run.fault(70, 80, "slow", target)
        run.fault(31, 32, "bounce", "primary")
        run.detects(40)
        (offender,) = judged(run).offenders
        assert offender.why.endswith(", 10.000 s after the last fault that could explain it")

    def test_know_nothing_of_a_fault_in_another_run(self) -> None:
        broken, whole = outage(run=Run("broken")), Run("whole")
        for run in (broken, whole):
            run.detects(40)
        with opened(broken, whole) as history:
            finding = CHECKS["false-alarm"].evaluate(history, "whole", parse_params("false-alarm", "none"))
        (offender,) = finding.offenders
        assert offender.cause == "without a fault"


def test_none_at_all_may_be_said_in_a_number() -> None:
    run = Run()
    run.detects(30)
    assert judged(run, {"at_most": 0}).verdict is Verdict.FAIL


@pytest.mark.parametrize("allowed", ["1", 1.0, -1])
def test_what_is_no_count_may_not_be_allowed(allowed: Any) -> None:
    with pytest.raises(ValueError, match="at_most"):
        judged(Run(), {"at_most": allowed})
