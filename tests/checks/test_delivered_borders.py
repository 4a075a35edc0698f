"""What each fate is called and counts for, how much may be open, and who is named first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.checks.finding import Verdict
from tests.checks.deliveries import by_sms, given_back, held, judged, perhaps_stale, stale
from tests.checks.histories import Run

NS = 1e-9
NOTHING = {
    "messages": 0,
    "arrived": 0,
    "by_fallback": 0,
    "lost": 0,
    "missing": 0,
    "undelivered": 0,
    "returned": 0,
    "held": 0,
    "stale": 0,
    "bounced": 0,
    "suppressed": 0,
    "expired": 0,
    "unknown": 0,
    "quiet": "yes",
}


class TestTheNumbers:
    def test_of_nothing_are_all_nought(self) -> None:
        finding = judged(Run())
        assert (finding.verdict, finding.counted) == (Verdict.INCONCLUSIVE, 0)
        assert finding.numbers == NOTHING

    def test_of_what_arrived_alone(self) -> None:
        run = Run()
        run.traffic(0, 10, 0.5)
        finding = judged(run)
        assert finding.numbers == {**NOTHING, "messages": 20, "arrived": 20}
        assert finding.error == "clocks were not calibrated or agree exactly (only expiries are timed)"
        assert finding.offenders == []

    def test_of_what_never_arrived_alone(self) -> None:
        run = Run()
        run.message(5)
        finding = judged(run)
        assert finding.numbers == {**NOTHING, "messages": 1, "lost": 1, "missing": 1}

    def test_tell_each_fate_apart(self) -> None:
        run = Run()
        run.traffic(0, 5, 0.5)
        by_sms(run, run.message(6), 6.1)
        bounced = run.message(7)
        run.copy(bounced, 7.1)
        run.provider_says("bounced", bounced, 7.5)
        run.says(run.message(8), "suppressed", 9)
        run.says(run.message(8, expires=9), "expired", 10)
        held(run, 9)
        run.message(10, result="indeterminate")
        finding = judged(run, {"at_least": "90%", "held_at_most": "10%"})
        assert finding.verdict is Verdict.PASS
        assert finding.numbers == {
            **NOTHING,
            "messages": 16,
            "arrived": 10,
            "by_fallback": 1,
            "bounced": 1,
            "suppressed": 1,
            "expired": 1,
            "held": 1,
            "unknown": 1,
        }
        assert finding.summary == (
            "0 of 16 messages were lost "
            "(1 by fallback, 1 bounced, 1 suppressed, 1 expired, 1 held, 1 unknown)"
        )

    def test_tell_each_failure_apart(self) -> None:
        run = Run()
        run.traffic(0, 5, 0.5)
        run.message(6)
        run.message(6, result="refused")
        given_back(run, 7)
        stale(run, 8)
        perhaps_stale(run, 20)
        held(run, 30)
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert finding.numbers == {
            **NOTHING,
            "messages": 16,
            "arrived": 12,
            "lost": 1,
            "missing": 1,
            "undelivered": 1,
            "returned": 1,
            "stale": 1,
            "held": 1,
        }
        assert finding.summary == (
            "1 of 16 messages were lost, the system refused 1 to the end, "
            "1 were given back to their sender, 1 arrived after their expiry, "
            "1 are held without a copy, more than allowed"
        )
        assert [(each.cause, each.why) for each in finding.offenders] == [
            ("never attempted", "accepted by the system, and no provider ever took it"),
            ("undelivered", "the system refused it to the end"),
            ("returned", "the system gave it up, and told its sender so"),
            ("stale", "arrived after it had expired"),
            ("held", "held, because of: body aborted"),
        ]

    def test_call_missing_what_may_still_come(self) -> None:
        run = Run(longest_retry="60s")
        run.copy(run.message(5), 50)
        run.message(6)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.numbers == {**NOTHING, "messages": 2, "arrived": 1, "missing": 1, "quiet": "no"}
        assert finding.summary == "1 of 2 messages are missing"

    def test_leave_the_baseline_out(self) -> None:
        run = Run()
        run.copy(run.message(5), 5.1)
        run.message(-5, baseline=True)
        assert judged(run).numbers == {**NOTHING, "messages": 1, "arrived": 1}


class TestWhatMayBeOpen:
    """Of a hundred messages one may be missing, held or in doubt."""

    def run(self, *more: str) -> Run:
        run = Run()
        run.traffic(0, 10, 10 / (100 - len(more)))
        for number, what in enumerate(more):
            at = 20 + 10 * number
            match what:
                case "unknown":
                    run.message(at, result="indeterminate")
                case "perhaps stale":
                    perhaps_stale(run, at)
                case "missing":
                    run.message(at)
                case "undelivered":
                    run.message(at, result="refused")
                case "returned":
                    given_back(run, at)
                case "stale":
                    stale(run, at)
        return run

    @pytest.mark.parametrize("what", ["unknown", "perhaps stale"])
    def test_one_in_doubt_is_a_pass_and_two_prove_nothing(self, what: str) -> None:
        finding = judged(self.run(what), {"at_least": "99%"})
        assert (finding.verdict, finding.reason, finding.counted) == (Verdict.PASS, "", 100)
        finding = judged(self.run(what, what), {"at_least": "99%"})
        assert (finding.verdict, finding.counted) == (Verdict.INCONCLUSIVE, 100)
        assert (
            finding.reason
            == {
                "unknown": "2 messages got no clear answer from the system",
                "perhaps stale": "2 messages arrived too close to the expiry to tell, "
                "or had been offered too late",
            }[what]
        )

    def test_doubts_of_both_kinds_add_up_and_are_both_told(self) -> None:
        finding = judged(self.run("unknown", "perhaps stale"), {"at_least": "99%"})
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == (
            "1 message got no clear answer from the system; "
            "1 message arrived too close to the expiry to tell, or had been offered too late"
        )

    def test_nothing_missing_is_no_doubt_however_restless_the_end(self) -> None:
        run = Run(longest_retry="60s")
        run.message(5, result="indeterminate")
        run.copy(run.message(6), 90)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "1 message got no clear answer from the system"

    @pytest.mark.parametrize("bad", ["missing", "undelivered", "returned", "stale"])
    def test_one_failure_is_a_pass_with_a_doubt_it_proves_nothing_and_two_are_a_fail(self, bad: str) -> None:
        for more, verdict in (
            ([], Verdict.PASS),
            (["unknown"], Verdict.INCONCLUSIVE),
            ([bad], Verdict.FAIL),
        ):
            assert judged(self.run(bad, *more), {"at_least": "99%"}).verdict is verdict

    def test_what_may_still_come_counts_as_a_doubt(self) -> None:
        for more, verdict, reason in (
            ([], Verdict.PASS, ""),
            (
                ["missing"],
                Verdict.INCONCLUSIVE,
                "2 messages are missing, but 1 record is missing from m365",
            ),
        ):
            run = self.run("missing", *more)
            run.loses_record()
            run.receipt(None, 12, recipient="probe@canary.example")
            finding = judged(run, {"at_least": "99%"})
            assert finding.numbers["lost"] == 0
            if verdict is Verdict.INCONCLUSIVE:
                assert (finding.verdict, finding.reason) == (verdict, reason)
            else:
                assert finding.verdict is verdict

    def test_holds_are_no_losses_and_have_a_share_of_their_own(self) -> None:
        for count, share, verdict in (
            (2, "2%", Verdict.PASS),
            (2, "1.9%", Verdict.FAIL),
            (0, "0%", Verdict.PASS),
        ):
            run = Run()
            run.traffic(0, 10, 10 / (100 - count))
            for number in range(count):
                held(run, 20 + number)
            finding = judged(run, {"held_at_most": share})
            assert (finding.verdict, finding.numbers["held"]) == (verdict, count)


class TestWhichFateComesFirst:
    def fate(self, run: Run) -> str:
        numbers = judged(run).numbers
        (fate,) = [
            name for name, count in numbers.items() if count == 1 and name not in ("messages", "missing")
        ]
        return fate

    def test_a_copy_before_all_else(self) -> None:
        run = Run()
        message = run.message(5, result="refused", expires=20)
        run.copy(message, 6)
        run.copy(message, 6.5, "backup")
        run.provider_says("bounced", message, 7)
        run.says(message, "suppressed", 8)
        assert self.fate(run) == "arrived"

    def test_a_bounce_before_a_refusal_and_a_refusal_before_what_the_system_says(self) -> None:
        run = Run()
        message = run.message(5, result="refused")
        run.copy(message, 6)
        run.provider_says("bounced", message, 7)
        run.says(message, "suppressed", 8)
        assert self.fate(run) == "bounced"
        run = Run()
        run.says(run.message(5, result="refused", expires=10), "suppressed", 8)
        assert self.fate(run) == "undelivered"

    def test_a_suppression_before_an_expiry_and_an_expiry_before_a_notice(self) -> None:
        run = Run()
        run.says(run.message(5, expires=10), "suppressed", 8)
        assert self.fate(run) == "suppressed"
        run = Run()
        message = run.message(5, expires=10)
        run.receipt(message, 11, recipient="sender@firm.example", notice="failed")
        assert self.fate(run) == "expired"

    def test_a_notice_before_a_hold_and_a_hold_before_an_answer_that_was_not_clear(self) -> None:
        run = Run()
        message = held(run, 5)
        run.receipt(message, 11, recipient="sender@firm.example", notice="failed")
        assert self.fate(run) == "returned"
        run = Run()
        message = run.message(5, result="indeterminate")
        run.receipt(message, 6, "primary", "aborted")
        run.says(message, "held", 7)
        assert self.fate(run) == "held"

    def test_an_sms_that_came_too_late_before_a_bounce(self) -> None:
        run = Run()
        message = run.message(5, expires=10)
        run.copy(message, 6)
        run.provider_says("bounced", message, 7)
        by_sms(run, message, 11)
        finding = judged(run)
        assert (finding.numbers["stale"], finding.numbers["bounced"]) == (1, 0)

    @pytest.mark.parametrize(("expires", "fate"), [(100, "expired"), (100 + NS, "lost")])
    def test_it_expired_by_the_very_end_of_the_record(self, expires: float, fate: str) -> None:
        run = Run(ends=100)
        run.message(5, expires=expires)
        assert self.fate(run) == fate


class TestWhoIsNamed:
    def test_what_is_missing_first_then_what_was_accepted_first_then_by_token(self) -> None:
        run = Run()
        second = stale(run, 5)
        first = stale(run, 4)
        late = run.message(30)
        twin = run.message(20, token="z" * 16)
        early = run.message(20, token="a" * 16)
        back = given_back(run, 3)
        assert [each.token for each in judged(run).offenders] == [
            each.token for each in (early, twin, late, back, first, second)
        ]

    def test_no_more_than_ten_and_each_with_its_recipient(self) -> None:
        run = Run()
        messages = [
            run.message(5 + number, recipient=f"Anna.{number}@customer.example") for number in range(12)
        ]
        finding = judged(run)
        assert [(each.token, each.recipient) for each in finding.offenders] == [
            (message.token, message.recipient) for message in messages[:10]
        ]
        assert finding.numbers["lost"] == 12

    def test_no_one_who_is_held_within_the_limit(self) -> None:
        run = Run()
        held(run, 5)
        run.message(20)
        finding = judged(run, {"held_at_most": "50%"})
        assert [each.cause for each in finding.offenders] == ["never attempted"]

    def test_with_what_became_of_it(self) -> None:
        run = Run()
        run.says(run.message(5), "pending", 6)
        dropped = run.message(7)
        run.copy(dropped, 8)
        run.provider_says("dropped", dropped, 9)
        run.says(dropped, "held", 9)
        known = run.message(9)
        run.receipt(known, 9.5, "primary", "deferred")
        run.says(known, "held", 10)
        tried = run.message(11)
        run.receipt(tried, 11.5, "primary", "deferred")
        run.message(13)
        finding = judged(run)
        never = "accepted by the system, and no provider ever took it"
        assert [(each.cause, each.why) for each in finding.offenders] == [
            ("never attempted", f"{never}; the system says it is pending"),
            ("dropped by the provider", f"{never}; the system says it is held"),
            ("held though its fate is known", f"{never}; the system says it is held"),
            ("attempted without success", never),
            ("never attempted", never),
        ]

    @pytest.mark.parametrize(
        ("accepted", "cause"),
        [
            (20 - NS, "never attempted, accepted before a restart"),
            (20, "never attempted"),
            (30, "never attempted"),
        ],
    )
    def test_with_a_restart_after_it_was_accepted(self, accepted: float, cause: str) -> None:
        run = Run()
        run.restart(20, 21)
        run.message(accepted)
        assert [each.cause for each in judged(run).offenders] == [cause]

    def test_with_no_restart_where_it_was_tried(self) -> None:
        run = Run()
        message = run.message(5)
        run.receipt(message, 5.5, "primary", "deferred")
        run.restart(20, 21)
        assert [each.cause for each in judged(run).offenders] == ["attempted without success"]

    def test_an_sms_that_was_dropped_leaves_it_untried_by_mail(self) -> None:
        run = Run()
        message = run.message(5)
        by_sms(run, message, 6)
        run.provider_says("dropped", replace(message, recipient="+12025550123"), 7, "backup")
        assert [each.cause for each in judged(run).offenders] == ["never attempted"]
