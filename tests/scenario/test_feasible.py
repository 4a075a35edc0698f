"""Impossible expectations are refused, and only those; the messages are under snapshots/."""

from __future__ import annotations

import pytest

from harness.scenario.loader import load
from tests.scenario.writing import SCENARIOS, VALID, changed, problem, problems


@pytest.mark.parametrize(
    "sets",
    [
        (
            "workload.receipts.for=5s",
            "workload.newsletter.at=1s",
        ),  # no message meets the fault: the run says so
        ('system.process=["/bin/false"]',),
        ("system.env.DEFECTS=slow-detect",),
    ],
)
def test_runs_that_must_be_able_to_fail_are_not_refused(sets: tuple[str, ...]) -> None:
    load(SCENARIOS / "m365-auth-outage.yaml", sets)


def test_a_drain_of_exactly_two_retries_is_enough() -> None:
    assert not problems(
        changed(("drain: {deadline: 60s}", "drain: {deadline: 40s}"), ("_retry: 2s", "_retry: 20s"))
    )


def test_waves_that_just_fit_are_taken() -> None:
    """From 13 s to 20 s + 11 s are 18 s, and 10 waves take 9 × 2 s."""
    assert not problems(changed(("deadline: 60s", "deadline: 11s")))
    assert problem(changed(("deadline: 60s", "deadline: 10s"))).path == "expect.waves"


def test_a_throttle_at_the_rate_of_the_flow_is_taken() -> None:
    assert not problems(changed(("primary: {rate: 20/s, burst: 20}", "primary: {rate: 5/s, burst: 1}")))


def test_a_provider_without_a_limit_carries_anything() -> None:
    assert not problems(changed(("messages_per_minute: 1200", "messages_per_minute: 20")))


def test_the_presets_own_limits_count() -> None:
    """Microsoft 365 takes 30 messages a minute unless the scenario says otherwise."""
    found = problem(
        changed(
            (", limits: {messages_per_minute: 1200}", ""),
            ("rate: 5/s", "rate: 50/s"),
            ("rate: 20/s, burst: 20", "rate: 99/s"),
        )
    )
    assert found.path == "providers.m365" and "30 × 2 minutes = 60" in found.message


def test_a_rate_of_recipients_is_one_of_messages_at_most() -> None:
    """SES takes 14 recipients a second unless the scenario says otherwise."""
    ses = ("microsoft365-smtp, limits: {messages_per_minute: 1200}", "ses-v2")
    fast = changed(ses, ("rate: 5/s", "rate: 50/s"), ("rate: 20/s", "rate: 99/s"))
    assert not problems(changed(ses))
    assert "14/s" in problem(fast).message and problem(fast).path == "providers.m365"


def test_faults_on_the_system_alone_have_nothing_to_detect() -> None:
    kill = "faults=[{at: 5s, on: system, fault: kill, restart_after: 1s}]"
    assert problem(VALID, kill).path == "expect.mttd"
    assert not problems(VALID, kill, "expect.mttd=null")


def test_a_switch_needs_another_route_and_a_fault_on_one() -> None:
    kill = "faults=[{at: 5s, on: system, fault: kill, restart_after: 1s}]"
    mttm = ("mttd: 5s", "mttm: 5s")
    assert not problems(changed(mttm))
    assert problem(changed(mttm), kill).path == "expect.mttm"
    assert problem(changed(("mttd: 5s", "mttm: {}"))).path == "expect.mttm"
    digests = problems(changed(mttm, ("class: transactional", "class: digest")))
    assert {each.path for each in digests} == {"expect.mttm", "expect.mttr"}


EVENTS = ("longest_retry: 2s", 'longest_retry: 2s\n  events: {grid: "POST /events/sendgrid"}')


def test_where_no_mail_goes_through_there_is_nothing_to_time() -> None:
    beside = "faults=[{at: 5s, for: 4s, on: backup.events, fault: outage}]"
    assert {each.path for each in problems(changed(EVENTS), beside)} == {"expect.mttd", "expect.mttr"}
    assert not problems(changed(EVENTS), beside, "expect.mttd=null", "expect.mttr=null")


def test_behind_the_way_of_events_is_the_system() -> None:
    kill = "{at: 5s, on: system, fault: kill, restart_after: 4s}"
    late = "{at: 6s, for: 2s, on: backup.events, fault: latency, latency: 50ms}"
    sets = (f"faults=[{kill}, {late}]", "expect.mttd=null")
    assert problem(changed(EVENTS), *sets).path == "faults[1]"
    assert not problems(changed(EVENTS), *sets, "faults.1.for=5s")
    outage = "for: 2s, fault: outage"
    beside = f"faults=[{{at: 5s, on: backup.events, {outage}}}, {{at: 6s, on: backup, {outage}}}]"
    assert not problems(changed(EVENTS), beside)


def test_recovery_needs_transactional_mail() -> None:
    assert problem(changed(("class: transactional", "class: digest"))).path == "expect.mttr"


def test_held_messages_must_be_told_to_be_counted() -> None:
    held = ("delivered: all", "delivered: {held_at_most: 5%}")
    states = ("longest_retry: 2s", 'longest_retry: 2s\n  states: {http: /held, items: "messages[]"}')
    assert problem(changed(held)).path == "expect.delivered"
    assert not problems(changed(held, states))


@pytest.mark.parametrize(
    ("second", "refused"),
    [
        ("at: 13s, for: 2s, on: primary, fault: latency, latency: 50ms", False),  # after it
        ("at: 2s, for: 3s, on: primary, fault: latency, latency: 50ms", False),  # before it
        ("at: 2s, for: 15s, on: primary, fault: latency, latency: 50ms", False),  # around it
        ("at: 2s, for: 6s, on: primary, fault: latency, latency: 50ms", False),  # proved before
        ("at: 6s, for: 20s, on: primary, fault: outage", False),  # proved after
        ("at: 6s, for: 3s, on: primary, fault: latency, latency: 50ms", True),  # wholly within
        ("at: 6s, for: 20s, on: backup, fault: outage", False),  # elsewhere
    ],
)
def test_a_fault_wholly_behind_an_outage_cannot_be_proved(second: str, refused: bool) -> None:
    text = VALID[: VALID.index("  - {at: 7s")] + f"  - {{{second}}}\n" + VALID[VALID.index("drain:") :]
    assert bool(problems(text)) == refused


def test_a_million_messages_are_enough() -> None:
    found = problems(changed(("count: 100,", "count: 1000000,"), ("share: 10%", "share: 100%")))
    assert any("1,000,100 messages" in each.message for each in found)
