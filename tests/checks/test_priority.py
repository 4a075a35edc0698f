"""While a backlog is replayed, receipts go first: those that waited, and those that come in."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check


def judged(run: Run, params: Any = "transactional") -> Finding:
    return check(run, "priority", params)


def outage(receipts: int = 3, newsletters: int = 10, **more: Any) -> tuple[Run, list[Message], list[Message]]:
    """From 10 to 20 s, of the only route: receipts and newsletters that were due at 12 s wait for its end."""
    run = Run(**more)
    run.fault(10, 20)
    run.detects(11, until=21)
    waiting = [run.message(12) for _ in range(receipts)]
    return run, waiting, [run.message(12, "marketing") for _ in range(newsletters)]


def begins(run: Run, message: Message, at: float, via: str = "primary") -> None:
    """An attempt that begins then, and is accepted."""
    run.copy(message, at + 0.01, via, took=0.01)


def in_turn(run: Run, messages: list[Message], since: float, every: float = 0.5) -> None:
    for number, message in enumerate(messages):
        begins(run, message, since + number * every)


class TestWhatWaited:
    def test_first_is_a_pass(self) -> None:
        run, waiting, backlog = outage()
        in_turn(run, waiting, 21)
        in_turn(run, backlog, 22.5)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        numbers = finding.numbers
        assert (numbers["replays"], numbers["backlog"], numbers["judged"], numbers["passed"]) == (1, 10, 3, 0)

    def test_last_is_a_fail_that_counts_who_went_first(self) -> None:
        run, waiting, backlog = outage()
        in_turn(run, backlog, 21)
        in_turn(run, waiting, 30)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert (finding.numbers["passed"], finding.numbers["passed_by_most"]) == (3, 10)
        assert finding.summary == "3 of 3 transactional messages were passed by a backlog of marketing"
        assert finding.offenders[0].why == (
            "waited 11.000 s for its turn after release 1, while 10 messages of marketing went first"
        )

    @pytest.mark.parametrize(("after", "verdict"), [(0.25, Verdict.PASS), (0.251, Verdict.FAIL)])
    def test_what_begins_about_the_same_time_has_no_order(self, after: float, verdict: Verdict) -> None:
        run, waiting, backlog = outage(1, 2)
        begins(run, backlog[0], 21)
        begins(run, waiting[0], 21 + after)
        begins(run, backlog[1], 30)
        assert judged(run).verdict is verdict

    def test_equal_times_are_in_order(self) -> None:
        run, waiting, backlog = outage(1, 1)
        begins(run, waiting[0], 21)
        begins(run, backlog[0], 21)
        assert judged(run).verdict is Verdict.PASS
        assert judged(run, {"grace": "0s"}).verdict is Verdict.PASS

    @pytest.mark.parametrize(("begin", "verdict"), [(20.25, Verdict.PASS), (20.251, Verdict.FAIL)])
    def test_what_was_under_way_at_the_release_passed_nobody(self, begin: float, verdict: Verdict) -> None:
        run, waiting, backlog = outage(1, 2)
        begins(run, backlog[0], begin)
        begins(run, waiting[0], 22)
        begins(run, backlog[1], 30)
        assert judged(run).verdict is verdict

    def test_who_had_his_turn_and_was_refused_is_not_passed(self) -> None:
        run, waiting, backlog = outage(1)
        run.receipt(waiting[0], 21, "primary", "deferred")
        in_turn(run, backlog, 21.5)
        begins(run, waiting[0], 24)
        assert judged(run).verdict is Verdict.PASS

    def test_attempts_before_the_release_were_no_turn(self) -> None:
        run, waiting, backlog = outage(1)
        run.receipt(waiting[0], 15, "primary", "deferred")
        in_turn(run, backlog, 21)
        begins(run, waiting[0], 25)
        assert judged(run).verdict is Verdict.FAIL

    def test_nor_is_who_waits_because_his_fate_is_not_known(self) -> None:
        run, waiting, backlog = outage(2)
        run.receipt(waiting[0], 13, "primary", "aborted")
        begins(run, waiting[1], 21)
        in_turn(run, backlog, 21.5)
        begins(run, waiting[0], 30)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["judged"]) == (Verdict.PASS, 1)


class TestWhatComesIn:
    def replay(self, **more: Any) -> tuple[Run, list[Message]]:
        """Newsletters leave every half second from 21 s to 25.5 s; receipts never had to wait."""
        run, _, backlog = outage(0, **more)
        in_turn(run, backlog, 21)
        return run, backlog

    def test_goes_first_too(self) -> None:
        run, _ = self.replay()
        for at in (22.1, 23.1):
            begins(run, run.message(at), at + 0.2)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["judged"]) == (Verdict.PASS, 2)

    def test_may_have_had_its_turn_before_the_driver_knew_that_it_was_accepted(self) -> None:
        run, _ = self.replay()
        quick = run.message(22.1, result=None)
        begins(run, quick, 22.2)
        run.answer(quick, 22.7, "accepted")
        finding = judged(run)
        assert (finding.verdict, finding.numbers["judged"]) == (Verdict.PASS, 1)
        assert finding.numbers["first_wait_s_p95"] == 0

    def test_is_not_starved(self) -> None:
        run, _ = self.replay()
        starved = run.message(22.1)
        begins(run, starved, 26)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.offenders[0].token == starved.token
        assert "while 7 messages of marketing went first" in finding.offenders[0].why

    def test_a_longer_grace_lets_what_was_begun_end(self) -> None:
        run, _ = self.replay()
        begins(run, run.message(22.1), 24)
        assert judged(run).verdict is Verdict.FAIL
        assert judged(run, {"grace": "1s"}).verdict is Verdict.PASS

    def test_what_comes_before_or_after_the_replay_is_not_looked_at(self) -> None:
        run, _ = self.replay()
        begins(run, run.message(5), 5.1)
        begins(run, run.message(26), 40)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    def test_mail_of_the_later_class_that_never_waited_passes_nobody(self) -> None:
        run, _ = self.replay()
        begins(run, run.message(23.1), 24.2)
        begins(run, run.message(23.2, "marketing"), 23.7)
        assert judged(run).numbers["passed_by_most"] == 1  # of the backlog, at 23.5 s

    def test_a_delay_that_a_fault_puts_on_the_way_is_allowed_for(self) -> None:
        run, _ = self.replay()
        run.fault(20.5, 40, "latency", "backup", attributes={"latency": 1000})
        begins(run, run.message(22.1), 23.6, "backup")
        assert judged(run).verdict is Verdict.PASS
        begins(run, run.message(22.1), 25.5, "backup")
        assert judged(run).verdict is Verdict.FAIL


HALF = {"ratio": 0.5}


class TestRatio:
    def test_of_the_waits(self) -> None:
        run, waiting, backlog = outage(1, 1)
        begins(run, waiting[0], 25)  # 5 s
        begins(run, backlog[0], 30)  # 10 s
        finding = judged(run, HALF)
        assert (finding.verdict, finding.numbers["ratio"]) == (Verdict.PASS, 0.5)
        assert (
            finding.summary
            == "transactional waited 0.50 times as long as a backlog of marketing, 0.5 allowed"
        )

    def test_above_it_is_a_fail(self) -> None:
        run, waiting, backlog = outage(1, 1)
        begins(run, waiting[0], 25.01)
        begins(run, backlog[0], 30)
        finding = judged(run, HALF)
        assert finding.verdict is Verdict.FAIL
        assert finding.offenders[0].subject == "release 1 (fault off)"

    def test_the_slowest_twentieth_does_not_count(self) -> None:
        run, waiting, backlog = outage(20, 1)
        in_turn(run, waiting[1:], 20.1, 0.01)
        begins(run, backlog[0], 30)
        begins(run, waiting[0], 60)
        assert judged(run, HALF).verdict is Verdict.PASS

    def test_some_of_the_backlog_may_go_first(self) -> None:
        run, waiting, backlog = outage()
        begins(run, backlog[0], 21)
        in_turn(run, waiting, 22)
        in_turn(run, backlog[1:], 24)
        assert judged(run).verdict is Verdict.FAIL
        assert judged(run, HALF).verdict is Verdict.PASS

    @pytest.mark.parametrize(
        ("begin", "verdict"), [(23, Verdict.PASS), (25, Verdict.INCONCLUSIVE), (27, Verdict.FAIL)]
    )
    def test_a_clock_error_that_spans_it_is_inconclusive(self, begin: float, verdict: Verdict) -> None:
        run, waiting, backlog = outage(1, 1, clock_error=0.2)
        begins(run, waiting[0], begin)
        begins(run, backlog[0], 30)
        assert judged(run, HALF).verdict is verdict


def test_the_classes_can_be_named() -> None:
    run, waiting, _ = outage(3, 0)
    digests = [run.message(12, "digest") for _ in range(5)]
    in_turn(run, digests, 21)
    in_turn(run, waiting, 22)
    assert judged(run).verdict is Verdict.INCONCLUSIVE
    assert judged(run, {"first": "transactional", "then": "digest"}).verdict is Verdict.FAIL


def test_each_release_has_its_own_replay() -> None:
    run, waiting, backlog = outage(1, 4)
    run.operator("approve", 30)
    begins(run, waiting[0], 21)
    in_turn(run, backlog, 31)
    late = run.message(31.2)
    begins(run, late, 33)
    finding = judged(run)
    assert finding.verdict is Verdict.FAIL
    assert [each.token for each in finding.offenders] == [late.token]
    assert "after release 2" in finding.offenders[0].why


class TestInconclusive:
    def test_no_release(self) -> None:
        run = Run()
        run.traffic(0, 10, 1)
        assert judged(run).reason.startswith("there was no release")

    def test_no_backlog(self) -> None:
        run, waiting, _ = outage(3, 0)
        in_turn(run, waiting, 21)
        assert judged(run).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize("params", ["transactional", {"ratio": 0.5}])
    def test_nobody_to_go_first(self, params: Any) -> None:
        run, _, backlog = outage(0)
        in_turn(run, backlog, 21)
        assert judged(run, params).verdict is Verdict.INCONCLUSIVE

    @pytest.mark.parametrize(
        ("after", "verdict"), [(0.04, Verdict.PASS), (0.3, Verdict.INCONCLUSIVE), (0.46, Verdict.FAIL)]
    )
    def test_a_clock_error_that_hides_the_order(self, after: float, verdict: Verdict) -> None:
        run, waiting, backlog = outage(1, 2, clock_error=0.1)
        begins(run, backlog[0], 21)
        begins(run, waiting[0], 21 + after)
        begins(run, backlog[1], 30)
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize("spoilt", ["gap", "read back"])
    def test_a_record_that_cannot_tell(self, spoilt: str) -> None:
        run, waiting, backlog = outage()
        in_turn(run, waiting, 21)
        if spoilt == "gap":
            run.loses_record()
        in_turn(run, backlog[1:], 23)
        if spoilt == "read back":
            run.copy(backlog[0], 30, observed="after")
        assert judged(run).verdict is Verdict.INCONCLUSIVE
