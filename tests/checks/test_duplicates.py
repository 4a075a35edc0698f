"""Nobody gets a message twice; what counts as a copy, and why there was another."""

from __future__ import annotations

import pytest

from harness.checks.finding import Verdict
from harness.history.events import HarnessWarning
from tests.checks.histories import Message, Run, check


def healthy() -> tuple[Run, list[Message]]:
    """An outage from 10 to 20 s that the router noticed and went around."""
    run = Run()
    run.fault(10, 20)
    run.detects(12, until=21)
    messages = run.traffic(0, 10, 0.5)
    messages += run.traffic(10, 12, 0.5, via="backup", after=2.2)
    messages += run.traffic(12, 20, 0.5, via="backup")
    return run, messages


def test_each_message_once_is_a_pass() -> None:
    run, messages = healthy()
    finding = check(run, "duplicates", "none")
    assert finding.verdict is Verdict.PASS
    assert finding.counted == finding.numbers["messages"] == len(messages)
    assert finding.summary == f"0 of {len(messages)} messages arrived twice"


def test_a_second_copy_by_another_route_is_a_fail_and_names_the_message() -> None:
    run, messages = healthy()
    run.copy(messages[3], 30, "backup")
    finding = check(run, "duplicates", "none")
    assert finding.verdict is Verdict.FAIL
    assert finding.numbers["duplicated"] == 1
    assert finding.offenders[0].token == messages[3].token
    assert finding.offenders[0].why.startswith("2 copies: primary, then backup 28.4 s later")


def test_a_notice_to_the_customer_is_a_copy_like_any_other() -> None:
    run, messages = healthy()
    run.receipt(messages[3], 30, "backup", notice="failed")
    assert check(run, "duplicates", "none").verdict is Verdict.FAIL


def test_a_fallback_by_sms_is_no_second_copy_of_the_mail() -> None:
    run, messages = healthy()
    run.copy(messages[3], 30, "backup", recipient="+12025550123", carriers=["nonce"])
    finding = check(run, "duplicates", "none")
    assert finding.verdict is Verdict.PASS
    assert finding.counted == len(messages)


def test_two_sms_of_a_message_of_the_baseline_are_left_out_as_its_mail_is() -> None:
    run = Run()
    run.traffic(0, 10, 0.5)
    early = run.message(-5, baseline=True)
    for at in (-4, -3):
        run.copy(early, at, "backup", recipient="+12025550123", carriers=["nonce"])
    finding = check(run, "duplicates", "none")
    assert (finding.verdict, finding.numbers["copies"]) == (Verdict.PASS, 20)


def test_two_sms_of_one_message_are_a_duplicate() -> None:
    run = Run()
    run.traffic(0, 10, 0.5)
    message = run.message(5)
    for at in (9, 10):
        run.copy(message, at, "backup", recipient="+12025550123", carriers=["nonce"])
    finding = check(run, "duplicates", "none")
    assert finding.verdict is Verdict.FAIL
    assert (finding.numbers["messages"], finding.numbers["copies"], finding.numbers["duplicated"]) == (
        21,
        22,
        1,
    )
    assert (finding.offenders[0].token, finding.offenders[0].recipient) == (message.token, "+12025550123")


@pytest.mark.parametrize(
    ("story", "cause"),
    [
        ("ack-loss across", "cross-route after a lost acknowledgement"),
        ("ack-loss same", "same route after a lost acknowledgement"),
        ("connection cut", "cross-route after a lost acknowledgement"),
        ("no goodbye", "cross-route"),
        ("timeout", "after a timeout"),
        ("restart", "after a restart"),
        ("restart in good order", "after a restart"),
        ("answered during a pause", "after a timeout"),
        ("replay", "replay"),
        ("same route", "same route"),
        ("cross-route", "cross-route"),
    ],
)
def test_each_extra_copy_has_a_cause(story: str, cause: str) -> None:
    run = Run()
    message = run.message(5)
    match story:
        case "ack-loss across":
            run.receipt(message, 5.1, "primary", "ack-lost")
            run.copy(message, 6, "backup")
        case "ack-loss same":
            run.receipt(message, 5.1, "primary", "ack-lost")
            run.copy(message, 6, "primary")
        case "connection cut":
            run.fault(5, 8, "reset")
            first = run.copy(message, 5.1)
            run.closes(first.connection, 5.15)
            run.copy(message, 6, "backup")
        case "no goodbye":
            # A client that never says QUIT: without a fault its answer was not lost.
            first = run.copy(message, 5.1)
            run.closes(first.connection, 5.15)
            run.copy(message, 6, "backup")
        case "timeout":
            run.fault(4, 8, "latency", attributes={"latency": 3000})
            run.copy(message, 5.1)
            run.copy(message, 6, "backup")
        case "restart":
            run.copy(message, 5.1)
            run.kill(5.2, 5.5)
            run.copy(message, 6, "backup")
        case "restart in good order":
            run.copy(message, 5.1)
            run.restart(5.2, 5.5)
            run.copy(message, 6, "backup")
        case "answered during a pause":
            run.fault(5, 6, "pause", "system")
            run.copy(message, 5.1)
            run.copy(message, 7, "backup")
        case "replay":
            run.fault(5.5, 8)
            run.copy(message, 5.1)
            run.copy(message, 9, "backup")
        case "same route":
            run.copy(message, 5.1)
            run.copy(message, 5.2)
        case "cross-route":
            run.copy(message, 5.1)
            run.copy(message, 5.2, "backup")
    finding = check(run, "duplicates", "none")
    assert finding.verdict is Verdict.FAIL
    assert [offender.cause for offender in finding.offenders] == [cause]


