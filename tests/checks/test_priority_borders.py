"""What belongs to a replay, who is judged in it, and who is named first."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks import parse_params
from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check


def judged(run: Run, params: Any = "transactional") -> Finding:
    return check(run, "priority", params)


def outage(receipts: int = 1, newsletters: int = 4, **more: Any) -> tuple[Run, list[Message], list[Message]]:
    """From 10 to 20 s, of the only route: receipts and newsletters that were due at 12 s wait for its end."""
    run = Run(**more)
    run.fault(10, 20)
    waiting = [run.message(12) for _ in range(receipts)]
    return run, waiting, [run.message(12, "marketing") for _ in range(newsletters)]


def begins(run: Run, message: Message, at: float, via: str = "primary", **more: Any) -> None:
    """An attempt that begins then, and is accepted."""
    run.copy(message, at + 0.01, via, took=0.01, **more)


def in_turn(run: Run, messages: list[Message], since: float, every: float = 0.5) -> None:
    for number, message in enumerate(messages):
        begins(run, message, since + number * every)


class TestTheReplay:
    def test_is_of_what_was_due_a_second_before_the_release(self) -> None:
        run, [receipt], _ = outage(1, 0)
        just, hardly = run.message(19, "marketing"), run.message(19.001, "marketing")
        begins(run, hardly, 21)
        begins(run, receipt, 22)
        begins(run, just, 23)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["backlog"], finding.numbers["judged"]) == (
            Verdict.PASS,
            1,
            1,
        )

    @pytest.mark.parametrize("result", ["accepted", None])
    def test_is_of_what_was_surely_accepted(self, result: str | None) -> None:
        run, [receipt], [sure] = outage(1, 1)
        begins(run, run.message(12, "marketing", result=result), 21)
        begins(run, receipt, 22)
        begins(run, sure, 23)
        finding = judged(run)
        assert finding.verdict is (Verdict.FAIL if result else Verdict.PASS)
        assert finding.numbers["backlog"] == (2 if result else 1)

    def test_is_of_the_storms_mail_on_both_sides(self) -> None:
        run, [receipt], newsletters = outage(1, 2)
        begins(run, run.message(-1, baseline=True), 26)
        in_turn(run, [receipt], 21)
        in_turn(run, newsletters, 22)
        assert judged(run).numbers["judged"] == 1
        turned = judged(run, {"first": "marketing", "then": "transactional"})
        assert turned.numbers["backlog"] == 1

    def test_is_of_copies_whose_times_are_exact(self) -> None:
        run, [receipt], newsletters = outage(1, 2)
        begins(run, newsletters[0], 21, observed="after")
        begins(run, receipt, 22)
        begins(run, newsletters[1], 23)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "receipts of primary have no exact times"
        assert (finding.numbers["backlog"], finding.numbers["passed"]) == (1, 0)

    def test_ends_with_the_next_release_to_which_the_rest_belongs(self) -> None:
        run, waiting, newsletters = outage(2, 2)
        run.operator("approve", 30)
        begins(run, newsletters[0], 21)
        begins(run, waiting[0], 22)
        begins(run, newsletters[1], 31)
        begins(run, waiting[1], 33)
        finding = judged(run)
        numbers = finding.numbers
        assert (numbers["replays"], numbers["backlog"], numbers["judged"]) == (2, 2, 3)
        assert (numbers["passed"], numbers["passed_by_most"]) == (3, 1)
        assert finding.counted == 3
        assert [each.why for each in finding.offenders] == [
            "waited 13.000 s for its turn after release 1, while 1 message of marketing went first",
            "waited 3.000 s for its turn after release 2, while 1 message of marketing went first",
            "waited 2.000 s for its turn after release 1, while 1 message of marketing went first",
        ]

    def test_that_never_was_leaves_no_figures(self) -> None:
        run, waiting, _ = outage(2, 0)
        in_turn(run, waiting, 21)
        numbers = judged(run).numbers
        assert (numbers["replays"], numbers["backlog"], numbers["judged"], numbers["passed"]) == (0, 0, 0, 0)
        assert numbers["passed_by_most"] == 0
        assert (numbers["first_wait_s_p95"], numbers["then_wait_s_p95"], numbers["ratio"]) == (None,) * 3
        assert judged(run, {"ratio": 1}).summary == (
            "nothing of transactional was there while a backlog of marketing was replayed"
        )


class TestTurns:
    def test_one_that_was_read_back_is_none(self) -> None:
        run, [receipt], newsletters = outage(1, 2)
        run.receipt(receipt, 21, result="deferred", observed="after")
        begins(run, newsletters[0], 22)
        begins(run, receipt, 23)
        begins(run, newsletters[1], 24)
        assert judged(run).numbers["passed"] == 1

    def test_the_systems_canary_has_none(self) -> None:
        run, [receipt], newsletters = outage(1, 2)
        probe = run.message(12, recipient="probe@canary.example")
        begins(run, probe, 25)
        begins(run, receipt, 21)
        in_turn(run, newsletters, 22)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["judged"]) == (Verdict.PASS, 1)

    def test_at_the_moment_of_the_release_it_counts(self) -> None:
        run, [receipt], newsletters = outage(1, 2)
        run.receipt(receipt, 20, result="deferred")
        in_turn(run, newsletters, 21)
        begins(run, receipt, 24)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["first_wait_s_p95"]) == (Verdict.PASS, 0)

    def test_a_message_that_came_in_as_the_last_of_the_backlog_left_is_judged(self) -> None:
        run, _, newsletters = outage(0, 2)
        in_turn(run, newsletters, 21)
        for at, count in ((21.5, 1), (21.501, 1), (21, 2)):
            begins(run, run.message(at), at + 0.1)
            assert judged(run).numbers["judged"] == count


class TestPassing:
    @pytest.mark.parametrize(("after", "passed"), [(0.25, 0), (0.250000001, 1)])
    def test_is_to_begin_a_nanosecond_after_the_grace(self, after: float, passed: int) -> None:
        run = Run()
        run.operator("pause", 10)
        newsletter = run.message(12, "marketing")
        run.operator("approve", 20)
        receipt = run.message(21)
        begins(run, newsletter, 21 + after)
        begins(run, receipt, 25)
        assert judged(run).numbers["passed"] == passed


class TestRatio:
    @pytest.mark.parametrize(
        ("begin", "verdict"),
        [
            (24.4, Verdict.PASS),
            (24.401, Verdict.INCONCLUSIVE),
            (25.6, Verdict.INCONCLUSIVE),
            (25.601, Verdict.FAIL),
        ],
    )
    def test_is_judged_at_its_worst_and_best_by_twice_the_clock_error(
        self, begin: float, verdict: Verdict
    ) -> None:
        run, [receipt], [newsletter] = outage(1, 1, clock_error=0.2)
        begins(run, receipt, begin)
        begins(run, newsletter, 30)
        finding = judged(run, {"ratio": 0.5})
        assert finding.verdict is verdict
        hidden = "clock errors and injected delays hide the order"
        assert finding.reason == (hidden if verdict is Verdict.INCONCLUSIVE else "")

    @pytest.mark.parametrize(
        ("begin", "verdict"),
        [
            (24.1, Verdict.PASS),
            (24.101, Verdict.INCONCLUSIVE),
            (25.9, Verdict.INCONCLUSIVE),
            (25.901, Verdict.FAIL),
        ],
    )
    def test_and_by_the_delay_that_a_fault_puts_on_the_way(self, begin: float, verdict: Verdict) -> None:
        run, [receipt], [newsletter] = outage(1, 1)
        run.fault(20.5, 40, "latency", "backup", attributes={"latency": 600})
        begins(run, receipt, begin, "backup")
        begins(run, newsletter, 30)
        assert judged(run, {"ratio": 0.5}).verdict is verdict

    def test_of_nothing_to_nothing_is_nothing(self) -> None:
        run, _, [newsletter] = outage(0, 1)
        quick = run.message(19.5, result=None)
        run.copy(newsletter, 20.5, took=0.6)
        run.copy(quick, 20.3, took=0.5)
        run.answer(quick, 19.85, "accepted")
        finding = judged(run, {"ratio": 0.5})
        assert finding.verdict is Verdict.PASS
        assert (finding.numbers["first_wait_s_p95"], finding.numbers["then_wait_s_p95"]) == (0, 0)
        assert finding.numbers["ratio"] == 0

    def test_to_a_backlog_that_did_not_wait_is_as_to_a_nanosecond(self) -> None:
        run, [receipt], [newsletter] = outage(1, 1)
        run.copy(newsletter, 20.5, took=0.6)
        begins(run, receipt, 21)
        finding = judged(run, {"ratio": 0.5})
        assert (finding.verdict, finding.numbers["ratio"]) == (Verdict.FAIL, 1e9)

    def test_is_that_of_the_worst_replay(self) -> None:
        run, waiting, newsletters = outage(2, 2)
        run.operator("approve", 40)
        begins(run, waiting[0], 21)
        begins(run, newsletters[0], 23)
        begins(run, waiting[1], 42)
        begins(run, newsletters[1], 43)
        finding = judged(run, {"ratio": 0.4})
        numbers = finding.numbers
        assert finding.verdict is Verdict.FAIL
        assert numbers["ratio"] == pytest.approx(22 / 3, abs=1e-6)
        assert (numbers["first_wait_s_p95"], numbers["then_wait_s_p95"]) == (22, 3)
        assert [each.subject for each in finding.offenders] == [
            "release 1 (fault off)",
            "release 2 (approve)",
        ]
        assert [each.cause for each in finding.offenders] == ["waited too long"] * 2

    def test_one_that_is_just_as_much_as_it_may_be_is_not_named(self) -> None:
        run, waiting, newsletters = outage(2, 2)
        run.operator("approve", 40)
        begins(run, waiting[0], 21)
        begins(run, newsletters[0], 22)
        begins(run, waiting[1], 43)
        begins(run, newsletters[1], 44)
        finding = judged(run, {"ratio": 0.75})
        assert [each.subject for each in finding.offenders] == ["release 1 (fault off)"]

    def test_equal_ones_are_named_in_order(self) -> None:
        run, _, newsletters = outage(0, 4)
        for number, at in enumerate((30, 40, 50)):
            run.operator("approve", at)
            late = run.message(at + 0.5)
            begins(run, newsletters[number], at + 2)
            begins(run, late, at + 3.5)
        finding = judged(run, {"ratio": 0.5})
        assert [each.subject for each in finding.offenders] == [
            "release 2 (approve)",
            "release 3 (approve)",
            "release 4 (approve)",
        ]

    def test_is_of_what_95_of_100_waited_at_most(self) -> None:
        run, waiting, [newsletter] = outage(20, 1)
        for message, at in zip(waiting, [21] * 18 + [25, 29], strict=True):
            begins(run, message, at)
        begins(run, newsletter, 30)
        assert judged(run, {"ratio": 0.5}).numbers["first_wait_s_p95"] == 5

    def test_is_told_to_a_millionth(self) -> None:
        run, [receipt], [newsletter] = outage(1, 1)
        begins(run, receipt, 21)
        begins(run, newsletter, 23)
        assert judged(run).numbers["ratio"] == 0.333333

    @pytest.mark.parametrize("ratio", [0, -0.5, "half"])
    def test_is_a_number_above_zero(self, ratio: object) -> None:
        with pytest.raises(ValueError, match="ratio"):
            parse_params("priority", {"ratio": ratio})


class TestOffenders:
    def test_are_named_by_who_was_passed_by_most_then_by_who_waited_longest_then_by_token(self) -> None:
        run, _, newsletters = outage(0, 4)
        in_turn(run, newsletters, 21, 1)
        tokens = [f"t{letter * 15}" for letter in "kjihgfedcba"]
        twice = [run.message(22.4, token=token) for token in tokens[:9]]
        early = run.message(21.5, token=tokens[9])
        most = run.message(20.5, token=tokens[10])
        once = run.message(22.4, token="t" + "l" * 15)
        begins(run, once, 23.8)
        for message in twice:
            begins(run, message, 27.5)
        begins(run, early, 24.2)
        begins(run, most, 25)
        finding = judged(run)
        assert (finding.numbers["passed"], finding.numbers["passed_by_most"]) == (12, 4)
        expected = [most, *reversed(twice)]
        assert [each.token for each in finding.offenders] == [message.token for message in expected]
        assert finding.offenders[0].recipient == most.recipient
        assert {each.cause for each in finding.offenders} == {"passed by the backlog"}

    def test_a_pass_names_nobody(self) -> None:
        run, waiting, newsletters = outage(1, 2)
        in_turn(run, waiting, 21)
        in_turn(run, newsletters, 22)
        finding = judged(run)
        assert (finding.verdict, finding.offenders) == (Verdict.PASS, [])
