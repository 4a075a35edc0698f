"""The token bucket at a provider's door, its borders, and Retry-After."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Run, check

LIMIT = {"primary": {"rate": "10/s", "burst": 5}}


def judged(run: Run, params: Any = None) -> Finding:
    return check(run, "throttle", params or LIMIT)


def attempts(run: Run, *times: float, via: str = "primary", result: str = "accepted", **more: Any) -> None:
    for at in times:
        run.receipt(run.message(at), at, via, result, took=0, **more)


def quiet() -> Run:
    return Run(baseline=0)


def test_exactly_the_burst_at_one_instant_is_a_pass() -> None:
    run = quiet()
    attempts(run, *[5.0] * 5)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert finding.numbers["primary_peak"] == 5
    assert finding.numbers["primary_excess"] == 0


def test_one_over_is_a_fail() -> None:
    run = quiet()
    attempts(run, *[5.0] * 6)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.offenders[0].subject == "route primary"
    assert finding.numbers["primary_excess"] == 1


def test_the_rate_refills_the_bucket() -> None:
    run = quiet()
    attempts(run, *[5.0] * 5, *(5.0 + n / 10 for n in range(1, 50)))
    assert judged(run).verdict is Verdict.PASS


def test_a_hair_faster_than_the_rate_overflows_in_the_end() -> None:
    run = quiet()
    attempts(run, *[5.0] * 5, *(5.0 + n / 11 for n in range(1, 50)))
    assert judged(run).verdict is Verdict.FAIL


def test_idling_saves_up_no_more_than_the_burst() -> None:
    run = quiet()
    attempts(run, 1.0, *[50.0] * 6)
    assert judged(run).verdict is Verdict.FAIL


def test_refused_attempts_count() -> None:
    run = quiet()
    attempts(run, *[5.0] * 3)
    attempts(run, *[5.0] * 3, result="refused")
    assert judged(run).verdict is Verdict.FAIL


def test_attempts_count_not_recipients() -> None:
    run = quiet()
    for _ in range(10):
        run.receipt(run.message(5), 5, took=0, attempt="one-with-ten-recipients")
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert finding.counted == 1


def test_routes_have_a_bucket_each() -> None:
    run = quiet()
    attempts(run, *[5.0] * 5)
    attempts(run, *[5.0] * 5, via="backup")
    both = LIMIT | {"backup": {"rate": "10/s", "burst": 5}}
    assert judged(run, both).verdict is Verdict.PASS


def test_the_systems_canaries_count_and_the_harness_s_do_not() -> None:
    run = quiet()
    attempts(run, *[5.0] * 5)
    run.receipt(None, 5, took=0, canary="harness", token="canary0001")
    assert judged(run).verdict is Verdict.PASS
    run.receipt(None, 5, took=0, recipient="probe@canary.example")
    assert judged(run).verdict is Verdict.FAIL


def test_injected_latency_may_crowd_attempts_together() -> None:
    for crowd, verdict in ((10, Verdict.PASS), (11, Verdict.FAIL)):
        run = quiet()
        run.fault(4, 5, "latency", attributes={"latency": 400, "jitter": 100})  # 0.5 s at 10/s
        attempts(run, *[4.9] * crowd)
        finding = judged(run)
        assert finding.numbers["primary_allowed"] == 10
        assert finding.verdict is verdict


def test_latencies_that_are_on_at_once_add_up_and_others_do_not() -> None:
    for second_begins, allowed in ((4, 9 + 4), (4.5, 9 + 4), (5, 9 + 4), (5.001, 9), (6, 9)):
        run = quiet()
        run.fault(4, 5, "latency", attributes={"latency": 400})
        run.fault(second_begins, 7, "latency", attributes={"latency": 400})
        attempts(run, 4.9)
        assert judged(run).numbers["primary_allowed"] == allowed


def test_the_baseline_fills_the_bucket() -> None:
    run = quiet()
    for _ in range(3):
        run.receipt(run.message(-0.01, baseline=True), 0, took=0)
    attempts(run, *[0.0] * 3)
    assert judged(run).verdict is Verdict.FAIL


class TestRetryAfter:
    def run(self, begun_after: float, *, latency: int = 0) -> Finding:
        """A refusal at 5 s that asks for 2 s of patience, and an attempt some time after it."""
        run = quiet()
        if latency:
            run.fault(4, 8, "latency", attributes={"latency": latency})
        run.receipt(run.message(5), 5, "primary", "deferred", took=0, retry_after_ns=2_000_000_000)
        attempts(run, 5 + begun_after)
        return judged(run)

    def test_an_attempt_before_it_is_over_is_a_fail(self) -> None:
        finding = self.run(1.9)
        assert finding.verdict is Verdict.FAIL
        assert finding.offenders[0].cause == "before Retry-After"
        assert finding.numbers["primary_too_early"] == 1

    @pytest.mark.parametrize("begun_after", [2.0, 3.0])
    def test_afterwards_is_fine(self, begun_after: float) -> None:
        assert self.run(begun_after).verdict is Verdict.PASS

    @pytest.mark.parametrize(("begun_after", "verdict"), [(0.1, Verdict.PASS), (0.101, Verdict.FAIL)])
    def test_what_was_under_way_is_forgiven(self, begun_after: float, verdict: Verdict) -> None:
        assert self.run(begun_after).verdict is verdict

    @pytest.mark.parametrize(("begun_after", "verdict"), [(0.5, Verdict.PASS), (0.501, Verdict.FAIL)])
    def test_injected_delay_extends_that(self, begun_after: float, verdict: Verdict) -> None:
        assert self.run(begun_after, latency=400).verdict is verdict

    def test_a_later_shorter_refusal_does_not_shorten_an_earlier_one(self) -> None:
        run = quiet()
        run.receipt(run.message(5), 5, "primary", "deferred", took=0, retry_after_ns=10_000_000_000)
        run.receipt(run.message(5), 5.05, "primary", "deferred", took=0, retry_after_ns=1_000_000_000)
        attempts(run, 8)
        assert judged(run).verdict is Verdict.FAIL

    def test_another_route_is_free(self) -> None:
        run = quiet()
        run.receipt(run.message(5), 5, "primary", "deferred", took=0, retry_after_ns=2_000_000_000)
        attempts(run, 6, via="backup")
        both = LIMIT | {"backup": {"rate": "10/s", "burst": 5}}
        assert judged(run, both).verdict is Verdict.PASS


class TestInconclusive:
    def test_a_route_without_attempts(self) -> None:
        run = Run()
        assert "no attempt was made on primary" in judged(run).reason

    def test_one_of_two_routes_without_attempts(self) -> None:
        run = quiet()
        attempts(run, 5)
        finding = judged(run, LIMIT | {"backup": {"rate": "1/s"}})
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "no attempt was made on backup after the baseline"

    def test_times_that_were_read_back(self) -> None:
        run = quiet()
        attempts(run, *[5.0] * 9, observed="after")
        assert "without exact times" in judged(run).reason

    def test_a_fault_that_was_never_met(self) -> None:
        run = quiet()
        attempts(run, 1.0)
        run.fault(10, 20)
        assert "never met" in judged(run).reason
