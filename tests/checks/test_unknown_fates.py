"""Of which messages the system cannot know the fate, for what reason, and what it may therefore hold.

Each message here is held at the end and has no copy. If its fate is unknown that is right, and the reason
is told once more is held than allowed; otherwise the message is lost.
"""

from __future__ import annotations

from typing import Any

import pytest

from harness.history.events import SystemState
from tests.checks.histories import Message, Run, check, ns

PERHAPS = "perhaps swallowed by a fault"


def held_for(run: Run) -> list[tuple[str | None, str]]:
    """Which messages are rightly held, and why, in the order of their times."""
    finding = check(run, "delivered", {"held_at_most": "0%"})
    found = [(each.token, each.why) for each in finding.offenders if each.cause == "held"]
    assert finding.numbers["held"] == len(found)
    assert finding.numbers["missing"] == len(finding.offenders) - len(found)
    return [(token, why.removeprefix("held, because of: ")) for token, why in found]


def reasons(run: Run) -> list[str]:
    return [why for _, why in held_for(run)]


def held(run: Run, at: float = 50, **more: Any) -> Message:
    """A message that the system says it holds at the end."""
    message = run.message(at, **more)
    run.says(message, "held", 90)
    return message


def hurt(run: Run, type_: str = "blackhole", target: str = "primary", **more: Any) -> str:
    return run.fault(50, 55, type_, target, **more)


class TestAttempts:
    @pytest.mark.parametrize(
        ("result", "why"),
        [
            ("aborted", ["body aborted"]),
            ("deferred", []),
            ("refused", []),
            ("repeated", []),
        ],
    )
    def test_a_body_that_broke_off_may_have_been_taken(self, result: str, why: list[str]) -> None:
        run = Run()
        run.receipt(held(run), 50.1, result=result)
        assert reasons(run) == why

    def test_one_without_an_acknowledgement_that_the_provider_threw_away_later_is_of_unknown_fate(
        self,
    ) -> None:
        run = Run()
        message = held(run)
        run.receipt(message, 50.1, result="ack-lost")
        run.provider_says("dropped", message, 51)
        assert reasons(run) == ["acknowledgement lost"]

    def test_a_probe_of_the_systems_own_that_broke_off_says_nothing_of_the_mail(self) -> None:
        run = Run()
        run.receipt(held(run), 50.1, result="aborted", canary="system")
        assert reasons(run) == []

    def test_an_attempt_that_nobody_can_attribute_says_nothing_of_any_message(self) -> None:
        run = Run()
        held(run)
        run.receipt(None, 50.1, result="aborted")
        run.receipt(None, 50.1, result="aborted", recipient="somebody@customer.example")
        assert reasons(run) == []

    def test_one_that_names_no_recipient_is_about_every_recipient_of_its_message(self) -> None:
        run = Run()
        first, second = (held(run, at, token="shared", recipient=f"{at}@customer.example") for at in (50, 51))
        run.receipt(first, 52, result="aborted", recipient=None)
        assert held_for(run) == [("shared", "body aborted"), ("shared", "body aborted")]
        assert second.token == "shared"

    def test_one_that_names_its_recipient_is_about_him_alone_however_he_is_written(self) -> None:
        run = Run()
        ann = held(run, 50, token="shared", recipient="Ann@customer.example")
        held(run, 51, token="shared", recipient="bob@customer.example")
        run.receipt(ann, 52, result="aborted", recipient="ANN@customer.example")
        assert reasons(run) == ["body aborted"]

    def test_of_several_reasons_the_first_by_name_is_told(self) -> None:
        run = Run()
        message = held(run)
        run.receipt(message, 50.4, result="aborted", took=0.2)
        run.process("killed", 50.3)
        run.says(message, "sending", 50.2)
        hurt(run, "pause", "system")
        assert reasons(run) == ["answered during a pause"]


