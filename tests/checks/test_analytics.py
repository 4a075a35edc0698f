"""Analytics: which of a provider's events the system knows of in the end, and by whose word."""

from __future__ import annotations

from typing import Any

import pytest

from harness.checks.finding import Finding, Verdict
from harness.history.events import HarnessWarning
from tests.checks.histories import Message, Run, check

END = 99.0


def judged(run: Run, params: Any = "all") -> Finding:
    return check(run, "analytics", params)


def told(
    run: Run, at: float, webhook: str = "delivered", *, event: str = "delivered", through: float = 1
) -> Message:
    """A message that arrives, and an event of it that gets through, or is given up, so much later."""
    message = run.message(at)
    run.copy(message, at + 0.1)
    run.provider_says(event, message, at + 0.1 + through, webhook=webhook, delay=through)
    return message


class TestByTheProvidersWord:
    def test_events_that_came_at_once_or_late_are_a_pass(self) -> None:
        run = Run()
        for at in range(5):
            told(run, at)
            told(run, at, "late", through=9)
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert (finding.counted, finding.numbers["late"], finding.numbers["missing"]) == (10, 5, 0)
        assert finding.numbers["judged_by"] == "answers"
        assert "by the provider's word alone" in finding.summary

    @pytest.mark.parametrize(
        ("allowed", "verdict"), [(2, Verdict.PASS), (1, Verdict.FAIL), (0, Verdict.FAIL)]
    )
    def test_as_many_lost_as_allowed_is_a_pass_and_one_more_a_fail(
        self, allowed: int, verdict: Verdict
    ) -> None:
        run = Run()
        told(run, 1)
        told(run, 2, "lost", through=20)
        told(run, 3, "lost", through=30)
        finding = judged(run, {"at_most_lost": allowed})
        assert finding.verdict is verdict
        assert finding.numbers["lost_on_their_way"] == 2

    def test_an_offender_says_what_was_given_up_and_when(self) -> None:
        run = Run()
        message = told(run, 2, "lost", through=20, event="bounced")
        (offender,) = judged(run).offenders
        assert offender.token == message.token
        assert offender.why == "the system never knew that it was bounced on primary: given up after 20.0 s"
        assert offender.cause == "bounced, lost"

    def test_an_event_that_one_time_got_through_and_another_did_not_is_lost(self) -> None:
        run = Run()
        message = told(run, 2, event="deferred")
        run.provider_says("deferred", message, 9, webhook="lost", delay=5)
        assert judged(run).numbers["missing"] == 1

    def test_only_the_kinds_that_were_asked_for_count(self) -> None:
        run = Run()
        told(run, 1)
        told(run, 2, "lost", event="processed")
        finding = judged(run, {"events": ["delivered", "bounced"]})
        assert (finding.verdict, finding.counted) == (Verdict.PASS, 1)


class TestByTheSystemsStates:
    def test_what_the_states_name_was_reached_however_it_came(self) -> None:
        run = Run()
        for webhook in ("delivered", "late", "lost"):
            run.says(told(run, 5, webhook), "sent", END, ["delivered"])
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert (finding.counted, finding.numbers["judged_by"]) == (3, "states")

    def test_what_was_answered_and_thrown_away_is_a_fail(self) -> None:
        run = Run()
        run.says(told(run, 5), "sent", END, ["processed", "delivered"])
        gone = told(run, 6, "late", through=5)
        run.says(gone, "sent", END, ["processed"])
        finding = judged(run)
        assert finding.verdict is Verdict.FAIL
        assert (finding.numbers["thrown_away"], finding.numbers["lost_on_their_way"]) == (1, 0)
        assert finding.offenders[0].token == gone.token
        assert "5.0 s after it happened, and said yes" in finding.offenders[0].why

    def test_what_never_came_is_lost_and_not_thrown_away(self) -> None:
        run = Run()
        run.says(told(run, 5, "lost"), "sent", END, [])
        numbers = judged(run).numbers
        assert (numbers["thrown_away"], numbers["lost_on_their_way"]) == (0, 1)

    def test_one_kind_of_event_is_not_another(self) -> None:
        run = Run()
        message = told(run, 5)
        run.provider_says("complained", message, 9, webhook="delivered")
        run.says(message, "sent", END, ["delivered"])
        assert judged(run).numbers["missing"] == 1

    def test_the_providers_own_word_for_taking_a_message_is_not_asked_for(self) -> None:
        run = Run()
        message = told(run, 5)
        run.provider_says("queued", message, 6, webhook="delivered")
        run.says(message, "sent", END, ["processed", "delivered"])
        finding = judged(run)
        assert (finding.verdict, finding.counted) == (Verdict.PASS, 1)

    @pytest.mark.parametrize(("event", "known"), [("bounced", True), ("delivered", False)])
    def test_a_soft_bounce_may_be_known_as_a_deferral(self, event: str, known: bool) -> None:
        run = Run()
        run.says(told(run, 5, event=event), "sent", END, ["deferred"])
        assert judged(run).verdict is (Verdict.PASS if known else Verdict.FAIL)

    def test_only_the_last_word_counts(self) -> None:
        run = Run()
        message = told(run, 5)
        run.says(message, "sent", 6, [])
        run.says(message, "sent", END, ["delivered"])
        assert judged(run).verdict is Verdict.PASS

    def test_an_event_that_came_after_the_reading_may_be_known_by_now(self) -> None:
        run = Run()
        message = told(run, 5, through=10)
        run.says(message, "sent", 15, [])
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "1 event came through after the states had been read" in finding.reason

    def test_one_at_the_very_moment_of_the_reading_was_told(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 5.1)
        run.provider_says("delivered", message, 15, webhook="delivered")
        run.says(message, "sent", 15, [])
        assert judged(run).numbers["thrown_away"] == 1

    def test_messages_that_the_states_do_not_speak_of_leave_it_open(self) -> None:
        run = Run()
        run.says(told(run, 5), "sent", END, ["delivered"])
        told(run, 6)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "say nothing of 1 event" in finding.reason
        assert judged(run, {"at_most_lost": 1}).verdict is Verdict.PASS


