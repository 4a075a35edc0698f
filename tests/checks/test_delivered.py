"""Nothing that was submitted gets lost; what counts as accounted for, and when loss is certain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check


def judged(run: Run, params: Any = "all") -> Finding:
    return check(run, "delivered", params)


def test_all_arrived_is_a_pass() -> None:
    run = Run()
    run.traffic(0, 10, 0.5)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert finding.summary == "0 of 20 messages were lost"
    assert finding.counted == 20


def test_accepted_and_never_taken_by_a_provider_is_lost() -> None:
    run = Run()
    run.traffic(0, 10, 0.5)
    gone = run.message(5)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.numbers["lost"] == 1
    assert (finding.offenders[0].token, finding.offenders[0].cause) == (gone.token, "never attempted")


def by_sms(run: Run, message: Message, at: float) -> None:
    run.copy(message, at, "backup", recipient="+12025550123", carriers=["nonce"])


def test_what_went_out_by_sms_alone_is_delivered_and_did_not_arrive_as_mail() -> None:
    run = Run()
    run.traffic(0, 10, 0.5)
    by_sms(run, run.message(5), 5.1)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["arrived"], finding.numbers["by_fallback"], finding.numbers["lost"]) == (20, 1, 0)
    assert finding.summary == "0 of 21 messages were lost (1 by fallback)"


def test_what_went_out_by_mail_and_sms_arrived() -> None:
    run = Run()
    for message in run.traffic(0, 10, 0.5):
        by_sms(run, message, message.at + 5)
    assert judged(run).numbers["by_fallback"] == 0


def test_an_sms_that_was_refused_or_given_back_delivers_nothing() -> None:
    run = Run()
    run.traffic(0, 10, 0.5)
    refused, back = run.message(5), run.message(6)
    run.receipt(refused, 5.1, "backup", "refused", recipient="+12025550123", carriers=["nonce"])
    by_sms(run, back, 6.1)
    run.provider_says("dropped", replace(back, recipient="+12025550123"), 6.5, "backup")
    assert judged(run).numbers["lost"] == 2


def test_an_sms_that_bounced_is_accounted_for_as_mail_that_bounced_is() -> None:
    run = Run()
    message = run.message(6)
    by_sms(run, message, 6.1)
    run.provider_says("bounced", replace(message, recipient="+12025550123"), 6.5, "backup")
    finding = judged(run)
    assert (finding.verdict, finding.numbers["bounced"], finding.numbers["lost"]) == (Verdict.PASS, 1, 0)


@pytest.mark.parametrize(("at", "fate"), [(10, "by_fallback"), (10.001, "stale")])
def test_an_sms_after_the_expiry_is_stale(at: float, fate: str) -> None:
    run = Run()
    by_sms(run, run.message(5, expires=10), at)
    assert judged(run).numbers[fate] == 1


def test_an_sms_too_close_to_the_expiry_for_its_clock_is_neither() -> None:
    run = Run(clock_error=0.01)
    by_sms(run, run.message(5, expires=10), 10.005)
    finding = judged(run)
    assert (finding.numbers["stale"], finding.numbers["by_fallback"]) == (0, 0)
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_refused_to_the_end_is_undelivered_not_lost() -> None:
    run = Run()
    message = run.message(5, result="refused")
    run.offer_again(message, 6, 2, "refused")
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert (finding.numbers["undelivered"], finding.numbers["lost"]) == (1, 0)


def test_refused_first_and_accepted_later_is_accepted() -> None:
    run = Run()
    message = run.message(5, result="refused")
    run.offer_again(message, 6, 2, "accepted")
    run.copy(message, 6.1)
    assert judged(run).verdict is Verdict.PASS


class TestGivenBackToTheSender:
    """What a mail server cannot deliver it returns: not lost without a word, and not delivered either."""

    def returned(self, notice: str = "failed", result: str = "accepted") -> Run:
        run = Run()
        run.traffic(0, 10, 0.5)
        message = run.message(5)
        run.receipt(message, 5.1, result="refused")
        run.receipt(message, 5.2, "backup", result, recipient="no-reply@shop.example", notice=notice)
        return run

    def test_is_a_fail_and_is_not_called_lost(self) -> None:
        finding = judged(self.returned())
        assert finding.verdict is Verdict.FAIL
        assert (finding.numbers["returned"], finding.numbers["lost"]) == (1, 0)
        assert finding.offenders[0].cause == "returned"
        assert "1 were given back to their sender" in finding.summary

    def test_is_within_what_need_not_arrive(self) -> None:
        assert judged(self.returned(), {"at_least": "95%"}).verdict is Verdict.PASS

    def test_a_notice_of_delay_gives_nothing_back(self) -> None:
        assert judged(self.returned("delayed")).numbers["lost"] == 1

    def test_a_notice_that_no_provider_took_reaches_nobody(self) -> None:
        assert judged(self.returned(result="refused")).numbers["lost"] == 1

    def test_a_copy_all_the_same_is_an_arrival(self) -> None:
        run = Run()
        message = run.message(5)
        run.receipt(message, 5.1, result="ack-lost")
        run.receipt(message, 5.2, "backup", recipient="no-reply@shop.example", notice="failed")
        finding = judged(run)
        assert (finding.verdict, finding.numbers["arrived"]) == (Verdict.PASS, 1)


@pytest.mark.parametrize("result", ["indeterminate", None])
def test_without_a_clear_answer_and_without_a_copy_nothing_is_certain(result: str | None) -> None:
    run = Run()
    run.traffic(0, 10, 0.5)
    run.message(5, result=result)
    finding = judged(run)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "1 message got no clear answer" in finding.reason


def test_without_a_clear_answer_but_with_a_copy_it_arrived() -> None:
    run = Run()
    run.copy(run.message(5, result="indeterminate"), 6)
    assert judged(run).verdict is Verdict.PASS


def test_a_lost_acknowledgement_is_a_copy_all_the_same() -> None:
    run = Run()
    run.receipt(run.message(5), 5.1, "primary", "ack-lost")
    assert judged(run).numbers["arrived"] == 1


class TestAccountedFor:
    def test_bounced(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 5.1)
        run.provider_says("bounced", message, 6)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers["bounced"] == 1

    def test_bounced_there_and_dropped_here(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 5.1)
        run.provider_says("dropped", message, 6)
        run.provider_says("bounced", message, 7, "backup")
        assert judged(run).numbers["bounced"] == 1

    def test_suppressed(self) -> None:
        run = Run()
        run.says(run.message(5), "suppressed", 6)
        assert judged(run).verdict is Verdict.PASS

    def test_taken_and_dropped_by_the_provider_is_lost(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 5.1)
        run.provider_says("dropped", message, 6)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.offenders[0].cause == "dropped by the provider"

    def test_expired(self) -> None:
        run = Run()
        run.says(run.message(5, expires=10), "expired", 10.5)
        run.message(6, expires=10)  # the system says nothing of this one
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers["expired"] == 2

    def test_said_to_be_sent_but_gone_is_no_expiry(self) -> None:
        run = Run()
        run.says(run.message(5, expires=10), "sent", 6)
        assert judged(run).verdict is Verdict.FAIL

    def test_expired_without_an_expiry_is_lost(self) -> None:
        run = Run()
        run.says(run.message(5), "expired", 6)
        assert judged(run).numbers["lost"] == 1


class TestStale:
    def test_a_copy_after_the_expiry(self) -> None:
        run = Run()
        run.copy(run.message(5, expires=10), 10.001)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.numbers["stale"] == 1

    def test_a_copy_exactly_at_the_expiry_is_in_time(self) -> None:
        run = Run()
        run.copy(run.message(5, expires=10), 10)
        assert judged(run).verdict is Verdict.PASS

    def test_within_the_clock_error_it_cannot_be_told(self) -> None:
        run = Run(clock_error=0.01)
        run.copy(run.message(5, expires=10), 10.005)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "too close to the expiry" in finding.reason

    @pytest.mark.parametrize(
        ("offered", "at", "verdict"),
        [
            (7, 12, Verdict.INCONCLUSIVE),  # 2 s late: perhaps it counted its 5 s from there
            (7, 12.001, Verdict.FAIL),
            (10, 30, Verdict.INCONCLUSIVE),  # had expired before it was offered at all
        ],
    )
    def test_what_the_driver_offered_late_may_be_as_late(
        self, offered: float, at: float, verdict: Verdict
    ) -> None:
        run = Run()
        run.copy(run.message(5, expires=10, offered=offered), at)
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize(("at", "verdict"), [(11, Verdict.INCONCLUSIVE), (11.001, Verdict.FAIL)])
    def test_so_may_what_was_accepted_late(self, at: float, verdict: Verdict) -> None:
        run = Run()
        message = run.message(5, expires=10, result=None)
        run.answer(message, 6, "accepted")
        run.copy(message, at)
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize(("at", "verdict"), [(13, Verdict.INCONCLUSIVE), (13.001, Verdict.FAIL)])
    def test_what_the_system_refused_at_first_it_may_count_from_when_it_took_it(
        self, at: float, verdict: Verdict
    ) -> None:
        run = Run()
        message = run.message(5, expires=10, result="refused")
        run.offer_again(message, 8, 2, "accepted")
        run.copy(message, at)
        assert judged(run).verdict is verdict


class TestQuiescence:
    def missing(self, run: Run) -> Finding:
        run.traffic(0, 10, 0.5)
        run.message(5)
        return judged(run)

    def test_quiet_for_exactly_twice_the_longest_retry_is_enough(self) -> None:
        run = Run(ends=13.6)  # the last receipt is at 9.6
        assert self.missing(run).verdict is Verdict.FAIL

    def test_a_little_less_is_not(self) -> None:
        finding = self.missing(Run(ends=13.599))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "1 message is missing" in finding.reason
        assert finding.numbers["lost"] == 0

    def test_what_was_accepted_only_just_now_may_still_come(self) -> None:
        run = Run(ends=8)
        message = run.message(0, result="refused")
        run.offer_again(message, 5, 2, "accepted")
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_a_queue_that_still_holds_something_is_not_quiet(self) -> None:
        run = Run()
        run.reads("queue_depth", 3, 50, None)
        assert "queue still held 3" in self.missing(run).reason

    def test_an_empty_queue_is(self) -> None:
        run = Run()
        run.reads("queue_depth", 3, 50, None)
        run.reads("queue_depth", 0, 60, None)
        assert self.missing(run).verdict is Verdict.FAIL

    def test_a_queue_that_can_no_longer_be_read_is_not_empty(self) -> None:
        run = Run()
        run.reads("queue_depth", 0, 9, None)
        run.reads("queue_depth", None, 60, None, error="garbage: HTTP 500")
        assert self.missing(run).verdict is Verdict.INCONCLUSIVE

    def test_a_silent_outage_is_no_quiet(self) -> None:
        run = Run(ends=22)
        run.fault(2, 20)
        assert self.missing(run).verdict is Verdict.INCONCLUSIVE

    def test_canaries_do_not_disturb_the_quiet(self) -> None:
        run = Run()
        run.receipt(None, 99, "primary", recipient="probe@canary.example")
        run.receipt(None, 99, "primary", canary="harness", token="canary0001")
        assert self.missing(run).verdict is Verdict.FAIL

    def test_a_refused_attempt_does(self) -> None:
        run = Run()
        run.receipt(run.message(50), 99, "primary", "refused")
        assert self.missing(run).verdict is Verdict.INCONCLUSIVE

    def test_it_needs_to_be_told_the_longest_retry(self) -> None:
        assert "longest retry interval is not known" in self.missing(Run(longest_retry=None)).reason

    def test_it_is_not_needed_where_nothing_is_missing(self) -> None:
        run = Run(ends=10)
        run.traffic(0, 10, 0.5)
        assert judged(run).verdict is Verdict.PASS

    def test_a_missing_record_makes_loss_uncertain(self) -> None:
        run = Run()
        run.loses_record()
        assert "1 record is missing from m365" in self.missing(run).reason


class TestShare:
    def run(self, lost: int) -> Run:
        run = Run()
        for number in range(100):
            message = run.message(number / 10)
            if number >= lost:
                run.copy(message, message.at + 0.1)
        return run

    def test_exactly_at_least_is_a_pass(self) -> None:
        assert judged(self.run(1), {"at_least": "99%"}).verdict is Verdict.PASS

    def test_one_under_is_a_fail(self) -> None:
        assert judged(self.run(2), {"at_least": "99%"}).verdict is Verdict.FAIL


def test_nothing_submitted_is_inconclusive() -> None:
    finding = judged(Run())
    assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "no message was submitted")


def test_a_fault_that_was_never_met_is_inconclusive() -> None:
    run = Run()
    run.traffic(0, 5, 0.5)
    run.fault(10, 20)
    assert judged(run).verdict is Verdict.INCONCLUSIVE
