"""Reconciliation: what the system says of its messages, held against the providers' record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.checks.finding import Finding, Verdict
from harness.history.events import HarnessWarning
from tests.checks.histories import Message, Run, check

END = 99.0


def judged(run: Run) -> Finding:
    return check(run, "reconciliation", "agrees")


def said(run: Run, state: str, at: float = 5, *, arrives: bool = False) -> Message:
    """One message, of which the system says this at the end."""
    message = run.message(at)
    if arrives:
        run.copy(message, at + 0.1)
    run.says(message, state, END)
    return message


def sent(run: Run, count: int = 10) -> None:
    for number in range(count):
        said(run, "sent", number, arrives=True)


def test_what_was_sent_arrived_and_what_failed_did_not() -> None:
    run = Run()
    sent(run)
    said(run, "failed")
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert (finding.counted, finding.numbers["agree"]) == (11, 11)
    assert finding.summary == "the system and its providers agree on 11 messages"


@pytest.mark.parametrize(
    ("state", "arrives", "number"),
    [
        ("sent", False, "sent_without_copy"),
        ("failed", True, "failed_with_copy"),
        ("bounced", True, "failed_with_copy"),
        ("expired", True, "copy_not_sent"),
        ("suppressed", True, "copy_not_sent"),
        ("pending", True, "copy_not_sent"),
        ("sending", True, "copy_not_sent"),
        ("held", True, "copy_not_sent"),
        ("held", False, "held_without_need"),
        ("pending", False, "stuck"),
        ("sending", False, "stuck"),
    ],
)
def test_a_state_that_the_record_contradicts_is_a_fail(state: str, arrives: bool, number: str) -> None:
    run = Run()
    sent(run)
    wrong = said(run, state, 20, arrives=arrives)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.numbers[number] == 1
    assert finding.numbers["agree"] == 10
    assert finding.offenders[0].token == wrong.token
    assert state in finding.offenders[0].why


@pytest.mark.parametrize("state", ["failed", "bounced", "expired", "suppressed"])
def test_given_up_and_never_taken_agrees(state: str) -> None:
    run = Run()
    said(run, state)
    assert judged(run).verdict is Verdict.PASS


def test_only_the_last_state_counts() -> None:
    run = Run()
    message = run.message(5)
    run.says(message, "pending", 5.05)
    run.says(message, "sending", 5.1)
    run.copy(message, 5.2)
    run.says(message, "sent", 5.3)
    assert judged(run).verdict is Verdict.PASS


def test_a_refused_attempt_is_no_copy() -> None:
    run = Run()
    message = said(run, "sent")
    run.receipt(message, 5.1, "primary", "deferred")
    assert judged(run).numbers["sent_without_copy"] == 1


@pytest.mark.parametrize("event", ["bounced", "dropped"])
def test_what_came_back_after_it_was_taken_was_sent(event: str) -> None:
    run = Run()
    message = said(run, "sent", arrives=True)
    run.provider_says(event, message, 6)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["agree"], finding.numbers["sent_and_given_back"]) == (1, 1)


def test_what_the_system_learnt_to_have_bounced_agrees() -> None:
    run = Run()
    message = said(run, "bounced", arrives=True)
    run.provider_says("bounced", message, 6)
    assert judged(run).verdict is Verdict.PASS


def test_what_went_out_by_a_fallback_channel_was_sent() -> None:
    run = Run()
    message = said(run, "sent")
    run.copy(message, 9, "backup", recipient="+12025550123", carriers=["nonce"])
    assert judged(run).verdict is Verdict.PASS
    run = Run()
    message = said(run, "failed")
    run.copy(message, 9, "backup", recipient="+12025550123", carriers=["nonce"])
    assert judged(run).numbers["failed_with_copy"] == 1


@pytest.mark.parametrize("event", ["bounced", "dropped"])
def test_an_sms_that_came_back_after_it_was_taken_was_sent(event: str) -> None:
    run = Run()
    message = said(run, "sent")
    run.copy(message, 9, "backup", recipient="+12025550123", carriers=["nonce"])
    run.provider_says(event, replace(message, recipient="+12025550123"), 9.5, "backup")
    finding = judged(run)
    assert (finding.verdict, finding.numbers["sent_and_given_back"]) == (Verdict.PASS, 1)


class TestHeld:
    @pytest.mark.parametrize("result", ["ack-lost", "aborted"])
    def test_it_is_right_where_the_fate_is_unknown(self, result: str) -> None:
        run = Run()
        message = said(run, "held")
        run.receipt(message, 5.1, "primary", result)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers["held"] == 1

    def test_it_is_right_where_a_fault_may_have_kept_the_answer(self) -> None:
        run = Run()
        run.fault(5.05, 15, "blackhole")
        said(run, "held", arrives=True)
        assert judged(run).numbers["held"] == 1

    def test_a_fault_on_another_route_is_no_excuse(self) -> None:
        run = Run()
        run.fault(5.05, 15, "latency", "backup")
        run.copy(run.message(6), 6.1, "backup")
        said(run, "held", arrives=True)
        assert judged(run).numbers["copy_not_sent"] == 1


class TestInconclusive:
    def test_no_state_at_all(self) -> None:
        run = Run()
        run.traffic(0, 10, 1)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "the system told no state of any message"

    def test_accepted_messages_that_the_system_does_not_speak_of(self) -> None:
        run = Run()
        sent(run)
        run.traffic(20, 23, 1)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "no state of 3 messages" in finding.reason

    def test_those_it_refused_need_none(self) -> None:
        run = Run()
        sent(run)
        run.message(5, result="refused")
        run.message(6, result=None)
        assert judged(run).verdict is Verdict.PASS

    def test_words_of_the_systems_own(self) -> None:
        run = Run()
        said(run, "en route")
        assert "can be judged" in judged(run).reason
        sent(run)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "a state of its own of 1 message" in finding.reason

    def test_states_that_could_not_be_read(self) -> None:
        run = Run()
        run.traffic(0, 10, 1)
        run.events.append(
            HarnessWarning(t_ns=1, warning="states-unreadable", subject="system", detail="/messages: 500")
        )
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "/messages: 500" in finding.reason

    @pytest.mark.parametrize("arrives", [True, False])
    def test_what_waits_while_something_moves_is_slow_or_stuck(self, arrives: bool) -> None:
        run = Run(longest_retry="60s")
        sent(run)
        said(run, "sending", 20, arrives=arrives)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "1 message still waited" in finding.reason

    @pytest.mark.parametrize("state", ["pending", "sending", "held"])
    @pytest.mark.parametrize("arrives", [True, False])
    def test_a_state_that_is_not_final_says_nothing_of_what_came_after_its_reading(
        self, state: str, arrives: bool
    ) -> None:
        run = Run()
        sent(run)
        message = run.message(5)
        run.says(message, state, 6)
        if arrives:
            run.copy(message, 20)
        else:
            run.copy(said(run, "sent", 20), 20)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "before the mail had stopped moving" in finding.reason

    def test_the_last_thing_moved_at_the_very_reading(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 6)
        run.says(message, "sending", 6)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["copy_not_sent"]) == (Verdict.FAIL, 1)

    @pytest.mark.parametrize("state", ["failed", "suppressed", "expired"])
    def test_a_copy_after_a_final_state_contradicts_it(self, state: str) -> None:
        run = Run()
        message = run.message(5)
        run.says(message, state, 6)
        run.copy(message, 20)
        assert judged(run).verdict is Verdict.FAIL

    def test_a_run_that_was_not_quiet_takes_no_pass_away_where_nothing_waits(self) -> None:
        run = Run(longest_retry="60s")
        sent(run)
        assert judged(run).verdict is Verdict.PASS

    @pytest.mark.parametrize("state", ["sent", "held"])
    def test_a_hand_off_that_may_be_among_missing_records(self, state: str) -> None:
        run = Run()
        said(run, state)
        run.loses_record()
        sent(run)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert not finding.offenders

    def test_a_copy_that_is_there_stays_one_where_records_are_missing(self) -> None:
        run = Run()
        run.loses_record()
        said(run, "failed", arrives=True)
        assert judged(run).verdict is Verdict.FAIL

    def test_a_fault_that_was_never_met(self) -> None:
        run = Run()
        sent(run)
        run.fault(60, 70)
        assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_the_baseline_is_left_out() -> None:
    run = Run()
    sent(run)
    run.says(run.message(-5, baseline=True), "sending", END)
    assert judged(run).counted == 10
