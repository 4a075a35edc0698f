"""Did the system meet a fault that is beside the mail: at another endpoint, on the way of events back, in
what becomes of a message once it was taken?
"""

from __future__ import annotations

from typing import ClassVar

import pytest

from harness.checks.finding import Finding, Verdict
from harness.history import events as ev
from tests.checks.exposing import AFTERWARDS, faulty, judged
from tests.checks.histories import Run, check


class TestAnEndpointThatMailNeeds:
    """A token service: who holds a token that is still valid never meets its fault."""

    PROXY = ("outage", "blackhole", "reset", "auth-failure")

    @pytest.mark.parametrize("type_", (*PROXY, "latency", "refuse"))
    def test_mail_that_goes_on_as_before_hides_it(self, type_: str) -> None:
        run = faulty(type_, "primary.token")
        run.traffic(8, 22, 0.5)
        run.calls("token", 9)
        run.calls("token", 21)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert f"met {type_} on primary.token (f1)" in finding.reason

    @pytest.mark.parametrize("type_", (*PROXY, "refuse"))
    def test_an_attempt_on_the_route_that_was_refused_for_want_of_a_login_shows_it(self, type_: str) -> None:
        run = faulty(type_, "primary.token")
        run.receipt(run.message(12, "marketing"), 12.1, "primary", "refused", code=401)
        assert judged(run).verdict is Verdict.PASS

    @pytest.mark.parametrize(
        ("began", "verdict"), [(20.5, Verdict.PASS), (20.5 + 1e-9, Verdict.INCONCLUSIVE)]
    )
    def test_one_that_may_have_begun_before_it_was_over_does(self, began: float, verdict: Verdict) -> None:
        run = faulty("outage", "primary.token")
        run.events.append(
            ev.ClockCalibrated(t_ns=1, source="m365", when="end", offset_ns=0, error_ns=500_000_000)
        )
        run.receipt(run.message(12, "marketing"), 21, "primary", "refused", code=401, took=21 - began)
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize("result", ["refused", "deferred", "aborted", "ack-lost"])
    def test_one_that_went_wrong_for_another_reason_does_not(self, result: str) -> None:
        run = faulty("outage", "primary.token")
        run.receipt(run.message(12, "marketing"), 12.1, "primary", result, code=503)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize(
        ("type_", "code", "verdict"),
        [
            ("auth-failure", 401, Verdict.PASS),
            ("auth-failure", 200, Verdict.INCONCLUSIVE),  # what needs no login
            ("latency", 200, Verdict.PASS),
            ("reset", 200, Verdict.PASS),  # answered, and cut on the way
            ("outage", 200, Verdict.INCONCLUSIVE),  # it had come before
            ("refuse", 429, Verdict.INCONCLUSIVE),  # not by this fault
        ],
    )
    def test_a_request_there_shows_what_it_met(self, type_: str, code: int, verdict: Verdict) -> None:
        run = faulty(type_, "primary.token")
        run.message(12, "marketing")
        run.calls("token", 12, code)
        assert judged(run).verdict is verdict

    def test_one_that_the_provider_marked_shows_it(self) -> None:
        run = faulty("refuse", "primary.token")
        run.message(12, "marketing")
        run.calls("token", 12, 429, fault="f1")
        assert judged(run).verdict is Verdict.PASS

    def test_a_request_of_the_harness_or_elsewhere_or_at_another_time_shows_nothing(self) -> None:
        run = faulty("auth-failure", "primary.token")
        run.message(12, "marketing")
        run.calls("token", 12, 401, canary="harness")
        run.calls("token", 12, 401, via="backup")
        run.calls("other", 12, 401)
        run.calls("token", 25, 401)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_it_is_met_by_who_noticed_left_the_route_or_let_mail_wait(self) -> None:
        noticed, left, waited = (faulty("outage", "primary.token") for _ in range(3))
        noticed.message(12, "marketing")
        noticed.detects(13)
        left.traffic(10, 20, 0.2, via="backup")
        waited.copy(waited.message(12, "marketing"), 20.5)
        for run in (noticed, left, waited):
            assert judged(run).verdict is Verdict.PASS

    def test_an_attempt_there_says_nothing_of_a_fault_of_the_route_itself(self) -> None:
        run = faulty("auth-failure", "primary")
        run.message(12, "marketing")
        run.calls("token", 12, 401)
        assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_a_fault_on_an_endpoint_that_mail_needs_is_an_incident_of_its_route() -> None:
    run = Run()
    run.fault(10, 20, "auth-failure", "primary.token")
    run.calls("token", 11, 401)
    run.detects(12)
    run.traffic(10, 20, 0.5, via="backup", after=3)
    for name, target, number in (("mttd", "5s", 2.0), ("mttr", "30s", 12.5)):
        found = check(run, name, target)
        assert found.verdict is Verdict.PASS and found.counted == 1
        assert found.numbers[f"{name}_s_max"] == pytest.approx(number, abs=0.6)
    assert check(run, "mttd", "1s").verdict is Verdict.FAIL
    assert check(run, "mttr", "5s").verdict is Verdict.FAIL