class TestByACount:
    @pytest.mark.parametrize(("seen", "verdict"), [(3, Verdict.PASS), (4, Verdict.PASS), (2, Verdict.FAIL)])
    def test_the_system_must_have_counted_as_many(self, seen: int, verdict: Verdict) -> None:
        run = Run()
        for at in (1, 2, 3):
            told(run, at)
        run.reads("events_seen", 0, 0, None)
        run.reads("events_seen", seen, END, None, before=END - 1)
        finding = judged(run)
        assert finding.verdict is verdict
        assert (finding.numbers["judged_by"], finding.numbers["missing"]) == ("signal", max(0, 3 - seen))

    def test_events_of_the_baseline_are_in_its_count(self) -> None:
        run = Run()
        early = run.message(-5, baseline=True)
        run.provider_says("delivered", early, -4, webhook="delivered")
        told(run, 1)
        run.reads("events_seen", 1, END, None)
        assert judged(run).numbers["missing"] == 1

    def test_one_that_was_lost_on_its_way_is_missing_once(self) -> None:
        run = Run()
        told(run, 1)
        told(run, 2, "lost")
        run.reads("events_seen", 1, END, None)
        numbers = judged(run).numbers
        assert (numbers["lost_on_their_way"], numbers["thrown_away"]) == (1, 0)

    def test_one_that_was_lost_on_its_way_and_asked_for_later_is_counted(self) -> None:
        run = Run()
        told(run, 1)
        told(run, 2, "lost")
        run.reads("events_seen", 2, END, None)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["missing"], finding.offenders) == (Verdict.PASS, 0, [])

    @pytest.mark.parametrize(
        ("seen", "verdict", "missing"),
        [(3, Verdict.PASS, 0), (2, Verdict.INCONCLUSIVE, 0), (1, Verdict.FAIL, 1)],
    )
    def test_what_is_short_may_be_of_a_kind_that_was_not_asked_for(
        self, seen: int, verdict: Verdict, missing: int
    ) -> None:
        run = Run()
        for at, event in ((1, "delivered"), (2, "bounced"), (3, "bounced")):
            run.provider_says(event, run.message(at), at + 1, webhook="delivered")
        run.reads("events_seen", seen, END, None)
        finding = judged(run, {"events": ["bounced"]})
        assert (finding.verdict, finding.numbers["missing"]) == (verdict, missing)

    def test_a_reading_before_the_last_event_cannot_tell(self) -> None:
        run = Run()
        told(run, 20)
        run.reads("events_seen", 0, 10, None)
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert "after the last reading of events_seen" in finding.reason

    def test_a_reading_without_sense_cannot_tell(self) -> None:
        run = Run()
        told(run, 1)
        run.reads("events_seen", "many", END, None)
        assert "is no number" in judged(run).reason


class TestInconclusive:
    def test_no_event_was_to_be_told(self) -> None:
        run = Run()
        told(run, 1, "none")
        finding = judged(run)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert finding.reason == "no event was to be told to the system"

    def test_probes_strangers_and_the_baseline_do_not_count(self) -> None:
        run = Run()
        run.provider_says(
            "delivered", Message("probe", "probe@canary.example", 0), 3, webhook="lost", canary="system"
        )
        run.provider_says("delivered", Message("stranger", "x@customer.example", 0), 3, webhook="lost")
        run.provider_says("delivered", run.message(-5, baseline=True), 3, webhook="lost")
        assert judged(run).counted == 0

    @pytest.mark.parametrize("spoilt", ["gap", "unexposed", "unreadable"])
    def test_what_may_be_missing_takes_a_pass_away_and_leaves_a_fail(self, spoilt: str) -> None:
        for webhook, verdict in (("delivered", Verdict.INCONCLUSIVE), ("lost", Verdict.FAIL)):
            run = Run()
            told(run, 1, webhook)
            if spoilt == "gap":
                run.loses_record()
                told(run, 2)
            elif spoilt == "unexposed":
                run.fault(60, 70)
            else:
                run.events.append(HarnessWarning(t_ns=1, warning="states-unreadable", detail="500"))
            assert judged(run).verdict is verdict


def test_an_event_of_the_sms_of_a_message_is_an_event_of_that_message() -> None:
    run = Run()
    message = run.message(5)
    run.copy(message, 9, "backup", recipient="+12025550123", carriers=["nonce"])
    sms = Message(message.token, "+12025550123", 5)
    run.provider_says("delivered", sms, 10, "backup", webhook="lost")
    assert judged(run).numbers["missing"] == 1
