"""Which copies make a change of the route, which changes are certain, and which are named."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check


def judged(run: Run, params: Any = None) -> Finding:
    return check(run, "flapping", params or {"at_most": 2})


def begins(run: Run, at: float, via: str = "primary", *, took: float = 0.0, **more: Any) -> Message:
    """A receipt whose attempt begins then, and takes so long."""
    message = run.message(at, **more)
    run.copy(message, at + took, via, took=took)
    return message


class TestTheChangesNamed:
    def test_are_the_first_ten_as_they_began_whatever_ended_first(self) -> None:
        run = Run()
        slow = begins(run, 1, "backup", took=30)
        rest = [begins(run, 2 + number, "backup" if number % 2 else "primary") for number in range(11)]
        finding = judged(run)
        assert (finding.verdict, finding.numbers["changes"]) == (Verdict.FAIL, 12)
        assert [each.token for each in finding.offenders] == [slow.token, *(m.token for m in rest[:9])]
        assert finding.offenders[0].recipient == slow.recipient
        assert [each.why for each in finding.offenders[:2]] == [
            "change 1: from primary to backup at 11.000 s of the run",
            "change 2: from backup to primary at 12.000 s of the run",
        ]
        assert [each.cause for each in finding.offenders[:2]] == ["primary to backup", "backup to primary"]

    def test_of_those_that_began_at_one_time_are_in_the_order_of_the_journal(self) -> None:
        run = Run()
        first = [begins(run, 5, via) for via in ("backup", "primary", "backup", "primary")]
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL  # exact clocks: nothing is open
        assert [each.token for each in finding.offenders] == [each.token for each in first]

    @pytest.mark.parametrize(("at_most", "named"), [(2, 0), (1, 2)])
    def test_are_none_where_as_many_are_allowed(self, at_most: int, named: int) -> None:
        run = Run()
        begins(run, 1, "backup")
        begins(run, 2)
        finding = judged(run, {"at_most": at_most})
        assert len(finding.offenders) == named
        assert finding.numbers["allowed"] == at_most


class TestACopyThatMakesNoChange:
    def test_is_one_that_nobody_submitted(self) -> None:
        run = Run()
        run.receipt(None, 1, "backup", token="z" * 16, recipient="x@customer.example")
        begins(run, 2)
        finding = judged(run, "none")
        assert (finding.verdict, finding.numbers["changes"], finding.counted) == (Verdict.PASS, 0, 1)

    def test_is_one_of_another_class(self) -> None:
        run = Run()
        begins(run, 1, "backup", class_="marketing")
        begins(run, 2)
        finding = judged(run, "none")
        assert (finding.verdict, finding.numbers["changes"], finding.counted) == (Verdict.PASS, 0, 1)

    def test_is_one_of_the_baseline_and_the_storm_goes_on_from_the_last_of_them(self) -> None:
        run = Run(baseline=0)
        begins(run, -3, "backup", baseline=True)
        begins(run, -2, baseline=True)
        begins(run, -1, "backup", baseline=True)
        begins(run, 1)
        finding = judged(run, "none")
        assert (finding.verdict, finding.numbers["changes"], finding.counted) == (Verdict.FAIL, 1, 1)


class TestTheClockError:
    @pytest.mark.parametrize(("apart", "verdict"), [(2e-9, Verdict.INCONCLUSIVE), (3e-9, Verdict.FAIL)])
    def test_leaves_the_order_open_up_to_both_errors_however_small(
        self, apart: float, verdict: Verdict
    ) -> None:
        run = Run(clock_error=1e-9)
        begins(run, 1, "backup")
        begins(run, 1 + apart)
        finding = judged(run, {"at_most": 1})
        assert (finding.verdict, finding.numbers["changes"]) == (verdict, 2)
        assert bool(finding.reason) is (verdict is Verdict.INCONCLUSIVE)

    def test_of_two_pairs_takes_four_changes_away(self) -> None:
        run = Run(clock_error=0.05)
        for at, via in ((1, "backup"), (1.01, "primary"), (2, "backup"), (2.01, "primary"), (3, "backup")):
            begins(run, at, via)
        assert judged(run, {"at_most": 1}).verdict is Verdict.INCONCLUSIVE
        assert judged(run, {"at_most": 0}).verdict is Verdict.FAIL


class TestWhatIsAllowed:
    def test_is_a_failover_and_its_failback_where_nothing_is_said(self) -> None:
        run = Run()
        begins(run, 1)
        assert check(run, "flapping", {}).numbers["allowed"] == 2
        assert check(run, "flapping", "none").numbers["allowed"] == 0
        assert check(run, "flapping", {"at_most": 0}).numbers["allowed"] == 0

    @pytest.mark.parametrize("wrong", [-1, "2", 2.0])
    def test_is_a_whole_number(self, wrong: object) -> None:
        with pytest.raises(ValidationError):
            check(Run(), "flapping", {"at_most": wrong})
