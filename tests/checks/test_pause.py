"""No attempt for what is paused: by an operator, by the system's own word, or by a detection."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check

BY_DETECTION = {"class": "marketing", "from": "detection"}


def judged(run: Run, params: Any = "marketing") -> Finding:
    return check(run, "pause", params)


def newsletters(run: Run, at: float = 12, count: int = 3) -> list[Message]:
    return [run.message(at, "marketing") for _ in range(count)]


def paused(**more: Any) -> tuple[Run, list[Message]]:
    """By an operator from 10 to 20 s, with newsletters in the middle."""
    run = Run(**more)
    run.operator("pause", 10)
    run.operator("resume", 20)
    return run, newsletters(run)


def test_what_leaves_after_the_resume_is_a_pass() -> None:
    run, messages = paused()
    for message in messages:
        run.copy(message, 20.1)
    finding = judged(run)
    assert finding.verdict is Verdict.PASS
    assert (finding.numbers["pauses"], finding.numbers["in_play"], finding.numbers["attempts"]) == (1, 3, 0)
    assert finding.summary == "no attempt was made for marketing in 1 pause"


def test_an_attempt_in_the_pause_is_a_fail_that_names_it() -> None:
    run, messages = paused()
    run.copy(messages[0], 15.01)
    run.receipt(messages[1], 16.01, "backup", "deferred")
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert (finding.numbers["attempts"], finding.numbers["messages"]) == (2, 2)
    assert finding.offenders[0].token == messages[0].token
    assert finding.offenders[0].why == "tried by primary, 5.000 s after the pause began: accepted"
    assert finding.offenders[1].cause == "deferred while paused"


def test_an_attempt_at_several_recipients_is_one() -> None:
    run, messages = paused()
    for message in messages:
        run.copy(message, 15, attempt="one")
    assert (judged(run).numbers["attempts"], judged(run).numbers["messages"]) == (1, 3)


@pytest.mark.parametrize(("begins", "verdict"), [(12, Verdict.PASS), (12.001, Verdict.FAIL)])
def test_until_the_grace_is_over_attempts_may_begin(begins: float, verdict: Verdict) -> None:
    run, messages = paused()
    run.copy(messages[0], begins + 0.5, took=0.5)
    assert judged(run).verdict is verdict


@pytest.mark.parametrize(("begins", "verdict"), [(19.999, Verdict.FAIL), (20, Verdict.PASS)])
def test_from_the_very_moment_of_the_resume_they_may_again(begins: float, verdict: Verdict) -> None:
    run, messages = paused()
    run.copy(messages[0], begins + 0.5, took=0.5)
    assert judged(run).verdict is verdict


def test_what_had_begun_before_the_pause_is_no_offence_however_long_it_takes() -> None:
    run, _ = paused()
    run.copy(run.message(9, "marketing"), 18, took=8.5)
    assert judged(run).verdict is Verdict.PASS


def test_the_grace_can_be_chosen() -> None:
    run, messages = paused()
    run.copy(messages[0], 15)
    assert judged(run, {"class": "marketing", "grace": "5s"}).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("begins", "verdict"),
    [(12.5, Verdict.PASS), (12.6, Verdict.FAIL), (19.4, Verdict.FAIL), (19.5, Verdict.PASS)],
)
def test_the_clock_error_widens_both_ends(begins: float, verdict: Verdict) -> None:
    run, messages = paused(clock_error=0.5)
    run.copy(messages[0], begins + 0.1, took=0.1)
    assert judged(run).verdict is verdict


def test_a_delay_that_a_fault_puts_on_the_way_is_allowed_for() -> None:
    run, messages = paused()
    run.fault(5, 25, "latency", attributes={"latency": 1500})
    run.copy(messages[0], 13.4, took=0)
    run.copy(messages[1], 13.4, "backup", took=0)
    finding = judged(run)
    assert [each.token for each in finding.offenders] == [messages[1].token]


def test_other_mail_goes_on() -> None:
    run, _ = paused()
    run.traffic(5, 25, 0.5)
    run.receipt(None, 15, recipient="probe@canary.example", carriers=[])
    assert judged(run).verdict is Verdict.PASS


def test_a_pause_of_another_class_is_none_of_this_one() -> None:
    run = Run()
    run.operator("pause", 10, "digest")
    run.copy(newsletters(run)[0], 15)
    assert judged(run).verdict is Verdict.INCONCLUSIVE
    run.operator("pause", 10, "marketing")
    assert judged(run).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("action", "class_", "verdict"),
    [
        ("resume", None, Verdict.PASS),
        ("approve", "marketing", Verdict.PASS),
        ("resume", "digest", Verdict.FAIL),
        ("switch", None, Verdict.FAIL),
    ],
)
@pytest.mark.parametrize("of", [None, "marketing"])
def test_which_words_end_a_pause(of: str | None, action: str, class_: str | None, verdict: Verdict) -> None:
    run = Run()
    run.operator("pause", 10, of)
    run.operator(action, 14, class_)
    run.copy(newsletters(run)[0], 15)
    assert judged(run).verdict is verdict


def test_every_pause_counts() -> None:
    run, messages = paused()
    run.copy(messages[0], 21)
    run.operator("pause", 30)
    run.copy(messages[1], 35)
    finding = judged(run)
    assert (finding.verdict, finding.numbers["pauses"]) == (Verdict.FAIL, 2)


class TestTheSystemsOwnWord:
    def test_counts_as_an_operators(self) -> None:
        run = Run()
        run.says_paused(10, until=20)
        messages = newsletters(run)
        run.copy(messages[0], 20.2)
        assert judged(run).verdict is Verdict.PASS
        run.copy(messages[1], 15)
        assert judged(run).verdict is Verdict.FAIL

    def test_ends_an_operators_pause_from_the_last_reading_at_which_it_was_on(self) -> None:
        run = Run()
        run.operator("pause", 10)
        run.says_paused(10.1, until=20, poll=0.5)
        messages = newsletters(run)
        run.copy(messages[0], 19.7)
        assert judged(run).verdict is Verdict.PASS
        run.copy(messages[1], 19.4)
        assert judged(run).verdict is Verdict.FAIL

    def test_hides_whether_it_was_over_where_it_makes_no_sense(self) -> None:
        run = Run()
        run.says_paused(10)
        run.reads("paused", None, 14, None, before=13.9, error="not JSON")
        run.copy(newsletters(run)[0], 16)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "the signal made no sense before 1 attempt"


class TestFromDetection:
    def detected(self, route: str = "primary") -> tuple[Run, list[Message]]:
        run = Run()
        run.fault(10, 20, target=route)
        run.detects(11, route, until=22)
        return run, newsletters(run)

    def test_it_lasts_until_the_detection_is_over(self) -> None:
        run, messages = self.detected()
        run.copy(messages[0], 22)
        assert judged(run, BY_DETECTION).verdict is Verdict.PASS
        run.copy(messages[1], 21.8)
        assert judged(run, BY_DETECTION).verdict is Verdict.FAIL

    def test_or_until_somebody_approves(self) -> None:
        run, messages = self.detected()
        run.operator("approve", 15)
        run.copy(messages[0], 16)
        assert judged(run, BY_DETECTION).verdict is Verdict.PASS

    def test_an_idle_route_stops_nothing(self) -> None:
        run, messages = self.detected("backup")
        run.copy(messages[0], 15)
        finding = judged(run, BY_DETECTION)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "nothing was detected on a route that mail usually takes"

    def test_an_operator_is_not_asked(self) -> None:
        run, messages = paused()
        run.copy(messages[0], 15)
        assert judged(run, BY_DETECTION).verdict is Verdict.INCONCLUSIVE

    def test_a_signal_without_sense_right_before_hides_whether_it_was_over(self) -> None:
        run, messages = self.detected()
        run.reads("detected", None, 14, before=13.9, error="not JSON")
        run.reads("detected", True, 17, before=16.9)
        run.copy(messages[0], 15)
        finding = judged(run, BY_DETECTION)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "the signal made no sense before 1 attempt"
        run.copy(messages[1], 18)
        assert judged(run, BY_DETECTION).verdict is Verdict.FAIL


class TestInconclusive:
    def test_nobody_paused(self) -> None:
        run = Run()
        run.copy(newsletters(run)[0], 15)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason.startswith("nobody paused anything")

    def test_nothing_was_there_to_be_sent(self) -> None:
        early, late = Run(), Run()
        for each in (early, late):
            each.operator("pause", 10)
            each.operator("resume", 20)
        early.traffic(0, 9, 1, class_="marketing")
        late.traffic(20, 25, 1, class_="marketing")
        for each in (early, late):
            assert judged(each).reason == "no marketing message was there to be sent while they were paused"

    @pytest.mark.parametrize(("until", "verdict"), [(12, Verdict.INCONCLUSIVE), (12.1, Verdict.PASS)])
    def test_the_pause_was_over_before_the_grace_was(self, until: float, verdict: Verdict) -> None:
        run = Run()
        run.operator("pause", 10)
        run.operator("resume", until)
        run.copy(newsletters(run, 11)[0], 14)
        assert judged(run).verdict is verdict

    def test_what_waited_had_bounced_or_was_too_late_by_then(self) -> None:
        run = Run()
        run.operator("pause", 10)
        bounced = run.message(5, "marketing")
        run.copy(bounced, 5.1)
        run.provider_says("bounced", bounced, 5.2)
        run.message(6, "marketing", expires=12)
        assert judged(run).verdict is Verdict.INCONCLUSIVE
        run.message(6, "marketing", expires=12.1)
        assert judged(run).verdict is Verdict.PASS

    def test_a_record_is_missing(self) -> None:
        run, messages = paused()
        run.loses_record()
        run.copy(messages[0], 21)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_receipts_were_read_back(self) -> None:
        run, messages = paused()
        run.copy(messages[0], 15, observed="after")
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("finished", [False, True])
    def test_the_record_is_cut_in_a_pause(self, finished: bool) -> None:
        run = Run(finished=finished)
        run.operator("pause", 10)
        newsletters(run)
        assert judged(run).verdict is (Verdict.PASS if finished else Verdict.INCONCLUSIVE)
