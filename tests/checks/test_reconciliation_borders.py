"""What excuses a hold, what a state is compared with, and who is named: the borders of `reconciliation`."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check, opened

END = 99.0
SMS: dict[str, Any] = {"recipient": "+12025550123", "carriers": ["nonce"]}


def judged(run: Run) -> Finding:
    return check(run, "reconciliation", "agrees")


def said(run: Run, state: str, at: float = 5, *, arrives: bool = False, token: str | None = None) -> Message:
    """One message, of which the system says this at the end."""
    message = run.message(at, token=token)
    if arrives:
        run.copy(message, at + 0.1)
    run.says(message, state, END)
    return message


def shown(finding: Finding) -> dict[str, Any]:
    """The numbers that are not 0."""
    return {name: value for name, value in finding.numbers.items() if value != 0}


class TestTheNumbers:
    def test_of_messages_that_agree(self) -> None:
        run = Run()
        said(run, "sent", arrives=True)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers == {
            "judged": 1,
            "agree": 1,
            "sent_and_given_back": 0,
            "sent_without_copy": 0,
            "copy_not_sent": 0,
            "failed_with_copy": 0,
            "stuck": 0,
            "held": 0,
            "held_without_need": 0,
            "unsaid": 0,
            "other": 0,
            "read_too_early": 0,
            "quiet": "yes",
        }

    def test_of_one_of_each(self) -> None:
        run = Run()
        for state, arrives in (("sent", False), ("failed", True), ("sending", False), ("held", False)):
            said(run, state, 5, arrives=arrives)
        for state in ("expired", "pending", "sent"):
            said(run, state, 6, arrives=True)
        early = run.message(6)
        run.says(early, "pending", 6.01)
        said(run, "en route", 7)
        run.message(8)
        run.receipt(said(run, "held", 9), 9.1, result="ack-lost")
        run.provider_says("bounced", said(run, "sent", 10, arrives=True), 11)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert shown(finding) == {
            "judged": 9,
            "agree": 2,
            "sent_and_given_back": 1,
            "sent_without_copy": 1,
            "copy_not_sent": 2,
            "failed_with_copy": 1,
            "stuck": 1,
            "held": 1,
            "held_without_need": 1,
            "unsaid": 1,
            "other": 1,
            "read_too_early": 1,
            "quiet": "yes",
        }

    def test_of_a_run_that_was_not_quiet(self) -> None:
        run = Run(longest_retry="60s")
        said(run, "sent", arrives=True)
        assert judged(run).numbers["quiet"] == "no"


class TestHeldThoughItArrived:
    """Right where a fault may have kept the answer to its copy: within 100 ms of it."""

    @pytest.mark.parametrize(
        ("on", "held"), [(5.2, 1), (5.200000001, 0)], ids=["at the limit", "a nanosecond later"]
    )
    def test_by_a_fault_that_came_right_after_it(self, on: float, held: int) -> None:
        run = Run()
        run.fault(on, 15, "latency")
        said(run, "sent", 6, arrives=True)  # which meets the fault
        said(run, "held", arrives=True)
        finding = judged(run)
        assert finding.verdict is (Verdict.PASS if held else Verdict.FAIL)
        assert (finding.numbers["held"], finding.numbers["copy_not_sent"]) == (held, 1 - held)

    @pytest.mark.parametrize(
        ("off", "held"), [(4.9, 1), (4.899999999, 0)], ids=["at the limit", "a nanosecond earlier"]
    )
    def test_by_a_fault_that_went_right_before_it(self, off: float, held: int) -> None:
        run = Run()
        run.fault(2, off, "latency")
        said(run, "sent", 3, arrives=True)  # which meets the fault
        message = run.message(3)
        run.copy(message, 5.5, took=0.5)
        run.says(message, "held", END)
        finding = judged(run)
        assert (finding.numbers["held"], finding.numbers["copy_not_sent"]) == (held, 1 - held)

    def test_by_a_fault_of_the_system_itself(self) -> None:
        run = Run()
        run.fault(4.5, 6, "slow", "system")
        said(run, "held", arrives=True)
        assert judged(run).numbers["held"] == 1

    def test_by_two_faults_at_once_it_is_held_once(self) -> None:
        run = Run()
        run.fault(4.5, 6, "latency")
        run.fault(4.6, 7, "bandwidth")
        said(run, "held", arrives=True)
        assert judged(run).counted == 1

    def test_and_not_by_what_was_kept_from_somebody_else(self) -> None:
        """One is of another message to the same recipient, one of the same message to another."""
        run = Run()
        run.fault(4.5, 6, "latency")
        for token, name, at in (
            ("one", "a", 5.0),
            ("two", "a", 20.0),
            ("one", "b", 20.0),
        ):
            message = run.message(at, token=token, recipient=f"{name}@customer.example")
            run.copy(message, at + 0.1)
            run.says(message, "held", END)
        finding = judged(run)
        assert (finding.numbers["held"], finding.numbers["copy_not_sent"]) == (1, 2)

    def test_nor_by_what_happened_in_another_run(self) -> None:
        broken, whole = Run("broken"), Run("whole")
        broken.fault(4.5, 6, "latency")
        for run in (broken, whole):
            said(run, "held", arrives=True, token="same")
        with opened(broken, whole) as history:
            findings = [
                CHECKS["reconciliation"].evaluate(history, run.name, parse_params("reconciliation", "agrees"))
                for run in (broken, whole)
            ]
        assert [finding.numbers["held"] for finding in findings] == [1, 0]
        assert [finding.numbers["copy_not_sent"] for finding in findings] == [0, 1]


class TestTheReading:
    def test_a_probe_after_it_moves_no_mail(self) -> None:
        run = Run()
        message = run.message(5)
        run.says(message, "sending", 6)
        run.receipt(None, 50, recipient="probe@canary.example", carriers=[])
        assert judged(run).numbers["stuck"] == 1

    def test_where_nothing_ever_moved_it_is_never_too_early(self) -> None:
        run = Run(baseline=0)
        run.says(run.message(5), "sending", 6)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["stuck"]) == (Verdict.FAIL, 1)

    def test_one_that_was_too_early_judges_nothing(self) -> None:
        run = Run()
        for _ in range(2):
            run.says(run.message(5), "pending", 5.5)
        run.traffic(20, 21, 1)
        finding = judged(run)
        assert (finding.verdict, finding.counted) == (Verdict.INCONCLUSIVE, 0)
        assert finding.reason == "states that are not final were read before the mail had stopped moving"


class TestOffenders:
    def test_come_by_how_they_contradict_then_by_their_schedule_then_by_token(self) -> None:
        run = Run()
        stuck = said(run, "sending", 1)
        waits = said(run, "sending", 2, arrives=True)
        held = said(run, "held", 3)
        lost = said(run, "sent", 4)
        unsent = said(run, "expired", 6, arrives=True)
        failed = [said(run, "failed", 9, arrives=True), said(run, "failed", 8, arrives=True)]
        alike = [said(run, "failed", 10, arrives=True, token=f"alike-{name}") for name in "cba"]
        finding = judged(run)
        expected = [*failed[::-1], *alike[::-1], unsent, lost, held, waits, stuck]
        assert [each.token for each in finding.offenders] == [each.token for each in expected]
        assert [each.recipient for each in finding.offenders] == [each.recipient for each in expected]
        assert [each.cause for each in finding.offenders] == [
            *["failed with a copy"] * 5,
            "copy not sent",
            "sent without a copy",
            "held without need",
            "copy not sent",
            "stuck",
        ]
        assert finding.offenders[-2].why == "the system still says sending at the end, and primary took it"

    def test_ten_are_named(self) -> None:
        run = Run()
        for number in range(12, 0, -1):
            said(run, "failed", 5, arrives=True, token=f"alike-{number:02}")
        assert [each.token for each in judged(run).offenders] == [f"alike-{n:02}" for n in range(1, 11)]

    def test_what_a_fallback_channel_took_is_told_as_that(self) -> None:
        run = Run()
        run.copy(said(run, "failed"), 9, "backup", **SMS)
        (offender,) = judged(run).offenders
        assert offender.why == "the system says failed, and a fallback channel took it"
