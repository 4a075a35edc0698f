"""The definitions: overdue stretches, incidents, edges, shares, gaps, quiescence."""

from __future__ import annotations

from typing import Any

import pytest

from harness.providers.faults import FaultType
from harness.scenario.faults import KINDS
from tests.checks.histories import Run, ns, span
from tests.history.asking import ask


def test_nothing_at_all_is_a_history_too() -> None:
    run = Run(baseline=0)
    run.events.clear()
    assert ask(run, "select count(*) from events") == [(0,)]


class TestImpacts:
    def impacts(self, *spans: tuple[float, float | None], at_least: int = 2) -> list[tuple[Any, ...]]:
        run = Run(baseline=0)
        for since, until in spans:
            message = run.message(since - 1)  # due within 1 s
            if until is not None:
                run.copy(message, until)
        rows = ask(run, f"select from_ns, until_ns from impacts({at_least}) order by from_ns")
        return [(a / 1e9 - 10, None if b is None else b / 1e9 - 10) for a, b in rows]

    def test_where_two_overlap(self) -> None:
        assert self.impacts((5, 10), (7, 12)) == [(7, 10)]

    def test_where_two_touch_there_is_none(self) -> None:
        assert self.impacts((5, 10), (10, 12)) == []

    def test_one_that_takes_over_at_an_instant_continues_it(self) -> None:
        assert self.impacts((5, 20), (7, 10), (10, 12)) == [(7, 12)]

    def test_two_stretches(self) -> None:
        assert self.impacts((5, 30), (6, 8), (20, 22)) == [(6, 8), (20, 22)]

    def test_for_ever(self) -> None:
        assert self.impacts((5, None), (6, None)) == [(6, None)]

    def test_counts_from_when_messages_were_to_be_there_however_late_they_were_offered(self) -> None:
        run = Run(baseline=0)
        run.copy(run.message(4, offered=7), 10)
        assert ask(run, "select from_ns, until_ns from impacts(1)") == [(ns(5), ns(10))]

    def test_from_the_first_one(self) -> None:
        assert self.impacts((5, 10), at_least=1) == [(5, 10)]


