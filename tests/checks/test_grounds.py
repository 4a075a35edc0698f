"""What every verdict stands on: a system that met the faults, a whole record, a witness, clocks."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from harness.checks.grounds import clock_error, seconds
from harness.history.events import HarnessWarning
from tests.checks.histories import Run, check, ns, opened


def judged(run: Run) -> Finding:
    return check(run, "duplicates", "none")


def doubt(run: Run) -> str:
    finding = judged(run)
    assert finding.verdict is Verdict.INCONCLUSIVE, finding
    return finding.reason


def healthy(name: str = "run", **more: Any) -> Run:
    run = Run(name, **more)
    run.traffic(0, 3, 1)
    return run


def warned(run: Run, *told: tuple[str, str, str]) -> Run:
    run.events += [
        HarnessWarning(t_ns=ns(50 + at), warning=warning, subject=subject, detail=detail)
        for at, (warning, subject, detail) in enumerate(told)
    ]
    return run


class TestExposure:
    def test_each_incident_that_was_never_met_is_named_in_order_with_its_faults(self) -> None:
        run = healthy()
        run.fault(50, 60, "reset", incident="second")
        run.fault(50, 60, "latency", "backup", incident="second")
        run.fault(52, 60, "reset", incident="second")
        run.fault(30, 40, incident="first")
        assert doubt(run) == (
            "the system never met incident first (outage on primary) "
            "and incident second (latency on backup, reset on primary)"
        )

    def test_one_fault_that_was_met_is_enough_for_its_incident_and_for_no_other(self) -> None:
        run = healthy()
        run.fault(10, 20, incident="met")
        run.fault(10, 20, "latency", "backup", incident="met")
        run.receipt(run.message(12, result="refused"), 12.1, "primary", "deferred")
        assert judged(run).verdict is Verdict.PASS
        run.fault(50, 60, incident="unmet")
        assert doubt(run) == "the system never met incident unmet (outage on primary)"

    def test_three_are_listed_as_people_list_them(self) -> None:
        run = healthy()
        for number, name in enumerate(("a", "b", "c")):
            run.fault(30 + 10 * number, 35 + 10 * number, incident=name)
        assert doubt(run) == (
            "the system never met incident a (outage on primary), incident b (outage on primary) "
            "and incident c (outage on primary)"
        )


class TestRecord:
    def test_numbers_that_are_missing_are_counted_for_each_provider(self) -> None:
        run = healthy()
        run.loses_record("backup")
        run.copy(run.message(5), 5.1, "backup")
        assert doubt(run) == "1 record is missing from sendgrid"
        run.loses_record()
        run.loses_record()
        run.copy(run.message(6), 6.1)
        assert doubt(run) == "2 records are missing from m365 and 1 record is missing from sendgrid"

    def test_a_record_that_was_cut_off_is_told_once_and_in_order(self) -> None:
        cut = ("receipt-gap", "sendgrid", "9 of 12 came")
        run = warned(healthy(), cut, ("receipt-gap", "m365", "none came"), cut)
        assert doubt(run) == (
            "the record of m365 is not whole (none came) "
            "and the record of sendgrid is not whole (9 of 12 came)"
        )

    def test_a_gap_that_the_numbers_show_is_not_told_twice(self) -> None:
        run = warned(healthy(), ("receipt-gap", "m365", "a number is missing"))
        run.loses_record()
        run.copy(run.message(6), 6.1)
        assert doubt(run) == "1 record is missing from m365"

    def test_a_warning_that_names_nobody_is_a_doubt_as_well(self) -> None:
        run = warned(healthy(), ("receipt-gap", "", "a line was half written"))
        assert doubt(run) == "the record of a provider is not whole (a line was half written)"
        run.loses_record()
        run.copy(run.message(6), 6.1)
        assert doubt(run) == (
            "1 record is missing from m365 "
            "and the record of a provider is not whole (a line was half written)"
        )

    def test_other_warnings_are_no_gap(self) -> None:
        run = warned(healthy(), ("late-driver", "driver", "40 ms"), ("clock-error", "m365", "wide"))
        assert judged(run).verdict is Verdict.PASS

    def test_what_is_wrong_with_another_run_is_its_own(self) -> None:
        bad = healthy("bad")
        bad.fault(50, 60)
        bad.loses_record()
        bad.copy(bad.message(6), 6.1, observed="after")
        warned(bad, ("receipt-gap", "sendgrid", "cut"), ("witness-disagrees", "sendgrid", "19 of 20"))
        with opened(healthy("good"), bad) as history:
            ask = CHECKS["duplicates"].evaluate
            params = parse_params("duplicates", "none")
            assert ask(history, "good", params).verdict is Verdict.PASS
            assert ask(history, "bad", params).reason == (
                "the system never met incident f1 (outage on primary); "
                "1 record is missing from m365, the record of sendgrid is not whole (cut) "
                "and the record of sendgrid is in doubt (19 of 20)"
            )


class TestWitness:
    def test_each_dispute_is_told_once_in_order(self) -> None:
        disagrees = ("witness-disagrees", "sendgrid", "19 of 20")
        run = warned(
            healthy(),
            ("witness-unreadable", "", "connection refused"),
            disagrees,
            ("witness-disagrees", "m365", "3 of 4"),
            disagrees,
        )
        assert doubt(run) == (
            "the record of m365 is in doubt (3 of 4), the record of sendgrid is in doubt (19 of 20) "
            "and the witness of the record could not be asked (connection refused)"
        )

    def test_one_that_names_nobody_is_in_doubt_as_well(self) -> None:
        assert doubt(warned(healthy(), ("witness-disagrees", "", "20 of 21"))) == (
            "the record of a provider is in doubt (20 of 21)"
        )


class TestTimes:
    def test_only_routes_that_were_read_back_have_no_exact_times(self) -> None:
        run = healthy()
        run.copy(run.message(20), 20.1, "backup", observed="after")
        finding = check(run, "flapping", {"at_most": 9})
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "receipts of backup have no exact times"

    @pytest.mark.parametrize(
        ("error", "said"),
        [(0, "clocks were not calibrated or agree exactly"), (0.025, "clock error 25 ms")],
    )
    def test_the_error_of_the_clocks_stands_beside_the_numbers(self, error: float, said: str) -> None:
        assert check(healthy(clock_error=error), "flapping", {"at_most": 9}).error == said
        assert clock_error(round(error * 1e9)) == said

    def test_seconds_are_told_to_the_microsecond(self) -> None:
        run = Run(ends=1_000_010)
        run.copy(run.message(9), 10.123_456_3)
        assert check(run, "quiescence", "reached").numbers["quiet_s"] == 999_999.876_544
        assert seconds(1_234_567) == 0.001235