def test_a_hidden_fault_proves_nothing_of_what_depends_on_it() -> None:
    run = Run()
    run.fault(10, 20, "outage", "primary.token")
    run.traffic(0, 30, 0.5)
    finding = check(run, "duplicates", "none")
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "the system never met incident f1 (outage on primary.token)" in finding.reason


def test_a_fault_on_a_route_without_mail_is_not_asked_about_and_measures_nothing() -> None:
    run = Run(without_mail=["status"])
    run.fault(10, 20)
    run.fault(11, 40, "outage", "status")
    run.detects(12)
    run.traffic(10, 20, 0.5, via="backup", after=3)
    assert judged(run).numbers == {"faults": 1, "exposed": 1}
    assert check(run, "mttd", "5s").counted == 1
    assert check(run, "mttr", "30s").counted == 1


def test_where_nothing_but_such_a_route_was_broken_there_is_nothing_to_prove() -> None:
    run = Run(without_mail=["status"])
    run.fault(10, 20, "outage", "status")
    run.traffic(0, 30, 0.5)
    assert judged(run).reason == "no fault was put in place on which mail or its events depend"
    assert check(run, "mttd", "5s").verdict is Verdict.INCONCLUSIVE


class TestTheWayOfEvents:
    def events(self, type_: str, webhook: str, at: float = 15, delay: float = 2, **more: str) -> Finding:
        run = faulty(type_, "backup.events")
        message = run.message(12)
        run.copy(message, 12.5, "backup")
        run.provider_says("delivered", message, at, "backup", webhook=webhook, delay=delay, **more)
        return judged(run)

    @pytest.mark.parametrize("type_", ["outage", "blackhole", "reset"])
    @pytest.mark.parametrize(
        ("webhook", "verdict"),
        [("late", Verdict.PASS), ("lost", Verdict.PASS), ("delivered", Verdict.INCONCLUSIVE)],
    )
    def test_an_event_that_did_not_get_through_at_once_shows_it(
        self, type_: str, webhook: str, verdict: Verdict
    ) -> None:
        assert self.events(type_, webhook).verdict is verdict

    def test_where_the_fault_only_delays_any_event_shows_it(self) -> None:
        assert self.events("latency", "delivered").verdict is Verdict.PASS

    def test_an_event_that_was_told_later_was_on_its_way_all_the_time(self) -> None:
        assert self.events("outage", "late", at=30, delay=12).verdict is Verdict.PASS

    @pytest.mark.parametrize(("at", "delay"), [(9, 5), (30, 5)])
    def test_an_event_of_another_time_shows_nothing(self, at: float, delay: float) -> None:
        finding = self.events("outage", "late", at=at, delay=delay)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "no event was on its way during outage on backup.events (f1)"

    def test_an_event_of_another_route_or_of_a_probe_shows_nothing(self) -> None:
        run = faulty("outage", "backup.events")
        message = run.message(12)
        run.copy(message, 12.5)
        run.provider_says("delivered", message, 15, "primary", webhook="late", delay=1)
        run.provider_says("delivered", message, 15, "backup", webhook="late", delay=1, canary="system")
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_what_becomes_of_the_mail_meanwhile_shows_nothing(self) -> None:
        run = faulty("outage", "backup.events")
        run.receipt(run.message(12), 12.1, "backup", "refused")
        run.message(12)  # overdue for ever
        run.detects(13, "backup")
        assert judged(run).verdict is Verdict.INCONCLUSIVE


