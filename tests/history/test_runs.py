"""What is known of a run as a whole: how right its clocks are, where its record ends, and so on."""

from __future__ import annotations

import pytest

from harness.history import events as ev
from tests.checks.histories import Run, ns, opened, span
from tests.history.asking import ask


class TestDurations:
    @pytest.mark.parametrize(
        ("written", "nanoseconds"),
        [
            ("400ms", 400_000_000), ("1000000ms", 10**12), ("2s", 2 * 10**9), ("1000000s", 10**15),
            (" 1.5 m ", 90 * 10**9), ("2min", 120 * 10**9), ("2h", 7200 * 10**9), (".5s", 500_000_000),
            ("17", 17), ("400000000", 400_000_000), (None, None),
        ],
    )  # fmt: skip
    def test_are_written_with_a_unit_or_as_nanoseconds(
        self, written: str | None, nanoseconds: int | None
    ) -> None:
        with opened(Run()) as history:
            [(got,)] = history.con.execute("select duration_ns(?::varchar)", [written]).fetchall()
        assert got == nanoseconds

    @pytest.mark.parametrize(("retry", "nanoseconds"), [("3s", 3 * 10**9), (None, None)])
    def test_the_longest_retry_is_the_systems(self, retry: str | None, nanoseconds: int | None) -> None:
        run = Run(longest_retry=retry)
        assert ask(run, "select longest_retry_ns from runs") == [(nanoseconds,)]


class TestClocks:
    def calibrated(self, *told: tuple[str, float, float]) -> Run:
        run = Run()
        run.events = [each for each in run.events if not isinstance(each, ev.ClockCalibrated)]
        for source, offset, error in told:
            run.events.append(
                ev.ClockCalibrated(
                    t_ns=0, source=source, when="start", offset_ns=span(offset), error_ns=span(error)
                )
            )
        return run

    def test_the_worst_of_a_sources_errors_and_its_drift_add_up(self) -> None:
        run = self.calibrated(("m365", 0.005, 0.001), ("m365", 0.008, 0.002), ("sendgrid", 7, 0.004))
        assert ask(run, "select source, error_ns from clock order by source") == [
            ("m365", span(0.005)),
            ("sendgrid", span(0.004)),
        ]

    def test_the_worst_source_is_the_runs(self) -> None:
        run = self.calibrated(("m365", 0, 0.001), ("sendgrid", 0, 0.004))
        assert ask(run, "select error_ns from runs") == [(span(0.004),)]

    def test_what_was_never_compared_is_taken_as_exact(self) -> None:
        assert ask(self.calibrated(), "select error_ns from runs") == [(0,)]

    def test_another_runs_clocks_say_nothing(self) -> None:
        wrong, right = self.calibrated(("m365", 0, 0.5)), self.calibrated(("m365", 0, 0.001))
        wrong.name, right.name = "wrong", "right"
        with opened(wrong, right) as history:
            told = history.con.execute("select run, error_ns from runs order by run").fetchall()
        assert told == [("right", span(0.001)), ("wrong", span(0.5))]


class TestTheEndOfTheRecord:
    def test_is_the_teardown(self) -> None:
        run = Run(ends=100)
        run.events.append(ev.PhaseEntered(t_ns=ns(90), phase=ev.Phase.DRAIN))
        run.events.append(ev.PhaseEntered(t_ns=ns(95), phase=ev.Phase.TEARDOWN))
        assert ask(run, "select watch_end_ns from runs") == [(ns(95),)]

    def test_or_the_runs(self) -> None:
        assert ask(Run(ends=100), "select watch_end_ns from runs") == [(ns(100),)]

    def test_or_what_was_told_last(self) -> None:
        run = Run(finished=False)
        run.copy(run.message(5), 17)
        assert ask(run, "select watch_end_ns, outcome from runs") == [(ns(17), None)]

    def test_or_what_had_begun_before_the_run(self) -> None:
        run = Run(baseline=0)
        run.events = [ev.PhaseEntered(t_ns=-5, phase=ev.Phase.BASELINE)]
        assert ask(run, "select watch_end_ns from runs") == [(0,)]


def test_what_is_not_told_of_a_run_is_null_and_lists_are_empty() -> None:
    run = Run(baseline=0)
    message = run.message(1)
    run.events = [each for each in run.events if isinstance(each, ev.MessageSubmitting)]
    assert message
    assert ask(
        run,
        "select run, scenario, seed, wall_start, outcome, longest_retry_ns, system_canaries, "
        "routes_without_mail from runs",
    ) == [("run", None, None, None, None, None, [], [])]


def test_what_is_told_of_a_run_is_as_its_first_event_says() -> None:
    run = Run(without_mail=["sms"])
    assert ask(
        run,
        "select scenario, seed, wall_start, outcome, system_canaries, routes_without_mail from runs",
    ) == [("made-up", 1, "2026-11-24T12:00:00Z", "completed", ["probe@canary.example"], ["sms"])]


def test_a_fault_whose_beginning_is_missing_has_a_route_all_the_same() -> None:
    run = Run(baseline=0)
    run.fault(5, 20, target="elsewhere.events")
    run.events = [each for each in run.events if not isinstance(each, ev.FaultInjecting)]
    assert ask(run, "select route, endpoint, on_lo from faults") == [("elsewhere", "events", ns(5))]


def test_a_message_is_as_good_as_its_best_answer() -> None:
    run = Run(baseline=0)
    message = run.message(1, result=None)
    run.offer_again(message, 2, 2, "refused")
    run.offer_again(message, 3, 3, "accepted")
    assert ask(run, "select result, offers, scheduled_ns, accepted_ns from messages") == [
        ("accepted", 3, ns(1), ns(3))
    ]


def test_one_unanswered_offer_among_refusals_leaves_it_open() -> None:
    run = Run(baseline=0)
    message = run.message(1, result=None)
    run.offer_again(message, 2, 2, "refused")
    assert ask(run, "select result from messages") == [("indeterminate",)]


@pytest.mark.parametrize(
    ("results", "result"), [((None, "refused"), "indeterminate"), (("refused", "refused"), "refused")]
)
def test_offers_and_answers_at_one_instant_are_counted_each(
    results: tuple[str | None, str], result: str
) -> None:
    run = Run(baseline=0)
    message = run.message(1, result=results[0])
    run.offer_again(message, 1, 2, results[1])
    assert ask(run, "select offers, result from messages") == [(2, result)]


def test_a_message_is_called_as_it_was_offered_whatever_a_provider_wrote_and_when() -> None:
    run = Run(baseline=0)
    message = run.message(1, "marketing", recipient="anna@Customer.example")
    run.copy(message, 0.5, recipient="Anna@customer.example")
    assert ask(run, "select recipient, rkey, stream, class from messages") == [
        ("anna@Customer.example", "anna@customer.example", "newsletter", "marketing")
    ]
