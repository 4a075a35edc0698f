"""Whose mail had to wait for which approval: several stops at once, mail of others, and who is named."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check, opened


def judged(run: Run, params: Any = "marketing") -> Finding:
    return check(run, "approval", params)


def outage(*approved_at: float, count: int = 1, **more: Any) -> tuple[Run, list[Message]]:
    """From 10 to 20 s, with newsletters that were due at 12 s."""
    run = Run(**more)
    run.fault(10, 20)
    run.receipt(None, 11, result="refused")
    for at in approved_at:
        run.operator("approve", at)
    return run, [run.message(12, "marketing") for _ in range(count)]


def pause(run: Run, since: float, until: float) -> None:
    run.operator("pause", since)
    run.operator("resume", until)


class TestSeveralStops:
    def test_what_waited_in_two_needs_the_approval_of_both(self) -> None:
        run, [message] = outage(25)
        pause(run, 30, 40)
        run.copy(message, 45)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert (finding.numbers["stops"], finding.numbers["without_approval"]) == (2, 1)
        assert (finding.numbers["waited"], finding.numbers["left_before"]) == (1, 1)
        assert finding.counted == 1
        [offender] = finding.offenders
        assert offender.why == "left by primary after pause 1, which nobody ever approved"
        assert offender.cause == "never approved"

    def test_that_of_the_later_one_is_for_both(self) -> None:
        run, [message] = outage()
        pause(run, 15, 30)
        run.operator("approve", 35)
        run.copy(message, 36)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert (finding.numbers["stops"], finding.numbers["without_approval"]) == (2, 0)

    def test_who_left_before_it_is_told_of_the_last_one_he_waited_in(self) -> None:
        run, [message] = outage()
        pause(run, 15, 30)
        run.operator("approve", 35)
        run.copy(message, 33)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        [offender] = finding.offenders
        assert offender.why == "left by primary after pause 1, 2.000 s before the approval"
        assert offender.cause == "before the approval"

    def test_but_not_of_one_that_he_may_not_have_waited_in(self) -> None:
        """At an error of 0.5 s it is not certain that he was there still when the second pause had begun."""
        run, [message] = outage(25, clock_error=0.5)
        pause(run, 11, 11.5)  # over before the message was due
        pause(run, 14, 20)
        run.copy(message, 15)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert [each.why for each in finding.offenders] == [
            "left by primary after incident f1, 10.000 s before the approval"
        ]

    @pytest.mark.parametrize(("incident", "named"), [(12, "incident f1"), (8, "pause 1"), (10, "pause 1")])
    def test_the_last_is_the_one_that_began_last_or_a_pause(self, incident: float, named: str) -> None:
        run = Run()
        run.operator("pause", 10)
        run.fault(incident, 20)
        run.copy(run.message(13, "marketing"), 21)
        assert [each.why for each in judged(run).offenders] == [
            f"left by primary after {named}, which nobody ever approved"
        ]

    @pytest.mark.parametrize("due", [9, 8.5])
    def test_nor_of_one_that_was_over_when_it_was_due(self, due: float) -> None:
        """It perhaps waited in the next one of its kind, and surely in an earlier incident."""
        run = Run(clock_error=0.5)
        run.fault(5, 40)
        run.says_paused(6, until=8)
        run.says_paused(20, until=30)
        run.copy(run.message(due, "marketing"), 21.2)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert [each.why for each in finding.offenders] == [
            "left by primary after incident f1, which nobody ever approved"
        ]

    def test_a_clock_error_that_hides_one_approval_of_two_is_inconclusive(self) -> None:
        run, [message] = outage(25, clock_error=0.5)
        pause(run, 30, 40)
        run.operator("approve", 45)
        run.copy(message, 45.2)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "the clock error hides whether 1 message left before the approval"


class TestWhoseMail:
    def test_another_class_is_asked_for_its_own(self) -> None:
        run, [message] = outage(25)
        receipt = run.message(12)
        run.copy(receipt, 21)
        run.copy(message, 26)
        finding = judged(run, "transactional")
        assert finding.verdict is Verdict.FAIL
        assert [(each.token, each.recipient) for each in finding.offenders] == [
            (receipt.token, receipt.recipient)
        ]

    def test_the_recipient_is_named_as_he_was_written(self) -> None:
        run, _ = outage(25, count=0)
        message = run.message(12, "marketing", recipient="Anna.Bell@Customer.example")
        run.copy(message, 21)
        assert [each.recipient for each in judged(run).offenders] == ["Anna.Bell@Customer.example"]

    @pytest.mark.parametrize("baseline", [True, False])
    def test_mail_of_the_baseline_never_waits(self, baseline: bool) -> None:
        run, _ = outage(25, count=0)
        run.copy(run.message(12), 26)
        run.copy(run.message(-0.5, baseline=baseline), 21)
        finding = judged(run, "transactional")
        assert finding.verdict is (Verdict.PASS if baseline else Verdict.FAIL)
        assert finding.numbers["waited"] == (1 if baseline else 2)

    def test_nor_is_it_mail_of_the_class(self) -> None:
        run, _ = outage(25)
        finding = judged(run, "transactional")
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "no transactional messages were accepted"

    def test_mail_whose_acceptance_is_not_known_is_mail_of_the_class_but_did_not_surely_wait(self) -> None:
        run, _ = outage(25, count=0)
        unanswered = run.message(12, "marketing", result=None)
        run.copy(unanswered, 21)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["waited"]) == (Verdict.INCONCLUSIVE, 0)
        assert (finding.numbers["left_before"], finding.offenders) == (0, [])

    def test_another_run_stops_nothing_here(self) -> None:
        run, [message] = outage(25)
        run.copy(message, 21)
        other = Run("other")
        other.traffic(0, 3, 1, class_="marketing")
        with opened(run, other) as history:
            finding = CHECKS["approval"].evaluate(history, "other", parse_params("approval", "marketing"))
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.numbers["stops"] == 0


class TestHowLong:
    @pytest.mark.parametrize(("after", "waited"), [(0.999999999, 0), (1, 1)])
    def test_a_nanosecond_less_than_a_second_is_no_waiting(self, after: float, waited: int) -> None:
        run, _ = outage(25, count=0)
        run.copy(run.message(15, "marketing"), 15 + after, "backup")
        assert judged(run).numbers["waited"] == waited

    @pytest.mark.parametrize(("after", "waited"), [(0.999999999, 0), (1, 1)])
    def test_nor_is_it_where_no_fault_delays_anything(self, after: float, waited: int) -> None:
        run = Run()
        pause(run, 10, 20)
        run.copy(run.message(12, "marketing"), 12 + after)
        assert judged(run).numbers["waited"] == waited

    def test_the_longest_delay_on_any_route_is_no_waiting(self) -> None:
        run = Run()
        run.fault(10, 20, "latency", attributes={"latency": 1000})
        run.fault(10, 20, "latency", "backup", attributes={"latency": 200})
        for took in (1.9, 2.1):
            run.copy(run.message(13, "marketing"), 13 + took, "backup")
        assert judged(run).numbers["waited"] == 1


class TestLeaving:
    def test_as_a_short_message_is_leaving_too_and_says_by_which_route(self) -> None:
        run, [message] = outage(25)
        run.copy(message, 21, "backup", recipient="+12025550123", carriers=["nonce"])
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.offenders[0].why == "left by backup after incident f1, 4.000 s before the approval"

    def test_without_a_copy_says_no_route(self) -> None:
        run, [message] = outage(25)
        run.copy(message, 21)
        run.provider_says("bounced", message, 21.5)
        assert [each.why for each in judged(run).offenders] == [
            "left after incident f1, 4.000 s before the approval"
        ]


class TestOffenders:
    def test_are_named_in_the_order_in_which_they_left_and_by_token_at_equal_times(self) -> None:
        run, _ = outage(25, count=0)
        tokens = [f"t{letter * 15}" for letter in "kjihgfedcba"]
        messages = [run.message(12, "marketing", token=token) for token in tokens]
        late, *rest = messages
        run.copy(late, 22)
        for message in rest[:9]:
            run.copy(message, 21.5)
        run.copy(rest[9], 21)
        finding = judged(run)
        assert finding.numbers["left_before"] == 11
        expected = [rest[9], *reversed(rest[:9])]
        assert [each.token for each in finding.offenders] == [message.token for message in expected]

    def test_what_was_read_back_is_not_among_them(self) -> None:
        run, messages = outage(25, count=2)
        run.copy(messages[0], 21, observed="after")
        run.copy(messages[1], 22)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["left_before"]) == (Verdict.FAIL, 1)
        assert [each.token for each in finding.offenders] == [messages[1].token]


class TestDoubts:
    @pytest.mark.parametrize(("at_most", "verdict"), [(1, Verdict.INCONCLUSIVE), (2, Verdict.PASS)])
    def test_as_many_as_are_allowed_may_have_left_before(self, at_most: int, verdict: Verdict) -> None:
        run, messages = outage(25, count=2, clock_error=0.5)
        for message in messages:
            run.copy(message, 25.2)
        finding = judged(run, {"class": "marketing", "at_most": at_most})
        assert (finding.verdict, finding.numbers["allowed"]) == (verdict, at_most)

    def test_a_record_that_is_cut_after_all_were_approved_says_enough(self) -> None:
        run, [message] = outage(25, finished=False)
        run.copy(message, 26)
        assert judged(run).verdict is Verdict.PASS

    def test_an_incident_without_approval_is_told_of_even_where_nothing_waited(self) -> None:
        run, _ = outage(finished=False, count=0)
        run.traffic(0, 8, 1, class_="marketing")
        run.traffic(10, 20, 1, via="backup")
        finding = judged(run)
        assert (finding.verdict, finding.reason) == (
            Verdict.INCONCLUSIVE,
            "the record ends before an approval",
        )


class TestParameters:
    @pytest.mark.parametrize("at_most", [-1, "3", 2.0])
    def test_what_may_go_ahead_is_a_whole_number(self, at_most: object) -> None:
        with pytest.raises(ValueError, match="at_most"):
            parse_params("approval", {"class": "marketing", "at_most": at_most})

    def test_none_may_by_default_and_can_be_said_so(self) -> None:
        run, [message] = outage(25)
        run.copy(message, 21)
        for params in ("marketing", {"class": "marketing", "at_most": 0}):
            finding = judged(run, params)
            assert (finding.verdict, finding.numbers["allowed"]) == (Verdict.FAIL, 0)

    def test_a_class_has_to_be_named(self) -> None:
        for params in ({}, {"class_": "marketing"}, {"class": "marketing", "most": 1}):
            with pytest.raises(ValueError, match=r"class|most"):
                parse_params("approval", params)
