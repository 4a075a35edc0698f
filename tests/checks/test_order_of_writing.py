"""What was written down late is in its place all the same: the order is that of the times."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding
from tests.checks.histories import PAGE, Run
from tests.history.asking import opened_as_written


def check_as_written(run: Run, name: str, params: Any) -> Finding:
    with opened_as_written(run) as history:
        return CHECKS[name].evaluate(history, run.name, parse_params(name, params))


def test_readings_of_a_signal() -> None:
    run = Run()
    run.fault(10, 20)
    run.reads("detected", True, 12, before=11)
    run.reads("detected", False, 11, before=10)
    numbers = check_as_written(run, "mttd", "50s").numbers
    assert (numbers["mttd_s_max"], numbers["mttd_s_mean"]) == (2, 1.5)


@pytest.mark.parametrize(("depth", "later"), [(0, 7), (7, 0)])
def test_readings_of_the_queue(depth: int, later: int) -> None:
    run = Run()
    run.copy(run.message(5), 5.1)
    run.reads("queue_depth", later, 60, None)
    run.reads("queue_depth", depth, 50, None)
    assert check_as_written(run, "quiescence", "reached").numbers["queue_depth"] == later
    run.message(6)
    assert ("queue still held" in check_as_written(run, "delivered", "all").reason) == (later > 0)


def test_what_the_system_said_last_of_a_message() -> None:
    run = Run()
    message = run.message(5)
    run.says(message, "failed", 91, ["deferred"])
    run.says(message, "sent", 90, ["delivered"])
    finding = check_as_written(run, "reconciliation", "agrees")
    assert (finding.numbers["agree"], finding.numbers["sent_without_copy"]) == (1, 0)


def test_what_it_said_last_before_it_was_killed() -> None:
    for states, held in ((("sending", "pending"), 1), (("pending", "sending"), 0)):
        run = Run()
        message = run.message(50)
        run.says(message, "held", 90)
        for state, at in zip(states, (52, 51), strict=True):
            run.says(message, state, at)
        run.process("killed", 53)
        assert check_as_written(run, "delivered", "all").numbers["held"] == held


def test_the_copies_of_a_message() -> None:
    run = Run()
    message = run.message(5)
    run.says(message, "failed", 90)
    run.copy(message, 7, "primary")
    run.copy(message, 6, "backup")
    finding = check_as_written(run, "reconciliation", "agrees")
    assert finding.offenders[0].why == "the system says failed, and backup took it"


def test_what_a_status_page_told() -> None:
    run = Run(without_mail=[PAGE])
    for at, told in ((13, False), (12, True), (8, False), (6, True)):
        run.announces(at, told)
    run.message(5)  # due at 9 s, and by 11 s at the latest
    run.message(20)
    finding = check_as_written(run, "fallback", {"after": "3s", "within": "2s", "route": PAGE})
    assert [each.why for each in finding.offenders] == [
        "neither by mail nor on page 6.0 s after it was offered",
        "out on page 1.000 s too late",
    ]


def test_attempts_before_they_were_asked_for_again() -> None:
    run = Run(baseline=0)
    for at, result, patience in ((7, "accepted", None), (6.5, "accepted", None), (5, "refused", 3)):
        run.receipt(
            None, at, result=result, took=0, attempt=f"at {at}",
            retry_after_ns=None if patience is None else patience * 10**9,
        )  # fmt: skip
    finding = check_as_written(run, "throttle", {"primary": {"rate": "10/s", "burst": 5}})
    assert finding.offenders[0].why == "2 attempts before Retry-After was over, first at 6.5, 1.500 s early"
