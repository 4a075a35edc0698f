"""Cost: how often the providers saw one message, and which layer repeated it."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check


def judged(run: Run, params: Any = 3) -> Finding:
    return check(run, "cost", params)


def tried(run: Run, message: Message, *routes: str, **more: Any) -> None:
    """Refused by each of these in turn but the last, which takes it."""
    for number, route in enumerate(routes):
        result = "accepted" if number == len(routes) - 1 else "deferred"
        run.receipt(message, message.at + 0.1 * (number + 1), route, result, **more)


def test_one_attempt_each_is_a_pass() -> None:
    run = Run()
    run.traffic(0, 10, 0.5)
    finding = judged(run, 1)
    assert finding.verdict is Verdict.PASS
    assert finding.numbers["attempts_per_message_max"] == 1
    assert finding.numbers["attempts_per_message_mean"] == 1.0
    assert finding.counted == 20


@pytest.mark.parametrize(("allowed", "verdict"), [(3, Verdict.PASS), (2, Verdict.FAIL)])
def test_as_many_as_allowed_is_a_pass_and_one_more_a_fail(allowed: int, verdict: Verdict) -> None:
    run = Run()
    run.traffic(0, 10, 0.5)
    tried(run, run.message(5), "primary", "primary", "backup")
    assert judged(run, allowed).verdict is verdict


def test_what_repeats_is_told_apart() -> None:
    run = Run()
    dear = run.message(5)
    calls = [
        ("primary", "1"),
        ("primary", "1"),
        ("primary", "1"),
        ("primary", "2"),
        ("backup", "2"),
        ("primary", None),
    ]
    for number, (route, call) in enumerate(calls):
        run.receipt(dear, 5.1 + number / 10, route, "deferred", sdk_retry=call)
    run.copy(dear, 9, "backup", recipient="+12025550123", carriers=["nonce"])
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.numbers["attempts"] == finding.numbers["attempts_per_message_max"] == 7
    beyond = ("sdk_retries", "retries_on_the_same_route", "failovers", "by_fallback")
    assert [finding.numbers[name] for name in beyond] == [2, 1, 2, 1]
    assert finding.offenders[0].why == (
        "7 attempts; beyond the first, 2 by the client library, 1 on the same route, 2 on another route, "
        "1 by a fallback channel"
    )


def test_a_client_library_that_repeats_one_call_is_known_by_its_own_mark() -> None:
    run = Run()
    tried(run, run.message(5), "primary", "primary", "primary", sdk_retry="call-1")
    tried(run, run.message(6), "primary", "primary")
    two_calls = run.message(7)
    for number, call in enumerate(("call-2", "call-3")):
        run.receipt(two_calls, 7.1 + number, sdk_retry=call)
    numbers = judged(run).numbers
    assert (numbers["sdk_retries"], numbers["retries_on_the_same_route"], numbers["failovers"]) == (2, 2, 0)


def test_a_repetition_that_its_key_gave_away_is_an_attempt_too() -> None:
    run = Run()
    message = run.message(5)
    run.copy(message, 5.1)
    for at in (5.2, 5.3, 5.4):
        run.receipt(message, at, "primary", "repeated")
    assert judged(run).verdict is Verdict.FAIL


def test_the_worst_come_first_and_say_by_which_layer() -> None:
    run = Run()
    tried(run, run.message(5), *["primary"] * 4)
    worst = run.message(6)
    tried(run, worst, *["primary", "backup"] * 3)
    finding = judged(run)
    assert finding.offenders[0].token == worst.token
    assert finding.offenders[0].cause == "on another route"
    assert finding.offenders[1].cause == "on the same route"
    assert finding.numbers["too_many"] == 2


@pytest.mark.parametrize(("mean", "verdict"), [(1.5, Verdict.PASS), (1.49, Verdict.FAIL)])
def test_the_mean_can_be_bounded_as_well(mean: float, verdict: Verdict) -> None:
    run = Run()
    tried(run, run.message(5), "primary", "backup")
    tried(run, run.message(6), "primary")
    assert judged(run, {"attempts_per_message": 2, "on_average": mean}).verdict is verdict


def test_attempts_that_name_nobody_are_told_and_not_counted() -> None:
    run = Run()
    run.traffic(0, 5, 0.5)
    for at in range(10):
        run.receipt(None, 5 + at, "primary", "refused", code=535, carriers=[])
    finding = judged(run, 1)
    assert finding.verdict is Verdict.PASS
    assert finding.numbers["without_a_message"] == 10
    assert "10 attempts that named no message" in finding.error


def test_the_baseline_and_probes_do_not_count() -> None:
    run = Run()
    run.traffic(0, 5, 0.5)
    early = run.message(-5, baseline=True)
    tried(run, early, *["primary"] * 5)
    for at in range(5):
        run.receipt(None, at, "primary", recipient="probe@canary.example", carriers=[])
    numbers = judged(run).numbers
    assert (numbers["attempts"], numbers["without_a_message"]) == (10, 0)


def test_two_recipients_of_one_attempt_are_an_attempt_of_each() -> None:
    run = Run()
    one, two = run.message(5), run.message(5)
    run.copy(one, 5.1, attempt="both")
    run.copy(two, 5.1, attempt="both")
    assert judged(run, 1).verdict is Verdict.PASS


def test_nothing_attempted_is_inconclusive() -> None:
    run = Run()
    run.message(5)
    finding = judged(run)
    assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "no attempt named any message")


@pytest.mark.parametrize("spoilt", ["unexposed", "gap"])
def test_what_may_be_missing_takes_a_pass_away_and_leaves_a_fail(spoilt: str) -> None:
    for routes, verdict in ((["primary"], Verdict.INCONCLUSIVE), (["primary"] * 4, Verdict.FAIL)):
        run = Run()
        tried(run, run.message(5), *routes)
        if spoilt == "gap":
            run.loses_record()
            run.copy(run.message(6), 6.1)
        else:
            run.fault(60, 70)
        assert judged(run).verdict is verdict
