"""A status page as the fallback: what it tells is for everybody, from then on until it is called over."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from harness.history import events as ev
from tests.checks.histories import PAGE, Run, check, opened, span

# A message at 5 s that should arrive within 1 s is due at 9 s, and the page has to tell at 11 s.
ASKED: dict[str, Any] = {"after": "3s", "within": "2s", "route": PAGE}
DUE, UNTIL = 9.0, 11.0
MOMENT = 1e-9


def told(*times: tuple[float, bool | None], error: float = 0, **more: Any) -> Run:
    run = Run(without_mail=[PAGE])
    run.events.append(ev.ClockCalibrated(t_ns=1, source=PAGE, when="end", offset_ns=0, error_ns=span(error)))
    for at, announced in times:
        run.announces(at, announced, **more)
    return run


def judged(run: Run, **more: Any) -> Finding:
    return check(run, "fallback", {**ASKED, **more})


def fate(run: Run) -> tuple[Verdict, str]:
    run.message(5)
    finding = judged(run)
    names = ("in_time", "late", "missing")
    return finding.verdict, next((name for name in names if finding.numbers[name]), "")


@pytest.mark.parametrize(
    ("at", "verdict", "name"),
    [
        (0, Verdict.PASS, "in_time"),
        (DUE, Verdict.PASS, "in_time"),
        (UNTIL, Verdict.PASS, "in_time"),
        (UNTIL + MOMENT, Verdict.FAIL, "late"),
    ],
)
def test_told_in_time_is_a_pass_and_a_moment_later_a_fail(at: float, verdict: Verdict, name: str) -> None:
    assert fate(told((at, True))) == (verdict, name)


class TestWhatIsCalledOver:
    def test_before_it_is_due_does_not_count(self) -> None:
        assert fate(told((0, True), (DUE, False))) == (Verdict.FAIL, "missing")
        assert fate(told((0, True), (DUE + MOMENT, False))) == (Verdict.PASS, "in_time")

    def test_and_told_again_counts_again(self) -> None:
        assert fate(told((0, True), (5, False), (10, True))) == (Verdict.PASS, "in_time")
        assert fate(told((0, True), (5, False), (12, True), (13, False))) == (Verdict.FAIL, "late")

    def test_of_equal_times_the_last_that_was_told(self) -> None:
        assert fate(told((0, True), (8, False), (8, True))) == (Verdict.PASS, "in_time")
        assert fate(told((8, True), (8, False))) == (Verdict.FAIL, "missing")

    def test_what_is_told_again_before_the_end_is_one_span(self) -> None:
        run = told((6, True), (12, True), (13, False))
        run.message(5)
        assert judged(run).numbers["after_due_s_max"] == 0
        assert fate(told((0, True), (5, True), (8, False), (8.5, False))) == (Verdict.FAIL, "missing")

    def test_what_was_never_told_is_nothing(self) -> None:
        assert fate(told((0, False), (10, False))) == (Verdict.FAIL, "missing")


class TestWhatTheClocksHide:
    """The page's clock is right to ± 0.5 s."""

    @pytest.mark.parametrize(
        ("at", "verdict"),
        [
            (UNTIL - 0.5, Verdict.PASS),
            (UNTIL - 0.5 + MOMENT, Verdict.INCONCLUSIVE),
            (UNTIL + 0.5, Verdict.INCONCLUSIVE),
            (UNTIL + 0.5 + MOMENT, Verdict.FAIL),
        ],
    )
    def test_whether_it_was_told_in_time(self, at: float, verdict: Verdict) -> None:
        assert fate(told((at, True), error=0.5))[0] is verdict

    @pytest.mark.parametrize(
        ("over", "verdict"),
        [
            (DUE - 0.5, Verdict.FAIL),
            (DUE - 0.5 + MOMENT, Verdict.INCONCLUSIVE),
            (DUE + 0.5, Verdict.INCONCLUSIVE),
            (DUE + 0.5 + MOMENT, Verdict.PASS),
        ],
    )
    def test_whether_it_was_over_when_it_was_due(self, over: float, verdict: Verdict) -> None:
        assert fate(told((0, True), (over, False), error=0.5))[0] is verdict


class TestWhoseItIs:
    def test_a_page_has_to_be_named(self) -> None:
        run = told((6, True))
        run.message(5)
        assert judged(run, route=None).verdict is Verdict.FAIL
        assert judged(run, route="backup").verdict is Verdict.FAIL

    def test_what_the_harness_asks_and_what_only_reads_tell_nothing(self) -> None:
        assert fate(told((6, True), canary="harness")) == (Verdict.FAIL, "missing")
        assert fate(told((6, True), (7, None))) == (Verdict.PASS, "in_time")
        assert fate(told((6, None))) == (Verdict.FAIL, "missing")

    def test_another_runs_and_another_pages_is_no_ones(self) -> None:
        one, other = Run("one", without_mail=[PAGE]), Run("other", without_mail=[PAGE])
        other.announces(6)
        one.announces(6, via="another-page")
        other.announces(6, False, via="another-page")
        for run in (one, other):
            run.message(5)
        with opened(one, other) as history:
            verdicts = [
                CHECKS["fallback"].evaluate(history, run, parse_params("fallback", ASKED)).verdict
                for run in ("one", "other")
            ]
        assert verdicts == [Verdict.FAIL, Verdict.PASS]

    def test_it_is_for_every_message_that_is_due(self) -> None:
        run = told((6, True), (20, False))
        for at in (1, 5, 10, 15, 16, 30):
            run.message(at)
        run.copy(run.message(5), 50)
        finding = judged(run)
        assert (finding.counted, finding.numbers["in_time"], finding.numbers["missing"]) == (7, 5, 2)
        assert (finding.numbers["early"], finding.numbers["also_by_mail"]) == (0, 0)


def test_words() -> None:
    run = told((12, True), (20, False))
    early, late = run.message(5), run.message(30)
    finding = judged(run)
    assert finding.summary == (
        "0 of 2 messages that mail could not carry in time went out on page within 2 s"
    )
    assert finding.formula.endswith("⇒ out on page within 2 s")
    assert [(each.token, each.why, each.cause) for each in finding.offenders] == [
        (late.token, "neither by mail nor on page 6.0 s after it was offered", "never tried"),
        (early.token, "out on page 1.000 s too late", "too late"),
    ]
    assert judged(Run(without_mail=[PAGE])).reason == (
        "no transactional message was so late by mail that it had to go out on page"
    )


def test_a_record_of_the_page_that_is_missing_leaves_it_open() -> None:
    run = told((3, True), (6, False))
    del run.events[-2]
    run.message(5)
    assert judged(run).verdict is Verdict.INCONCLUSIVE
