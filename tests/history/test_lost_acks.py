"""Acknowledgements that the system may not have got, numbers that nobody saw, and shares of the baseline."""

from __future__ import annotations

from typing import Any

import pytest

from tests.checks.histories import Run, ns, opened
from tests.history.asking import as_written, ask


class TestLostAcknowledgements:
    """Of 10.0: the answer; a fault is on from 5 to 20."""

    def lost(self, run: Run) -> list[tuple[Any, ...]]:
        return ask(run, "select end_ns, certain from lost_acks order by end_ns")

    def cut(self, at: float, *, on: float = 5, off: float = 20, target: str = "primary") -> Run:
        run = Run(baseline=0)
        run.fault(on, off, target=target)
        receipt = run.copy(run.message(9), 10)
        run.closes(receipt.connection, at)
        return run

    def test_the_provider_says_so(self) -> None:
        run = Run(baseline=0)
        run.receipt(run.message(9), 10, result="ack-lost")
        assert self.lost(run) == [(ns(10), True)]

    @pytest.mark.parametrize(("at", "found"), [(9.999999999, 0), (10, 1), (10.1, 1), (10.100000001, 0)])
    def test_a_connection_is_cut_within_a_tenth_of_a_second(self, at: float, found: int) -> None:
        assert self.lost(self.cut(at)) == [(ns(10), False)] * found

    @pytest.mark.parametrize(
        ("on", "off", "found"),
        [(10.05, 20, 1), (10.050000001, 20, 0), (5, 9.95, 1), (5, 9.949999999, 0)],
    )
    def test_while_a_fault_was_on_or_just_gone(self, on: float, off: float, found: int) -> None:
        assert len(self.lost(self.cut(10.05, on=on, off=off))) == found

    @pytest.mark.parametrize(("target", "found"), [("primary", 1), ("system", 1), ("backup", 0)])
    def test_on_its_route_or_at_the_system(self, target: str, found: int) -> None:
        assert len(self.lost(self.cut(10.05, target=target))) == found

    @pytest.mark.parametrize(("at", "found"), [(10.6, 1), (10.600000001, 0)])
    def test_what_held_it_back_on_the_way_comes_on_top(self, at: float, found: int) -> None:
        run = self.cut(at)
        run.fault(5, 20, "latency", attributes={"latency": 400, "jitter": 100})
        assert len(self.lost(run)) == found

    @pytest.mark.parametrize(("at", "found"), [(10.1, 1), (10.100000001, 0)])
    def test_but_not_what_held_back_another_route(self, at: float, found: int) -> None:
        run = self.cut(at, target="system")
        run.fault(5, 20, "latency", "backup", attributes={"latency": 400})
        assert len(self.lost(run)) == found

    @pytest.mark.parametrize(("at", "found"), [(10.1, 1), (10.100000001, 0)])
    def test_nor_anything_where_no_fault_holds_back(self, at: float, found: int) -> None:
        assert len(self.lost(self.cut(at, target="system"))) == found

    @pytest.mark.parametrize(
        ("type_", "fault", "at", "found"),
        [
            ("slow-ack", "f1", 12.1, 1),
            ("slow-ack", "f1", 12.100000001, 0),
            ("slow-ack", None, 10.2, 0),
            ("slow-close", "f1", 10.2, 0),
        ],
    )
    def test_an_answer_that_was_late_by_a_fault_may_be_lost_later(
        self, type_: str, fault: str | None, at: float, found: int
    ) -> None:
        run = Run(baseline=0)
        run.fault(5, 20, type_, attributes={"delay": 2_000})
        receipt = run.copy(run.message(9), 10, fault=fault)
        run.closes(receipt.connection, at)
        assert len(self.lost(run)) == found

    def test_but_by_no_fault_of_another_run(self) -> None:
        here, there = Run("here", baseline=0), Run("there", baseline=0)
        here.fault(5, 20)
        there.fault(5, 20, "slow-ack", attributes={"delay": 2_000})
        here.closes(here.copy(here.message(9), 10, fault="f1").connection, 10.2)
        with opened(here, there) as history:
            assert history.con.execute("select * from lost_acks").fetchall() == []

    def test_the_last_answer_is_so_by_its_time_in_whatever_order_they_were_written(self) -> None:
        run = Run(baseline=0)
        run.fault(5, 20)
        for at in (10.02, 10.0):
            run.copy(run.message(9), at, connection="c")
        run.closes("c", 10.05)
        assert as_written(run, "select end_ns from lost_acks") == [(ns(10.02),)]

    def test_only_the_last_answer_on_a_connection_can_have_been_cut(self) -> None:
        run = Run(baseline=0)
        run.fault(5, 20)
        for at in (10.0, 10.02):
            run.copy(run.message(9), at, connection="c")
        run.copy(run.message(9), 10.03, connection="d")
        run.closes("c", 10.05)
        run.closes("d", 10.05)
        assert self.lost(run) == [(ns(10.02), False), (ns(10.03), False)]

    def test_of_equal_times_the_last_that_was_told(self) -> None:
        run = Run(baseline=0)
        run.fault(5, 20)
        first, second = run.message(9), run.message(9)
        for message in (first, second):
            run.copy(message, 10, connection="c")
        run.closes("c", 10.05)
        assert ask(run, "select token from lost_acks") == [(second.token,)]

    def test_a_connection_that_is_used_again_is_cut_again(self) -> None:
        run = Run(baseline=0)
        run.fault(5, 20)
        run.copy(run.message(9), 10, connection="c")
        run.closes("c", 10.05)
        run.copy(run.message(9), 11, connection="c")
        run.closes("c", 11.05)
        assert self.lost(run) == [(ns(10), False), (ns(11), False)]

    def test_connections_are_their_providers_and_their_runs_own(self) -> None:
        runs = [Run(name, baseline=0) for name in ("here", "there")]
        for run in runs:
            run.fault(5, 20)
            run.fault(5, 20, target="backup")
            run.copy(run.message(9), 10, connection="c")
            run.copy(run.message(9), 10.01, "backup", connection="c")
        runs[0].closes("c", 10.05)
        runs[0].closes("c", 10.05, "backup")
        runs[1].closes("c", 10.05)
        with opened(*runs) as history:
            told = history.con.execute("select run, route from lost_acks order by all").fetchall()
        assert told == [("here", "backup"), ("here", "primary"), ("there", "primary")]

    def test_a_refusal_is_no_acknowledgement(self) -> None:
        run = Run(baseline=0)
        run.fault(5, 20)
        receipt = run.receipt(run.message(9), 10, result="deferred")
        run.closes(receipt.connection, 10.05)
        assert self.lost(run) == []


class TestGaps:
    @pytest.mark.parametrize("before", [1, 62, 63, 64, 65, 130])
    def test_a_number_that_is_missing_shows_wherever_it_is(self, before: int) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        for _ in range(before):
            run.receipt(message, 2, result="deferred")
        run.loses_record()
        run.receipt(message, 3, result="deferred")
        assert ask(run, "select run, source, missing from gaps") == [("run", "m365", 1)]

    @pytest.mark.parametrize("count", [1, 63, 64, 65, 200])
    def test_where_none_is_there_is_no_gap(self, count: int) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        for _ in range(count):
            run.receipt(message, 2, result="deferred")
        run.copy(message, 3, "backup")
        assert ask(run, "from gaps") == []


def test_shares_are_those_of_the_baseline() -> None:
    run = Run(baseline=0)
    for at in (-9, -8, -7):
        run.copy(run.message(at, baseline=True), at + 0.1)
    run.copy(run.message(-6, baseline=True), -5.9, "backup")
    run.copy(run.message(1), 2, "backup")
    assert ask(run, "select route, copies from baseline_shares order by route") == [
        ("backup", 1),
        ("primary", 3),
    ]
