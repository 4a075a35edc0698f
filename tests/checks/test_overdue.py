"""When a transactional message is overdue, what ends it, and which of several moments counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.checks.finding import Verdict
from tests.checks.histories import Message, Run, check

NEVER = (1, 1, None)


def overdue(run: Run) -> tuple[Any, Any, Any]:
    """How many were ever overdue, how many for ever, and how long after its time the latest ended."""
    numbers = check(run, "mttr", "50s").numbers
    return numbers["overdue"], numbers["overdue_for_ever"], numbers["worst_late_s"]


class TestWhose:
    def test_of_a_transactional_message_with_a_time_to_keep(self) -> None:
        run = Run()
        run.message(10)
        assert overdue(run) == NEVER

    def test_of_no_other_class_whatever_its_time(self) -> None:
        run = Run()
        run.message(10, "marketing", within=1)
        assert overdue(run) == (0, 0, None)

    def test_of_none_without_a_time_to_keep(self) -> None:
        run = Run()
        run.message(10)
        run.events = [
            msgspec.structs.replace(each, within_ns=None) if hasattr(each, "within_ns") else each
            for each in run.events
        ]
        assert overdue(run) == (0, 0, None)

    def test_of_none_of_the_baseline(self) -> None:
        run = Run()
        run.message(-5, baseline=True)
        assert overdue(run) == (0, 0, None)

    @pytest.mark.parametrize(("at", "count"), [(98.999, 1), (99, 0), (99.5, 0)])
    def test_of_none_that_still_had_time_when_the_record_ended(self, at: float, count: int) -> None:
        run = Run(ends=100)
        run.message(at)
        assert overdue(run) == (count, count, None)

    def test_of_those_that_the_system_refused_to_the_end_too(self) -> None:
        run = Run()
        run.message(10, result="refused")
        assert overdue(run) == NEVER


class TestEnds:
    @pytest.mark.parametrize(("at", "found"), [(11, (0, 0, None)), (11.001, (1, 0, 1.001))])
    def test_a_copy_in_time_keeps_it_from_beginning(self, at: float, found: tuple[Any, ...]) -> None:
        run = Run()
        run.copy(run.message(10), at)
        assert overdue(run) == found

    def test_the_first_of_what_can_end_it_does(self) -> None:
        """A copy, one by another channel, a hold, an expiry, and a bounce of what was taken."""
        for first in range(5):
            at = [20.0, 21.0, 22.0, 23.0, 24.0]
            at[first] = 15
            run = Run()
            message = run.message(10, expires=at[3])
            run.copy(message, at[0])
            run.copy(message, at[1], "backup", recipient="+12025550123", carriers=["nonce"])
            run.receipt(message, 12, "backup", "aborted")
            run.says(message, "sending", at[2] - 0.001)
            run.says(message, "held", at[2])
            if first == 4:
                run.copy(message, at[4], "backup")
                run.provider_says("bounced", message, 30, "backup")
            assert overdue(run) == (1, 0, 5), first

    @pytest.mark.parametrize(("event", "found"), [("bounced", (1, 0, 4)), ("dropped", NEVER)])
    def test_what_bounced_was_on_its_way_when_it_was_taken_and_what_was_thrown_away_never(
        self, event: str, found: tuple[Any, ...]
    ) -> None:
        run = Run()
        message = run.message(10)
        run.copy(message, 14)
        run.provider_says(event, message, 30)
        assert overdue(run) == found

    def test_an_attempt_that_failed_ends_nothing(self) -> None:
        for result in ("deferred", "refused", "aborted", "repeated"):
            run = Run()
            run.receipt(run.message(10), 14, result=result)
            assert overdue(run) == NEVER

    def test_the_first_of_several_copies_ends_it(self) -> None:
        run = Run()
        message = run.message(10)
        for at, via in ((19, "primary"), (14, "backup"), (17, "primary")):
            run.copy(message, at, via)
        assert overdue(run) == (1, 0, 4)

    def test_where_the_first_was_thrown_away_the_next_does(self) -> None:
        run = Run()
        message = run.message(10)
        run.copy(message, 14, "backup")
        run.copy(message, 17)
        run.provider_says("dropped", message, 15, "backup")
        assert overdue(run) == (1, 0, 7)


class TestHolds:
    """A hold that is right ends it: since when, the system's own words tell."""

    def held(self, *told: tuple[str, float]) -> Any:
        run = Run()
        message = run.message(10)
        run.receipt(message, 12, result="aborted")
        for state, at in told:
            run.says(message, state, at)
        return overdue(run)[2]

    @pytest.mark.parametrize(
        ("told", "late_s"),
        [
            ([("held", 15)], 2),  # it never said anything else, so perhaps held it all the time
            ([("held", 11.5)], 1.5),
            ([("held", 14), ("held", 15)], 2),
            ([("sending", 11), ("held", 15), ("held", 16)], 5),
            ([("held", 11.5), ("sending", 13), ("held", 15), ("held", 16)], 5),
            ([("held", 11.5), ("sending", 13), ("pending", 14), ("held", 16)], 6),
            ([("sending", 15), ("held", 15)], 5),
            ([("held", 15), ("sending", 15), ("held", 15)], 5),
            ([("held", 11.5), ("sending", 15), ("held", 15)], 5),
            ([("held", 15), ("sending", 16)], None),
            ([("held", 15), ("sending", 15)], None),
        ],
    )
    def test_it_counts_from_the_first_word_after_the_last_other_one(
        self, told: list[tuple[str, float]], late_s: float | None
    ) -> None:
        assert self.held(*told) == late_s

    def test_one_that_was_told_before_the_fate_was_unknown_counts_from_its_first_word(self) -> None:
        run = Run()
        message = run.message(10)
        run.says(message, "held", 14)
        run.says(message, "held", 16)
        run.receipt(message, 18, result="aborted")
        assert overdue(run) == (1, 0, 4)

    def test_a_hold_without_need_ends_nothing(self) -> None:
        run = Run()
        message = run.message(10)
        run.receipt(message, 12, result="deferred")
        run.says(message, "held", 13)
        assert overdue(run) == NEVER


