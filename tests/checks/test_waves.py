"""A backlog is let go in portions: what a release is, what its backlog is, and the fullest window."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check

TENTHS = {"class": "marketing", "share": "10%", "every": "2s"}


def judged(run: Run, params: Any = None) -> Finding:
    return check(run, "waves", params or TENTHS)


def held(count: int = 100, **more: Any) -> tuple[Run, list[Message]]:
    """An outage from 10 to 20 s, with so many newsletters scheduled in the middle of it."""
    run = Run(**more)
    run.fault(10, 20)
    run.detects(12, until=22)
    return run, [run.message(12, "marketing") for _ in range(count)]


def let_go(run: Run, messages: list[Message], since: float, size: int, every: float) -> None:
    for index, message in enumerate(messages):
        run.copy(message, since + index // size * every + index % size * 0.001)


def test_a_tenth_every_two_seconds_is_a_pass() -> None:
    run, messages = held()
    let_go(run, messages, 23, 10, 2)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert finding.numbers["backlog"] == 100
    assert finding.numbers["largest_wave"] == finding.numbers["allowed"] == 10
    assert finding.summary == "at most 10 of 100 waiting marketing messages left in any 2 s"


def test_one_more_is_a_fail() -> None:
    run, messages = held()
    let_go(run, messages[:89], 23, 10, 2)
    for message in messages[89:]:
        run.copy(message, 43)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert finding.numbers["largest_wave"] == 11
    assert finding.offenders[0].subject == "release 1 (fault off)"


def test_all_at_once_is_a_fail() -> None:
    run, messages = held()
    let_go(run, messages, 20.1, 100, 1)
    assert judged(run).numbers["largest_wave"] == 100


@pytest.mark.parametrize(("offered", "verdict"), [(19, Verdict.FAIL), (19.001, Verdict.PASS)])
def test_what_the_driver_offered_only_just_before_had_not_waited(offered: float, verdict: Verdict) -> None:
    run, messages = held(20)
    let_go(run, messages, 23, 2, 2)
    for _ in range(5):
        run.copy(run.message(18, "marketing", offered=offered), 20.1)
    assert judged(run).verdict is verdict


def test_the_allowance_is_rounded_up() -> None:
    run, messages = held(15)
    let_go(run, messages, 23, 2, 2)
    assert judged(run).verdict is Verdict.PASS
    run, messages = held(15)
    let_go(run, messages, 23, 3, 2)
    assert judged(run).verdict is Verdict.FAIL


@pytest.mark.parametrize(("every", "verdict"), [(1.9, Verdict.PASS), (1.899, Verdict.FAIL)])
def test_the_window_is_shorter_by_its_margin(every: float, verdict: Verdict) -> None:
    run, messages = held()
    for index, message in enumerate(messages):
        run.copy(message, 23 + index // 10 * every)
    assert judged(run).verdict is verdict


def test_injected_delay_widens_the_margin() -> None:
    run, messages = held()
    run.fault(20.5, 60, "latency", "backup", attributes={"latency": 400, "jitter": 100})
    run.copy(run.message(30), 30.5, "backup")
    for index, message in enumerate(messages):
        run.copy(message, 23 + index // 10 * 1.4)
    finding = judged(run)
    assert finding.numbers["window_s"] == 1.4
    assert finding.verdict is Verdict.PASS


def test_windows_slide() -> None:
    run, messages = held()
    for index, message in enumerate(messages):
        run.copy(message, 23 + index // 10 * 2 + (1.5 if index // 10 == 3 else 0))
    assert judged(run).numbers["largest_wave"] == 20


class TestBacklog:
    def test_no_backlog_at_any_release_is_a_pass_that_says_so(self) -> None:
        run = Run()
        run.fault(10, 20)
        run.detects(12)
        run.traffic(9, 21, 0.5)
        run.copy(run.message(5, "marketing"), 5.1)  # sent, and waiting at no release
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.summary.startswith("not needed")
        assert finding.counted == 0

    @pytest.mark.parametrize(("at", "backlog"), [(19.0, 10), (19.001, 0)])
    def test_it_is_what_was_scheduled_a_second_before(self, at: float, backlog: int) -> None:
        run = Run()
        run.fault(10, 20)
        run.detects(12)
        let_go(run, [run.message(at, "marketing") for _ in range(10)], 21, 10, 1)
        assert judged(run).numbers["backlog"] == backlog

    def test_what_arrived_before_or_was_refused_is_not_in_it(self) -> None:
        run, messages = held(10)
        for message in messages[:5]:
            run.copy(message, 19, "backup")
        run.message(12, "marketing", result="refused")
        let_go(run, messages[5:], 23, 1, 2)
        assert judged(run).numbers["backlog"] == 5

    def test_other_classes_are_not_in_it_unless_none_is_named(self) -> None:
        run, messages = held(10)
        receipts = [run.message(12) for _ in range(10)]
        let_go(run, messages, 23, 1, 2)
        let_go(run, receipts, 21, 10, 1)
        assert judged(run).verdict is Verdict.PASS
        assert judged(run, {"share": "10%", "every": "2s"}).verdict is Verdict.FAIL

    @pytest.mark.parametrize("event", ["bounced", "dropped"])
    def test_what_was_taken_and_given_back_before_it_waits_for_nothing(self, event: str) -> None:
        run, messages = held(20)
        for message in messages[:10]:
            run.copy(message, 13, "backup")
            run.provider_says(event, message, 14, "backup")
        let_go(run, messages[10:], 23, 1, 2)
        finding = judged(run)
        assert (finding.numbers["backlog"], finding.numbers["allowed"]) == (10, 1)
        assert finding.verdict is Verdict.PASS

    def test_what_was_taken_in_a_wave_and_given_back_was_part_of_the_wave(self) -> None:
        run, messages = held(20)
        let_go(run, messages, 23, 4, 2)
        for message in messages[::2]:
            run.provider_says("bounced", message, 60)
        finding = judged(run)
        assert (finding.numbers["backlog"], finding.numbers["largest_wave"]) == (20, 4)
        assert finding.verdict is Verdict.FAIL

    def test_what_came_to_nothing_and_was_sent_again_left_with_its_copy(self) -> None:
        run, messages = held(20)
        for message in messages:
            run.copy(message, 13, "backup")
            run.provider_says("dropped", message, 14, "backup")
        let_go(run, messages, 23, 2, 2)
        finding = judged(run)
        assert (finding.numbers["backlog"], finding.numbers["largest_wave"]) == (20, 2)

    def test_what_went_out_by_sms_waits_for_nothing(self) -> None:
        run, messages = held(20)
        for message in messages[:10]:
            run.copy(message, 13, "backup", recipient="+12025550123", carriers=["nonce"])
        let_go(run, messages[10:], 23, 1, 2)
        assert judged(run).numbers["backlog"] == 10


class TestReleases:
    @pytest.mark.parametrize("action", ["approve", "resume"])
    def test_an_operators_word_is_one(self, action: str) -> None:
        run = Run()
        messages = [run.message(5, "marketing") for _ in range(20)]
        run.operator(action, 30)
        let_go(run, messages, 31, 20, 1)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.offenders[0].subject == f"release 1 ({action})"

    def test_a_pause_that_ends_is_one(self) -> None:
        run = Run()
        messages = [run.message(5, "marketing") for _ in range(20)]
        run.reads("paused", True, 4, None)
        run.reads("paused", False, 30, None, before=29.9)
        let_go(run, messages, 31, 20, 1)
        assert judged(run).offenders[0].subject == "release 1 (resume)"

    def test_a_switch_is_one(self) -> None:
        run = Run()
        run.fault(10, 90)
        run.detects(15)
        messages = [run.message(11, "marketing") for _ in range(20)]
        run.traffic(15, 20, 0.1, via="backup")
        let_go(run, messages, 16, 20, 1)
        for message in messages:
            assert message
        assert judged(run).offenders[0].subject == "release 1 (switch)"

    def test_what_still_waits_at_the_next_release_belongs_to_that_one(self) -> None:
        run = Run()
        run.operator("resume", 10)
        early = [run.message(5, "marketing") for _ in range(5)]
        late = [run.message(15, "marketing") for _ in range(95)]
        run.operator("approve", 20)
        let_go(run, early + late, 21, 10, 2)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers["backlog"] == 100


class TestInconclusive:
    def test_no_release(self) -> None:
        run = Run()
        run.traffic(0, 10, 1, class_="marketing")
        assert "there was no release" in judged(run).reason

    def test_times_that_were_read_back(self) -> None:
        run, messages = held()
        for message in messages:
            run.copy(message, 23, observed="after")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "without exact times" in finding.reason

    @pytest.mark.parametrize(("error", "judges"), [(0.05, True), (0.0501, False)])
    def test_clocks_that_may_err_by_more_than_the_margin(self, error: float, judges: bool) -> None:
        for size, verdict in ((10, Verdict.PASS), (11, Verdict.FAIL)):
            run, messages = held(clock_error=error)
            let_go(run, messages, 23, size, 2)
            finding = judged(run)
            assert finding.verdict is (verdict if judges else Verdict.INCONCLUSIVE)
            assert judges or "wider than the margin" in finding.reason

    def test_a_margin_that_leaves_no_window(self) -> None:
        run, messages = held(10)
        run.fault(20.5, 60, "latency", attributes={"latency": 5000})
        let_go(run, messages, 23, 10, 1)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "no window is left" in finding.reason

    def test_a_fault_that_was_never_met(self) -> None:
        run = Run()
        run.traffic(0, 5, 0.5)
        run.fault(10, 20)
        assert judged(run).verdict is Verdict.INCONCLUSIVE


def test_a_release_in_the_middle_of_a_replay_does_not_shrink_its_portion() -> None:
    run, messages = held()
    let_go(run, messages, 23, 10, 2)
    run.operator("resume", 32.5)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert finding.numbers["allowed"] == 10


def test_a_class_that_nobody_sent_proves_nothing() -> None:
    run, messages = held()
    let_go(run, messages, 23, 10, 2)
    finding = judged(run, {**TENTHS, "class": "digest"})
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason == "no digest messages were sent"
