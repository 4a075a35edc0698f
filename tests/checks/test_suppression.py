"""Suppression: a final no is final, on every route."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Run, check


def judged(run: Run, params: Any = "kept") -> Finding:
    return check(run, "suppression", params)


def refused(run: Run, text: str = "5.1.1 user unknown", via: str = "primary", **more: Any) -> Any:
    message = run.message(5)
    run.receipt(message, 5.1, via, "refused", code=550, text=text, **more)
    return message


def test_a_refusal_that_stood_is_a_pass() -> None:
    run = Run()
    refused(run)
    run.traffic(6, 10, 0.5)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert finding.counted == 1


@pytest.mark.parametrize(
    "text",
    [
        "5.1.1 user unknown",
        "5.1.10 null MX",
        "5.2.1 disabled",
        "5.4.1 Recipient address rejected",
        "unknown",
        "",  # a bare 550
    ],
)
def test_another_try_on_the_other_route_is_a_fail(text: str) -> None:
    run = Run()
    run.copy(refused(run, text), 5.2, "backup")
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.numbers["on_another_route"] == 1
    assert finding.offenders[0].cause == "refused for good"


def test_another_try_on_the_same_route_is_a_fail() -> None:
    run = Run()
    run.receipt(refused(run), 6, "primary", "refused", code=550, text="5.1.1 user unknown")
    assert judged(run).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    "text",
    [
        *(
            "5.7.60 no permission to send as",
            "5.2.0 quota exceeded",
            "5.2.2 mailbox full",
            "5.7.139 disabled",
        ),
        *("5.1.7 bad sender", "5.1.8 sender's domain does not exist", "5.4.14 routing loop"),
    ],
)
def test_a_refusal_that_is_about_the_route_may_go_elsewhere(text: str) -> None:
    run = Run()
    refused(run)
    run.copy(refused(run, text), 5.2, "backup")
    assert judged(run).verdict is Verdict.PASS


def test_an_http_refusal_of_the_message_is_final_whatever_its_text() -> None:
    run = Run()
    run.copy(refused(run, "Found inactive addresses", "backup", endpoint="api"), 5.2, "primary")
    assert judged(run).verdict is Verdict.FAIL


def test_a_refusal_for_now_is_none() -> None:
    run = Run()
    refused(run)
    message = run.message(7)
    run.receipt(message, 7.1, "primary", "deferred", code=451, text="4.3.2 busy")
    run.copy(message, 7.2, "backup")
    assert judged(run).verdict is Verdict.PASS


def test_what_had_begun_before_is_excused() -> None:
    run = Run()
    message = refused(run)
    run.copy(message, 5.3, "backup", took=0.25)
    assert judged(run).verdict is Verdict.PASS


def test_another_message_to_him_that_was_under_way_is_excused() -> None:
    run = Run()
    run.fault(4, 8, "latency", attributes={"latency": 400})
    first = run.message(4.8, recipient="ann@customer.example")
    run.receipt(first, 5, "primary", "refused", code=550, text="5.1.1 user unknown")
    second = run.message(5, recipient="ann@customer.example")
    run.receipt(second, 5.11, "primary", "refused", code=550, text="5.1.1 user unknown")
    assert judged(run).verdict is Verdict.PASS


def test_an_attempt_within_the_clock_error_is_excused() -> None:
    run = Run(clock_error=0.2)
    run.copy(refused(run), 5.2, "backup")
    assert judged(run).verdict is Verdict.PASS


class TestEvents:
    @pytest.mark.parametrize("event", ["bounced", "complained"])
    @pytest.mark.parametrize("webhook", ["delivered", "late"])
    def test_a_message_to_who_bounced_or_complained_is_a_fail(self, event: str, webhook: str) -> None:
        run = Run()
        first = run.message(5, recipient="ann@customer.example")
        run.copy(first, 5.1)
        run.provider_says(event, first, 6, webhook=webhook)
        run.copy(run.message(8, recipient="Ann@customer.example"), 8.1, "backup")
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.offenders[0].cause == event

    @pytest.mark.parametrize(("at", "verdict"), [(7.0, Verdict.PASS), (7.02, Verdict.FAIL)])
    def test_there_is_a_grace_after_the_event(self, at: float, verdict: Verdict) -> None:
        run = Run()
        first = run.message(5, recipient="ann@customer.example")
        run.copy(first, 5.1)
        run.provider_says("bounced", first, 6, webhook="delivered")
        run.copy(run.message(6, recipient="ann@customer.example"), at + 0.01, took=0.01 - 0.001)
        assert judged(run, {"grace": "1001ms"}).verdict is verdict

    @pytest.mark.parametrize("webhook", ["lost", "none"])
    def test_what_the_system_was_never_told_binds_it_to_nothing(self, webhook: str) -> None:
        run = Run()
        first = run.message(5, recipient="ann@customer.example")
        run.copy(first, 5.1)
        run.provider_says("bounced", first, 6, webhook=webhook)
        run.copy(run.message(8, recipient="ann@customer.example"), 8.1)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_a_delivery_binds_it_to_nothing(self) -> None:
        run = Run()
        refused(run)
        first = run.message(5, recipient="ann@customer.example")
        run.copy(first, 5.1)
        run.provider_says("delivered", first, 6, webhook="delivered")
        run.copy(run.message(8, recipient="ann@customer.example"), 8.1)
        assert judged(run).verdict is Verdict.PASS


def test_the_systems_own_probes_are_left_alone() -> None:
    run = Run()
    refused(run)
    for at in (5, 6):
        run.receipt(
            None, at, "primary", "refused", recipient="probe@canary.example", code=550, text="5.1.1 no"
        )
    assert judged(run).verdict is Verdict.PASS


def test_nobody_refused_is_inconclusive() -> None:
    run = Run()
    run.traffic(0, 5, 0.5)
    assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_a_missing_record_is_inconclusive() -> None:
    run = Run()
    refused(run)
    run.loses_record()
    run.traffic(6, 8, 0.5)
    assert judged(run).verdict is Verdict.INCONCLUSIVE
