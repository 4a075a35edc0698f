"""Which copy is the one too many, at what instant a cause applies, and who is named first."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check

NS = 1e-9


def judged(run: Run, params: Any = "none") -> Finding:
    return check(run, "duplicates", params)


def copied(run: Run, message: Message, *at: float, via: str = "primary") -> Message:
    for each in at:
        run.copy(message, each, via)
    return message


def by_app(run: Run, message: Message, at: float, who: str) -> None:
    run.copy(message, at, "backup", recipient=who, carriers=["nonce"])


class TestTheNumbers:
    def test_tell_all_and_split_the_extra_copies_by_cause(self) -> None:
        run = Run()
        lost = run.message(5)
        run.receipt(lost, 5.1, "primary", "ack-lost")
        run.copy(lost, 6, "backup")
        run.copy(lost, 7, "backup")
        for at in (8, 9):
            message = run.message(at)
            run.receipt(message, at + 0.1, "primary", "ack-lost")
            run.copy(message, at + 0.5)
        copied(run, run.message(10), 10.1)
        run.message(11)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.numbers == {
            "messages": 4,
            "duplicated": 3,
            "copies": 8,
            "duplicated_share": 0.75,
            "cross_route_after_lost_ack": 1,
            "same_route_after_lost_ack": 2,
            "same_route": 1,
        }
        assert finding.summary == "3 of 4 messages arrived twice"

    def test_of_nothing_are_all_nought(self) -> None:
        run = Run()
        run.message(5)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.numbers == {"messages": 0, "duplicated": 0, "copies": 0, "duplicated_share": 0.0}
        assert (finding.counted, finding.offenders) == (0, [])

    def test_have_a_share_to_a_millionth(self) -> None:
        run = Run()
        for at in (5, 6, 7):
            copied(run, run.message(at), at + 0.1)
        copied(run, run.message(8), 8.1)
        copied(run, run.message(9), 9.1)
        copied(run, run.message(10), 10.1, 10.2)
        assert judged(run).numbers["duplicated_share"] == 0.166667

    def test_leave_out_what_nobody_submitted(self) -> None:
        run = Run()
        copied(run, run.message(5), 5.1)
        nobodys = Message("z" * 16, "anna@customer.example", 5)
        copied(run, nobodys, 6, 7)
        by_app(run, nobodys, 8, "anna")
        by_app(run, nobodys, 9, "anna")
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert (finding.numbers["messages"], finding.numbers["copies"]) == (1, 1)


class TestTheCause:
    def test_is_a_lost_acknowledgement_for_an_attempt_that_began_as_it_was_lost(self) -> None:
        for before, cause in ((0.0, "cross-route after a lost acknowledgement"), (NS, "cross-route")):
            run = Run()
            message = run.message(5)
            run.receipt(message, 5.5, "primary", "ack-lost")
            run.copy(message, 6, "backup", took=0.5 + before)
            assert judged(run).offenders[0].cause == cause

    def test_is_a_lost_acknowledgement_within_what_both_clocks_may_err(self) -> None:
        for before, cause in ((0.25, "cross-route after a lost acknowledgement"), (0.25 + NS, "cross-route")):
            run = Run(clock_error=0.125)
            message = run.message(5)
            run.receipt(message, 5.5, "primary", "ack-lost")
            run.copy(message, 6, "backup", took=0.5 + before)
            assert judged(run).offenders[0].cause == cause

    @pytest.mark.parametrize(
        ("taken", "begins", "cause"),
        [
            (7.5, 8.0, "replay"),
            (7.5, 8.0 - NS, "cross-route"),
            (8.0 - NS, 9.0, "replay"),
            (8.0, 9.0, "cross-route"),
        ],
    )
    def test_is_a_replay_where_the_fault_ended_between_the_copies(
        self, taken: float, begins: float, cause: str
    ) -> None:
        run = Run()
        run.fault(6, 8)
        message = run.message(5)
        run.copy(message, taken)
        run.copy(message, begins + 0.25, "backup", took=0.25)
        finding = judged(run)
        assert [offender.cause for offender in finding.offenders] == [cause]

    def test_is_judged_by_the_copy_before_it_to_the_same_recipient(self) -> None:
        run = Run()
        anna = run.message(5, token="a" * 16, recipient="anna@customer.example")
        bert = run.message(5, token="a" * 16, recipient="bert@customer.example")
        run.copy(anna, 6, "primary")
        run.copy(bert, 7, "backup")
        run.copy(anna, 8, "primary")
        run.copy(bert, 9, "backup")
        finding = judged(run)
        assert [(each.recipient, each.why, each.cause) for each in finding.offenders] == [
            ("anna@customer.example", "2 copies: primary, then primary 2.0 s later", "same route"),
            ("bert@customer.example", "2 copies: backup, then backup 2.0 s later", "same route"),
        ]
        assert finding.numbers["duplicated"] == finding.numbers["same_route"] == 2

    def test_of_several_may_be_allowed(self) -> None:
        run = Run()
        lost = run.message(5)
        run.receipt(lost, 5.1, "primary", "ack-lost")
        run.copy(lost, 6)
        copied(run, run.message(8), 8.1, 8.2)
        for only, verdict in (
            (["lost-ack", "same-route"], Verdict.PASS),
            (["lost-ack", "cross-route"], Verdict.FAIL),
            ("lost-ack", Verdict.FAIL),
        ):
            assert judged(run, {"at_most": "100%", "only": only}).verdict is verdict


class TestWhoIsNamed:
    def test_who_got_the_most_copies_then_who_got_his_second_one_first(self) -> None:
        run = Run()
        late = copied(run, run.message(5), 5.5, 12)
        soon = copied(run, run.message(5), 6, 9)
        four = copied(run, run.message(5), 20, 21, 22, 23)
        long = copied(run, run.message(5), 7, 8, 40)
        brief = copied(run, run.message(5), 6, 10, 11)
        assert [each.token for each in judged(run).offenders] == [
            each.token for each in (four, long, brief, soon, late)
        ]

    def test_the_cause_has_no_part_in_it(self) -> None:
        run = Run()
        first = copied(run, run.message(5), 6, 7)  # the same route
        second = run.message(5)
        run.copy(second, 6)
        run.copy(second, 8, "backup")
        third = copied(run, run.message(5), 6, 9)
        assert [(each.token, each.cause) for each in judged(run).offenders] == [
            (first.token, "same route"),
            (second.token, "cross-route"),
            (third.token, "same route"),
        ]

    def test_of_equals_by_token_and_then_by_recipient(self) -> None:
        run = Run()
        names = [("b", "anna"), ("a", "dora"), ("a", "cleo"), ("c", "bert")]
        messages = [
            run.message(5, token=token * 16, recipient=f"{who}@customer.example") for token, who in names
        ]
        for at in (6, 7):
            for message in messages:
                run.copy(message, at)
        assert [(each.token, each.recipient) for each in judged(run).offenders] == [
            ("a" * 16, "cleo@customer.example"),
            ("a" * 16, "dora@customer.example"),
            ("b" * 16, "anna@customer.example"),
            ("c" * 16, "bert@customer.example"),
        ]

    def test_two_messages_to_one_recipient_are_two(self) -> None:
        run = Run()
        messages = [run.message(5, recipient="anna@customer.example") for _ in range(2)]
        for message in messages:
            copied(run, message, 6, 7)
        finding = judged(run)
        assert [each.token for each in finding.offenders] == sorted(each.token for each in messages)
        assert finding.numbers["duplicated"] == 2

    def test_one_outside_of_mail_is_one_however_he_is_spelt(self) -> None:
        run = Run()
        message = run.message(5)
        for at, who in ((6, "Anna"), (7, "anna"), (8, "ANNA")):
            by_app(run, message, at, who)
        finding = judged(run)
        assert [(each.recipient, each.why) for each in finding.offenders] == [
            ("anna", "3 copies: backup, then backup 1.0 s later")
        ]
        assert (finding.numbers["duplicated"], finding.numbers["copies"]) == (1, 3)

    def test_no_more_than_ten(self) -> None:
        run = Run()
        messages = [copied(run, run.message(5), 6, 7 + number) for number in range(12)]
        finding = judged(run)
        assert [each.token for each in finding.offenders] == [each.token for each in messages[:10]]
        assert finding.numbers["duplicated"] == 12

    def test_with_the_first_two_routes_and_the_time_between_them(self) -> None:
        run = Run()
        message = copied(run, run.message(5), 6)
        run.copy(message, 8, "backup")
        run.copy(message, 13)
        finding = judged(run)
        assert finding.offenders[0].why == "3 copies: primary, then backup 2.0 s later"
        assert finding.offenders[0].cause == "cross-route"

    @pytest.mark.parametrize(("later", "told"), [(0.25, "0.2"), (0.75, "0.8")])
    def test_with_a_time_to_a_tenth_of_a_second(self, later: float, told: str) -> None:
        run = Run()
        copied(run, run.message(5), 6, 6 + later)
        assert judged(run).offenders[0].why == f"2 copies: primary, then primary {told} s later"