class TestSuppressions:
    """Who has said a final no gets nothing more: from then on nothing of his is late."""

    def unwanted(self, run: Run, at: float, why: str = "bounced", who: str = "gone@customer.example") -> None:
        """Another message's recipient, who says no at that time."""
        other = run.message(5, "marketing", recipient=who)
        if why == "refused":
            run.receipt(other, at, result="refused", code=550, text="5.1.1 no such user")
        else:
            run.copy(other, 6)
            run.provider_says(why, other, at, webhook="delivered")

    def told(self, no_at: float, *told: tuple[str, float], why: str = "bounced", **more: Any) -> Any:
        """Of a message to one who says no to another at that time, by what the system says of it."""
        run = Run()
        self.unwanted(run, no_at, why)
        message = run.message(10, recipient="gone@customer.example", **more)
        for state, at in told:
            run.says(message, state, at)
        return overdue(run)

    @pytest.mark.parametrize("why", ["bounced", "complained", "refused"])
    @pytest.mark.parametrize("at", [11, 59])
    def test_from_the_start_it_is_never_overdue_whenever_that_is_told(self, why: str, at: float) -> None:
        assert self.told(8, ("suppressed", at), why=why) == (0, 0, None)

    @pytest.mark.parametrize(
        ("no_at", "told", "late_s"),
        [
            (15, [("suppressed", 59)], 5),  # it never said anything else, so perhaps since the no
            (15, [("suppressed", 12)], 5),  # not before it
            (15, [("pending", 12), ("suppressed", 18), ("suppressed", 59)], 8),
            (15, [("pending", 12), ("suppressed", 13)], 5),
            (15, [("suppressed", 18), ("pending", 59)], None),
        ],
    )
    def test_later_it_ends_as_the_system_says_so_but_not_before_the_no(
        self, no_at: float, told: list[tuple[str, float]], late_s: float | None
    ) -> None:
        assert self.told(no_at, *told) == (1, int(late_s is None), late_s)

    def test_without_a_reason_it_ends_nothing(self) -> None:
        run = Run()
        self.unwanted(run, 8, who="somebody.else@customer.example")
        run.says(run.message(10), "suppressed", 11)
        assert overdue(run) == NEVER

    def test_a_reason_that_the_system_was_never_told_is_none(self) -> None:
        run = Run()
        other = run.message(5, "marketing", recipient="gone@customer.example")
        run.copy(other, 6)
        run.provider_says("bounced", other, 8, webhook="lost")
        run.says(run.message(10, recipient="gone@customer.example"), "suppressed", 11)
        assert overdue(run) == NEVER

    @pytest.mark.parametrize("state", ["failed", "pending", "sent"])
    def test_a_reason_that_is_not_acted_on_ends_nothing(self, state: str) -> None:
        assert self.told(8, (state, 11)) == NEVER

    def test_nor_where_the_system_refused_the_message_to_the_end(self) -> None:
        assert self.told(8, ("suppressed", 11), result="refused") == NEVER

    @pytest.mark.parametrize(("first", "found"), [(None, NEVER), (8, (0, 0, None)), (13, NEVER)])
    def test_one_that_was_refused_for_good_itself_is_not_suppressed_by_that(
        self, first: float | None, found: tuple[Any, ...]
    ) -> None:
        """But by a no to another one before it."""
        run = Run()
        if first is not None:
            self.unwanted(run, first)
        message = run.message(10, recipient="gone@customer.example")
        run.receipt(message, 12, result="refused", code=550, text="5.1.1 no such user")
        run.says(message, "suppressed", 14)
        assert overdue(run) == found

    def test_of_two_that_were_refused_at_once_the_first_is_the_reason_of_the_other(
        self,
    ) -> None:
        run = Run()
        both = [run.message(10, recipient=who) for who in ("Gone@customer.example", "gone@customer.example")]
        for message in both:
            run.receipt(message, 12, result="refused", code=550, text="5.1.1 no such user")
            run.says(message, "suppressed", 14)
        finding = check(run, "mttr", "1s")
        assert (finding.numbers["overdue"], finding.numbers["overdue_for_ever"]) == (2, 1)
        assert finding.numbers["worst_late_s"] == 2

    def test_a_copy_before_ends_it_before(self) -> None:
        run = Run()
        self.unwanted(run, 8)
        message = run.message(10, recipient="gone@customer.example")
        run.copy(message, 13)
        run.says(message, "pending", 11)
        run.says(message, "suppressed", 14)
        assert overdue(run) == (1, 0, 3)

    @pytest.mark.parametrize(("no_at", "error"), [(11.2, "± 0.700"), (11.201, "± 0.200")])
    def test_a_no_within_the_clock_error_perhaps_came_in_time(self, no_at: float, error: str) -> None:
        run = Run(clock_error=0.2)
        run.fault(10, 30)
        for who in ("one@customer.example", "two@customer.example"):
            self.unwanted(run, no_at, who=who)
            run.says(run.message(10, recipient=who), "suppressed", 20)
        assert check(run, "mttr", "50s").error.startswith(error)

    def test_a_system_that_suppresses_rightly_recovers(self) -> None:
        run = Run()
        self.unwanted(run, 8, "refused")
        run.fault(10, 20)
        for number in range(5):
            run.copy(run.message(10 + number), 14 + number / 2, "backup")
            run.says(run.message(10 + number, recipient="gone@customer.example"), "suppressed", 59)
        finding = check(run, "mttr", "15s")
        assert (finding.verdict, finding.numbers["mttr_s_max"]) == (Verdict.PASS, 5.5)

    def test_one_that_suppresses_anybody_never_does(self) -> None:
        run = Run()
        run.fault(10, 20)
        for number in range(5):
            run.says(run.message(10 + number), "suppressed", 59)
        finding = check(run, "mttr", "15s")
        assert (finding.verdict, finding.numbers["mttr_s_max"]) == (Verdict.FAIL, "infinite")


