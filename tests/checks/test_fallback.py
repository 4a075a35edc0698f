"""Fallback: who is due by another channel, from when, and what ends the need."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check

# A message at 5 s that should arrive within 1 s is due by SMS at 9 s, and has to be out at 11 s.
ASKED: dict[str, Any] = {"after": "3s", "within": "2s", "route": "backup"}
DUE, UNTIL = 9.0, 11.0


def judged(run: Run, **more: Any) -> Finding:
    return check(run, "fallback", {**ASKED, **more})


def sms(run: Run, message: Message, at: float, result: str = "accepted") -> None:
    run.receipt(message, at, "backup", result, recipient="+12025550123", carriers=["nonce"])


@pytest.mark.parametrize(
    ("at", "verdict", "number"),
    [
        (DUE, Verdict.PASS, "in_time"),
        (UNTIL, Verdict.PASS, "in_time"),
        (UNTIL + 0.001, Verdict.FAIL, "late"),
        (8.5, Verdict.PASS, "early"),
    ],
)
def test_out_in_time_is_a_pass_and_a_moment_later_a_fail(at: float, verdict: Verdict, number: str) -> None:
    run = Run()
    sms(run, run.message(5), at)
    finding = judged(run)
    assert (finding.verdict, finding.numbers[number], finding.counted) == (verdict, 1, 1)
    assert bool(finding.offenders) == (verdict is Verdict.FAIL)


def test_never_out_at_all_is_a_fail() -> None:
    run = Run()
    sms(run, run.message(5), 10)
    gone = run.message(6)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert (finding.numbers["missing"], finding.offenders[0].token) == (1, gone.token)
    assert finding.offenders[0].cause == "never tried"


def test_what_the_channel_refused_is_not_out() -> None:
    run = Run()
    sms(run, run.message(5), 10, "refused")
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.offenders[0].cause == "tried in vain"


def test_an_acknowledgement_that_was_lost_is_a_hand_off() -> None:
    run = Run()
    sms(run, run.message(5), 10, "ack-lost")
    assert judged(run).verdict is Verdict.PASS


@pytest.mark.parametrize(("mail", "due"), [(DUE, 0), (DUE + 0.001, 1)])
def test_mail_at_the_last_moment_makes_none_due(mail: float, due: int) -> None:
    run = Run()
    message = run.message(5)
    run.copy(message, mail)
    sms(run, message, 10)
    assert judged(run).counted == due


def test_mail_that_comes_after_all_ends_the_need() -> None:
    run = Run()
    sms(run, run.message(5), 10)
    run.copy(run.message(5), 10)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert (finding.counted, finding.numbers["by_mail_after_all"]) == (1, 1)


def test_mail_that_comes_later_does_not() -> None:
    run = Run()
    run.copy(run.message(5), UNTIL + 1)
    finding = judged(run)
    assert (finding.verdict, finding.numbers["missing"]) == (Verdict.FAIL, 1)


def test_who_got_both_is_told() -> None:
    run = Run()
    message = run.message(5)
    sms(run, message, 10)
    run.copy(message, 30)
    finding = judged(run)
    assert (finding.verdict, finding.numbers["also_by_mail"]) == (Verdict.PASS, 1)


@pytest.mark.parametrize(
    ("at", "verdict"), [(UNTIL + 1, Verdict.PASS), (UNTIL + 1.001, Verdict.FAIL), (None, Verdict.FAIL)]
)
def test_what_the_driver_offered_late_is_due_as_much_later(at: float | None, verdict: Verdict) -> None:
    run = Run()
    message = run.message(5, offered=6)
    if at is not None:
        sms(run, message, at)
    assert judged(run).verdict is verdict


def test_mail_in_time_from_a_late_offer_makes_none_due() -> None:
    run = Run()
    run.copy(run.message(5, offered=6), DUE + 1)
    assert judged(run).counted == 0


def test_what_the_system_refused_at_first_is_due_from_its_schedule() -> None:
    run = Run()
    message = run.message(5, result="refused")
    run.offer_again(message, 7, 2, "accepted")
    sms(run, message, UNTIL + 0.001)
    assert judged(run).verdict is Verdict.FAIL


class TestNoNeed:
    def test_an_expiry_ends_it(self) -> None:
        run = Run()
        run.message(5, expires=10)
        assert judged(run).counted == 0

    def test_a_bounce_ends_it(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 5.1)
        run.provider_says("bounced", message, 6)
        assert judged(run).counted == 0

    @pytest.mark.parametrize(("result", "due"), [("ack-lost", 0), ("deferred", 1)])
    def test_a_hold_ends_it_where_it_is_right(self, result: str, due: int) -> None:
        run = Run()
        message = run.message(5)
        run.receipt(message, 5.1, "primary", result)
        if result == "ack-lost":  # taken, and thrown away: there is no copy
            run.provider_says("dropped", message, 5.2)
        run.says(message, "held", 99)
        assert judged(run).counted == due

    def test_who_is_suppressed_has_none(self) -> None:
        run = Run()
        run.says(run.message(5), "suppressed", 6)
        assert judged(run).counted == 0

    def test_marketing_the_baseline_and_refused_messages_have_none(self) -> None:
        run = Run()
        run.message(5, "marketing")
        run.message(-5, baseline=True)
        run.message(5, result="refused")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason.startswith("no transactional message was so late by mail")

    def test_another_class_can_be_asked_for_and_is_due_from_its_schedule(self) -> None:
        run = Run()
        sms(run, run.message(5, "marketing"), 10)
        finding = judged(run, **{"class": "marketing"})
        assert (finding.verdict, finding.numbers["after_due_s_max"]) == (Verdict.PASS, 2.0)


class TestChannel:
    def test_another_route_is_no_fallback(self) -> None:
        run = Run()
        run.copy(run.message(5), 10, "primary", recipient="+12025550123", carriers=["nonce"])
        assert judged(run).numbers["missing"] == 1

    def test_without_a_route_it_is_any_that_goes_to_no_mail_address(self) -> None:
        run = Run()
        run.copy(run.message(5), 10, "primary", recipient="+12025550123", carriers=["nonce"])
        run.copy(run.message(5), 10, "primary", recipient="user-17", carriers=["nonce"])
        finding = check(run, "fallback", {"after": "3s", "within": "2s"})
        assert (finding.verdict, finding.counted) == (Verdict.PASS, 2)

    def test_a_channel_that_goes_by_mail_addresses_is_known_by_its_route(self) -> None:
        run = Run()
        run.copy(run.message(5), 10, "backup")
        finding = judged(run)
        assert (finding.verdict, finding.numbers["in_time"]) == (Verdict.PASS, 1)
        assert finding.numbers["also_by_mail"] == 0


class TestInconclusive:
    def test_a_margin_within_the_clocks_error(self) -> None:
        run = Run(clock_error=0.01)
        sms(run, run.message(5), UNTIL + 0.005)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "too close to the limit" in finding.reason

    def test_a_record_that_ends_too_early(self) -> None:
        run = Run(ends=10)
        run.message(5)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "the record ends before 1 message" in finding.reason

    def test_a_record_that_ends_before_any_was_due(self) -> None:
        run = Run(ends=DUE)
        run.message(5)
        assert judged(run).counted == 0

    def test_times_that_were_read_back(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 12, "backup", observed="after", recipient="+12025550123", carriers=["nonce"])
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_records_that_are_missing_may_be_the_hand_off(self) -> None:
        run = Run()
        run.message(5)
        run.loses_record("backup")
        sms(run, run.message(5), 10)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_a_fault_that_was_never_met(self) -> None:
        run = Run()
        sms(run, run.message(5), 10)
        run.fault(60, 70)
        assert judged(run).verdict is Verdict.INCONCLUSIVE
