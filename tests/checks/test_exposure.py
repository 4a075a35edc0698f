"""Did the system meet the fault at all? What shows it for each kind of fault, and what does not."""

from __future__ import annotations

import pytest

from harness.checks.finding import Verdict
from harness.scenario.faults import ActsIn
from harness.scenario.playable import kinds_in
from tests.checks.exposing import AFTERWARDS, DELAYS, PLAYED, faulty, judged
from tests.checks.histories import Run, check


def test_every_kind_that_acts_on_a_route_is_judged_here() -> None:
    on_the_way = (*DELAYS, "outage", "blackhole", "reset", "cut", "auth-failure")
    assert set(on_the_way) == set(kinds_in(ActsIn.PROXY, ActsIn.UPSTREAM))
    assert {*PLAYED, *AFTERWARDS, "status"} == set(kinds_in(ActsIn.PROVIDER))


def test_no_fault_at_all_is_inconclusive() -> None:
    run = Run()
    run.traffic(0, 10, 1)
    assert judged(run).reason == "no fault was put in place on which mail or its events depend"


def test_a_workload_that_was_over_before_is_inconclusive_whatever_the_system_noticed() -> None:
    run = faulty()
    run.traffic(0, 5, 0.5)
    run.detects(12)
    finding = judged(run)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason == "no message was scheduled or waiting during outage on primary (f1)"


@pytest.mark.parametrize("result", ["refused", "deferred", "aborted", "ack-lost"])
@pytest.mark.parametrize("type_", ["auth-failure", "reset", "cut", "outage", "blackhole", *DELAYS])
def test_an_attempt_that_went_wrong_shows_a_fault_on_the_way(type_: str, result: str) -> None:
    run = faulty(type_)
    run.receipt(run.message(12, "marketing"), 12.1, "primary", result)
    assert judged(run).verdict is Verdict.PASS


@pytest.mark.parametrize("type_", ["auth-failure", "reset", "cut", "outage", "blackhole"])
def test_one_that_another_fault_hit_got_through_this_one(type_: str) -> None:
    run = faulty(type_)
    run.receipt(run.message(12, "marketing"), 12.1, "primary", "refused", fault="another")
    assert judged(run).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("result", ["accepted", "refused", "deferred", "aborted", "ack-lost"])
@pytest.mark.parametrize("type_", PLAYED)
def test_a_fault_inside_a_provider_hit_what_the_provider_marked_and_nothing_else(
    type_: str, result: str
) -> None:
    for fault, verdict in ((None, Verdict.INCONCLUSIVE), ("f2", Verdict.INCONCLUSIVE), ("f1", Verdict.PASS)):
        run = faulty(type_)
        run.receipt(run.message(12, "marketing"), 12.1, "primary", result, fault=fault)
        assert judged(run).verdict is verdict


def test_latency_on_an_unused_route_is_not_met_because_another_route_made_messages_late() -> None:
    run = faulty()
    run.fault(11, 19, "latency", "backup", attributes={"latency": 100})
    for second in (12, 13):
        run.copy(run.message(second), 25)
    assert judged(run).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("type_", DELAYS)
def test_where_the_fault_only_delays_any_attempt_shows_it(type_: str) -> None:
    run = faulty(type_)
    run.copy(run.message(12), 12.5)
    assert judged(run).verdict is Verdict.PASS


def test_where_the_fault_selects_an_attempt_it_spared_does_not() -> None:
    run = faulty("ack-loss")
    run.copy(run.message(12), 12.5)
    assert judged(run).verdict is Verdict.INCONCLUSIVE
    run.copy(run.message(13), 13.5, fault="f1")
    assert judged(run).verdict is Verdict.PASS


@pytest.mark.parametrize(
    "type_", ["slow-ack", "hang", "disconnect", "silent-drop", "throttle", "key-rotated"]
)
def test_a_fault_inside_a_provider_is_met_by_those_that_it_hit(type_: str) -> None:
    run = faulty(type_)
    run.copy(run.message(12), 12.5)
    run.receipt(run.message(13), 13.1, "primary", "deferred")
    assert judged(run).verdict is Verdict.INCONCLUSIVE
    run.receipt(run.message(14), 14.1, "primary", "accepted", fault="f1")
    assert judged(run).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("type_", "attributes", "event", "webhook"),
    [
        ("bounce", {"event": "complained"}, "complained", "delivered"),
        ("bounce", {"event": "bounced"}, "bounced", "none"),
        ("events-lost", {}, "delivered", "lost"),
        ("events-late", {"delay": 5000}, "delivered", "late"),
    ],
)
def test_what_becomes_of_a_message_later_is_shown_by_what_the_provider_tells(
    type_: str, attributes: dict[str, object], event: str, webhook: str
) -> None:
    run = Run()
    run.fault(10, 20, type_, "primary", attributes=attributes)
    spared, hit = run.message(12), run.message(13)
    run.copy(spared, 12.2)
    run.provider_says("delivered", spared, 12.4, webhook="delivered")
    assert judged(run).verdict is Verdict.INCONCLUSIVE
    run.copy(hit, 13.2)
    run.provider_says(event, hit, 13.4, webhook=webhook)
    assert judged(run).verdict is Verdict.PASS


