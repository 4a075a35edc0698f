"""What is named where it was not quiet, and what the queue said last: the borders of `quiescence`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from harness.history.journal import write_events
from harness.history.store import History
from tests.checks.histories import Run, check, ns


def judged(run: Run) -> Finding:
    return check(run, "quiescence", "reached")


def recorded(run: Run) -> Finding:
    """Of events in the order in which they stand, whatever their times."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        write_events(path, run.name, run.events)
        with History.open(path) as history:
            return CHECKS["quiescence"].evaluate(history, run.name, parse_params("quiescence", "reached"))


def quiet() -> Run:
    run = Run()
    run.traffic(0, 10, 1)
    return run


class TestTheQueue:
    @pytest.mark.parametrize(("depth", "verdict"), [(0, Verdict.PASS), (1, Verdict.FAIL)])
    def test_may_not_hold_a_single_message(self, depth: int, verdict: Verdict) -> None:
        run = quiet()
        run.reads("queue_depth", depth, 12, None)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["queue_depth"]) == (verdict, depth)

    def test_is_not_what_another_signal_tells(self) -> None:
        run = quiet()
        run.reads("queue_depth", 0, 12, None)
        run.reads("events_seen", 7, 13, None)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["queue_depth"]) == (Verdict.PASS, 0)

    def test_nor_where_nothing_tells_of_it(self) -> None:
        run = quiet()
        run.reads("events_seen", 7, 13, None)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["queue_depth"]) == (Verdict.PASS, None)

    def test_counts_as_it_was_at_the_very_end_of_the_record(self) -> None:
        run = quiet()
        run.reads("queue_depth", 0, 12, None)
        run.reads("queue_depth", 3, 100, None)
        assert judged(run).numbers["queue_depth"] == 3

    def test_counts_as_the_last_of_two_readings_at_one_moment_told(self) -> None:
        run = quiet()
        run.reads("queue_depth", 7, 12, None)
        run.reads("queue_depth", 0, 12, None)
        assert judged(run).numbers["queue_depth"] == 0

    def test_counts_as_the_latest_reading_told_whenever_that_was_recorded(self) -> None:
        run = quiet()
        run.reads("queue_depth", 0, 13, None)
        run.reads("queue_depth", 7, 12, None)
        assert recorded(run).numbers["queue_depth"] == 0

    def test_could_not_be_read_for_the_reason_of_the_latest_reading(self) -> None:
        run = quiet()
        run.reads("queue_depth", None, 13, None, error="not JSON")
        run.reads("queue_depth", None, 13, None, error="nobody answers")
        run.reads("queue_depth", None, 12, None, error="no such key")
        finding = recorded(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "the queue's depth could not be read at the end (nobody answers)"

    def test_could_not_be_read_where_it_was_a_word(self) -> None:
        run = quiet()
        run.reads("queue_depth", "many", 13, None)
        assert judged(run).reason == "the queue's depth could not be read at the end (it was no number)"


class TestOffenders:
    def test_are_the_queue_and_then_what_moved_the_latest_first(self) -> None:
        run = quiet()
        run.reads("queue_depth", 2, 12, None)
        moved = [run.message(11) for _ in range(3)]
        for message, at in zip(moved, (97, 99, 98), strict=True):
            run.copy(message, at)
        offenders = judged(run).offenders
        assert [each.subject for each in offenders] == ["the queue", None, None, None]
        assert [each.token for each in offenders] == [None, *(moved[i].token for i in (1, 2, 0))]

    def test_are_ten_at_most(self) -> None:
        run = quiet()
        run.reads("queue_depth", 2, 12, None)
        moved = [run.message(11) for _ in range(11)]
        for number, message in enumerate(moved):
            run.copy(message, 99 - number / 10)
        offenders = judged(run).offenders
        assert [each.token for each in offenders] == [None, *(message.token for message in moved[:9])]

    def test_are_none_that_moved_when_it_was_still_allowed(self) -> None:
        run = quiet()
        for at in (94.5, 95, 96):
            run.copy(run.message(11), at)
        late = run.message(11)
        run.copy(late, 96.001)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert [each.token for each in finding.offenders] == [late.token]

    def test_are_no_probes(self) -> None:
        run = quiet()
        late = run.message(11)
        run.copy(late, 97)
        run.receipt(None, 98, recipient="probe@canary.example", carriers=[])
        assert [each.token for each in judged(run).offenders] == [late.token]

    def test_are_attempts_too_that_named_nobody(self) -> None:
        run = quiet()
        run.receipt(None, 97, "backup", "refused", code=535, carriers=[])
        (offender,) = judged(run).offenders
        assert (offender.token, offender.subject) == (None, "an attempt on backup")
        assert offender.why == "refused (535) by backup, 3.000 s before the end"

    def test_that_ended_together_come_the_last_recorded_first(self) -> None:
        run = quiet()
        moved = [run.message(11) for _ in range(4)]
        for message in moved:
            run.copy(message, 97)
        expected = [message.token for message in reversed(moved)]
        assert [each.token for each in judged(run).offenders] == expected

    def test_come_by_when_they_ended_and_not_by_when_they_were_recorded(self) -> None:
        run = quiet()
        held_back, late = run.message(11), run.message(11)
        receipt = run.copy(held_back, 97)
        run.events[-1] = msgspec.structs.replace(receipt, t_ns=ns(99))
        run.copy(late, 98)
        assert [each.token for each in judged(run).offenders] == [late.token, held_back.token]


def test_where_the_longest_retry_is_not_declared_nothing_moved_too_late() -> None:
    run = Run(longest_retry=None)
    run.copy(run.message(10), 99.5)
    finding = judged(run)
    assert (finding.verdict, finding.offenders) == (Verdict.INCONCLUSIVE, [])
    assert finding.numbers["needed_s"] is None
