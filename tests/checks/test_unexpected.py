"""Nothing arrives that nobody sent, and bodies arrive as they were."""

from __future__ import annotations

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Run, check


def judged(run: Run) -> Finding:
    return check(run, "unexpected", "none")


def test_what_was_submitted_and_nothing_else_is_a_pass() -> None:
    run = Run()
    run.traffic(0, 5, 0.5)
    assert judged(run).verdict is Verdict.PASS


def test_an_unknown_token_is_a_fail() -> None:
    run = Run()
    run.receipt(None, 5, token="z" * 16, recipient="c.zzzzzzzzzzzzzzzz@customer.example")
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.offenders[0].cause == "unexpected"


def test_no_token_at_all_is_a_fail() -> None:
    run = Run()
    run.receipt(None, 5, recipient="someone@customer.example", carriers=[])
    assert judged(run).numbers["unexpected"] == 1


def test_a_known_token_to_another_recipient_is_a_fail() -> None:
    run = Run()
    run.copy(run.message(5), 5.1, recipient="someone.else@customer.example")
    assert judged(run).verdict is Verdict.FAIL


def test_a_message_that_also_went_out_by_sms_is_expected_and_an_sms_that_nobody_sent_is_not() -> None:
    run = Run()
    run.copy(run.message(5), 5.1, recipient="+12025550123", carriers=["nonce"])
    assert judged(run).verdict is Verdict.PASS
    run.receipt(None, 6, token="z" * 16, recipient="+12025550123", carriers=["nonce"])
    assert judged(run).numbers["unexpected"] == 1
    run.receipt(None, 7, recipient="+12025550123", carriers=[])
    assert judged(run).numbers["unexpected"] == 2


def test_a_notice_to_the_sender_is_no_copy_that_nobody_sent() -> None:
    run = Run()
    run.traffic(0, 5, 0.5)
    returned = run.message(5)
    run.receipt(returned, 5.1, result="refused")
    run.receipt(returned, 5.2, recipient="no-reply@shop.example", notice="failed", carriers=[])
    assert judged(run).verdict is Verdict.PASS


def test_a_refused_attempt_delivered_nothing() -> None:
    run = Run()
    run.traffic(0, 5, 0.5)
    run.receipt(None, 5, "primary", "refused", token="z" * 16, recipient="x@customer.example")
    assert judged(run).verdict is Verdict.PASS


def test_canaries_are_expected() -> None:
    run = Run()
    run.traffic(0, 5, 0.5)
    run.receipt(None, 5, recipient="Probe@canary.example", carriers=[])
    run.receipt(None, 5, recipient="c.canary0001@canary.example", token="canary0001")
    assert judged(run).verdict is Verdict.PASS


class TestBodies:
    def test_a_missing_nonce_is_a_changed_body(self) -> None:
        run = Run()
        run.copy(run.message(5), 5.1, carriers=["recipient", "header"])
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.numbers["changed"] == 1

    def test_unless_the_baselines_bodies_lost_theirs_too(self) -> None:
        run = Run(baseline=0)
        run.copy(run.message(-5, baseline=True), -4.9, carriers=["recipient", "header"])
        run.copy(run.message(5), 5.1, carriers=["recipient", "header"])
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert "not judged" in finding.summary

    def test_a_receipt_that_saw_no_carriers_says_nothing_of_the_body(self) -> None:
        run = Run()
        run.copy(run.message(5), 5.1, carriers=[])
        assert judged(run).verdict is Verdict.PASS


def test_nothing_arrived_is_inconclusive() -> None:
    run = Run()
    run.message(5)
    assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_a_missing_record_is_inconclusive() -> None:
    run = Run()
    run.loses_record()
    run.traffic(0, 5, 0.5)
    assert judged(run).verdict is Verdict.INCONCLUSIVE