def test_where_connections_are_cut_an_ordinary_acceptance_shows_nothing() -> None:
    run = faulty("cut")
    run.copy(run.message(12), 12.5)
    assert judged(run).verdict is Verdict.INCONCLUSIVE
    run.receipt(run.message(13), 13.1, "primary", "aborted")
    assert judged(run).verdict is Verdict.PASS


def test_an_attempt_on_another_route_shows_nothing() -> None:
    run = faulty("latency", "backup")
    run.traffic(10, 20, 0.5)
    assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_a_detection_that_names_the_route_shows_it() -> None:
    run = faulty()
    run.detects(12)
    run.copy(run.message(11, "marketing"), 30, "backup")
    assert judged(run).verdict is Verdict.PASS


def test_a_detection_of_another_route_does_not() -> None:
    run = faulty()
    run.detects(12, route="backup")
    run.copy(run.message(11, "marketing"), 30, "backup")
    assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_a_switch_shows_it() -> None:
    run = faulty()
    run.traffic(12, 18, 0.5, via="backup")
    assert judged(run).verdict is Verdict.PASS


@pytest.mark.parametrize("type_", ["blackhole", "cut", "certificate"])
def test_a_message_that_became_overdue_shows_what_leaves_no_trace(type_: str) -> None:
    run = faulty(type_)
    run.copy(run.message(12), 21)
    assert judged(run).verdict is Verdict.PASS


@pytest.mark.parametrize("type_", ["slow-ack", "throttle", "silent-drop", "bandwidth"])
def test_but_not_what_would_have_left_one(type_: str) -> None:
    run = faulty(type_)
    run.copy(run.message(12), 21)
    assert judged(run).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("type_", ["outage", "certificate"])
def test_messages_that_waited_for_the_route_show_it(type_: str) -> None:
    run = faulty(type_)
    run.copy(run.message(12, "marketing"), 21)
    assert judged(run).verdict is Verdict.PASS


def test_but_not_if_the_route_went_on_working() -> None:
    run = faulty()
    run.copy(run.message(12, "marketing"), 21)
    run.copy(run.message(13, "marketing"), 14)
    assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_a_cut_connection_that_may_have_lost_an_answer_shows_it() -> None:
    run = faulty()
    receipt = run.copy(run.message(9.9, "marketing"), 10.0)
    run.closes(receipt.connection, 10.01)
    assert judged(run).verdict is Verdict.PASS


def test_messages_waiting_when_it_began_are_in_play() -> None:
    run = faulty()
    run.receipt(run.message(5, "marketing"), 12, "primary", "aborted")
    assert judged(run).verdict is Verdict.PASS


def test_canaries_count_for_nothing() -> None:
    run = faulty()
    run.message(12, "marketing")
    run.receipt(None, 12, "primary", "refused", recipient="probe@canary.example")
    run.receipt(None, 13, "primary", "refused", token="canary0001", canary="harness")
    assert judged(run).verdict is Verdict.INCONCLUSIVE


class TestKill:
    def test_messages_in_play_are_enough(self) -> None:
        run = Run()
        run.traffic(0, 10, 0.1)
        run.kill(5, 6)
        assert judged(run).verdict is Verdict.PASS

    def test_no_messages_are_not(self) -> None:
        run = Run()
        run.traffic(0, 5, 0.1)
        run.kill(7, 8)
        assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_each_fault_is_asked_for() -> None:
    run = faulty()
    run.fault(30, 40)
    run.copy(run.message(12), 21)
    finding = judged(run)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.numbers == {"faults": 2, "exposed": 1}
    assert finding.offenders[0].subject == "fault f2"


def test_those_that_were_not_met_are_told_in_order_with_what_was_missing() -> None:
    run = faulty()
    run.copy(run.message(12), 21)
    run.fault(30, 40, "latency", "backup")
    run.message(50, "marketing")
    run.fault(50, 60, "throttle")
    finding = judged(run)
    assert (finding.verdict, finding.numbers) == (Verdict.INCONCLUSIVE, {"faults": 3, "exposed": 1})
    assert [each.subject for each in finding.offenders] == ["fault f2", "fault f3"]
    assert [each.why for each in finding.offenders] == [
        "no message was scheduled or waiting during latency on backup (f2)",
        "nothing shows that any of 1 messages in play met throttle on primary (f3)",
    ]
    assert finding.reason == "; ".join(each.why for each in finding.offenders)


def test_of_many_that_were_not_met_ten_are_named() -> None:
    run = Run()
    for number in range(12):
        run.fault(10 * number, 10 * number + 5)
    assert len(judged(run).offenders) == 10


def test_one_met_fault_is_enough_for_its_incident() -> None:
    run = Run()
    run.fault(10, 20, incident="i")
    run.fault(15, 20, "latency", "backup", incident="i", attributes={"latency": 10})
    run.copy(run.message(12), 21)
    assert judged(run).verdict is Verdict.INCONCLUSIVE
    assert check(run, "duplicates", "none").verdict is Verdict.PASS