class TestKills:
    """The end of the process alone; a kill as a fault hides what left no receipt, too."""

    @pytest.mark.parametrize("change", ["killed", "exited"])
    @pytest.mark.parametrize(
        ("ends_at", "unknown"),
        [(50.099, False), (50.1, True), (50.3, True), (50.5, True), (50.501, False)],
    )
    def test_an_attempt_was_in_flight_from_its_begin_to_its_end_as_far_as_clocks_can_tell(
        self, change: str, ends_at: float, unknown: bool
    ) -> None:
        run = Run(clock_error=0.1)
        run.receipt(held(run), 50.4, result="deferred", took=0.2)
        run.process(change, ends_at)
        assert reasons(run) == (["in flight at a kill"] if unknown else [])

    @pytest.mark.parametrize("change", ["stopped", "paused", "resumed", "started"])
    def test_what_is_no_sudden_end_leaves_time_to_read_an_answer(self, change: str) -> None:
        run = Run()
        message = held(run)
        run.receipt(message, 50.4, result="deferred", took=0.2)
        run.says(message, "sending", 50.25)
        run.process(change, 50.3)
        assert reasons(run) == []

    def test_a_probe_in_flight_is_no_message(self) -> None:
        run = Run()
        run.receipt(held(run), 50.4, result="deferred", took=0.2, canary="system")
        run.process("killed", 50.3)
        assert reasons(run) == []

    @pytest.mark.parametrize(
        ("told", "unknown"),
        [
            ([("sending", 50.1)], True),
            ([("sending", 50.3)], True),
            ([("sending", 50.301)], False),
            ([("pending", 50.1)], False),
            ([("pending", 50.1), ("sending", 50.2)], True),
            ([("sending", 50.1), ("pending", 50.2)], False),
            ([("sending", 50.1), ("pending", 50.1)], False),
            ([("pending", 50.1), ("sending", 50.1)], True),
            ([("pending", 50.1), ("sending", 50.2), ("failed", 50.4)], True),
        ],
    )
    def test_a_message_was_under_way_where_that_was_the_last_word_of_it_before(
        self, told: list[tuple[str, float]], unknown: bool
    ) -> None:
        run = Run()
        message = held(run)
        for state, at in told:
            run.says(message, state, at)
        run.process("killed", 50.3)
        assert reasons(run) == (["in flight at a kill"] if unknown else [])

    def test_what_was_under_way_at_either_of_two_kills_is_of_unknown_fate(self) -> None:
        run = Run()
        early, late = held(run, 50), held(run, 51)
        run.says(early, "sending", 50.1)
        run.says(early, "pending", 52)
        run.says(late, "sending", 52)
        run.process("killed", 51)
        run.process("killed", 53)
        assert held_for(run) == [(each.token, "in flight at a kill") for each in (early, late)]

    def test_a_state_is_about_the_recipient_that_it_names_and_else_about_all(self) -> None:
        for named, found in ((None, 2), ("ANN@customer.example", 1), ("carl@customer.example", 0)):
            run = Run()
            for at, name in ((50, "Ann"), (51, "bob")):
                held(run, at, token="shared", recipient=f"{name}@customer.example")
            run.events.append(SystemState(t_ns=ns(52), token="shared", state="sending", recipient=named))
            run.process("killed", 53)
            assert reasons(run) == ["in flight at a kill"] * found


class TestAnswersThatNobodyRead:
    @pytest.mark.parametrize("type_", ["pause", "partition"])
    @pytest.mark.parametrize(
        ("at", "unknown"), [(49.899, False), (49.9, True), (52, True), (56.1, True), (56.101, False)]
    )
    def test_those_that_came_while_it_lasted_as_far_as_clocks_can_tell(
        self, type_: str, at: float, unknown: bool
    ) -> None:
        run = Run(clock_error=0.1)
        run.receipt(held(run, 49), at, result="deferred")
        run.receipt(run.message(1), 60, result="deferred")
        hurt(run, type_, "system", takes=1)
        swallowed = type_ == "partition" and at < 49.9
        told = f"answered during a {type_}"
        assert reasons(run) == ([told] if unknown else [PERHAPS] if swallowed else [])

    def test_any_other_fault_lets_the_system_read_its_answers(self) -> None:
        run = Run()
        hurt(run, "latency")
        run.receipt(held(run), 52, result="deferred")
        assert reasons(run) == []

    def test_nor_does_the_answer_to_a_probe_count(self) -> None:
        run = Run()
        hurt(run, "pause", "system")
        run.receipt(held(run), 52, result="deferred", canary="system")
        assert reasons(run) == []


