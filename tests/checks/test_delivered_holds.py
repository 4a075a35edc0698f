"""Messages that the system holds: when it may, how many, and from when on that is known."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from harness.history.events import HarnessWarning
from tests.checks.histories import Run, check


def judged(run: Run, params: Any = "all") -> Finding:
    return check(run, "delivered", params)


class TestHolds:
    def held(self, **more: Any) -> Run:
        run = Run(**more)
        run.traffic(0, 49.5, 0.5)
        return run

    def test_a_hold_of_unknown_fate_is_valid(self) -> None:
        run = self.held()
        message = run.message(50)
        run.receipt(message, 50.1, "primary", "aborted")
        run.says(message, "held", 51)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers["held"] == 1

    def test_a_hold_of_known_fate_is_a_loss(self) -> None:
        run = self.held()
        message = run.message(50)
        run.receipt(message, 50.1, "primary", "deferred")
        run.says(message, "held", 51)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.offenders[0].cause == "held though its fate is known"

    def test_in_flight_at_a_kill_by_its_receipt(self) -> None:
        run = self.held()
        message = run.message(50)
        run.receipt(message, 50.2, "primary", "deferred", took=0.2)
        run.kill(50.1, 51)
        run.says(message, "held", 52)
        assert judged(run).numbers["held"] == 1

    def test_in_flight_at_a_kill_by_its_state(self) -> None:
        run = self.held()
        message = run.message(50)
        run.says(message, "sending", 50.05)
        run.kill(50.1, 51)
        run.says(message, "held", 52)
        assert judged(run).numbers["held"] == 1

    @pytest.mark.parametrize("fault", ["pause", "partition"])
    def test_an_answer_that_nobody_could_read(self, fault: str) -> None:
        run = self.held()
        message = run.message(50)
        run.fault(50.1, 53, fault, "system")
        run.receipt(message, 50.2, "primary", "deferred", took=0.2)
        run.says(message, "held", 54)
        assert judged(run).numbers["held"] == 1

    def test_an_answer_before_a_pause_was_read(self) -> None:
        run = self.held()
        message = run.message(50)
        run.receipt(message, 50.2, "primary", "deferred", took=0.2)
        run.fault(50.5, 53, "pause", "system")
        run.says(message, "held", 54)
        assert judged(run).offenders[0].cause == "held though its fate is known"

    def test_what_a_partition_may_have_swallowed_is_of_unknown_fate_and_what_a_pause_did_is_not(self) -> None:
        for fault, held in (("partition", 1), ("pause", 0)):
            run = self.held()
            run.fault(50, 55, fault, "system")
            message = run.message(51)
            run.says(message, "held", 58)
            assert judged(run).numbers["held"] == held

    def test_a_system_that_was_asked_to_end_could_wait_for_its_answers(self) -> None:
        run = self.held()
        message = run.message(50)
        run.receipt(message, 50.2, "primary", "deferred", took=0.2)
        run.restart(50.1, 51)
        run.says(message, "held", 52)
        assert judged(run).verdict is Verdict.FAIL

    def test_a_system_that_took_too_long_to_end_was_killed(self) -> None:
        for in_flight in (True, False):
            run = self.held()
            message = run.message(50)
            if in_flight:
                run.receipt(message, 50.2, "primary", "deferred", took=0.2)
            run.restart(50.1, 51, complies=False)
            run.says(message, "held", 52)
            assert judged(run).numbers["held"] == 1

    def test_what_a_blackhole_may_have_swallowed_is_of_unknown_fate(self) -> None:
        run = self.held()
        run.fault(50, 55, "blackhole")
        message = run.message(51)
        run.says(message, "held", 58)
        assert judged(run).numbers["held"] == 1

    @pytest.mark.parametrize(
        ("type_", "at", "held"),
        [
            ("reset", 55, 1),
            ("outage", 52, 1),
            ("outage", 52.001, 0),
            ("auth-failure", 51, 1),
            ("latency", 51, 0),
        ],
    )
    def test_what_vanished_with_its_connection_is_of_unknown_fate(
        self, type_: str, at: float, held: int
    ) -> None:
        run = self.held()
        run.fault(52, 57, type_)
        message = run.message(at)
        run.says(message, "held", 58)
        assert judged(run).numbers["held"] == held

    @pytest.mark.parametrize(("tried", "held"), [(51.9, 1), (52.1, 0)])
    def test_what_was_tried_before_may_have_vanished_since(self, tried: float, held: int) -> None:
        run = self.held()
        run.fault(52, 57, "blackhole")
        message = run.message(51)
        run.receipt(message, tried, "primary", "deferred")
        run.says(message, "held", 58)
        assert judged(run).numbers["held"] == held

    def test_a_kill_before_the_first_byte_leaves_no_receipt_and_an_unknown_fate(self) -> None:
        run = self.held()
        message = run.message(50)
        run.kill(50.1, 51)
        run.says(message, "held", 59)
        assert judged(run).numbers["held"] == 1

    def test_where_the_states_could_not_be_read_a_missing_message_may_be_held(self) -> None:
        run = self.held()
        message = run.message(50)
        run.receipt(message, 50.1, "primary", "aborted")
        run.events.append(
            HarnessWarning(t_ns=1, warning="states-unreadable", subject="system", detail="/messages: 500")
        )
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "could not be read (/messages: 500)" in finding.reason

    def test_exactly_the_allowed_share_is_a_pass_and_one_more_a_fail(self) -> None:
        for count, verdict in ((1, Verdict.PASS), (2, Verdict.FAIL)):
            run = self.held()
            for number in range(count):
                message = run.message(50 + number)
                run.receipt(message, 50.1 + number, "primary", "aborted")
                run.says(message, "held", 52)
            assert judged(run).verdict is verdict

    def test_too_many_that_may_still_be_let_go_are_no_contradiction(self) -> None:
        run = self.held(longest_retry="60s")
        for at in (50, 51):
            message = run.message(at)
            run.receipt(message, at + 0.1, "primary", "aborted")
            run.says(message, "held", 52)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason.startswith("2 messages are held, more than allowed, but the last")

    def test_a_hold_that_was_let_go_is_none(self) -> None:
        run = self.held()
        message = run.message(50)
        run.receipt(message, 50.1, "primary", "aborted")
        run.says(message, "held", 51)
        run.says(message, "sending", 52)
        assert judged(run).numbers["lost"] == 1
