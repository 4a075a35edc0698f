"""Which hand-off counts, what the clocks hide, and who is named: the borders of `fallback`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from harness.history import events as ev
from tests.checks.histories import PROVIDERS, Message, Run, check, ns, opened, span

# A message at 5 s that should arrive within 1 s is due by SMS at 9 s, and has to be out at 11 s.
ASKED: dict[str, Any] = {"after": "3s", "within": "2s", "route": "backup"}
ANY: dict[str, Any] = {"after": "3s", "within": "2s"}
DUE, UNTIL = 9.0, 11.0
NUMBER: dict[str, Any] = {"recipient": "+12025550123", "carriers": ["nonce"]}


def judged(run: Run, asked: dict[str, Any] | None = None, **more: Any) -> Finding:
    return check(run, "fallback", {**(asked or ASKED), **more})


def sms(run: Run, message: Message, at: float, result: str = "accepted", via: str = "backup") -> None:
    run.receipt(message, at, via, result, **NUMBER)


def unsure(run: Run, via: str, error: float) -> None:
    """The clock of one provider is right to so many seconds."""
    run.events.append(
        ev.ClockCalibrated(t_ns=1, source=PROVIDERS[via], when="end", offset_ns=0, error_ns=span(error))
    )


class TestTheNumbers:
    def test_of_one_of_each(self) -> None:
        run = Run()
        sms(run, run.message(5), 8.5)
        sms(run, run.message(5), DUE)
        sms(run, run.message(5), 12)
        both = run.message(5)
        sms(run, both, 10)
        run.copy(both, 30)
        run.message(5)
        run.copy(run.message(5), 10)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.numbers == {
            "due": 5,
            "in_time": 3,
            "late": 1,
            "missing": 1,
            "early": 1,
            "also_by_mail": 1,
            "by_mail_after_all": 1,
            "after_due_s_max": 3.0,
        }
        assert finding.counted == 5
        assert (
            finding.summary
            == "3 of 5 messages that mail could not carry in time went out by backup within 2 s"
        )

    def test_where_none_was_due(self) -> None:
        run = Run()
        run.traffic(0, 3, 1)
        finding = judged(run)
        assert finding.numbers == {
            "due": 0,
            "in_time": 0,
            "late": 0,
            "missing": 0,
            "early": 0,
            "also_by_mail": 0,
            "by_mail_after_all": 0,
            "after_due_s_max": None,
        }

    def test_who_was_early_was_out_as_soon_as_he_was_due(self) -> None:
        run = Run()
        sms(run, run.message(5), 8)
        assert judged(run).numbers["after_due_s_max"] == 0

    def test_of_a_message_without_a_time_to_be_there(self) -> None:
        run = Run()
        sms(run, run.message(5, "marketing"), 10)
        sms(run, run.message(5, "marketing"), 10.000000001)
        finding = judged(run, **{"class": "marketing"})
        assert (finding.numbers["in_time"], finding.numbers["late"]) == (1, 1)


class TestWhichHandOffCounts:
    def test_the_first_that_was_taken(self) -> None:
        run = Run()
        message = run.message(5)
        for at, result in ((9.5, "refused"), (10, "accepted"), (12, "accepted"), (13, "deferred")):
            sms(run, message, at, result)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["after_due_s_max"]) == (Verdict.PASS, 1.0)

    def test_no_mail_to_somebody_else_and_no_report_to_the_sender(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 10, "backup", recipient="somebody.else@customer.example")
        run.copy(message, 10, "backup", recipient="postmaster", carriers=["header"], notice="failed")
        for asked in (ASKED, ANY):
            finding = judged(run, asked)
            assert (finding.verdict, finding.numbers["missing"]) == (Verdict.FAIL, 1)
            assert finding.offenders[0].cause == "never tried"

    def test_no_probe(self) -> None:
        run = Run()
        run.copy(run.message(5), 10, "backup", canary="system", **NUMBER)
        assert judged(run).numbers["missing"] == 1

    def test_none_of_another_run_or_of_another_message(self) -> None:
        runs = [Run("one"), Run("other")]
        for run in runs:
            message = run.message(5, token="same")
            if run.name == "other":
                sms(run, message, 10)
                run.message(5, token="another")
        with opened(*runs) as history:
            one, other = (
                CHECKS["fallback"].evaluate(history, run.name, parse_params("fallback", ASKED))
                for run in runs
            )
        assert (one.numbers["due"], one.numbers["missing"]) == (1, 1)
        assert (other.numbers["due"], other.numbers["in_time"], other.numbers["missing"]) == (2, 1, 1)
        assert [each.token for each in other.offenders] == ["another"]

    def test_mail_by_the_fallbacks_own_route_is_no_other_mail(self) -> None:
        run = Run()
        run.copy(run.message(5), UNTIL + 1, "backup")
        finding = judged(run)
        assert (finding.numbers["late"], finding.numbers["also_by_mail"]) == (1, 0)


class TestWhatTheClocksHide:
    """The channel's clock is right to ± 10 ms, or the mail's is."""

    @pytest.mark.parametrize(
        ("at", "verdict"),
        [
            (UNTIL - 0.01, Verdict.PASS),
            (UNTIL - 0.009999999, Verdict.INCONCLUSIVE),
            (UNTIL + 0.01, Verdict.INCONCLUSIVE),
            (UNTIL + 0.010000001, Verdict.FAIL),
        ],
    )
    def test_whether_it_was_out_in_time(self, at: float, verdict: Verdict) -> None:
        run = Run()
        unsure(run, "backup", 0.01)
        sms(run, run.message(5), at)
        assert judged(run).verdict is verdict

    @pytest.mark.parametrize(
        ("at", "verdict", "reason"),
        [
            (DUE + 0.01, Verdict.INCONCLUSIVE, "no transactional message"),
            (DUE + 0.010000001, Verdict.INCONCLUSIVE, "no transactional message"),
            (UNTIL - 0.01, Verdict.INCONCLUSIVE, "no transactional message"),
            (UNTIL - 0.009999999, Verdict.INCONCLUSIVE, "1 message went out too close"),
            (UNTIL + 0.01, Verdict.INCONCLUSIVE, "1 message went out too close"),
            (UNTIL + 0.010000001, Verdict.FAIL, ""),
        ],
    )
    def test_whether_mail_ended_the_need(self, at: float, verdict: Verdict, reason: str) -> None:
        run = Run()
        unsure(run, "primary", 0.01)
        run.copy(run.message(5), at)
        finding = judged(run)
        assert finding.verdict is verdict
        assert finding.reason.startswith(reason)
        assert finding.numbers["by_mail_after_all"] == (DUE + 0.01 < at <= UNTIL - 0.01)

    def test_only_the_clock_of_the_hand_off_that_counts(self) -> None:
        """Of two channels, before and after which the other one was tried."""
        run = Run()
        unsure(run, "backup", 5)
        message = run.message(5)
        sms(run, message, 9.5, "refused", via="backup")
        sms(run, message, 10, via="primary")
        sms(run, message, 10.5, via="backup")
        assert judged(run, ANY).verdict is Verdict.PASS

    def test_the_channels_clock_only_where_it_was_used(self) -> None:
        run = Run()
        unsure(run, "backup", 5)
        run.message(5)
        run.copy(run.message(5), UNTIL)
        finding = judged(run)
        assert (finding.numbers["missing"], finding.numbers["by_mail_after_all"]) == (1, 1)


class TestWhatEndsTheNeed:
    """Within the time in which the fallback had to be out; a moment later it is missing."""

    @pytest.mark.parametrize(("at", "missing"), [(UNTIL, 0), (UNTIL + 0.001, 1)])
    @pytest.mark.parametrize("what", ["mail", "expiry", "bounce", "hold"])
    def test_in_time_and_a_moment_later(self, what: str, at: float, missing: int) -> None:
        run = Run()
        message = run.message(5, expires=at if what == "expiry" else None)
        if what == "mail":
            run.copy(message, at)
        elif what == "bounce":
            run.copy(message, at)
            run.provider_says("bounced", message, 50)
        elif what == "hold":
            run.receipt(message, 5.1, result="ack-lost")
            run.provider_says("dropped", message, 5.2)
            run.says(message, "pending", 6)
            run.says(message, "held", at)
        finding = judged(run)
        assert finding.numbers["missing"] == missing
        assert finding.numbers["by_mail_after_all"] == 1 - missing

    def test_the_first_of_several(self) -> None:
        run = Run()
        run.copy(run.message(5, expires=10), 40)
        run.copy(run.message(5, expires=40), 10)
        finding = judged(run)
        assert (finding.numbers["by_mail_after_all"], finding.numbers["missing"]) == (2, 0)


class TestTheEndOfTheRecord:
    @pytest.mark.parametrize(("ends", "missing"), [(UNTIL - 0.001, 0), (UNTIL, 1)])
    def test_one_that_could_still_have_gone_out_is_open(self, ends: float, missing: int) -> None:
        run = Run(ends=ends)
        run.message(5)
        finding = judged(run)
        assert finding.verdict is (Verdict.FAIL if missing else Verdict.INCONCLUSIVE)
        assert (finding.numbers["missing"], finding.counted) == (missing, 1)

    @pytest.mark.parametrize(("ends", "due"), [(DUE, 0), (DUE + 0.001, 1)])
    def test_one_that_was_due_only_then_was_not(self, ends: float, due: int) -> None:
        run = Run(ends=ends)
        run.message(5)
        assert judged(run).counted == due


class TestOffenders:
    def test_are_those_that_never_went_out_then_the_latest(self) -> None:
        run = Run()
        late = [run.message(5) for _ in range(3)]
        for message, at in zip(late, (12, 14, 13), strict=True):
            sms(run, message, at)
        missing = [run.message(7), run.message(6), run.message(5, offered=6.5)]
        sms(run, missing[0], 10, "refused")
        sms(run, missing[0], 11, "deferred")
        finding = judged(run)
        expected = [*(missing[i] for i in (1, 2, 0)), *(late[i] for i in (1, 2, 0))]
        assert [each.token for each in finding.offenders] == [each.token for each in expected]
        assert [each.recipient for each in finding.offenders] == [each.recipient for each in expected]
        assert [(each.why, each.cause) for each in finding.offenders] == [
            ("neither by mail nor by backup 6.0 s after it was offered", "never tried"),
            ("neither by mail nor by backup 6.0 s after it was offered", "never tried"),
            ("2 attempts by backup, and none was taken", "tried in vain"),
            ("out by backup 3.000 s too late", "too late"),
            ("out by backup 2.000 s too late", "too late"),
            ("out by backup 1.000 s too late", "too late"),
        ]

    def test_that_are_alike_come_by_when_they_were_offered_and_then_by_token(self) -> None:
        run = Run()
        for number in range(11, 0, -1):
            run.message(5, token=f"alike-{number:02}")
        run.message(4.5, token="z-early")
        named = [each.token for each in judged(run).offenders]
        assert named == ["z-early", *(f"alike-{number:02}" for number in range(1, 10))]

    def test_that_were_as_late_come_by_when_they_were_offered(self) -> None:
        run = Run()
        for token, at in (("a", 6.0), ("c", 5.0), ("b", 5.0), ("z", 4.0)):
            sms(run, run.message(at, token=token), at + UNTIL - 5 + 1)
        assert [each.token for each in judged(run).offenders] == ["z", "b", "c", "a"]

    def test_went_out_by_the_route_of_the_first_attempt_where_any_will_do(self) -> None:
        """Whose answer was held back, so that it is recorded last."""
        run = Run()
        message, tried = run.message(5), run.message(6)
        sms(run, message, 12, via="primary")
        run.events[-1] = msgspec.structs.replace(run.events[-1], t_ns=ns(20))
        sms(run, message, 13)
        sms(run, tried, 10, "refused", via="backup")
        sms(run, tried, 11, "refused", via="primary")
        run.message(7)
        assert [each.why for each in judged(run, ANY).offenders] == [
            "2 attempts by backup, and none was taken",
            "neither by mail nor by another channel 6.0 s after it was offered",
            "out by primary 1.000 s too late",
        ]

    def test_went_out_by_the_route_that_took_it_and_not_by_one_that_refused_it(self) -> None:
        run = Run()
        message = run.message(5)
        sms(run, message, 9.5, "refused", via="primary")
        sms(run, message, 12, via="backup")
        assert [each.why for each in judged(run, ANY).offenders] == ["out by backup 1.000 s too late"]

    def test_are_only_the_late_ones_where_records_are_missing(self) -> None:
        run = Run()
        run.message(5)
        late = run.message(5)
        run.loses_record("backup")
        sms(run, late, 12)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert [each.token for each in finding.offenders] == [late.token]


def test_times_that_were_read_back_contradict_nothing() -> None:
    run = Run()
    message = run.message(5)
    run.copy(message, 12, "backup", observed="after", **NUMBER)
    finding = judged(run)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.reason == "receipts of backup have no exact times"


@pytest.mark.parametrize("params", [{"within": "0s"}, {"class_": "marketing", "unknown": 1}])
def test_parameters_that_make_no_sense_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Params"):
        judged(Run(), **params)


def test_the_shortest_time_is_a_time() -> None:
    run = Run()
    sms(run, run.message(5), DUE)
    assert judged(run, within="0.000001ms").numbers["in_time"] == 1


def test_the_class_is_the_one_that_is_named() -> None:
    run = Run()
    sms(run, run.message(5, "marketing"), 10)
    assert judged(run, **{"class": "marketing"}).counted == 1