class TestImpacts:
    """Stretches in which at least so many are overdue at once."""

    def mttr_s(self, run: Run, min_overdue: int = 2, measure: str = "restored") -> Any:
        asked = {"target": "50s", "min_overdue": min_overdue, "measure": measure}
        return check(run, "mttr", asked).numbers["mttr_s_max"]

    def stairs(self) -> Run:
        """One more each second from 11 on, and one less each second from 21 on."""
        run = Run()
        run.fault(10, 30)
        for number in range(4):
            run.copy(run.message(10 + number), 21 + number, "backup")
        return run

    @pytest.mark.parametrize(("min_overdue", "mttr_s"), [(1, 14), (2, 13), (3, 12), (4, 11), (5, None)])
    def test_it_ends_as_fewer_are_left(self, min_overdue: int, mttr_s: float | None) -> None:
        assert self.mttr_s(self.stairs(), min_overdue) == mttr_s

    def test_one_that_comes_as_another_goes_keeps_it_up(self) -> None:
        run = Run()
        run.fault(10, 30)
        for at, arrives in ((10, 20), (10, 15), (14, 18)):
            run.copy(run.message(at), arrives, "backup")
        assert self.mttr_s(run) == 8

    def test_several_that_end_at_once_end_it(self) -> None:
        run = Run()
        run.fault(10, 30)
        for _ in range(3):
            run.copy(run.message(10), 15, "backup")
        run.copy(run.message(12), 19, "backup")
        assert (self.mttr_s(run), self.mttr_s(run, 1)) == (5, 9)

    def test_a_message_that_never_comes_is_no_impact_alone(self) -> None:
        run = Run()
        run.fault(10, 30)
        run.message(10)
        for at in (12, 15):
            run.copy(run.message(at), at + 2, "backup")
        assert self.mttr_s(run) == 7
        assert self.mttr_s(run, measure="drained") == self.mttr_s(run, 1) == "infinite"