class TestIncidents:
    def test_each_has_its_number_routes_and_successor(self) -> None:
        run = Run()
        run.fault(10, 20, takes=0.5, incident="a")
        run.fault(12, 25, "latency", "backup", takes=0.5, incident="a")
        run.fault(40, 50, incident="b")
        rows = ask(
            run,
            "select incident, number, routes, lead_routes, on_lo, on_hi, off_lo, off_hi, next_on_lo "
            "from incidents order by number",
        )
        assert rows == [
            ("a", 1, ["backup", "primary"], ["primary"], ns(10), ns(10.5), ns(25), ns(25.5), ns(40)),
            ("b", 2, ["primary"], ["primary"], ns(40), ns(40), ns(50), ns(50), None),
        ]

    def test_one_beside_the_mail_is_none_and_ends_none(self) -> None:
        run = Run()
        run.fault(10, 20)
        run.fault(12, 60, "outage", "backup.events")
        run.fault(40, 50, "latency", "backup", incident="b", attributes={"latency": 100})
        run.fault(41, 42, "latency", "backup.events", incident="b", attributes={"latency": 900})
        assert ask(run, "select incident, routes, off_lo, next_on_lo from incidents order by number") == [
            ("f1", ["primary"], ns(20), ns(40)),
            ("b", ["backup"], ns(50), None),
        ]
        assert ask(run, "select fault, route, endpoint, aside from faults order by fault") == [
            ("f1", "primary", None, False),
            ("f2", "backup", "events", True),
            ("f3", "backup", None, False),
            ("f4", "backup", "events", True),
        ]
        assert ask(run, "select route, delay_ns from route_delays where delay_ns > 0") == [
            ("backup", 100_000_000)
        ]
        assert ask(run, "select release, t_ns from releases") == [
            ("fault off", ns(20)),
            ("fault off", ns(50)),
        ]

    def test_one_on_an_endpoint_that_mail_needs_breaks_its_route(self) -> None:
        run = Run()
        run.fault(10, 20, "latency", "primary.token", attributes={"latency": 100})
        run.fault(12, 25, incident="f1")
        run.fault(40, 50, "outage", "backup.token")
        assert ask(run, "select incident, routes, lead_routes, off_lo from incidents order by number") == [
            ("f1", ["primary"], ["primary"], ns(25)),
            ("f3", ["backup"], ["backup"], ns(50)),
        ]
        assert ask(run, "select fault, route, endpoint, aside from faults order by fault") == [
            ("f1", "primary", "token", False),
            ("f2", "primary", None, False),
            ("f3", "backup", "token", False),
        ]
        assert ask(run, "select * from route_delays where delay_ns > 0") == []  # no attempt was held back

    def test_one_on_a_route_without_mail_is_none_and_ends_none(self) -> None:
        run = Run(without_mail=["status"])
        run.fault(10, 20)
        run.fault(12, 60, "blackhole", "status")
        run.fault(30, 40, "refuse", "status", incident="f1")
        assert ask(run, "select incident, routes, lead_routes, off_lo, next_on_lo from incidents") == [
            ("f1", ["primary"], ["primary"], ns(20), None)
        ]
        assert ask(run, "select release, t_ns from releases") == [("fault off", ns(20))]
        assert ask(run, "select fault from exposures") == [("f1",)]

    def test_one_that_is_only_about_what_becomes_of_the_mail_is_none(self) -> None:
        kinds = {kind for kind, model in KINDS.items() if not model.harms_route}
        assert kinds == {"bounce", "events-lost", "events-late", "status"}
        for kind in KINDS:
            run = Run()
            run.fault(10, 20, kind, "primary")
            assert ask(run, "select aside from faults") == [(kind in kinds,)]
            if kind in kinds:
                assert ask(run, "select * from incidents") == ask(run, "select * from releases") == []

    @pytest.mark.parametrize(
        ("type_", "attributes", "delay_s"),
        [
            ("latency", {"latency": 100, "jitter": 50}, 0.15),
            ("bandwidth", {"rate": 4_000}, 3),  # 4 kB of the largest message, 8 kB around it
            ("slice", {"size": 1_000, "delay": 20}, 0.24),
            ("slow-close", {"delay": 900}, 0),
            ("slow-ack", {"delay": 900}, 0),  # the message was there already
            ("hang", {}, 0),
        ],
    )
    def test_the_most_that_one_holds_an_attempt_back(
        self, type_: str, attributes: dict[str, int], delay_s: float
    ) -> None:
        run = Run()
        run.copy(run.message(5), 5.1, body_bytes=4_000)
        run.copy(run.message(6), 6.1, body_bytes=400)
        run.fault(10, 20, type_, "primary", attributes=attributes)
        assert ask(run, "select delay_ns from route_delays") == [(span(delay_s),)]

    @pytest.mark.parametrize(
        ("type_", "attributes", "unknown"),
        [
            ("cut", {"stream": "upstream", "after": 40}, True),
            ("cut", {"stream": "downstream", "after": 40}, False),  # what came shows in a receipt
            ("hang", {"stage": "head"}, True),
            ("disconnect", {"stage": "head"}, True),
            ("hang", {"stage": "body"}, False),
            ("hang", {}, False),
            ("slow-ack", {"delay": 900}, False),
            ("silent-drop", {}, False),
            ("certificate", {"named": "expired"}, False),  # nothing is sent before the handshake is over
            ("bandwidth", {"rate": 1000}, False),
        ],
    )
    def test_what_may_have_swallowed_a_request_before_anybody_read_whose_it_was(
        self, type_: str, attributes: dict[str, str | int], unknown: bool
    ) -> None:
        run = Run()
        run.fault(10, 20, type_, "primary", attributes=attributes)
        run.message(12)
        found = ask(run, "select why from unknown_fates")
        assert found == ([("perhaps swallowed by a fault",)] if unknown else [])

    def test_who_hung_once_it_was_read_has_an_aborted_attempt_of_unknown_fate(self) -> None:
        run = Run()
        run.fault(10, 20, "hang", "primary")
        run.receipt(run.message(12), 12.1, result="aborted", fault="f1")
        assert ask(run, "select why from unknown_fates") == [("body aborted",)]

    @pytest.mark.parametrize(("event", "ended"), [("bounced", ns(14)), ("dropped", None)])
    def test_a_message_that_bounced_was_overdue_until_it_was_taken(
        self, event: str, ended: int | None
    ) -> None:
        run = Run()
        message = run.message(12, within=1)
        run.copy(message, 14)
        run.provider_says(event, message, 15)
        assert ask(run, "select from_ns, until_ns from overdue") == [(ns(13), ended)]

    @pytest.mark.parametrize("target", ["backup.events", "primary.token", "status"])
    def test_a_blackhole_beside_the_mail_swallows_none_of_it(self, target: str) -> None:
        run = Run(without_mail=["status"])
        run.message(12)
        run.fault(10, 20, "blackhole", target)
        assert ask(run, "select why from unknown_fates") == []

    def test_those_that_a_provider_plays_itself_are_known(self) -> None:
        played = [each.value for each in FaultType if each is not FaultType.STATUS]  # which hits nobody
        rows = ask(
            Run(),
            f"select type from (select unnest({[*played, 'outage', 'status']}) as type) "
            "where played_by_provider(type) or played_afterwards(type)",
        )
        assert sorted(type_ for (type_,) in rows) == sorted(played)

    def test_a_fault_that_nobody_removed_lasts_to_the_end(self) -> None:
        run = Run(ends=60)
        run.fault(10, None)
        assert ask(run, "select off_lo from incidents") == [(ns(60),)]

    def test_a_kill_lasts_until_the_system_is_back(self) -> None:
        run = Run()
        run.kill(10, 12)
        assert ask(run, "select on_lo, off_lo, routes from incidents") == [(ns(10), ns(12), [])]

    def test_a_pause_lasts_until_its_removal_whatever_is_restarted_later(self) -> None:
        run = Run()
        run.fault(10, 12, "pause", "system")
        run.restart(20, 21)
        assert ask(run, "select on_lo, off_lo from faults order by on_lo") == [
            (ns(10), ns(12)),
            (ns(20), ns(21)),
        ]


