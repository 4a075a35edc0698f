"""Which answers of a signal are about an incident, how sure a value is, and who is named first."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from harness.history.journal import write_events
from harness.history.store import History
from tests.checks.detections import outage
from tests.checks.histories import Run, check


def judged(run: Run, params: Any = "5s") -> Finding:
    return check(run, "mttd", params)


def garbage(run: Run, at: float, route: str | None = "primary", signal: str = "detected") -> None:
    run.reads(signal, None, at, route, before=at - 0.1, error="not JSON")


def doubtful(run: Run, doubt: str) -> None:
    """Mail long after the incident, of which something is not known."""
    if doubt == "missing":
        run.loses_record()
    run.copy(run.message(60), 60.1, **({"observed": "after"} if doubt == "read back" else {}))


class TestTheValue:
    def test_is_told_with_the_target_and_half_the_widest_interval(self) -> None:
        run = outage(takes=0.5)
        outage(40, 50, switches_at=45, run=run)
        run.detects(12, until=30, poll=0.5)
        run.detects(43, poll=0.2)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers == {
            "mttd_s_max": 3,
            "mttd_s_mean": 2.2,  # (1.0 to 2.0) and (2.8 to 3.0)
            "target_s": 5,
            "incidents": 2,
            "undetected": 0,
            "inferred": 0,
        }
        assert finding.error.startswith("± 0.500 s")
        assert finding.counted == 2
        assert finding.summary == "detected in 2.9 s at worst"
        assert finding.offenders == []

    @pytest.mark.parametrize(
        ("on_at_first", "verdict"), [(False, Verdict.INCONCLUSIVE), (True, Verdict.PASS)]
    )
    def test_may_be_nothing_at_all(self, on_at_first: bool, verdict: Verdict) -> None:
        """What turned while the fault came on may have needed no time; what turned at once surely did not."""
        run = outage() if on_at_first else outage(takes=0.5)
        run.detects(10 if on_at_first else 10.2)
        finding = judged(run, "0s")
        assert finding.verdict is verdict
        assert bool(finding.offenders) == (verdict is not Verdict.PASS)

    @pytest.mark.parametrize(
        ("target", "told"), [("1h", 3600), ("2000.001ms", 2.000001), ("2000.0001ms", 2.0)]
    )
    def test_is_told_in_seconds_to_the_microsecond(self, target: str, told: float) -> None:
        assert judged(outage(), target).numbers["target_s"] == told

    def test_without_a_target_names_nobody(self) -> None:
        run = outage(switches_at=None)
        run.reads("detected", False, 9)
        finding = judged(run, {})
        assert (finding.numbers["target_s"], finding.numbers["undetected"]) == (None, 1)
        assert (finding.numbers["mttd_s_max"], finding.numbers["mttd_s_mean"]) == ("infinite", None)
        assert finding.offenders == []

    def test_is_missing_where_nothing_can_be_told(self) -> None:
        run = outage()
        run.detects(5)
        finding = judged(run)
        assert (finding.numbers["mttd_s_max"], finding.numbers["mttd_s_mean"]) == (None, None)
        assert (finding.numbers["undetected"], finding.counted) == (0, 1)
        assert finding.summary == "it cannot be told when faults were detected"
        assert finding.error.startswith("± 0.000 s")

    def test_has_a_mean_over_those_that_were_detected(self) -> None:
        run = outage()
        outage(40, 50, switches_at=None, run=run)
        run.detects(12, until=30)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert (finding.numbers["mttd_s_max"], finding.numbers["mttd_s_mean"]) == ("infinite", 1.95)
        assert finding.numbers["undetected"] == 1
        assert finding.error.startswith("± 0.050 s")

    def test_that_is_inferred_has_the_clock_error_of_the_copy(self) -> None:
        finding = judged(outage(switches_at=14, run=Run(clock_error=0.25)))
        assert (finding.numbers["mttd_s_max"], finding.numbers["mttd_s_mean"]) == (4.25, 4)
        assert (finding.numbers["inferred"], finding.error.startswith("± 0.250 s")) == (1, True)


class TestAnswersWithoutSense:
    @pytest.mark.parametrize(("at", "hidden"), [(9.9, False), (10, True), (25, True), (25.000000001, False)])
    def test_hide_a_detection_from_the_fault_to_five_seconds_after_its_end(
        self, at: float, hidden: bool
    ) -> None:
        run = outage(switches_at=None)
        run.reads("detected", False, 5)
        garbage(run, at)
        finding = judged(run)
        assert finding.verdict is (Verdict.INCONCLUSIVE if hidden else Verdict.FAIL)
        if hidden:
            assert finding.reason == "the detection signal made no sense during incident f1"

    def test_from_the_moment_at_which_it_began_to_come_on(self) -> None:
        run = outage(switches_at=None, takes=0.5)
        run.reads("detected", False, 5)
        garbage(run, 10)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize(("at", "hidden"), [(25.5, True), (25.500000001, False)])
    def test_after_the_end_at_which_it_was_surely_gone(self, at: float, hidden: bool) -> None:
        run = outage(switches_at=None, takes=0.5)
        run.reads("detected", False, 5)
        garbage(run, at)
        assert judged(run).verdict is (Verdict.INCONCLUSIVE if hidden else Verdict.FAIL)

    @pytest.mark.parametrize(
        ("route", "signal", "hidden"),
        [
            (None, "detected", True),
            ("primary", "detected", True),
            ("backup", "detected", False),
            ("primary", "acknowledged", False),
        ],
    )
    def test_are_about_the_faulted_route_or_none(self, route: str | None, signal: str, hidden: bool) -> None:
        run = outage(switches_at=None)
        run.reads("detected", False, 5)
        garbage(run, 15, route, signal)
        assert judged(run).verdict is (Verdict.INCONCLUSIVE if hidden else Verdict.FAIL)

    def test_at_any_time_are_no_word_of_a_signal_that_never_said_anything_else(self) -> None:
        run = outage(switches_at=14)
        garbage(run, 60)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["inferred"]) == (Verdict.INCONCLUSIVE, 0)


class TestOnBefore:
    @pytest.mark.parametrize("at", [5, 10])
    def test_a_signal_that_was_on_as_the_fault_came_says_nothing_of_it(self, at: float) -> None:
        run = outage()
        run.reads("detected", True, at)
        finding = judged(run)
        assert finding.reason == "the detection signal was on before incident f1 began"

    def test_what_it_said_last_counts(self) -> None:
        run = outage(switches_at=None)
        run.reads("detected", True, 2)
        run.reads("detected", False, 4)
        garbage(run, 6)
        assert judged(run).verdict is Verdict.FAIL
        run.reads("detected", True, 8)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_of_two_answers_at_one_time_the_later_in_the_record(self) -> None:
        for first, verdict in ((True, Verdict.FAIL), (False, Verdict.INCONCLUSIVE)):
            run = outage(switches_at=None)
            run.reads("detected", first, 9)
            run.reads("detected", not first, 9)
            assert judged(run).verdict is verdict

    def test_by_the_clock_and_not_by_when_it_was_written_down(self) -> None:
        run = outage(switches_at=None)
        run.reads("detected", True, 8)
        run.reads("detected", False, 9)
        early, late = run.events[-2:]
        rest = sorted(run.events[:-2], key=lambda event: int(event.t_ns))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history.jsonl"
            write_events(path, run.name, [*rest, late, early])
            with History.open(path) as history:
                finding = CHECKS["mttd"].evaluate(history, run.name, parse_params("mttd", "5s"))
        assert finding.verdict is Verdict.FAIL


class TestOffenders:
    def test_are_named_by_how_long_it_took_then_by_when_they_began(self) -> None:
        run = outage(10, 15, switches_at=None)
        outage(30, 35, switches_at=None, run=run)
        outage(50, 55, switches_at=None, run=run, type_="latency")
        outage(70, 75, switches_at=71, run=run)
        run.detects(11.5, until=20, poll=0.2)
        run.detects(32, until=40, poll=0.2)
        run.detects(71.5, poll=0.2)
        assert [(each.subject, each.why) for each in judged(run, "1s").offenders] == [
            ("incident f3", "latency on primary was never detected, though messages were overdue"),
            ("incident f2", "detected 1.9 s after outage on primary"),
            ("incident f1", "detected 1.4 s after outage on primary"),
            ("incident f4", "detected 1.4 s after outage on primary"),
        ]

    def test_of_several_faults_are_told_in_the_order_in_which_these_began(self) -> None:
        run = Run()
        run.fault(12, 20, "cut", "backup", incident="i")
        run.fault(10, 20, incident="i")
        run.fault(10, 20, "reset", incident="i")
        for _ in range(3):
            run.copy(run.message(10), 21)
        run.reads("detected", False, 9)
        assert [each.why for each in judged(run).offenders] == [
            "outage on primary, reset on primary, cut on backup was never detected, "
            "though messages were overdue"
        ]

    def test_a_value_that_spans_the_target_is_named_though_it_is_not_judged(self) -> None:
        run = outage()
        run.detects(15.05)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert [each.subject for each in finding.offenders] == ["incident f1"]


class TestDoubts:
    @pytest.mark.parametrize("outcome", ["impact", "switch"])
    def test_a_record_that_is_cut_hides_only_what_had_not_come(self, outcome: str) -> None:
        run = outage(switches_at=None if outcome == "impact" else 14, run=Run(finished=False))
        if outcome == "impact":
            run.reads("detected", False, 5)
        finding = judged(run)
        assert finding.verdict is (Verdict.INCONCLUSIVE if outcome == "impact" else Verdict.PASS)
        assert finding.reason == (
            "the record ends before anything detected incident f1" if outcome == "impact" else ""
        )

    @pytest.mark.parametrize("switches_at", [14, 19, None])
    @pytest.mark.parametrize("signal", [False, True])
    @pytest.mark.parametrize(
        ("doubt", "reason"),
        [
            ("missing", "1 record is missing from m365"),
            ("read back", "copies were read back from the provider, without exact times"),
        ],
    )
    def test_what_the_mail_tells_is_as_sure_as_its_record(
        self, switches_at: float | None, signal: bool, doubt: str, reason: str
    ) -> None:
        """A detection in time, one too late, and none; where there is a signal, that it did not come."""
        run = outage(switches_at=switches_at)
        if signal:
            run.reads("detected", False, 5)
        doubtful(run, doubt)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason.startswith(reason)
        uncertain = signal or switches_at is None
        assert ("it is not certain that anything was overdue" in finding.reason) == uncertain
        assert (finding.numbers["undetected"], finding.numbers["inferred"]) == (0, int(not uncertain))

    @pytest.mark.parametrize("doubt", ["missing", "read back"])
    @pytest.mark.parametrize(("at", "verdict"), [(12, Verdict.PASS), (18, Verdict.FAIL)])
    def test_what_a_signal_tells_needs_no_mail(self, doubt: str, at: float, verdict: Verdict) -> None:
        run = outage(switches_at=14)
        run.detects(at)
        doubtful(run, doubt)
        assert (judged(run).verdict, judged(run).reason) == (verdict, "")

    def test_a_signal_that_came_too_late_fails_whatever_the_mail_tells_of_another_incident(self) -> None:
        run = outage(switches_at=14)
        run.detects(18, until=25)
        outage(40, 50, switches_at=None, run=run)
        doubtful(run, "read back")
        assert judged(run).verdict is Verdict.FAIL

    @pytest.mark.parametrize(
        ("class_", "baseline", "verdict"),
        [
            ("marketing", False, Verdict.PASS),
            ("transactional", True, Verdict.PASS),
            ("transactional", False, Verdict.INCONCLUSIVE),
        ],
    )
    def test_only_copies_of_transactional_mail_need_exact_times(
        self, class_: str, baseline: bool, verdict: Verdict
    ) -> None:
        run = outage(switches_at=14)
        run.copy(run.message(30, class_, within=1, baseline=baseline), 30.1, "backup", observed="after")
        assert judged(run).verdict is verdict

    def test_leaving_a_route_that_mail_does_not_take_is_no_sign_of_a_detection(self) -> None:
        """After 5 copies of a baseline, 39 more by the primary would look like a switch."""
        run = Run(baseline=5)
        run.fault(10, 50, target="backup")
        run.traffic(12, 60, 0.5)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["inferred"]) == (Verdict.INCONCLUSIVE, 0)
        assert finding.reason == "nothing detected incident f1, and nothing was overdue because of it"

    def test_unless_something_was_overdue(self) -> None:
        run = Run(baseline=3)
        run.fault(10, 50, target="backup")
        for number in range(40):
            run.copy(run.message(10), 13 + number / 100)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["inferred"]) == (Verdict.PASS, 1)

    def test_a_fault_of_the_system_itself_is_none_to_detect(self) -> None:
        run = outage()
        run.detects(12, until=21)
        run.kill(40, 41)
        finding = judged(run)
        assert (finding.numbers["incidents"], finding.counted) == (1, 1)
