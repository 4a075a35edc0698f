"""What a switch is, on which the times of an incident hang: so many copies in a row on routes that it left
alone, whose clock tells when, and how long after a fault it still shows that the fault was met.
"""

from __future__ import annotations

import pytest

from harness.checks.finding import Finding, Verdict
from harness.history import events as ev
from tests.checks.exposing import faulty
from tests.checks.exposing import judged as exposure
from tests.checks.histories import PROVIDERS, Run, check, span


def judged(run: Run) -> Finding:
    return check(run, "mttm", "8s")


@pytest.fixture
def three_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "third", "ses")


def clock(run: Run, via: str, error: float) -> None:
    run.events.append(
        ev.ClockCalibrated(t_ns=1, source=PROVIDERS[via], when="end", offset_ns=0, error_ns=span(error))
    )


def clocks() -> Run:
    """The backup's is right to ± 0.5 s, the third route's to ± 1 s, and that of what is broken to ± 2 s."""
    run = Run()
    for via, error in (("backup", 0.5), ("third", 1), ("primary", 2)):
        clock(run, via, error)
    run.fault(10, 40)
    return run


@pytest.mark.usefixtures("three_routes")
def test_only_the_clock_of_who_took_the_mail_then_makes_a_switch_uncertain() -> None:
    run = clocks()
    run.traffic(15, 18, 0.5, via="backup")
    run.traffic(20, 22, 0.5, via="primary")
    run.traffic(25, 28, 0.5, via="third")
    finding = judged(run)
    assert (finding.numbers["mttm_s_max"], finding.numbers["mttm_s_mean"]) == (5.6, 5.1)
    assert finding.verdict is Verdict.PASS


@pytest.mark.usefixtures("three_routes")
def test_of_copies_in_a_row_by_several_routes_the_worst_clock_counts() -> None:
    run = clocks()
    for second in (15, 16, 17, 18):
        run.copy(run.message(second), second + 0.1, "backup" if second % 2 else "third")
    finding = judged(run)
    assert (finding.numbers["mttm_s_max"], finding.numbers["mttm_s_mean"]) == (6.1, 5.1)


@pytest.mark.usefixtures("three_routes")
@pytest.mark.parametrize(("copies", "not_needed"), [(9, 1), (10, 0)])
def test_what_all_other_routes_took_of_the_baseline_makes_a_switch_take_longer(
    copies: int, not_needed: int
) -> None:
    """Half of the baseline went by the two others: (21/42)¹⁰ is less than a thousandth, (21/42)⁹ is not."""
    run = Run(baseline=20)
    for number in range(10):
        for via in ("backup", "third"):
            message = run.message(-9.9 + number / 2, within=1, baseline=True)
            run.copy(message, message.at + 0.1, via)
    run.fault(10, 40)
    run.traffic(15, 15 + copies / 2, 0.5, via="third")
    finding = judged(run)
    assert finding.numbers["not_needed"] == not_needed
    assert finding.numbers["mttm_s_max"] == (None if not_needed else 5.1)


def test_a_switch_after_hours_is_one_as_any_other() -> None:
    run = Run(ends=20_000)
    run.fault(15_000, 15_100)
    run.traffic(15_005, 15_010, 0.5, via="backup")
    assert judged(run).numbers["mttm_s_max"] == 5.1


@pytest.mark.parametrize(("at", "verdict"), [(25, Verdict.PASS), (25 + 1e-9, Verdict.INCONCLUSIVE)])
def test_mail_that_leaves_a_route_shows_its_fault_until_5_s_after_it(at: float, verdict: Verdict) -> None:
    """Requests that are refused are marked by the provider; here none is."""
    run = faulty("refuse")
    for number in range(3):
        run.copy(run.message(12 + number), at + number, "backup")
    assert exposure(run).verdict is verdict


def test_mail_that_leaves_a_route_shows_nothing_of_what_becomes_of_mail_that_it_took() -> None:
    run = Run()
    run.fault(10, 20, "outage", incident="both")
    run.fault(10, 20, "bounce", incident="both")
    run.traffic(12, 15, 0.5, via="backup")
    finding = exposure(run)
    assert finding.numbers == {"faults": 2, "exposed": 1}
    assert finding.reason == "nothing shows that any of 6 messages in play met bounce on primary (f2)"


@pytest.mark.parametrize(("at", "verdict"), [(20, Verdict.PASS), (20 + 1e-9, Verdict.INCONCLUSIVE)])
def test_an_event_whose_delay_is_not_known_happened_when_it_was_told(at: float, verdict: Verdict) -> None:
    run = faulty("outage", "primary.events")
    message = run.message(12)
    run.copy(message, 12.1)
    run.provider_says("delivered", message, at, webhook="lost")
    assert exposure(run).verdict is verdict
