"""Rates of many digits, long records, what a bucket may be, and Retry-After to the nanosecond."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Run, check


def judged(run: Run, rate: str = "10/s", **bucket: Any) -> Finding:
    return check(run, "throttle", {"primary": {"rate": rate, **bucket}})


def attempts(run: Run, *times: float, result: str = "accepted", **more: Any) -> None:
    """Of nobody's mail: a provider counts them all the same."""
    for at in times:
        run.receipt(None, at, "primary", result, took=0, **more)


def quiet(**more: Any) -> Run:
    return Run(baseline=0, **more)


class TestTheNumbers:
    def test_are_told_to_the_millionth_with_what_was_over(self) -> None:
        run = quiet()
        run.fault(4, 7, "latency", attributes={"latency": 400, "jitter": 100})
        attempts(run, 5, 6)
        finding = judged(run, "0.1234567/s")
        assert finding.verdict is Verdict.FAIL
        assert finding.numbers == {
            "primary_attempts": 2,
            "primary_peak": 1.876543,  # 2 - 0.1234567
            "primary_allowed": 1.061728,  # 1 + 0.1234567 · 0.5
            "primary_excess": 0.814815,
            "primary_spread_s": 0.5,
            "primary_too_early": 0,
        }
        assert finding.counted == 2
        assert [(each.subject, each.cause, each.why) for each in finding.offenders] == [
            ("route primary", "over the rate", "1.9 attempts beyond the rate at 16.000 s, 1.1 allowed")
        ]
        assert finding.summary == "attempts exceeded the limit of primary"

    def test_of_the_baselines_attempts_are_in_the_peak_alone(self) -> None:
        run = quiet()
        for _ in range(3):
            run.receipt(run.message(-1, baseline=True), -1, took=0)
        attempts(run, 50)
        finding = judged(run, burst=3)
        assert finding.verdict is Verdict.PASS
        assert (finding.numbers["primary_attempts"], finding.numbers["primary_peak"]) == (1, 3)
        assert finding.numbers["primary_excess"] == 0
        assert finding.summary == "1 attempt stayed under the limits of primary"

    def test_are_none_where_there_were_no_attempts(self) -> None:
        finding = judged(quiet(), burst=3)
        assert finding.numbers == {
            "primary_attempts": 0,
            "primary_peak": None,
            "primary_allowed": 3,
            "primary_excess": None,
            "primary_spread_s": 0,
            "primary_too_early": 0,
        }
        assert finding.summary == "there were no attempts on primary"

    def test_name_the_first_of_moments_that_are_alike(self) -> None:
        run = quiet()
        attempts(run, 5, 5, 50, 50)
        assert [each.why for each in judged(run).offenders] == [
            "2.0 attempts beyond the rate at 15.000 s, 1.0 allowed"
        ]


class TestLongRecords:
    def test_of_many_attempts_at_a_rate_of_many_digits_are_exact(self) -> None:
        run = quiet()
        attempts(run, *[5.0] * 1_000)  # more than 64 bits hold of what an attempt takes
        assert judged(run, "0.1234567/s", burst=1_000).numbers["primary_peak"] == 1_000

    def test_of_thousands_are_counted_through(self) -> None:
        run = quiet()
        attempts(run, 1, *(80 + number / 10_000 for number in range(4_500)))
        assert judged(run, "1/s").numbers["primary_peak"] == 4499.5501

    def test_over_a_long_time_at_a_rate_of_many_digits_are_exact(self) -> None:
        run = quiet()
        attempts(run, *range(1, 60))
        finding = judged(run, "123456.1234567/s")
        assert (finding.verdict, finding.numbers["primary_peak"]) == (Verdict.PASS, 1)

    def test_are_one_record_though_they_are_looked_at_in_steps(self) -> None:
        run = quiet()
        attempts(run, *(1 + number * 0.001 for number in range(4_400)))
        finding = judged(run, "500/s", burst=2_200)
        assert (finding.verdict, finding.numbers["primary_peak"]) == (Verdict.FAIL, 2200.5)


class TestABucket:
    def test_holds_one_where_nothing_is_said(self) -> None:
        run = quiet()
        attempts(run, 5)
        assert (judged(run).verdict, judged(run).numbers["primary_allowed"]) == (Verdict.PASS, 1)
        assert judged(run, burst=1).numbers["primary_allowed"] == 1

    @pytest.mark.parametrize("burst", [0, "5", 5.0])
    def test_holds_a_whole_number(self, burst: object) -> None:
        with pytest.raises(ValidationError):
            judged(quiet(), burst=burst)

    def test_fills_again(self) -> None:
        with pytest.raises(ValidationError):
            judged(quiet(), "0/s")

    @pytest.mark.parametrize(("apart", "verdict"), [(1, Verdict.PASS), (1 - 1e-9, Verdict.FAIL)])
    def test_without_a_fault_fills_at_its_rate_alone(self, apart: float, verdict: Verdict) -> None:
        run = quiet()
        attempts(run, 5, 5 + apart)
        assert judged(run, "1/s").verdict is verdict


