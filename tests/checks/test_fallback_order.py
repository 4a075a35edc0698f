"""Which of several hand-offs is the first for `fallback`, how late the latest was, and who is named first."""

from __future__ import annotations

from typing import Any

import msgspec

from harness.checks.finding import Finding, Verdict
from harness.history import events as ev
from tests.checks.histories import PROVIDERS, Run, check, ns, span
from tests.checks.two_files import check_in_two_files

# A message at 5 s that should arrive within 1 s is due by another channel at 9 s, and has to be out at 11 s.
ANY: dict[str, Any] = {"after": "3s", "within": "2s"}
NUMBER: dict[str, Any] = {"recipient": "+12025550123", "carriers": ["nonce"]}


def judged(run: Run) -> Finding:
    return check(run, "fallback", ANY)


def recorded_later(run: Run, receipt: ev.Receipt, at: float) -> None:
    """As one whose answer was held back: it is written down when it is given."""
    run.events[run.events.index(receipt)] = msgspec.structs.replace(receipt, t_ns=ns(at))


def unsure_of_the_backup(run: Run) -> None:
    """Its clock is right to ± 5 s, which hides whether anything was in time."""
    run.events.append(
        ev.ClockCalibrated(t_ns=1, source=PROVIDERS["backup"], when="end", offset_ns=0, error_ns=span(5))
    )


class TestTheFirst:
    def test_to_end_is_the_one_whose_clock_counts_though_it_was_recorded_last(self) -> None:
        run = Run()
        unsure_of_the_backup(run)
        message = run.message(5)
        first = run.receipt(message, 10, "primary", **NUMBER)
        run.receipt(message, 10.5, "backup", **NUMBER)
        recorded_later(run, first, 20)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["in_time"]) == (Verdict.PASS, 1)

    def test_to_fail_names_the_route_though_it_was_recorded_last(self) -> None:
        run = Run()
        message = run.message(5)
        first = run.receipt(message, 10, "backup", "refused", **NUMBER)
        run.receipt(message, 10.5, "primary", "refused", **NUMBER)
        recorded_later(run, first, 20)
        assert [each.why for each in judged(run).offenders] == ["2 attempts by backup, and none was taken"]

    def test_recorded_is_the_one_whose_clock_counts_of_those_that_ended_together(self) -> None:
        run = Run()
        unsure_of_the_backup(run)
        message = run.message(5)
        run.receipt(message, 10, "primary", **NUMBER)
        run.receipt(message, 10, "backup", **NUMBER)
        finding = check_in_two_files(run, "fallback", ANY)
        assert (finding.verdict, finding.numbers["in_time"]) == (Verdict.PASS, 1)

    def test_recorded_names_the_route_of_those_that_ended_together(self) -> None:
        run = Run()
        taken, refused = run.message(5), run.message(5)
        for via in ("primary", "backup"):
            run.receipt(taken, 12, via, **NUMBER)
            run.receipt(refused, 12, via, "refused", **NUMBER)
        assert [each.why for each in check_in_two_files(run, "fallback", ANY).offenders] == [
            "2 attempts by primary, and none was taken",
            "out by primary 1.000 s too late",
        ]


def test_the_number_is_that_of_the_latest_of_several() -> None:
    run = Run()
    for at in (9.5, 10.5, 10):
        run.receipt(run.message(5), at, "backup", **NUMBER)
    finding = judged(run)
    assert (finding.verdict, finding.numbers["after_due_s_max"]) == (Verdict.PASS, 1.5)


def test_who_was_latest_is_named_first_whatever_the_token() -> None:
    run = Run()
    for token, at in (("a", 12), ("b", 14), ("c", 13)):
        run.receipt(run.message(5, token=token), at, "backup", **NUMBER)
    assert [(each.token, each.why) for each in judged(run).offenders] == [
        ("b", "out by backup 3.000 s too late"),
        ("c", "out by backup 2.000 s too late"),
        ("a", "out by backup 1.000 s too late"),
    ]
