"""From when to when a fault was in place, and which incident it is part of."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Run, check


def told_only(run: Run, fault: str, *kinds: str) -> None:
    """Of this fault the record holds no more than these."""
    run.events = [
        each
        for each in run.events
        if getattr(each, "fault", None) != fault or each.__struct_config__.tag in kinds
    ]


def late(run: Run, at: float, arrives: float) -> None:
    for _ in range(2):
        run.copy(run.message(at), arrives, "backup")


def recovery(run: Run) -> Finding:
    return check(run, "mttr", "50s")


def quiet_s(run: Run) -> Any:
    """Since the last fault was over, where nothing else came later."""
    return check(run, "quiescence", "reached").numbers["quiet_s"]


def test_what_never_came_on_is_no_fault() -> None:
    run = Run()
    late(run, 10, 14)
    fault = run.fault(10, 20)
    told_only(run, fault, "fault.injecting", "fault.removing", "fault.removed")
    finding = check(run, "exposure", "required")
    assert (finding.verdict, finding.counted) == (Verdict.INCONCLUSIVE, 0)
    assert recovery(run).numbers["incidents"] == 0


def test_it_came_on_between_the_first_word_of_it_and_when_it_was_active() -> None:
    run = Run()
    run.fault(10, 20, takes=1)
    late(run, 10, 14)
    finding = recovery(run)
    assert finding.numbers["mttr_s_max"] == 4
    assert finding.numbers["mttr_s_mean"] == 3.5


def test_where_nobody_wrote_down_that_it_was_put_in_place_it_came_on_when_it_was_active() -> None:
    run = Run()
    fault = run.fault(10, 20, takes=1)
    told_only(run, fault, "fault.active", "fault.acted", "fault.removing", "fault.removed")
    late(run, 10, 14)
    finding = recovery(run)
    assert finding.numbers["incidents"] == 1
    assert finding.numbers["mttr_s_max"] == finding.numbers["mttr_s_mean"] == 3


def test_faults_without_a_label_are_incidents_of_their_own() -> None:
    run = Run()
    run.fault(10, 20)
    run.fault(40, 50)
    run.events = [
        msgspec.structs.replace(each, incident="") if hasattr(each, "incident") else each
        for each in run.events
    ]
    late(run, 10, 14)
    late(run, 40, 46)
    finding = recovery(run)
    assert finding.numbers["incidents"] == finding.numbers["with_impact"] == 2
    assert [each.subject for each in check(run, "mttr", "1s").offenders][:2] == ["incident f2", "incident f1"]


class TestOfTheSystem:
    def test_a_kill_is_over_when_the_system_is_back_and_not_at_any_start_before_or_after(self) -> None:
        run = Run()
        run.copy(run.message(5), 5.1)
        run.process("started", -9)
        run.kill(50, 52)
        run.process("exited", 70)
        run.process("started", 80)
        assert quiet_s(run) == 48

    def test_one_that_was_back_at_once_is_over_at_once(self) -> None:
        run = Run()
        run.copy(run.message(5), 5.1)
        run.kill(50, 50)
        assert quiet_s(run) == 50

    def test_it_is_over_when_the_system_is_back_whenever_the_harness_let_go(self) -> None:
        for removed in (51, 60):
            run = Run()
            run.copy(run.message(5), 5.1)
            run.fault(50, removed, "kill", "system")
            run.process("killed", 50)
            run.process("started", 55)
            assert quiet_s(run) == 45

    def test_one_that_never_came_back_lasts_to_the_end(self) -> None:
        run = Run()
        run.copy(run.message(5), 5.1)
        run.fault(50, None, "kill", "system")
        run.process("killed", 50)
        assert quiet_s(run) == 0

    def test_a_start_ends_no_fault_of_another_kind(self) -> None:
        run = Run()
        run.copy(run.message(5), 5.1)
        run.fault(50, 60, "pause", "system")
        run.process("started", 52)
        assert quiet_s(run) == 40


class TestDelays:
    """What a fault on the way may hold back, and so crowd together, of the attempts on a route."""

    def spread_s(self, run: Run, route: str = "primary") -> Any:
        finding = check(run, "throttle", {route: {"rate": "10/s", "burst": 5}})
        return finding.numbers[f"{route}_spread_s"]

    def run(self, *bodies: int | None, via: str = "primary") -> Run:
        run = Run(baseline=0)
        for body in bodies:
            run.receipt(run.message(5), 5, via, took=0, body_bytes=body)
        return run

    def test_on_a_route_that_nobody_took_latency_is_known_and_the_largest_message_is_not(self) -> None:
        run = self.run()
        run.detects(6)
        run.fault(4, 5, "latency", attributes={"latency": 400})
        run.fault(4, 5, "bandwidth", attributes={"rate": 1000})
        run.fault(4, 5, "slice", attributes={"size": 1000, "delay": 10})
        assert self.spread_s(run) == 0.4

    @pytest.mark.parametrize(
        ("type_", "attributes", "spread_s"),
        [
            ("latency", {"latency": 400, "jitter": 100}, 0.5),
            ("latency", {"jitter": 100}, 0.1),
            ("latency", {"latency": 9000, "jitter": 1000}, 10),
            ("latency", {}, 0),
            ("bandwidth", {"rate": 1000}, 20),
            ("bandwidth", {"rate": 3000}, round(20 / 3, 6)),
            ("bandwidth", {"rate": 1}, 20_000),
            ("bandwidth", {"rate": 0}, 0),
            ("bandwidth", {}, 0),
            ("slice", {"size": 1000, "delay": 10}, 0.2),
            ("slice", {"size": 19_999, "delay": 10}, 0.02),
            ("slice", {"size": 1, "delay": 10}, 200),
            ("slice", {"size": 0, "delay": 10}, 0),
            ("slice", {"size": 1000}, 0),
            ("blackhole", {"latency": 400}, 0),
        ],
    )
    def test_it_is_what_the_fault_says_of_itself_for_the_largest_message(
        self, type_: str, attributes: dict[str, Any], spread_s: float
    ) -> None:
        run = self.run(None, 500, 12_000, 700)
        run.fault(4, 5, type_, attributes=attributes)
        assert self.spread_s(run) == spread_s

    def test_a_message_of_unknown_size_is_still_what_is_said_around_it(self) -> None:
        run = self.run(None)
        run.fault(4, 5, "bandwidth", attributes={"rate": 1000})
        assert self.spread_s(run) == 8

    def test_messages_of_another_route_are_not_held_back(self) -> None:
        run = self.run(2000)
        run.receipt(run.message(5), 5, "backup", took=0, body_bytes=90_000)
        run.fault(4, 5, "bandwidth", attributes={"rate": 1000})
        assert self.spread_s(run) == 10

    def test_nor_do_faults_of_another_route_add_up_with_this_ones(self) -> None:
        run = self.run(2000)
        run.fault(4, 6, "latency", "backup", attributes={"latency": 800})
        run.fault(4, 6, "latency", attributes={"latency": 400})
        assert self.spread_s(run) == 0.4

    def test_one_on_the_system_one_beside_the_mail_and_one_on_the_way_of_events_hold_no_attempt_back(
        self,
    ) -> None:
        run = self.run(2000)
        for target in ("system", "primary.token", "primary.events"):
            run.fault(4, 6, "latency", target, attributes={"latency": 800})
        run.fault(4, 6, "latency", attributes={"latency": 400})
        assert self.spread_s(run) == 0.4

    def test_the_most_at_any_one_time_counts(self) -> None:
        run = self.run(2000)
        for on, off, latency in ((1, 3, 100), (2, 4, 200), (4, 6, 400), (5, 7, 800), (8, 9, 1000)):
            run.fault(on, off, "latency", attributes={"latency": latency})
        assert self.spread_s(run) == 1.2

    def test_those_that_were_put_in_place_at_once_add_up_once(self) -> None:
        run = self.run(2000)
        for latency in (100, 200):
            run.fault(4, 6, "latency", attributes={"latency": latency})
        assert self.spread_s(run) == 0.3