class TestSwallowed:
    """What left no receipt at all."""

    @pytest.mark.parametrize(
        ("type_", "attributes", "unknown"),
        [
            ("blackhole", {}, True),
            ("partition", {}, True),
            ("kill", {}, True),
            ("reset", {}, True),
            ("cut", {"stream": "upstream"}, True),
            ("cut", {"stream": "downstream"}, False),
            ("hang", {"stage": "head"}, True),
            ("hang", {"stage": "body"}, False),
            ("disconnect", {"stage": "head"}, True),
            ("disconnect", {"stage": "body"}, False),
            ("latency", {"stream": "upstream", "stage": "head"}, False),
            ("restart", {}, False),
        ],
    )
    def test_it_is_possible_where_a_request_can_vanish_before_anybody_reads_whose_it_is(
        self, type_: str, attributes: dict[str, str], unknown: bool
    ) -> None:
        run = Run()
        hurt(run, type_, attributes=attributes)
        held(run, 52)
        assert reasons(run) == ([PERHAPS] if unknown else [])

    @pytest.mark.parametrize("type_", ["outage", "auth-failure"])
    @pytest.mark.parametrize(("at", "unknown"), [(49, True), (51, True), (51.001, False)])
    def test_an_outage_cuts_what_was_under_way_as_it_came_on_and_no_more(
        self, type_: str, at: float, unknown: bool
    ) -> None:
        run = Run()
        hurt(run, type_, takes=1)
        held(run, at)
        assert reasons(run) == ([PERHAPS] if unknown else [])

    @pytest.mark.parametrize(("at", "unknown"), [(1, True), (56, True), (56.001, False)])
    def test_what_was_due_before_the_fault_was_surely_over_may_be_gone(
        self, at: float, unknown: bool
    ) -> None:
        run = Run()
        hurt(run, takes=1)
        held(run, at)
        assert reasons(run) == ([PERHAPS] if unknown else [])

    @pytest.mark.parametrize(("tried", "unknown"), [(49.899, True), (49.9, False), (70, False)])
    def test_what_was_tried_since_it_began_is_no_riddle(self, tried: float, unknown: bool) -> None:
        run = Run(clock_error=0.1)
        hurt(run)
        run.receipt(held(run, 49), tried, result="deferred")
        assert reasons(run) == ([PERHAPS] if unknown else [])

    def test_what_others_tried_since_says_nothing(self) -> None:
        run = Run()
        hurt(run)
        held(run, 49)
        run.receipt(run.message(49), 60, result="deferred")
        assert reasons(run) == [PERHAPS]

    @pytest.mark.parametrize("target", ["primary.token", "primary.events", "status"])
    def test_a_fault_beside_the_way_of_the_mail_swallows_none(self, target: str) -> None:
        run = Run(without_mail=["status"])
        hurt(run, target=target)
        held(run, 52)
        assert reasons(run) == []

    def test_what_was_taken_before_is_no_riddle(self) -> None:
        run = Run()
        message = held(run, 40)
        run.copy(message, 41)
        hurt(run)
        finding = check(run, "reconciliation", "agrees")
        assert (finding.numbers["held"], finding.numbers["copy_not_sent"]) == (0, 1)
        assert finding.offenders[0].token == message.token

    @pytest.mark.parametrize(
        ("killed", "unknown"), [(49.999, False), (50, True), (52, True), (56, True), (56.001, False)]
    )
    def test_a_restart_excuses_only_where_it_ended_in_a_kill(self, killed: float, unknown: bool) -> None:
        run = Run()
        run.fault(50, 55, "restart", "system", takes=1)
        run.process("killed", killed)
        held(run, 52)
        assert reasons(run) == ([PERHAPS] if unknown else [])


class TestSinceWhen:
    """A hold ends lateness from when the fate was lost, if that is all the system ever said."""

    def late_s(self, run: Run) -> Any:
        return check(run, "mttr", "50s").numbers["worst_late_s"]

    def test_of_several_moments_the_last_counts(self) -> None:
        run = Run()
        message = held(run)
        run.receipt(message, 53, result="aborted")
        run.receipt(message, 57, result="aborted")
        run.receipt(message, 55, result="aborted")
        assert self.late_s(run) == 7

    @pytest.mark.parametrize(("at", "late_s"), [(45, 5), (48.999, 1.001), (49, None), (52, None)])
    def test_what_was_swallowed_was_so_once_both_the_message_and_the_fault_were_there(
        self, at: float, late_s: float | None
    ) -> None:
        run = Run()
        hurt(run)
        held(run, at)
        assert self.late_s(run) == late_s

    def test_what_was_under_way_at_a_kill_was_lost_with_it(self) -> None:
        run = Run()
        message = held(run)
        run.receipt(message, 54, result="deferred", took=2)
        run.process("killed", 53)
        assert self.late_s(run) == 3

    def test_an_answer_that_nobody_read_was_given_when_it_ended(self) -> None:
        run = Run()
        run.receipt(held(run, 45), 52, result="deferred", took=1)
        hurt(run, "pause", "system")
        assert self.late_s(run) == 7
