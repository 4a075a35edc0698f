"""Nothing that waited leaves before it is approved."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check


def judged(run: Run, params: Any = "marketing") -> Finding:
    return check(run, "approval", params)


def outage(*approved_at: float, count: int = 10, **more: Any) -> tuple[Run, list[Message]]:
    """From 10 to 20 s, with newsletters that were due at 12 s."""
    run = Run(**more)
    run.fault(10, 20)
    run.detects(11, until=21)
    for at in approved_at:
        run.operator("approve", at)
    return run, [run.message(12, "marketing") for _ in range(count)]


def test_what_leaves_after_the_approval_is_a_pass() -> None:
    run, messages = outage(25)
    for message in messages:
        run.copy(message, 25.1)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["waited"], finding.numbers["left_before"]) == (10, 0)
    assert finding.summary == "0 of 10 waiting marketing messages left before an approval, 0 allowed"


def test_a_mass_resume_before_it_is_a_fail_that_says_by_how_much() -> None:
    run, messages = outage(25)
    for number, message in enumerate(messages):
        run.copy(message, 21 + number / 10)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.numbers["left_before"] == 10
    assert finding.offenders[0].token == messages[0].token
    assert finding.offenders[0].why == "left by primary after incident f1, 4.000 s before the approval"


@pytest.mark.parametrize(("before", "verdict"), [(3, Verdict.PASS), (4, Verdict.FAIL)])
def test_a_trickle_may_be_allowed(before: int, verdict: Verdict) -> None:
    run, messages = outage(25)
    for number, message in enumerate(messages):
        run.copy(message, 22 if number < before else 26)
    finding = judged(run, {"class": "marketing", "at_most": 3})
    assert finding.verdict is verdict
    assert bool(finding.offenders) == (verdict is Verdict.FAIL)


@pytest.mark.parametrize(("at", "verdict"), [(24.999, Verdict.FAIL), (25, Verdict.PASS)])
def test_at_the_very_moment_of_the_approval_is_not_before_it(at: float, verdict: Verdict) -> None:
    run, messages = outage(25)
    run.copy(messages[0], at)
    assert judged(run).verdict is verdict


def test_where_nobody_approves_nothing_may_leave() -> None:
    run, messages = outage()
    assert judged(run).verdict is Verdict.PASS
    run.copy(messages[0], 90)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.offenders[0].why == "left by primary after incident f1, which nobody ever approved"


def test_an_approval_that_was_given_before_does_not_count() -> None:
    run, messages = outage(9.9)
    run.copy(messages[0], 26)
    assert judged(run).verdict is Verdict.FAIL


def test_one_during_the_incident_does() -> None:
    run, messages = outage(15)
    run.copy(messages[0], 21)
    assert judged(run).verdict is Verdict.PASS


def test_each_incident_needs_its_own() -> None:
    run, messages = outage(25)
    for message in messages:
        run.copy(message, 26)
    run.fault(40, 50)
    run.detects(41)
    later = run.message(42, "marketing")
    run.copy(later, 52)
    assert [each.token for each in judged(run).offenders] == [later.token]


def test_leaving_by_the_other_route_is_leaving() -> None:
    run, messages = outage(25)
    run.copy(messages[0], 15, "backup")
    assert judged(run).verdict is Verdict.FAIL


@pytest.mark.parametrize("event", ["bounced", "dropped"])
def test_what_left_and_then_bounced_or_was_dropped_has_left(event: str) -> None:
    run, messages = outage(25)
    run.copy(messages[0], 21)
    run.provider_says(event, messages[0], 21.5)
    assert judged(run).verdict is Verdict.FAIL


@pytest.mark.parametrize(("after", "waited"), [(0.999, 0), (1, 1)])
def test_who_got_no_copy_for_a_second_waited(after: float, waited: int) -> None:
    run = Run()
    run.fault(10, 20)
    run.detects(11)
    run.copy(run.message(15, "marketing"), 15 + after, "backup")
    run.copy(run.message(5, "marketing"), 10 + after, "backup")
    assert judged(run).numbers["waited"] == 2 * waited


def test_a_delay_that_a_fault_puts_on_the_way_is_no_waiting() -> None:
    run = Run()
    run.fault(10, 20, "latency", attributes={"latency": 900, "jitter": 100})
    for at, took in ((12, 1.9), (13, 2.1)):
        run.copy(run.message(at, "marketing"), at + took)
    assert judged(run).numbers["waited"] == 1


@pytest.mark.parametrize(("at", "waited"), [(19, 1), (19.001, 0)])
def test_who_was_due_less_than_a_second_before_its_end_did_not_wait_for_it(at: float, waited: int) -> None:
    """It is as slow as ever: had nothing been broken, it would have left as late."""
    run, _ = outage(40, count=0)
    run.copy(run.message(at, "marketing"), at + 1.5)
    assert judged(run).numbers["waited"] == waited


def test_what_came_after_the_incident_did_not_wait() -> None:
    run, _ = outage(40)
    run.copy(run.message(20.1, "marketing"), 25)
    assert judged(run).verdict is Verdict.PASS


def test_other_classes_go_on() -> None:
    run, _ = outage(25)
    for number in range(20):
        run.copy(run.message(11 + number / 10), 21)
    assert judged(run).verdict is Verdict.PASS


@pytest.mark.parametrize(("class_", "verdict"), [("marketing", Verdict.PASS), ("digest", Verdict.FAIL)])
def test_an_approval_may_be_about_one_class(class_: str, verdict: Verdict) -> None:
    run, messages = outage()
    run.operator("approve", 25, class_)
    run.copy(messages[0], 26)
    assert judged(run).verdict is verdict


class TestPauses:
    def test_what_an_operator_paused_needs_an_approval_too(self) -> None:
        run = Run()
        run.operator("pause", 10, "marketing")
        run.operator("resume", 20)
        run.operator("approve", 22)
        messages = [run.message(12, "marketing") for _ in range(2)]
        run.copy(messages[0], 23)
        assert judged(run).verdict is Verdict.PASS
        run.copy(messages[1], 21)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert "after pause 1" in finding.offenders[0].why

    def test_and_so_does_what_the_system_says_it_paused(self) -> None:
        run = Run()
        run.says_paused(10, until=20)
        run.copy(run.message(12, "marketing"), 21)
        assert judged(run).verdict is Verdict.FAIL

    def test_not_what_was_paused_of_another_class(self) -> None:
        run = Run()
        run.operator("pause", 10, "digest")
        run.copy(run.message(12, "marketing"), 21)
        assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_nothing_waited_is_a_pass_that_says_so() -> None:
    run, _ = outage(count=0)
    run.traffic(0, 8, 1, class_="marketing")
    run.traffic(10, 20, 1, via="backup")
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert finding.summary == "not needed: no marketing messages had to wait"


class TestInconclusive:
    def test_nothing_was_ever_stopped(self) -> None:
        run = Run()
        run.traffic(0, 10, 1, class_="marketing")
        run.fault(20, 30, target="backup")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason.startswith("no mail was stopped")

    @pytest.mark.parametrize("refused", [0, 3])
    def test_no_mail_of_the_class(self, refused: int) -> None:
        run, _ = outage(count=0)
        for _ in range(refused):
            run.message(12, "marketing", result="refused")
        assert judged(run).reason == "no marketing messages were accepted"

    @pytest.mark.parametrize(
        ("at", "verdict"),
        [
            (24.4, Verdict.FAIL),
            (24.5, Verdict.INCONCLUSIVE),
            (25.4, Verdict.INCONCLUSIVE),
            (25.5, Verdict.PASS),
        ],
    )
    def test_the_clock_error_hides_which_came_first(self, at: float, verdict: Verdict) -> None:
        run, messages = outage(25, clock_error=0.5)
        run.copy(messages[0], at)
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize(
        ("at", "verdict"),
        [
            (12.4, Verdict.PASS),
            (12.5, Verdict.INCONCLUSIVE),
            (13.4, Verdict.INCONCLUSIVE),
            (13.5, Verdict.FAIL),
        ],
    )
    def test_or_whether_it_waited_at_all(self, at: float, verdict: Verdict) -> None:
        run, messages = outage(25, clock_error=0.5)
        run.copy(messages[0], at, "backup")
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize("at", [21, 26])
    def test_copies_were_read_back(self, at: float) -> None:
        run, messages = outage(25)
        run.copy(messages[0], at, observed="after")
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_a_record_is_missing(self) -> None:
        run, messages = outage(25)
        run.loses_record()
        run.copy(messages[0], 26)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_the_record_is_cut_before_an_approval(self) -> None:
        run, _ = outage(finished=False)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_nobody_met_the_fault(self) -> None:
        run = Run()
        run.traffic(0, 10, 1, class_="marketing")
        run.fault(60, 70)
        assert judged(run).verdict is Verdict.INCONCLUSIVE
