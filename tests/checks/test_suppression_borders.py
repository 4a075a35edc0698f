"""From when on a final no binds, to the nanosecond, whom it binds, and who is named first."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check

ANN = "ann@customer.example"


def judged(run: Run, params: Any = "kept") -> Finding:
    return check(run, "suppression", params)


def refused(run: Run, at: float, recipient: str | None = None, via: str = "primary") -> Message:
    message = run.message(at, recipient=recipient)
    run.receipt(message, at, via, "refused", took=0, code=550, text="5.1.1 user unknown")
    return message


def begins(run: Run, message: Message, at: float, via: str = "primary", *, took: float = 0.0) -> None:
    run.copy(message, at + took, via, took=took)


class TestWhoIsNamed:
    def test_is_each_attempt_as_it_began_ten_at_most(self) -> None:
        run = Run()
        whom = [refused(run, 1) for _ in range(12)]
        begins(run, whom[0], 2, "backup", took=30)  # the first to begin, the last to end
        for number, message in enumerate(whom[1:]):
            begins(run, message, 3 + number)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert [each.token for each in finding.offenders] == [each.token for each in whom[:10]]
        assert finding.offenders[0].recipient == whom[0].recipient
        assert [each.why for each in finding.offenders[:2]] == [
            "refused for good on primary, and tried on backup 1.000 s later",
            "refused for good on primary, and tried on primary 2.000 s later",
        ]
        assert finding.numbers == {"unwanted": 12, "tried_again": 12, "attempts": 12, "on_another_route": 1}
        assert finding.summary == "12 recipients were tried again after a final no"

    def test_of_attempts_that_began_at_one_time_is_the_first_in_the_journal(self) -> None:
        run = Run()
        whom = [refused(run, 1) for _ in range(9)]
        for message in reversed(whom):
            begins(run, message, 5)
        tokens = [each.token for each in judged(run).offenders]
        assert tokens == [each.token for each in reversed(whom)]

    def test_counts_once_however_his_address_is_spelt(self) -> None:
        run = Run()
        refused(run, 1, ANN)
        begins(run, run.message(2, recipient=ANN), 2)
        begins(run, run.message(3, recipient=ANN.upper()), 3, "backup")
        finding = judged(run)
        assert finding.numbers == {"unwanted": 1, "tried_again": 1, "attempts": 2, "on_another_route": 1}
        assert finding.counted == 1
        assert finding.summary == "1 recipient was tried again after a final no"


class TestAFinalNoBinds:
    @pytest.mark.parametrize(("later", "verdict"), [(0, Verdict.PASS), (1e-9, Verdict.FAIL)])
    def test_after_a_refusal_from_its_end(self, later: float, verdict: Verdict) -> None:
        run = Run()
        begins(run, refused(run, 5), 5 + later, "backup", took=0.5)
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize(("later", "verdict"), [(0.1, Verdict.PASS), (0.1 + 1e-9, Verdict.FAIL)])
    def test_another_message_to_him_from_a_tenth_of_a_second_later(
        self, later: float, verdict: Verdict
    ) -> None:
        run = Run()
        refused(run, 5, ANN)
        begins(run, run.message(5, recipient=ANN), 5 + later, "backup")
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize(
        ("same", "later", "verdict"),
        [
            (True, 0.4, Verdict.PASS),
            (True, 0.4 + 1e-9, Verdict.FAIL),
            (False, 0.5, Verdict.PASS),
            (False, 0.5 + 1e-9, Verdict.FAIL),
        ],
    )
    def test_from_when_a_refusal_has_passed_what_holds_its_route_back(
        self, same: bool, later: float, verdict: Verdict
    ) -> None:
        run = Run()
        run.fault(1, 10, "latency", attributes={"latency": 300, "jitter": 100})
        message = refused(run, 5, ANN)
        begins(run, message if same else run.message(5, recipient=ANN), 5 + later, "backup")
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize(("later", "verdict"), [(0.1, Verdict.PASS), (0.1 + 1e-9, Verdict.FAIL)])
    def test_whatever_holds_back_the_route_that_is_tried(self, later: float, verdict: Verdict) -> None:
        run = Run()
        run.fault(1, 10, "latency", "backup", attributes={"latency": 400})
        refused(run, 5, ANN)
        begins(run, run.message(5, recipient=ANN), 5 + later, "backup")
        assert judged(run).verdict is verdict

    def test_a_hundredth_of_a_second_after_he_was_refused_by_the_other_route(self) -> None:
        """Who offers a refused message elsewhere at once had nothing under way: he had the answer."""
        run = Run()
        message = refused(run, 5, ANN)
        begins(run, message, 5.01, "backup")
        finding = judged(run)
        assert [each.why for each in finding.offenders] == [
            "refused for good on primary, and tried on backup 0.010 s later"
        ]

    @pytest.mark.parametrize(("later", "verdict"), [(0.1, Verdict.PASS), (0.1 + 1e-9, Verdict.FAIL)])
    def test_what_cannot_be_told_from_another_message_as_one(self, later: float, verdict: Verdict) -> None:
        run = Run()
        refused(run, 5, ANN)
        run.receipt(None, 5 + later, "backup", took=0, recipient=ANN)
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize("held_back", [0, 3000])
    @pytest.mark.parametrize(("later", "verdict"), [(1, Verdict.PASS), (1 + 1e-9, Verdict.FAIL)])
    def test_after_an_event_from_a_second_later(self, later: float, verdict: Verdict, held_back: int) -> None:
        run = Run()
        run.fault(1, 10, "latency", attributes={"latency": held_back})
        begins(run, first := run.message(4, recipient=ANN), 4)
        run.provider_says("bounced", first, 5, webhook="delivered")
        begins(run, run.message(5, recipient=ANN), 5 + later, "backup")
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize(("later", "verdict"), [(0.1, Verdict.PASS), (0.1 + 1e-9, Verdict.FAIL)])
    def test_once_both_clocks_agree_that_it_was_later(self, later: float, verdict: Verdict) -> None:
        run = Run(clock_error=0.05)
        begins(run, refused(run, 5), 5 + later, "backup")
        assert judged(run).verdict is verdict

    def test_him_and_nobody_else(self) -> None:
        run = Run()
        refused(run, 5)
        begins(run, run.message(6), 6)
        finding = judged(run)
        assert (finding.verdict, finding.counted) == (Verdict.PASS, 1)
        assert finding.numbers == {"unwanted": 1, "tried_again": 0, "attempts": 0, "on_another_route": 0}
        assert finding.summary == "1 recipient with a final no, none tried again"

    def test_no_probe_of_the_systems_own_even_to_him(self) -> None:
        run = Run()
        refused(run, 5, ANN)
        run.receipt(None, 8, recipient=ANN, canary="system")
        assert judged(run).verdict is Verdict.PASS
