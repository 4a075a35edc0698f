"""Until when, and by which answers, it shows that the system met a fault: exactly at the limit."""

from __future__ import annotations

import pytest

from harness.checks.finding import Verdict
from tests.checks.exposing import faulty, judged


@pytest.mark.parametrize(
    ("answered", "verdict"),
    [
        (9.999, Verdict.INCONCLUSIVE),
        (10, Verdict.PASS),
        (20, Verdict.PASS),
        (20.001, Verdict.INCONCLUSIVE),
    ],
)
def test_an_answer_that_a_cut_may_have_taken_along_shows_it_from_its_beginning_to_its_end(
    answered: float, verdict: Verdict
) -> None:
    run = faulty("cut")
    run.message(15, "marketing")
    receipt = run.copy(run.message(9, "marketing"), answered)
    run.closes(receipt.connection, answered + 0.05)
    assert judged(run).verdict is verdict


@pytest.mark.parametrize(("code", "verdict"), [(399, Verdict.INCONCLUSIVE), (400, Verdict.PASS)])
def test_where_nobody_gets_in_any_error_shows_it(code: int, verdict: Verdict) -> None:
    run = faulty("auth-failure", "primary.token")
    run.message(12, "marketing")
    run.calls("token", 12, code)
    assert judged(run).verdict is verdict


@pytest.mark.parametrize(("scheduled", "verdict"), [(19, Verdict.PASS), (19 + 1e-9, Verdict.INCONCLUSIVE)])
def test_what_came_less_than_1_s_before_the_end_has_not_waited_for_it(
    scheduled: float, verdict: Verdict
) -> None:
    run = faulty("outage")
    run.copy(run.message(scheduled, "marketing"), 20.5)
    assert judged(run).verdict is verdict