class TestEdges:
    def edges(self, *reads: tuple[float, Any, float | None]) -> list[tuple[Any, ...]]:
        run = Run()
        for at, value, before in reads:
            run.reads("detected", value, at, before=before, error="?" if value is None else None)
        rows = ask(run, "select rising, lo, hi from signal_edges order by hi")
        return [(rising, lo / 1e9 - 10, hi / 1e9 - 10) for rising, lo, hi in rows]

    def test_between_two_reads(self) -> None:
        assert self.edges((1, False, None), (2, True, 1)) == [(True, 1, 2)]

    def test_recorded_only_when_it_changes(self) -> None:
        assert self.edges((1, False, None), (5, True, 4.9), (9, False, 8.9)) == [
            (True, pytest.approx(4.9), 5),
            (False, pytest.approx(8.9), 9),
        ]

    def test_since_the_last_question_was_put_not_since_its_answer_came(self) -> None:
        assert self.edges((1, False, None), (1.5, True, 0.9)) == [(True, pytest.approx(0.9), 1.5)]

    def test_several_turns_in_one_read_came_at_any_time_since_the_one_before(self) -> None:
        edges = self.edges((1, False, None), (2, True, 0.9), (2, False, 0.9))
        assert sorted(edges) == [(False, pytest.approx(0.9), 2), (True, pytest.approx(0.9), 2)]

    def test_where_no_earlier_read_is_told_since_the_old_truth_was_read(self) -> None:
        assert self.edges((1, False, None), (3, True, None)) == [(True, 1, 3)]
        assert self.edges((1, False, None), (2, None, None), (3, True, 2)) == [(True, 1, 3)]

    def test_the_first_reading_is_no_edge(self) -> None:
        assert self.edges((1, True, None), (2, True, 1)) == []

    def test_answers_without_sense_widen_it_back_to_the_last_good_one(self) -> None:
        assert self.edges((1, False, None), (5, None, 4.9), (6, None, 5.9), (7, True, 6.9)) == [
            (True, pytest.approx(4.9), 7)
        ]

    @pytest.mark.parametrize("value", [1, 0.5, "down", "true"])
    def test_what_counts_as_true(self, value: Any) -> None:
        assert len(self.edges((1, False, None), (2, value, 1))) == 1

    @pytest.mark.parametrize("value", [0, "", "false", "off"])
    def test_what_counts_as_false(self, value: Any) -> None:
        assert self.edges((1, False, None), (2, value, 1)) == []


class TestSwitches:
    def test_the_first_of_enough_copies_in_a_row(self) -> None:
        run = Run(baseline=20)  # 1 in 22 by chance: three in a row
        run.fault(10, 30)
        for at, via in ((11, "backup"), (12, "primary"), (13, "backup"), (14, "backup"), (15, "backup")):
            run.copy(run.message(at), at, via)
        assert ask(run, "select switched_ns, k from switches") == [(ns(13), 3)]

    def test_an_expectation_of_exactly_one_in_a_thousand_is_not_enough(self) -> None:
        run = Run(baseline=8)  # 1 in 10: a thousandth needs more than three
        run.fault(10, 30)
        assert ask(run, "select k from _switch_lengths") == [(4,)]

    def test_without_a_baseline_either_route_is_as_likely(self) -> None:
        run = Run(baseline=0)
        run.fault(10, 30)
        assert ask(run, "select k from _switch_lengths") == [(10,)]

    def test_marketing_does_not_count(self) -> None:
        run = Run()
        run.fault(10, 30)
        for at in range(11, 20):
            run.copy(run.message(at, "marketing"), at, "backup")
        assert ask(run, "select * from switches") == []

    def test_failing_back_is_the_first_copy_on_the_old_route_afterwards(self) -> None:
        run = Run()
        run.fault(10, 20)
        run.traffic(11, 25, 0.5, via="backup")
        run.traffic(25, 30, 0.5)
        assert ask(run, "select failed_back_ns from failbacks") == [(ns(25.1),)]
