"""What left before its approval: what left first of a message, and what was perhaps never taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check

PHONE = "+12025550123"


def judged(run: Run, params: Any = "marketing") -> Finding:
    return check(run, "approval", params)


def paused(
    approved_at: float, *, count: int = 1, result: str | None = "accepted", **more: Any
) -> tuple[Run, list[Message]]:
    """From 2 s until it is approved, with newsletters that were due at 5 s."""
    run = Run(**more)
    run.operator("pause", 2)
    run.operator("approve", approved_at)
    return run, [run.message(5, "marketing", result=result) for _ in range(count)]


def beside(run: Run, message: Message, at: float, via: str) -> None:
    run.copy(message, at, via, recipient=PHONE, carriers=["nonce"])


class TestWhatLeftFirst:
    @pytest.mark.parametrize("event", ["bounced", "dropped"])
    def test_counts_though_it_came_to_nothing_and_a_second_copy_was_approved(self, event: str) -> None:
        run, [message] = paused(20)
        run.copy(message, 10)
        run.provider_says(event, message, 10.5)
        run.copy(message, 21)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert [each.why for each in finding.offenders] == [
            "left after pause 1, 10.000 s before the approval"
        ]

    def test_counts_as_a_short_message_though_the_mail_was_approved(self) -> None:
        run, [message] = paused(20)
        beside(run, message, 10, "backup")
        run.copy(message, 21)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert [each.why for each in finding.offenders] == [
            "left by backup after pause 1, 10.000 s before the approval"
        ]

    @pytest.mark.parametrize(
        ("mail", "short_message", "by"),
        [(10, 21, " by primary"), (21, 10, " by backup"), (10, 10, " by primary")],
    )
    def test_is_named_with_its_route(self, mail: float, short_message: float, by: str) -> None:
        run, [message] = paused(20)
        run.copy(message, mail)
        beside(run, message, short_message, "backup")
        assert [each.why for each in judged(run).offenders] == [
            f"left{by} after pause 1, 10.000 s before the approval"
        ]

    def test_is_named_without_a_route_where_it_came_to_nothing(self) -> None:
        for first in ("mail", "short message"):
            run, [message] = paused(20)
            if first == "mail":
                run.copy(message, 10)
                run.provider_says("dropped", message, 10.5)
                beside(run, message, 12, "backup")
            else:
                beside(run, message, 10, "backup")
                run.provider_says("dropped", replace(message, recipient=PHONE), 10.5, "backup")
                run.copy(message, 12)
            finding = judged(run)
            assert [each.why for each in finding.offenders] == [
                "left after pause 1, 10.000 s before the approval"
            ]
            assert (finding.numbers["waited"], finding.numbers["left_before"]) == (1, 1)

    def test_may_come_to_nothing_after_the_approval_and_be_done_again(self) -> None:
        run, [message] = paused(20)
        run.copy(message, 20)
        run.provider_says("dropped", message, 20.5)
        beside(run, message, 21, "backup")
        assert judged(run).verdict is Verdict.PASS

    @pytest.mark.parametrize("at", [1, 5.9])
    @pytest.mark.parametrize("first", ["dropped", "short message"])
    def test_in_time_does_not_let_the_mail_go(self, first: str, at: float) -> None:
        run = Run()
        run.operator("pause", 2)
        run.operator("approve", 20)
        message = run.message(at - 0.9, "marketing")
        if first == "dropped":
            run.copy(message, at)
            run.provider_says("dropped", message, at + 0.1)
        else:
            beside(run, message, at, "backup")
        run.copy(message, 15)
        finding = judged(run)
        assert [each.why for each in finding.offenders] == [
            "left by primary after pause 1, 5.000 s before the approval"
        ]
        assert (finding.numbers["waited"], finding.numbers["left_before"]) == (1, 1)

    def test_in_time_by_mail_leaves_nothing_that_waits(self) -> None:
        run = Run()
        run.operator("pause", 2)
        run.operator("approve", 20)
        message = run.message(1, "marketing")
        run.copy(message, 1.5)
        beside(run, message, 10, "backup")
        finding = judged(run)
        assert (finding.verdict, finding.numbers["waited"]) == (Verdict.PASS, 0)


class TestMailThatWasPerhapsNeverTaken:
    def test_and_left_before_the_approval_is_inconclusive_and_says_how_much_of_it(self) -> None:
        run, messages = paused(20, count=50, result="indeterminate")
        for message in messages:
            run.copy(message, 10)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == (
            "the system never said clearly whether it took 50 messages that left before the approval"
        )
        assert (finding.numbers["waited"], finding.numbers["left_before"], finding.counted) == (0, 0, 0)
        assert finding.summary == "no marketing messages surely had to wait"

    @pytest.mark.parametrize("at", [20, None])
    def test_and_left_after_it_or_never_is_a_pass(self, at: float | None) -> None:
        run, [message] = paused(20, result=None)
        if at is not None:
            run.copy(message, at)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.summary == "not needed: no marketing messages had to wait"

    def test_is_no_mail_that_was_refused(self) -> None:
        run, [message] = paused(20)
        run.copy(message, 21)
        run.copy(run.message(5, "marketing", result="refused"), 10)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["waited"]) == (Verdict.PASS, 1)

    @pytest.mark.parametrize(
        ("at_most", "verdict"), [(0, Verdict.FAIL), (1, Verdict.INCONCLUSIVE), (2, Verdict.PASS)]
    )
    def test_may_be_among_those_that_are_allowed(self, at_most: int, verdict: Verdict) -> None:
        run, [message] = paused(20)
        run.copy(message, 10)
        run.copy(run.message(5, "marketing", result=None), 11)
        finding = judged(run, {"class": "marketing", "at_most": at_most})
        assert finding.verdict is verdict
        assert (finding.numbers["waited"], finding.numbers["left_before"]) == (1, 1)
        assert finding.summary.startswith("1 of 1 waiting marketing messages left")
        assert [each.token for each in finding.offenders] == [message.token] * (at_most == 0)

    def test_is_told_apart_from_mail_that_left_too_close_to_the_approval_to_tell(self) -> None:
        run, messages = paused(20, count=2, result=None, clock_error=0.5)
        run.copy(messages[0], 19)
        run.copy(messages[1], 19.8)
        run.copy(run.message(5, "marketing"), 20.2)
        assert judged(run).reason == (
            "the clock error hides whether 2 messages left before the approval; "
            "the system never said clearly whether it took 1 message that left before the approval"
        )

    def test_has_no_exact_time_where_it_was_read_back(self) -> None:
        run, [message] = paused(20, result=None)
        run.copy(message, 10, observed="after")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "copies were read back from the provider, without exact times"