class TestAsOffered:
    """What the driver offered late the system had no part in."""

    def error(self, *messages: tuple[float, float, float], clock_error: float = 0) -> str:
        """Each twice: scheduled, offered, arrived. Half the distance between the two counts is told."""
        run = Run(clock_error=clock_error)
        run.fault(10, 30)
        for at, offered, arrives in messages:
            for _ in range(2):
                run.copy(run.message(at, offered=offered), arrives, "backup")
        finding = check(run, "mttr", "50s")
        assert finding.verdict is Verdict.PASS
        return finding.error.split(" s")[0]

    @pytest.mark.parametrize(
        ("messages", "error"),
        [
            ([(10, 10, 14)], "± 0.000"),
            ([(10, 12, 14)], "± 0.000"),  # overdue of its own from 13 on, to the same end
            ([(10, 13, 14)], "± 2.000"),  # not at all
            ([(10, 13.5, 14)], "± 2.000"),
            ([(10, 10, 12), (13, 16, 16.5)], "± 2.250"),  # of its own until 12
        ],
    )
    def test_it_may_have_done_without_that_impact(
        self, messages: list[tuple[float, float, float]], error: str
    ) -> None:
        assert self.error(*messages) == error

    @pytest.mark.parametrize(("arrives", "error"), [(11.2, "± 0.700"), (11.201, "± 0.200")])
    def test_what_was_overdue_for_less_than_the_clock_error_perhaps_was_not(
        self, arrives: float, error: str
    ) -> None:
        assert self.error((10, 10, arrives), clock_error=0.2) == error


def test_what_the_system_never_got_to_is_told_by_its_messages_the_longest_first() -> None:
    run = Run()
    run.fault(10, 30)
    for_ever: list[Message] = [run.message(12), run.message(11)]
    longest, long, also_long = run.message(10), run.message(13), run.message(11.5)
    for message, late in ((longest, 9), (long, 4), (also_long, 4)):
        run.copy(message, message.at + late, "backup")
    finding = check(run, "mttr", "5s")
    assert [each.token for each in finding.offenders[1:]] == [
        for_ever[1].token, for_ever[0].token, longest.token, also_long.token, long.token,
    ]  # fmt: skip
    assert [each.why for each in finding.offenders[2:4]] == [
        "never arrived",
        "arrived 9.0 s after it was due to be sent",
    ]