class TestWhatBecomesOfTheMail:
    """Faults that hit no attempt: they show in the events of the messages that were taken meanwhile."""

    TOLD: ClassVar = {
        "bounce": ("bounced", "delivered"),
        "events-lost": ("delivered", "lost"),
        "events-late": ("delivered", "late"),
    }

    def told(self, type_: str, event: str, webhook: str, *, taken: float = 12, says: str = "") -> Finding:
        run = Run()
        run.fault(10, 20, type_, "backup", attributes={"event": says} if says else {})
        run.copy(run.message(11.5), 15, "backup")
        message = run.message(taken)
        run.copy(message, taken + 0.1, "backup")
        run.provider_says(event, message, taken + 15, "backup", webhook=webhook, delay=14)
        return judged(run)

    @pytest.mark.parametrize("type_", AFTERWARDS)
    def test_an_event_of_its_kind_shows_it(self, type_: str) -> None:
        assert self.told(type_, *self.TOLD[type_]).verdict is Verdict.PASS

    @pytest.mark.parametrize("type_", AFTERWARDS)
    def test_that_mail_was_taken_meanwhile_does_not_nor_any_other_event(self, type_: str) -> None:
        assert self.told(type_, "delivered", "delivered").verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("type_", AFTERWARDS)
    def test_nor_one_of_a_message_of_another_time(self, type_: str) -> None:
        for taken in (5, 25):
            found = self.told(type_, *self.TOLD[type_], taken=taken)
            assert found.verdict is Verdict.INCONCLUSIVE

    def test_a_fault_that_makes_complaints_shows_in_complaints(self) -> None:
        assert self.told("bounce", "complained", "none", says="complained").verdict is Verdict.PASS
        assert self.told("bounce", "bounced", "none", says="complained").verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("type_", AFTERWARDS)
    def test_it_is_no_incident_whose_end_would_be_waited_for(self, type_: str) -> None:
        run = Run()
        run.fault(10, 20, type_)
        run.traffic(10, 20, 0.5)
        run.detects(15)
        assert judged(run).verdict is Verdict.INCONCLUSIVE  # whatever was detected, it was not this
        for name in ("mttd", "mttr"):
            assert check(run, name, "5s").reason == "there was no incident"


def test_what_a_status_page_says_is_not_asked_about_even_on_a_route_of_mail() -> None:
    run = Run()
    run.fault(10, 20)
    run.fault(10, 40, "status", "primary")
    run.detects(12)
    run.traffic(10, 20, 0.5, via="backup", after=3)
    assert judged(run).numbers == {"faults": 1, "exposed": 1}
    assert check(run, "mttr", "30s").counted == 1


@pytest.mark.parametrize(
    ("type_", "code", "verdict"),
    [
        ("certificate", 200, Verdict.INCONCLUSIVE),  # by a connection that was open
        ("cut", 200, Verdict.INCONCLUSIVE),  # shorter than the cut
        ("bandwidth", 200, Verdict.PASS),
        ("slice", 200, Verdict.PASS),
    ],
)
def test_a_request_at_an_endpoint_that_mail_needs(type_: str, code: int, verdict: Verdict) -> None:
    run = faulty(type_, "primary.token")
    run.message(12, "marketing")
    run.calls("token", 12, code)
    assert judged(run).verdict is verdict


def test_a_fault_beside_the_mail_leaves_the_times_of_the_others_alone() -> None:
    run = Run()
    run.fault(10, 20)
    run.fault(11, 30, "outage", "backup.events")
    run.detects(12)
    for message in run.traffic(10, 20, 0.5, via="backup", after=3):
        run.provider_says("delivered", message, message.at + 10, "backup", webhook="late", delay=5)
    found = check(run, "mttr", "30s")
    assert found.verdict is Verdict.PASS and found.counted == 1
    assert found.numbers["mttr_s_max"] == pytest.approx(12.5, abs=0.5)
    assert check(run, "mttd", "5s").verdict is Verdict.PASS