class TestRetryAfter:
    @pytest.mark.parametrize(("begun_after", "early"), [(0.1, 0), (0.1 + 1e-9, 1), (2 - 1e-9, 1), (2, 0)])
    def test_is_kept_to_the_nanosecond(self, begun_after: float, early: int) -> None:
        run = quiet()
        attempts(run, 5, result="refused", retry_after_ns=2_000_000_000)
        attempts(run, 5 + begun_after)
        finding = judged(run, burst=5)
        assert finding.numbers["primary_too_early"] == early
        assert finding.verdict is (Verdict.FAIL if early else Verdict.PASS)

    def test_counts_from_the_end_of_the_refusal(self) -> None:
        run = quiet()
        run.receipt(None, 6, "primary", "refused", took=1, retry_after_ns=2_000_000_000)
        attempts(run, 5.5, 7.9)
        assert judged(run, burst=5).numbers["primary_too_early"] == 1

    def test_is_of_refusals_alone(self) -> None:
        run = quiet()
        attempts(run, 5, retry_after_ns=2_000_000_000)
        attempts(run, 6)
        finding = judged(run, burst=5)
        assert (finding.verdict, finding.numbers["primary_too_early"]) == (Verdict.PASS, 0)

    def test_is_asked_for_by_every_one_that_there_is(self) -> None:
        run = quiet()
        attempts(run, 5, 6, result="refused", retry_after_ns=3_000_000_000)
        assert judged(run, burst=5).numbers["primary_too_early"] == 1

    def test_is_not_shortened_by_a_refusal_that_asks_for_nothing(self) -> None:
        run = quiet()
        attempts(run, 5, result="refused", retry_after_ns=3_000_000_000)
        attempts(run, 5.05, result="refused")
        attempts(run, 7)
        assert judged(run, burst=5).numbers["primary_too_early"] == 1

    @pytest.mark.parametrize("patience", [(3, 1), (1, 3)])
    def test_is_the_longest_of_refusals_at_one_time(self, patience: tuple[int, int]) -> None:
        run = quiet()
        for asked in patience:
            attempts(run, 5, result="refused", retry_after_ns=asked * 1_000_000_000)
        attempts(run, 7)
        finding = judged(run, burst=5)
        assert finding.numbers["primary_too_early"] == 1
        assert finding.offenders[0].why.endswith("1.000 s early")

    def test_tells_of_the_first_that_began_too_early(self) -> None:
        run = quiet()
        attempts(run, 5, result="refused", retry_after_ns=3_000_000_000)
        run.receipt(None, 9, took=2.5, attempt="slow")  # began at 6.5, and was recorded last
        attempts(run, 7)
        run.receipt(None, 6.5, took=0, attempt="twin")  # at the same time, but recorded before
        finding = judged(run, burst=5)
        assert finding.numbers["primary_too_early"] == 3
        assert [(each.subject, each.cause, each.why) for each in finding.offenders] == [
            (
                "route primary",
                "before Retry-After",
                "3 attempts before Retry-After was over, first twin, 1.500 s early",
            )
        ]


class TestRoutes:
    def test_that_were_read_back_are_not_judged_and_the_others_are(self) -> None:
        run = quiet()
        attempts(run, 5, 5, observed="after")
        run.receipt(None, 6, "backup", took=0)
        run.receipt(None, 6, "backup", took=0)
        both = {"primary": {"rate": "1/s"}, "backup": {"rate": "1/s"}}
        finding = check(run, "throttle", both)
        assert (finding.verdict, finding.counted) == (Verdict.FAIL, 4)
        assert [each.subject for each in finding.offenders] == ["route backup"]
        assert finding.summary == "attempts exceeded the limit of backup"

    def test_without_attempts_are_all_named(self) -> None:
        both = {"primary": {"rate": "1/s"}, "backup": {"rate": "1/s"}}
        finding = check(quiet(), "throttle", both)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "no attempt was made on primary, backup after the baseline"

    def test_with_a_record_that_is_not_whole_are_inconclusive(self) -> None:
        run = quiet()
        run.loses_record()
        attempts(run, 5)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "1 record is missing from m365"
