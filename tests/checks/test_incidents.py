"""Which faults are one incident, which routes it began with, and until when it can still be detected."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.checks.finding import Finding
from harness.history.events import FaultRemoving
from tests.checks.histories import Run, check, ns


def recovery(run: Run, target: str = "1s") -> Finding:
    return check(run, "mttr", target)


def detection(run: Run) -> Finding:
    return check(run, "mttd", "50s")


def detected_s(run: Run) -> Any:
    return detection(run).numbers["mttd_s_max"]


def late(run: Run, at: float, arrives: float) -> None:
    for _ in range(2):
        run.copy(run.message(at), arrives, "backup")


def test_a_fault_of_the_system_alone_is_an_incident_on_no_route() -> None:
    run = Run()
    run.kill(10, 12)
    late(run, 10, 14)
    assert recovery(run).numbers["mttr_s_max"] == 4
    finding = detection(run)
    assert (finding.counted, finding.reason) == (0, "there was no incident on a route")


def test_with_a_fault_of_a_route_beside_it_it_is_one_on_that_route() -> None:
    run = Run()
    run.fault(10, 20, "pause", "system", incident="both")
    run.fault(10, 20, incident="both")
    run.detects(12)
    assert detected_s(run) == 2


@pytest.mark.parametrize(("second", "seconds"), [(10, 4), (11, 4), (11.001, None)])
def test_it_began_with_the_routes_that_broke_until_its_first_fault_was_surely_on(
    second: float, seconds: float | None
) -> None:
    run = Run()
    run.fault(10, 30, takes=1, incident="both")
    run.fault(second, 30, target="backup", takes=1, incident="both")
    run.detects(14, "backup")
    assert detected_s(run) == seconds


def test_what_came_on_later_makes_no_other_beginning() -> None:
    run = Run()
    run.fault(14, 30, target="backup", takes=2, incident="both")
    run.fault(10, 20, takes=1, incident="both")
    late(run, 10, 16)
    run.detects(13)
    finding = detection(run)
    assert (finding.numbers["mttd_s_max"], finding.numbers["mttd_s_mean"]) == (3, 2.45)
    assert recovery(run).offenders[0].why == "restored 5.5 s after outage on primary, outage on backup"


def test_a_fault_aside_with_its_label_is_no_part_of_it() -> None:
    run = Run()
    run.fault(5, 50, "latency", "backup.events", incident="both", attributes={"latency": 100})
    run.fault(10, 20, incident="both")
    late(run, 10, 16)
    run.detects(12, "backup")
    assert recovery(run).numbers["mttr_s_max"] == 6
    assert detected_s(run) == "infinite"


@pytest.mark.parametrize(("at", "seconds"), [(36, 26), (36.000000001, None)])
def test_it_can_be_detected_until_5_s_after_its_last_fault_was_surely_off(
    at: float, seconds: float | None
) -> None:
    run = Run()
    run.fault(10, 20, incident="both")
    run.fault(12, 30, takes=1, incident="both")
    run.fault(13, 25, takes=1, incident="both")
    run.detects(at)
    assert detected_s(run) == seconds


@pytest.mark.parametrize(("target", "seconds"), [("primary", None), ("backup", 14)])
def test_until_the_next_one_begins_that_begins_with_a_route_of_it(target: str, seconds: float | None) -> None:
    run = Run()
    run.fault(10, 20)
    run.fault(23, 30, target=target)
    run.fault(60, 70)
    run.reads("detected", False, 23.9)
    run.reads("detected", True, 24, before=23.9)
    finding = detection(run)
    assert finding.numbers["incidents"] == 3
    assert finding.numbers["mttd_s_max"] == (seconds or 1)


def test_at_the_moment_at_which_the_next_one_begins_both_may_have_been_detected() -> None:
    run = Run()
    run.fault(10, 20)
    run.fault(23, 30)
    run.detects(23)
    assert detected_s(run) == 13


def test_of_two_that_begin_at_once_the_one_named_later_is_the_last_before_the_impact() -> None:
    run = Run()
    run.fault(10, 20, incident="later")
    run.fault(10, 20, target="backup", incident="earlier")
    late(run, 10, 16)
    finding = recovery(run)
    assert (finding.numbers["incidents"], finding.numbers["with_impact"]) == (2, 1)
    assert finding.offenders[0].subject == "incident later"


def test_an_impact_from_before_belongs_to_the_first_that_began() -> None:
    run = Run()
    run.fault(30, 40, incident="a")
    run.fault(10, 20, incident="b")
    late(run, 5, 12)
    finding = recovery(run)
    assert (finding.numbers["incidents"], finding.numbers["with_impact"]) == (2, 1)
    assert finding.offenders[0].subject == "incident b"


def test_a_fault_that_could_not_be_removed_at_first_may_have_been_gone_since() -> None:
    run = Run()
    fault = run.fault(10, 25, takes=0.5)
    removing = next(each for each in run.events if isinstance(each, FaultRemoving) and each.fault == fault)
    run.events.append(msgspec.structs.replace(removing, t_ns=ns(20)))
    run.copy(run.message(22), 22.1)
    assert check(run, "exposure", "required").reason.startswith("no message was scheduled or waiting")


def test_the_routes_that_it_began_with_are_named_in_order() -> None:
    run = Run()
    run.traffic(0, 5, 0.5)
    for target in ("third", "backup"):
        run.fault(10, 20, target=target, incident="both")
    for _ in range(2):
        run.copy(run.message(10), 19)
    reason = check(run, "mttm", "50s").reason
    assert "mail did not usually take backup or third, so leaving incident both cannot be told" in reason