def test_a_connection_cut_long_after_its_last_answer_lost_nothing() -> None:
    run = Run()
    message = run.message(5)
    first = run.copy(message, 5.1)
    run.closes(first.connection, 5.3)
    run.copy(message, 6, "backup")
    assert check(run, "duplicates", "none").offenders[0].cause == "cross-route"


def test_what_the_provider_bounced_or_dropped_was_no_copy() -> None:
    run, _ = healthy()
    for number, event in enumerate(("bounced", "dropped")):
        message = run.message(30 + number)
        run.copy(message, 30.1 + number)
        run.provider_says(event, message, 30.5 + number)
        run.copy(message, 31 + number, "backup")
    assert check(run, "duplicates", "none").verdict is Verdict.PASS


def test_a_bounce_undoes_one_copy_not_two() -> None:
    run, _ = healthy()
    message = run.message(30)
    for at in (30.1, 30.2, 30.3):
        run.copy(message, at)
    run.provider_says("bounced", message, 31)
    assert check(run, "duplicates", "none").numbers["copies"] == 2 + len(healthy()[1])


def test_refused_attempts_and_canaries_are_no_copies() -> None:
    run, messages = healthy()
    run.receipt(messages[0], 30, "backup", "refused")
    run.receipt(messages[0], 31, "backup", "deferred")
    run.receipt(messages[0], 32, "backup", "aborted")
    for at in (33, 34):
        run.receipt(messages[0], at, "backup", canary="harness")
        run.receipt(None, at, "backup", recipient="probe@canary.example")
    assert check(run, "duplicates", "none").verdict is Verdict.PASS


def test_the_same_token_to_two_recipients_is_two_messages() -> None:
    run, _ = healthy()
    for who in ("a@pool.example", "b@pool.example"):
        run.copy(run.message(30, token="t" * 16, recipient=who), 30.1)
    assert check(run, "duplicates", "none").verdict is Verdict.PASS


def test_recipients_are_compared_without_case() -> None:
    run, messages = healthy()
    run.copy(messages[0], 30, recipient=messages[0].recipient.upper())
    assert check(run, "duplicates", "none").numbers["duplicated"] == 1


def test_duplicates_in_the_baseline_do_not_count() -> None:
    run, _ = healthy()
    message = run.message(-5, baseline=True)
    run.copy(message, -4.9)
    run.copy(message, -4.8)
    assert check(run, "duplicates", "none").verdict is Verdict.PASS


class TestAllowance:
    def lossy(self, lost: int) -> Run:
        run = Run()
        run.fault(0, 50, "ack-loss")
        for number in range(100):
            message = run.message(number / 10)
            if number < lost:
                run.receipt(message, number / 10, "primary", "ack-lost", fault="f1")
                run.copy(message, number / 10 + 1, "backup")
            else:
                run.copy(message, number / 10, fault="f1" if number == 50 else None)
        return run

    def test_exactly_at_the_limit_is_a_pass(self) -> None:
        finding = check(self.lossy(1), "duplicates", {"at_most": "1%", "only": "lost-ack"})
        assert finding.verdict is Verdict.PASS

    def test_one_over_is_a_fail(self) -> None:
        finding = check(self.lossy(2), "duplicates", {"at_most": "1%", "only": "lost-ack"})
        assert finding.verdict is Verdict.FAIL

    def test_another_cause_is_a_fail_however_rare(self) -> None:
        run = self.lossy(0)
        run.copy(run.message(20), 20.1)
        run.copy(run.message(21, token="u" * 16), 21.1)
        twice = run.message(22, token="w" * 16)
        run.copy(twice, 22.1)
        run.copy(twice, 22.2)
        assert check(run, "duplicates", {"at_most": "50%"}).verdict is Verdict.PASS
        assert check(run, "duplicates", {"at_most": "50%", "only": "lost-ack"}).verdict is Verdict.FAIL


class TestInconclusive:
    def test_nothing_arrived(self) -> None:
        run = Run()
        run.message(5)
        finding = check(run, "duplicates", "none")
        assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "no message arrived at all")

    def test_the_workload_never_met_the_fault(self) -> None:
        run = Run()
        run.traffic(0, 5, 0.5)
        run.fault(10, 20)
        finding = check(run, "duplicates", "none")
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "never met incident f1 (outage on primary)" in finding.reason

    def test_a_record_is_missing(self) -> None:
        run, _ = healthy()
        run.loses_record()
        run.copy(run.message(30), 30.1)
        assert "1 record is missing from m365" in check(run, "duplicates", "none").reason

    def test_but_a_duplicate_is_a_fail_even_so(self) -> None:
        run, messages = healthy()
        run.loses_record()
        run.copy(messages[0], 30)
        assert check(run, "duplicates", "none").verdict is Verdict.FAIL

    @pytest.mark.parametrize(
        ("warning", "means"), [("receipt-gap", "is not whole"), ("witness-disagrees", "is in doubt")]
    )
    def test_the_harness_warned_of_the_record(self, warning: str, means: str) -> None:
        run, _ = healthy()
        run.events.append(HarnessWarning(t_ns=1, warning=warning, subject="m365", detail="98 of 100"))
        finding = check(run, "duplicates", "none")
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == f"the record of m365 {means} (98 of 100)"
