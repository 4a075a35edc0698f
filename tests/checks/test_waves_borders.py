"""Waves to the nanosecond: where a window ends, whose portion it is, and which release is named first."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks import parse_params
from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check

NS = 1e-9


def judged(run: Run, share: str = "10%", every: str = "2s", **more: Any) -> Finding:
    return check(run, "waves", {"share": share, "every": every, **more})


def waiting(run: Run, count: int, at: float) -> list[Message]:
    return [run.message(at, "marketing") for _ in range(count)]


def at_once(run: Run, messages: list[Message], at: float) -> None:
    for message in messages:
        run.copy(message, at)


def portion(run: Run, backlog: int, at: float, largest: int) -> None:
    """So many wait for a release, and leave after it one by one but for so many of them, the second to go."""
    messages = waiting(run, backlog, at - 2)
    run.operator("resume", at)
    run.copy(messages[0], at + 1)
    at_once(run, messages[1 : 1 + largest], at + 5)
    for number, message in enumerate(messages[1 + largest :]):
        run.copy(message, at + 10 + 2 * number)


class TestTheWindow:
    def apart(self, by: float, every: str) -> Finding:
        run = Run()
        first, second = waiting(run, 2, 5)
        run.operator("resume", 10)
        run.copy(first, 12)
        run.copy(second, 12 + by)
        return judged(run, "50%", every)

    @pytest.mark.parametrize(
        ("every", "length"),
        [
            ("2s", 1.9),  # 5 % and 100 ms are the same
            ("1s", 0.9),  # 100 ms
            ("10s", 9.5),  # 5 %
        ],
    )
    def test_ends_with_its_length_and_does_not_hold_the_instant_itself(
        self, every: str, length: float
    ) -> None:
        finding = self.apart(length, every)
        assert (finding.verdict, finding.numbers["largest_wave"]) == (Verdict.PASS, 1)
        assert finding.numbers["window_s"] == length
        finding = self.apart(length - NS, every)
        assert (finding.verdict, finding.numbers["largest_wave"]) == (Verdict.FAIL, 2)

    def test_of_one_nanosecond_holds_what_left_in_the_same_one(self) -> None:
        finding = self.apart(0, "100.000001ms")
        assert (finding.verdict, finding.numbers["largest_wave"]) == (Verdict.FAIL, 2)
        finding = self.apart(NS, "100.000001ms")
        assert (finding.verdict, finding.numbers["largest_wave"]) == (Verdict.PASS, 1)

    def test_is_none_where_the_margin_is_as_long_as_the_portions_are_apart(self) -> None:
        finding = self.apart(0, "100ms")
        assert (finding.numbers["largest_wave"], finding.numbers["window_s"]) == (0, 0)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "no window is left to look at" in finding.reason

    def test_has_a_margin_of_a_part_of_a_nanosecond_rounded_up(self) -> None:
        # 5 % of it are 500,000,000.05 ns.
        finding = self.apart(9.500000000, "10000.000001ms")
        assert (finding.verdict, finding.numbers["largest_wave"]) == (Verdict.PASS, 1)
        finding = self.apart(9.500000000 - NS, "10000.000001ms")
        assert (finding.verdict, finding.numbers["largest_wave"]) == (Verdict.FAIL, 2)

    @pytest.mark.parametrize(("error", "verdict"), [(0.05, Verdict.PASS), (0.05 + NS, Verdict.INCONCLUSIVE)])
    def test_may_be_blurred_by_its_margin_and_no_more(self, error: float, verdict: Verdict) -> None:
        run = Run(clock_error=error)
        portion(run, 20, 10, 2)
        finding = judged(run, every="1s")
        assert finding.verdict is verdict
        assert finding.error.startswith("margin 0.100 s; clock error 50 ms")


class TestTheBacklog:
    @pytest.mark.parametrize(("at", "backlog"), [(9, 4), (9 + NS, 0)])
    def test_waited_for_a_second_and_not_a_nanosecond_less(self, at: float, backlog: int) -> None:
        run = Run()
        messages = waiting(run, 4, at)
        run.operator("resume", 10)
        at_once(run, messages, 11)
        finding = judged(run)
        assert finding.numbers["backlog"] == finding.counted == backlog
        assert finding.verdict is (Verdict.FAIL if backlog else Verdict.PASS)

    def test_begins_with_what_left_at_the_very_instant_of_the_release(self) -> None:
        run = Run()
        messages = waiting(run, 20, 5)
        run.operator("resume", 10)
        at_once(run, messages[:5], 10 - NS)
        at_once(run, messages[5:], 10)
        finding = judged(run)
        assert (finding.numbers["backlog"], finding.numbers["largest_wave"]) == (15, 15)
        assert finding.offenders[0].why == "15 of 15 at once, 0.000 s after it; 2 allowed"

    def test_of_the_next_release_is_what_leaves_from_its_very_instant(self) -> None:
        run = Run()
        messages = waiting(run, 20, 5)
        run.operator("resume", 10)
        run.operator("resume", 30)
        at_once(run, messages[:7], 30 - NS)
        at_once(run, messages[7:], 30)
        finding = judged(run)
        assert [offender.why for offender in finding.offenders] == [
            "20 of 20 at once, 20.000 s after it; 2 allowed",
            "13 of 13 at once, 0.000 s after it; 2 allowed",
        ]
        assert [offender.subject for offender in finding.offenders] == [
            "release 1 (resume)",
            "release 2 (resume)",
        ]
        assert finding.counted == 33

    def test_of_all_classes_is_named_so(self) -> None:
        run = Run()
        portion(run, 20, 10, 2)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.summary == "at most 2 of 20 waiting messages left in any 2 s"
        assert finding.error == "margin 0.100 s; clocks were not calibrated or agree exactly"

    def test_is_none_where_nothing_waits(self) -> None:
        run = Run()
        run.copy(run.message(5, "marketing"), 5.1)
        run.operator("resume", 10)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.summary == "not needed: no messages were waiting at any release"
        assert finding.numbers == {
            "releases": 1,
            "backlog": 0,
            "largest_wave": 0,
            "allowed": None,
            "window_s": 1.9,
        }

    def test_of_the_baseline_alone_is_none_at_all(self) -> None:
        run = Run()
        run.operator("resume", 10)
        finding = judged(run)
        assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "no messages were sent")

    def test_of_a_class_that_only_another_run_sent_is_none_at_all(self) -> None:
        run = Run()
        run.copy(run.message(5), 5.1)
        run.operator("resume", 10)
        finding = judged(run, **{"class": "marketing"})
        assert (finding.verdict, finding.reason) == (Verdict.INCONCLUSIVE, "no marketing messages were sent")


class TestThePortion:
    def test_of_who_waits_on_is_that_of_the_greatest_release_that_let_him_go(self) -> None:
        """A late one among them does not make it smaller, and those who are gone do not make it larger."""
        run = Run()
        early = waiting(run, 100, 5)
        run.operator("resume", 10)
        for number, message in enumerate(early[:90]):
            run.copy(message, 11 + number // 10 * 2)
        late = waiting(run, 10, 25)
        run.operator("approve", 30)
        at_once(run, early[90:], 31)
        for number, message in enumerate(late):
            run.copy(message, 33 + number * 2)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert (finding.numbers["allowed"], finding.numbers["backlog"]) == (10, 100)
        assert finding.counted == 120

    @pytest.mark.parametrize("same", ["token", "recipient"])
    def test_is_no_larger_for_another_message_with_the_same(self, same: str) -> None:
        run = Run()
        names = [f"{'abcdefghij'[number // 10]}{'abcdefghij'[number % 10]}" * 8 for number in range(100)]
        early = [
            run.message(5, "marketing", token=name, recipient=f"{name}@customer.example") for name in names
        ]
        run.operator("resume", 10)
        for number, message in enumerate(early):
            run.copy(message, 11 + number // 10 * 2)
        late = [
            run.message(40, "marketing", token=name, recipient=f"other.{name}@customer.example")
            if same == "token"
            else run.message(40, "marketing", recipient=f"{name}@customer.example")
            for name in names[:10]
        ]
        run.operator("resume", 50)
        at_once(run, late[:2], 51)
        for number, message in enumerate(late[2:]):
            run.copy(message, 53 + 2 * number)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert [offender.why for offender in finding.offenders] == [
            "2 of 10 at once, 1.000 s after it; 1 allowed"
        ]


class TestReleasesInARow:
    """A hundred wait for the first, at 10 s; ten of them leave at 10.1 s, by right."""

    def begun(self, second: float, class_: str | None = None) -> tuple[Run, list[Message]]:
        run = Run()
        messages = waiting(run, 100, 5)
        run.operator("approve", 10)
        at_once(run, messages[:10], 10.1)
        run.operator("resume", second, class_)
        return run, messages[10:]

    @pytest.mark.parametrize(("at", "verdict"), [(12 - NS, Verdict.FAIL), (12, Verdict.PASS)])
    def test_do_not_part_a_window(self, at: float, verdict: Verdict) -> None:
        run, rest = self.begun(10.3)
        at_once(run, rest[:10], at)
        finding = judged(run)
        assert finding.verdict is verdict
        if verdict is Verdict.FAIL:
            assert [(each.subject, each.why) for each in finding.offenders] == [
                ("release 1 (approve)", "20 of 100 at once, 0.100 s after it; 10 allowed")
            ]

    @pytest.mark.parametrize(("more", "verdict"), [(4, Verdict.PASS), (5, Verdict.FAIL)])
    def test_let_leave_in_the_portions_of_the_greater_what_leaves_after_it(
        self, more: int, verdict: Verdict
    ) -> None:
        run, rest = self.begun(11)
        waiting(run, 50, 9.5)
        at_once(run, rest[:more], 11.2)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["allowed"]) == (verdict, 14)
        assert [each.why for each in finding.offenders] == (
            ["15 of 100 at once, 0.100 s after it; 14 allowed"] if more == 5 else []
        )

    def test_count_each_their_own(self) -> None:
        run, _ = self.begun(11)
        at_once(run, waiting(run, 50, 9.5)[:14], 11.2)
        assert judged(run).verdict is Verdict.PASS

    @pytest.mark.parametrize(("word", "releases"), [("transactional", 1), ("marketing", 2), (None, 2)])
    def test_are_those_that_are_about_the_class(self, word: str | None, releases: int) -> None:
        run, _ = self.begun(11, word)
        finding = judged(run, **{"class": "marketing"})
        assert (finding.numbers["releases"], finding.counted) == (releases, 100 + 90 * (releases - 1))
        assert judged(run).numbers["releases"] == 2

    def test_of_two_windows_that_are_as_full_the_one_that_was_allowed_less_is_the_worse(self) -> None:
        run, rest = self.begun(30)
        at_once(run, rest[:15], 20)
        waiting(run, 150, 25)
        at_once(run, rest[15:30], 29)
        at_once(run, rest[30:35], 30)
        finding = judged(run)
        assert [each.why for each in finding.offenders] == [
            "15 of 100 at once, 10.000 s after it; 10 allowed"
        ]


class TestWhoIsNamed:
    def test_the_release_that_let_go_the_most_beyond_its_portion_comes_first(self) -> None:
        run = Run(ends=1000)
        portion(run, 50, 10, 6)
        portion(run, 100, 200, 13)
        portion(run, 10, 500, 3)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert [(offender.subject, offender.why, offender.cause) for offender in finding.offenders] == [
            ("release 2 (resume)", "13 of 100 at once, 5.000 s after it; 10 allowed", "too many at once"),
            ("release 3 (resume)", "3 of 10 at once, 5.000 s after it; 1 allowed", "too many at once"),
            ("release 1 (resume)", "6 of 50 at once, 5.000 s after it; 5 allowed", "too many at once"),
        ]
        assert finding.counted == 160
        assert finding.numbers["releases"] == 3

    def test_no_more_than_ten_and_of_equal_ones_the_earlier_first(self) -> None:
        run = Run(ends=1000)
        for number in range(12):
            portion(run, 10, 10 + 50 * number, 2)
        assert [offender.subject for offender in judged(run).offenders] == [
            f"release {number} (resume)" for number in range(1, 11)
        ]

    def test_of_windows_that_are_as_full_the_first(self) -> None:
        run = Run()
        messages = waiting(run, 20, 5)
        run.operator("resume", 10)
        run.copy(messages[0], 11)
        at_once(run, messages[1:4], 15)
        at_once(run, messages[4:7], 20)
        run.copy(messages[7], 21)  # ends a window that holds four, which begins at 20 s
        at_once(run, messages[8:12], 30)
        finding = judged(run)
        assert finding.offenders[0].why == "4 of 20 at once, 10.000 s after it; 2 allowed"

    @pytest.mark.parametrize(
        ("releases", "backlog", "largest"),
        [
            # The one that let go too many, before one that let go more of far more.
            ([(10, 2), (100, 10)], 10, 2),
            # Where none did, the one with the fullest window, however far it was from its portion.
            ([(100, 9), (50, 5)], 100, 9),
            ([(100, 3), (50, 5)], 50, 5),
            # Where windows are as full, the one with the larger backlog.
            ([(60, 5), (100, 5), (50, 5)], 100, 5),
            ([(100, 5), (50, 5)], 100, 5),
        ],
    )
    def test_the_numbers_are_those_of_the_worst_release(
        self, releases: list[tuple[int, int]], backlog: int, largest: int
    ) -> None:
        run = Run(ends=2000)
        for number, (waits, most) in enumerate(releases):
            portion(run, waits, 10 + 300 * number, most)
        finding = judged(run)
        assert (finding.numbers["backlog"], finding.numbers["largest_wave"]) == (backlog, largest)
        assert finding.numbers["allowed"] == -(-backlog // 10)
        assert finding.summary == f"at most {largest} of {backlog} waiting messages left in any 2 s"


@pytest.mark.parametrize(("share", "every"), [("0%", "2s"), ("10%", "0s")])
def test_a_share_and_a_time_of_nothing_are_refused(share: str, every: str) -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        parse_params("waves", {"share": share, "every": every})


def test_the_shortest_time_there_is_is_not_refused() -> None:
    run = Run()
    portion(run, 10, 10, 2)
    assert judged(run, every="0.000001ms").verdict is Verdict.INCONCLUSIVE
