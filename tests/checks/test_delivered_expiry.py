"""What is stale: which copy is late for an expiry, and what the clocks leave open."""

from __future__ import annotations

import pytest

from harness.checks.finding import Verdict
from tests.checks.deliveries import by_sms, judged
from tests.checks.histories import Run

NS = 1e-9


class TestAnExpiry:
    @pytest.mark.parametrize(("clock", "at", "fate"), [
        (0, 10, "arrived"),
        (0, 10 + NS, "stale"),
        (0.125, 9.875, "arrived"),
        (0.125, 9.875 + NS, "perhaps"),
        (0.125, 10.125, "perhaps"),
        (0.125, 10.125 + NS, "stale"),
    ])  # fmt: skip
    @pytest.mark.parametrize("channel", ["mail", "sms"])
    def test_is_passed_when_no_clock_can_deny_it(
        self, channel: str, clock: float, at: float, fate: str
    ) -> None:
        run = Run(clock_error=clock)
        message = run.message(5, expires=10)
        if channel == "mail":
            run.copy(message, at)
        else:
            by_sms(run, message, at)
        finding = judged(run)
        assert (
            finding.verdict
            is {
                "arrived": Verdict.PASS,
                "perhaps": Verdict.INCONCLUSIVE,
                "stale": Verdict.FAIL,
            }[fate]
        )
        assert finding.numbers["stale"] == (fate == "stale")
        assert finding.numbers["by_fallback"] == (fate == "arrived" and channel == "sms")

    def test_is_not_put_off_by_an_answer_that_came_early(self) -> None:
        run = Run()
        message = run.message(5, expires=10, offered=4)
        run.copy(message, 10 + NS)
        in_time = run.message(5, expires=10, offered=4)
        run.copy(in_time, 10)
        finding = judged(run)
        assert finding.numbers["stale"] == 1
        assert [each.token for each in finding.offenders] == [message.token]

    @pytest.mark.parametrize(("at", "verdict"), [(13, Verdict.INCONCLUSIVE), (13 + NS, Verdict.FAIL)])
    def test_is_put_off_by_the_longer_of_a_late_offer_and_a_late_answer(
        self, at: float, verdict: Verdict
    ) -> None:
        run = Run()
        message = run.message(5, expires=10, offered=6, result=None)
        run.answer(message, 8, "accepted")
        run.copy(message, at)
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize(("offered", "verdict"), [(10 - NS, Verdict.FAIL), (10, Verdict.INCONCLUSIVE)])
    def test_that_was_over_when_the_message_was_offered_is_no_fault_of_the_system(
        self, offered: float, verdict: Verdict
    ) -> None:
        run = Run()
        run.copy(run.message(5, expires=10, offered=offered), 40)
        assert judged(run).verdict is verdict
