"""When a signal turned: between which readings, of which signal, and what an answer without sense does."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checks.histories import Run, check


def faulty(target: str = "primary") -> Run:
    run = Run()
    run.fault(10, 20, target=target)
    return run


def detected(run: Run) -> tuple[Any, Any]:
    """At the latest and in the middle, since the fault; none of both where it was not detected."""
    numbers = check(run, "mttd", "50s").numbers
    return numbers["mttd_s_max"], numbers["mttd_s_mean"]


NOT = (None, None)


class TestTruth:
    @pytest.mark.parametrize("value", [True, 1, 2.5, -1, "yes", "on", "down", "1", "TRUE", " "])
    def test_what_is_true(self, value: Any) -> None:
        run = faulty()
        run.reads("detected", False, 11)
        run.reads("detected", value, 12, before=11)
        assert detected(run) == (2, 1.5)

    @pytest.mark.parametrize("value", [False, 0, 0.0, "", "no", "off", "0", "false", "OFF", "False"])
    def test_what_is_false(self, value: Any) -> None:
        run = faulty()
        run.reads("detected", value, 11)
        run.reads("detected", True, 12, before=11)
        assert detected(run) == (2, 1.5)

    def test_no_answer_is_neither(self) -> None:
        for turned in ((None, True), (False, None)):
            run = faulty()
            for at, value in zip((11, 12), turned, strict=True):
                run.reads(
                    "detected", value, at, before=at - 1, error=None if value is not None else "HTTP 500"
                )
            assert detected(run) == NOT


class TestBetween:
    def test_an_answer_without_sense_widens_the_interval_back_to_the_last_question_that_had_one(self) -> None:
        run = faulty()
        run.reads("detected", False, 11, before=10.5)
        run.reads("detected", None, 12, before=11, error="HTTP 500")
        run.reads("detected", None, 13, before=12, error="HTTP 500")
        run.reads("detected", True, 14, before=13)
        run.reads("detected", None, 15, before=14, error="HTTP 500")
        run.reads("detected", True, 16, before=15)
        assert detected(run) == (4, 2.5)

    def test_where_one_of_them_does_not_tell_of_the_reading_before_it_goes_back_to_the_old_truth(
        self,
    ) -> None:
        for told in ((None, 12), (11, None), (None, None)):
            run = faulty()
            run.reads("detected", False, 10.6, before=10.2)
            run.reads("detected", None, 12, before=told[0], error="HTTP 500")
            run.reads("detected", True, 13, before=told[1])
            assert detected(run) == (3, 1.8)

    def test_the_last_question_may_have_been_put_before_the_old_truth_was_read(self) -> None:
        run = faulty()
        run.reads("detected", False, 12, before=11)
        run.reads("detected", True, 14, before=11.5)
        assert detected(run) == (4, 2.75)

    def test_a_false_reading_that_nobody_ever_saw_makes_no_edge(self) -> None:
        run = faulty()
        run.reads("detected", True, 11, before=9)
        run.reads("detected", True, 12, before=11)
        assert detected(run) == NOT

    def test_each_time_it_turns_it_may_be_the_first_that_counts(self) -> None:
        run = faulty()
        for at, value in ((8, False), (9, True), (11, False), (12, True), (13, False), (14, True)):
            run.reads("detected", value, at, before=at - 0.5)
        assert detected(run) == (2, 1.75)


class TestWhich:
    def test_what_another_route_s_signal_was_before_makes_no_edge(self) -> None:
        run = faulty("backup")
        for at in (9, 11.2, 12, 14):
            run.reads("detected", False, at, before=at - 0.5)
        for at in (11, 13):
            run.reads("detected", True, at, "backup", before=at - 0.5)
        assert detected(run) == NOT

    def test_what_another_signal_was_before_makes_none(self) -> None:
        run = faulty()
        for at in (9, 11.2, 12, 14):
            run.reads("acknowledged", False, at, before=at - 0.5)
        for at in (11, 13):
            run.reads("detected", True, at, before=at - 0.5)
        assert detected(run) == NOT

    @pytest.mark.parametrize(("signal", "route"), [("detected", "backup"), ("acknowledged", "primary")])
    def test_another_one_s_answers_do_not_part_what_had_no_sense_from_what_has(
        self, signal: str, route: str
    ) -> None:
        run = faulty()
        run.reads("detected", False, 11, before=10.5)
        run.reads("detected", None, 12, before=11, error="HTTP 500")
        run.reads(signal, False, 12.5, route, before=12)
        run.reads("detected", True, 13, before=12)
        assert detected(run) == (3, 2)


class TestOrder:
    @pytest.mark.parametrize(("values", "found"), [((False, True), (2, 2)), ((True, False), NOT)])
    def test_of_two_readings_at_one_moment_the_one_written_down_first_came_first(
        self, values: tuple[bool, bool], found: tuple[Any, Any]
    ) -> None:
        run = faulty()
        for value in values:
            run.reads("detected", value, 12)
        assert detected(run) == found
