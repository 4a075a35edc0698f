"""An acceptance whose answer a cut may have taken along shows the cut, if it was given while that lasted."""

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
def test_both_ends_of_the_fault_are_part_of_it(answered: float, verdict: Verdict) -> None:
    run = faulty("cut")
    run.message(15, "marketing")
    receipt = run.copy(run.message(9, "marketing"), answered)
    run.closes(receipt.connection, answered + 0.05)
    assert judged(run).verdict is verdict
