"""Which attempts a pause is about, where several pauses meet, and who is named."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks import parse_params
from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check

BY_DETECTION = {"class": "marketing", "from": "detection"}


def judged(run: Run, params: Any = "marketing") -> Finding:
    return check(run, "pause", params)


def paused(count: int = 3, **more: Any) -> tuple[Run, list[Message]]:
    """By an operator from 10 to 20 s, with newsletters in the middle."""
    run = Run(**more)
    run.operator("pause", 10)
    run.operator("resume", 20)
    return run, [run.message(12, "marketing") for _ in range(count)]


def begins(run: Run, message: Message, at: float, via: str = "primary", **more: Any) -> None:
    run.copy(message, at + 0.01, via, took=0.01, **more)


class TestWhatIsCounted:
    def test_each_try_of_a_message_is_an_attempt(self) -> None:
        run, messages = paused()
        run.receipt(messages[0], 14.01, result="deferred")
        begins(run, messages[0], 15)
        begins(run, messages[1], 16)
        finding = judged(run)
        assert (finding.numbers["attempts"], finding.numbers["messages"]) == (3, 2)
        assert (finding.numbers["in_play"], finding.counted) == (3, 3)
        assert finding.summary == "3 attempts were made for marketing while paused"

    @pytest.mark.parametrize(("begin", "attempts"), [(12, 0), (12.000000001, 1)])
    def test_a_nanosecond_after_the_grace_is_after_it(self, begin: float, attempts: int) -> None:
        run, messages = paused()
        begins(run, messages[0], begin)
        assert judged(run).numbers["attempts"] == attempts

    def test_providers_may_number_their_attempts_alike(self) -> None:
        run, messages = paused()
        begins(run, messages[0], 14, attempt="7")
        begins(run, messages[1], 15, "backup", attempt="7")
        assert judged(run).numbers["attempts"] == 2

    def test_the_class_can_be_one_of_the_baseline_which_is_left_out(self) -> None:
        run, _ = paused()
        early = run.message(-1, baseline=True)
        run.receipt(early, 15, result="deferred")
        finding = judged(run, "transactional")
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "no transactional message was there to be sent while they were paused"
        waiting = run.message(12)
        begins(run, waiting, 16)
        finding = judged(run, "transactional")
        assert (finding.verdict, finding.numbers["in_play"]) == (Verdict.FAIL, 1)
        assert [(each.token, each.recipient) for each in finding.offenders] == [
            (waiting.token, waiting.recipient)
        ]

    def test_the_systems_own_canary_is_no_mail(self) -> None:
        run, _ = paused()
        probe = run.message(12, "marketing", recipient="probe@canary.example")
        begins(run, probe, 15)
        assert judged(run).verdict is Verdict.PASS

    def test_what_goes_by_sms_is_no_attempt_at_mail(self) -> None:
        run, messages = paused()
        begins(run, messages[0], 15, "backup", recipient="+12025550123", carriers=["nonce"])
        finding = judged(run)
        assert (finding.verdict, finding.numbers["in_play"]) == (Verdict.PASS, 3)

    def test_what_had_gone_by_sms_was_not_there_to_be_sent(self) -> None:
        run, _ = paused(0)
        told = run.message(5, "marketing")
        begins(run, told, 8, "backup", recipient="+12025550123", carriers=["nonce"])
        assert judged(run).reason == "no marketing message was there to be sent while they were paused"

    def test_nor_was_what_the_system_refused(self) -> None:
        run, _ = paused(0)
        run.message(12, "marketing", result="refused")
        assert judged(run).verdict is Verdict.INCONCLUSIVE
        run.message(12, "marketing", result=None)
        assert judged(run).numbers["in_play"] == 1


class TestSeveralPauses:
    def test_a_message_that_two_were_about_was_there_once(self) -> None:
        run, _ = paused(1)
        run.operator("pause", 30)
        run.operator("resume", 40)
        finding = judged(run)
        assert (finding.numbers["pauses"], finding.numbers["in_play"]) == (2, 1)
        assert finding.summary == "no attempt was made for marketing in 2 pauses"

    def test_an_attempt_in_two_is_one_and_counts_from_the_first(self) -> None:
        run, messages = paused()
        run.says_paused(11, until=20)
        begins(run, messages[0], 15)
        finding = judged(run)
        assert (finding.numbers["pauses"], finding.numbers["attempts"]) == (2, 1)
        assert [each.why for each in finding.offenders] == [
            "tried by primary, 5.000 s after the pause began: accepted"
        ]

    def test_a_word_that_made_no_sense_hides_nothing_where_another_pause_is_certain(self) -> None:
        run, messages = paused()
        run.says_paused(11)
        run.reads("paused", None, 14, None, before=13.9, error="not JSON")
        begins(run, messages[0], 15)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["attempts"]) == (Verdict.FAIL, 1)

    def test_one_that_was_shorter_than_the_grace_leaves_the_other(self) -> None:
        run, messages = paused(1)
        run.operator("pause", 30)
        run.operator("resume", 31)
        begins(run, messages[0], 30.5)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["pauses"]) == (Verdict.PASS, 2)

    def test_what_was_due_as_one_ended_and_left_as_the_next_held_was_there_in_neither(self) -> None:
        run, _ = paused(0)
        run.operator("pause", 30)
        run.operator("resume", 40)
        for at, left, there in ((20, 32, 0), (19.9, 32, 1), (25, 32.1, 2)):
            run.copy(run.message(at, "marketing"), left)
            assert judged(run).numbers["in_play"] == there

    def test_each_lasts_to_its_own_end(self) -> None:
        run, messages = paused()
        run.operator("pause", 30)
        run.operator("resume", 40)
        begins(run, messages[0], 25)
        begins(run, messages[1], 35)
        assert [each.token for each in judged(run).offenders] == [messages[1].token]


class TestSignals:
    def test_an_answer_without_sense_at_the_very_beginning_of_an_attempt_hides_it(self) -> None:
        run = Run()
        run.says_paused(10)
        run.reads("paused", None, 15, None, before=14.9, error="not JSON")
        message = run.message(12, "marketing")
        begins(run, message, 15)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["attempts"]) == (Verdict.INCONCLUSIVE, 0)
        assert finding.reason == "the signal made no sense before 1 attempt"

    def test_only_what_is_certain_is_counted_and_named(self) -> None:
        run = Run()
        run.says_paused(10)
        run.reads("paused", None, 15, None, before=14.9, error="not JSON")
        sure, hidden = run.message(12, "marketing"), run.message(12, "marketing")
        begins(run, sure, 14)
        begins(run, hidden, 16)
        finding = judged(run)
        assert (finding.numbers["attempts"], finding.numbers["messages"]) == (1, 1)
        assert [each.token for each in finding.offenders] == [sure.token]

    def test_other_signals_answer_for_themselves(self) -> None:
        run = Run()
        run.says_paused(10)
        run.reads("detected", None, 14, None, before=13.9, error="not JSON")
        run.reads("paused", None, 14, "backup", before=13.9, error="not JSON")
        begins(run, run.message(12, "marketing"), 15)
        assert judged(run).verdict is Verdict.FAIL

    @pytest.mark.parametrize("over", ["primary", "backup"])
    def test_a_pause_of_one_route_is_not_over_with_that_of_another(self, over: str) -> None:
        run = Run()
        for route in ("primary", "backup"):
            run.reads("paused", False, 4.9, route)
            run.reads("paused", True, 5, route, before=4.9)
            until = 10 if route == over else 30
            run.reads("paused", False, until, route, before=until - 0.1)
        begins(run, run.message(8, "marketing"), 20)
        finding = judged(run)
        assert (finding.numbers["pauses"], finding.numbers["attempts"]) == (2, 1)

    @pytest.mark.parametrize("over", [None, "primary"])
    def test_but_with_its_own_or_one_of_no_route(self, over: str | None) -> None:
        run = Run()
        run.reads("paused", False, 4.9, "primary")
        run.reads("paused", True, 5, "primary", before=4.9)
        run.reads("paused", True, 5, None)
        run.reads("paused", False, 10, over, before=9.9)
        begins(run, run.message(8, "marketing"), 20)
        assert judged(run).numbers["attempts"] == 0

    def test_an_operators_pause_is_over_with_that_of_any(self) -> None:
        run, messages = paused()
        run.reads("paused", True, 10.5, "backup")
        run.reads("paused", False, 13, "backup", before=12.9)
        begins(run, messages[0], 15)
        assert judged(run).verdict is Verdict.PASS

    def test_a_detection_that_names_no_route_is_of_the_mails_own(self) -> None:
        run = Run()
        run.fault(10, 20)
        run.reads("detected", False, 10.9, None)
        run.reads("detected", True, 11, None, before=10.9)
        begins(run, run.message(12, "marketing"), 15)
        finding = judged(run, BY_DETECTION)
        assert (finding.verdict, finding.numbers["pauses"]) == (Verdict.FAIL, 1)

    def test_detections_of_two_routes_are_two_pauses(self) -> None:
        run = Run()
        run.copy(run.message(-0.2, baseline=True), -0.1, "backup")
        run.fault(10, 20)
        run.fault(10, 20, target="backup")
        run.detects(11, until=13.5)
        run.detects(12, "backup", until=22)
        message = run.message(12, "marketing")
        begins(run, message, 20)
        finding = judged(run, BY_DETECTION)
        assert (finding.verdict, finding.numbers["pauses"]) == (Verdict.FAIL, 2)
        assert finding.offenders[0].why == "tried by primary, 8.000 s after the pause began: accepted"


class TestOffenders:
    def test_are_named_in_order_ten_at_most(self) -> None:
        run, messages = paused(12)
        for number, message in enumerate(messages):
            begins(run, message, 18 - number / 4)
        finding = judged(run)
        assert finding.numbers["attempts"] == 12
        assert [each.token for each in finding.offenders] == [
            message.token for message in reversed(messages[2:])
        ]

    def test_at_equal_times_in_the_order_of_the_record(self) -> None:
        run, messages = paused(8)
        took = (0.4, 0.8, 0.1, 0.7, 0.3, 0.2, 0.6, 0.5)
        for message, each in zip(messages, took, strict=True):
            run.copy(message, 15 + each, took=each)
        order = [message for _, message in sorted(zip(took, messages, strict=True), key=lambda pair: pair[0])]
        assert [each.token for each in judged(run).offenders] == [message.token for message in order]

    def test_by_when_they_began_and_not_by_when_they_ended(self) -> None:
        run, messages = paused()
        run.copy(messages[0], 17, took=3)
        run.copy(messages[1], 15.1, took=0.1)
        run.copy(messages[2], 16.5, took=2)
        assert [each.token for each in judged(run).offenders] == [messages[i].token for i in (0, 2, 1)]

    def test_a_pass_names_nobody(self) -> None:
        run, messages = paused()
        begins(run, messages[0], 21)
        assert judged(run).offenders == []


class TestDoubts:
    def test_a_record_that_is_cut_after_the_pause_says_enough(self) -> None:
        run, messages = paused(finished=False)
        begins(run, messages[0], 21)
        assert judged(run).verdict is Verdict.PASS

    def test_a_detection_that_was_never_asked_for_says_which_was_missing(self) -> None:
        run, _ = paused()
        finding = judged(run, BY_DETECTION)
        assert finding.reason == "nothing was detected on a route that mail usually takes"
        assert (finding.summary, finding.numbers["pauses"]) == ("there was no pause", 0)

    @pytest.mark.parametrize(
        "params", [{}, {"class_": "marketing"}, {"class": "marketing", "from": "x"}, {"class": "a", "b": 1}]
    )
    def test_parameters_that_make_no_sense_are_refused(self, params: object) -> None:
        with pytest.raises(ValueError, match="validation error"):
            parse_params("pause", params)
