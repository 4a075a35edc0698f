"""Whose word counts, which events are in a count, and who is named: the borders of `analytics`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from harness.history.journal import write_events
from harness.history.store import History
from tests.checks.histories import Message, Run, check, opened

END = 99.0


def judged(run: Run, params: Any = "all") -> Finding:
    return check(run, "analytics", params)


def told(run: Run, at: float, webhook: str = "delivered", *, through: float | None = 1) -> Message:
    """A message that is delivered, and an event of that which gets through, or is given up, so much later."""
    message = run.message(at)
    run.copy(message, at + 0.1)
    run.provider_says("delivered", message, at + 0.1 + (through or 0), webhook=webhook, delay=through)
    return message


class TestWhoseWordCounts:
    def test_states_that_name_no_events_and_other_signals_are_about_something_else(self) -> None:
        run = Run()
        run.says(told(run, 5), "sent", END)
        run.reads("detected", False, END)
        assert judged(run).numbers["judged_by"] == "answers"

    def test_one_state_that_names_events_is_enough(self) -> None:
        run = Run()
        run.says(told(run, 5), "sent", END, ["delivered"])
        run.says(told(run, 6), "sent", END)
        run.reads("events_seen", 0, END, None)
        finding = judged(run)
        assert finding.numbers["judged_by"] == "states"
        assert finding.reason == "the system's states say nothing of 1 event"

    def test_one_reading_of_the_count_is_enough(self) -> None:
        run = Run()
        run.says(told(run, 5), "sent", END)
        run.reads("events_seen", 1, END, None)
        run.reads("detected", False, END)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["judged_by"]) == (Verdict.PASS, "signal")


class TestTheNumbers:
    def test_by_the_providers_word(self) -> None:
        run = Run()
        for webhook in ("delivered", "delivered", "delivered", "late", "lost"):
            told(run, 5, webhook)
        assert judged(run).numbers == {
            "events": 5,
            "missing": 1,
            "allowed": 0,
            "lost_on_their_way": 1,
            "thrown_away": 0,
            "late": 1,
            "after_the_last_reading": 0,
            "unsaid": 0,
            "judged_by": "answers",
        }

    def test_by_the_states(self) -> None:
        run = Run()
        run.says(told(run, 5), "sent", END, ["delivered"])
        run.says(told(run, 5, "late", through=10), "sent", 15, [])
        told(run, 6)
        numbers = judged(run).numbers
        assert (numbers["events"], numbers["missing"], numbers["late"]) == (3, 0, 1)
        assert (numbers["after_the_last_reading"], numbers["unsaid"]) == (1, 1)

    def test_one_event_that_came_after_the_reading_may_be_one_that_is_allowed(self) -> None:
        run = Run()
        run.says(told(run, 5, through=10), "sent", 15, [])
        assert judged(run, {"at_most_lost": 1}).verdict is Verdict.PASS


class TestWhoseAnEventIs:
    def test_each_recipient_of_one_message_has_his_own(self) -> None:
        run = Run()
        one = run.message(5, token="both", recipient="one@customer.example")
        run.message(5, token="both", recipient="two@customer.example")
        run.provider_says("delivered", one, 6, webhook="delivered")
        assert judged(run).counted == 1

    def test_a_recipient_is_the_same_however_he_is_spelt(self) -> None:
        run = Run()
        message = run.message(5, recipient="Anna@customer.example")
        run.provider_says("delivered", message, 6, webhook="lost")
        run.events[-1] = msgspec.structs.replace(run.events[-1], recipient="ANNA@Customer.example")
        (offender,) = judged(run).offenders
        assert (offender.token, offender.recipient) == (message.token, "ANNA@Customer.example")

    def test_one_that_names_no_recipient_is_of_the_message(self) -> None:
        run = Run()
        run.provider_says("delivered", run.message(5), 6, webhook="lost")
        run.events[-1] = msgspec.structs.replace(run.events[-1], recipient=None)
        assert judged(run).numbers["missing"] == 1


class TestABounceThatIsKnownAsADeferral:
    def bounced(self, run: Run, webhook: str = "lost", **more: Any) -> Message:
        """A message that bounced, and of which the system knows a deferral."""
        message = run.message(5, **more)
        run.copy(message, 5.1)
        run.provider_says("bounced", message, 9, webhook=webhook, delay=3)
        run.says(message, "sent", END, ["deferred"])
        return message

    @pytest.mark.parametrize("webhook", ["delivered", "late", "lost"])
    def test_is_none_where_the_provider_told_of_a_deferral_besides(self, webhook: str) -> None:
        run = Run()
        message = self.bounced(run)
        run.provider_says("deferred", message, 6, webhook=webhook, delay=1)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["lost_on_their_way"]) == (Verdict.FAIL, 1)
        assert [each.cause for each in finding.offenders] == ["bounced, lost"]

    @pytest.mark.parametrize("at", [6, 20])
    def test_is_none_whichever_came_first_though_only_bounces_are_asked_for(self, at: float) -> None:
        run = Run()
        message = self.bounced(run, "delivered")
        run.provider_says("deferred", message, at, webhook="delivered")
        finding = judged(run, {"events": ["bounced"]})
        assert (finding.verdict, finding.numbers["thrown_away"], finding.counted) == (Verdict.FAIL, 1, 1)

    @pytest.mark.parametrize("recipient", [None, "C.ANN@Customer.example", "+12025550123"])
    def test_is_none_however_the_deferral_names_the_recipient(self, recipient: str | None) -> None:
        run = Run()
        message = self.bounced(run, recipient="c.ann@customer.example")
        run.provider_says("deferred", message, 6, webhook="delivered")
        run.events[-1] = msgspec.structs.replace(run.events[-1], recipient=recipient)
        assert judged(run).numbers["missing"] == 1

    @pytest.mark.parametrize(("webhook", "canary"), [("none", None), ("delivered", "system")])
    def test_is_one_where_a_deferral_was_not_to_be_told(self, webhook: str, canary: str | None) -> None:
        run = Run()
        message = self.bounced(run)
        run.provider_says("deferred", message, 6, webhook=webhook, canary=canary)
        assert judged(run).verdict is Verdict.PASS

    def test_is_one_where_another_event_was_told_of_the_message(self) -> None:
        run = Run()
        message = self.bounced(run)
        run.provider_says("processed", message, 6, webhook="delivered")
        assert judged(run).verdict is Verdict.PASS

    def test_is_one_where_the_deferral_was_of_another_message_or_recipient_or_of_none(self) -> None:
        run = Run()
        message = self.bounced(run, token="both", recipient="one@customer.example")
        others = [
            run.message(5),
            run.message(5, token="both", recipient="two@customer.example"),
            Message("stranger", message.recipient, 5),
        ]
        for other in others:
            run.provider_says("deferred", other, 6, webhook="delivered")
        assert judged(run, {"events": ["bounced"]}).verdict is Verdict.PASS

    def test_is_one_where_the_deferral_was_told_in_another_run(self) -> None:
        run, other = Run(), Run("other")
        message = self.bounced(run)
        other.provider_says("deferred", other.message(5, token=message.token), 6, webhook="delivered")
        with opened(run, other) as history:
            finding = CHECKS["analytics"].evaluate(history, "run", parse_params("analytics", "all"))
        assert finding.verdict is Verdict.PASS

    def test_is_known_as_itself_beside_a_deferral(self) -> None:
        run = Run()
        message = self.bounced(run)
        run.provider_says("deferred", message, 6, webhook="delivered")
        run.says(message, "bounced", END, ["bounced", "deferred"])
        assert judged(run).verdict is Verdict.PASS


class TestByACount:
    def test_what_was_not_to_be_told_or_is_of_no_message_is_not_in_it(self) -> None:
        run = Run()
        told(run, 1)
        told(run, 2, "none")
        run.provider_says("delivered", told(run, 3, "none"), 4, webhook="delivered", canary="system")
        run.provider_says("delivered", told(run, 4, "none"), 5, webhook="delivered")
        run.events[-1] = msgspec.structs.replace(run.events[-1], token=None)
        run.reads("events_seen", 1, END, None)
        finding = judged(run)
        assert (finding.verdict, finding.numbers["missing"]) == (Verdict.PASS, 0)

    @pytest.mark.parametrize(("read", "thrown_away"), [(19.999, 0), (20, 1)])
    def test_it_tells_of_what_came_through_by_its_last_reading(self, read: float, thrown_away: int) -> None:
        run = Run()
        run.provider_says("delivered", run.message(1), 2, webhook="delivered")
        run.provider_says("delivered", run.message(1), 20, webhook="delivered")
        run.reads("events_seen", 1, read, None)
        finding = judged(run)
        assert finding.verdict is (Verdict.FAIL if thrown_away else Verdict.INCONCLUSIVE)
        numbers = finding.numbers
        assert [numbers[name] for name in ("missing", "thrown_away", "lost_on_their_way")] == [
            thrown_away,
            thrown_away,
            0,
        ]

    def test_what_was_given_up_after_its_reading_never_came_through(self) -> None:
        run = Run()
        told(run, 1)
        told(run, 2, "lost", through=50)
        run.reads("events_seen", 0, 20, None)
        numbers = judged(run).numbers
        assert (numbers["lost_on_their_way"], numbers["thrown_away"]) == (1, 1)

    def test_where_none_came_through_none_came_after_its_reading(self) -> None:
        run = Run()
        told(run, 2, "lost", through=50)
        told(run, 3, "lost", through=50)
        run.reads("events_seen", 0, 20, None)
        finding = judged(run, {"at_most_lost": 2})
        assert (finding.verdict, finding.numbers["lost_on_their_way"]) == (Verdict.PASS, 2)

    def test_what_is_short_by_no_more_than_was_given_up_leaves_nothing_open(self) -> None:
        """Whenever it was read: all that came through is in it."""
        run = Run()
        told(run, 1, "lost")
        told(run, 20)
        run.reads("events_seen", 1, 20, None)
        finding = judged(run, {"at_most_lost": 1})
        assert (finding.verdict, finding.numbers["missing"]) == (Verdict.PASS, 1)

    def test_a_last_reading_without_sense_throws_nothing_away(self) -> None:
        run = Run()
        told(run, 1)
        run.reads("events_seen", "many", END, None)
        numbers = judged(run).numbers
        assert (numbers["missing"], numbers["thrown_away"]) == (0, 0)

    def test_the_last_of_two_readings_at_one_moment_counts(self) -> None:
        run = Run()
        told(run, 1)
        run.reads("events_seen", 0, END, None)
        run.reads("events_seen", 1, END, None)
        assert judged(run).verdict is Verdict.PASS

    def test_the_last_reading_is_the_latest_and_not_the_last_to_be_recorded(self) -> None:
        run = Run()
        told(run, 1)
        run.reads("events_seen", 0, 50, None)
        early = run.events.pop()
        run.reads("events_seen", 1, END, None)
        in_order = sorted(run.events, key=lambda event: int(event.t_ns))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "history.jsonl"
            write_events(path, run.name, [*in_order, early])
            with History.open(path) as history:
                finding = CHECKS["analytics"].evaluate(history, run.name, parse_params("analytics", "all"))
        assert finding.verdict is Verdict.PASS


class TestOffenders:
    def test_what_was_thrown_away_comes_first_then_what_was_tried_for_longest(self) -> None:
        run = Run()
        lost = [told(run, 1 + number, "lost", through=through) for number, through in enumerate((5, 50, 20))]
        thrown_away = [told(run, 20, through=through) for through in (1, 3, 2)]
        for message in [*lost, *thrown_away]:
            run.says(message, "sent", END, [])
        finding = judged(run)
        expected = [*(thrown_away[i] for i in (1, 2, 0)), *(lost[i] for i in (1, 2, 0))]
        assert [each.token for each in finding.offenders] == [each.token for each in expected]
        assert [each.recipient for each in finding.offenders] == [each.recipient for each in expected]
        assert [each.cause for each in finding.offenders] == [
            *["delivered, thrown away"] * 3,
            *["delivered, lost"] * 3,
        ]

    def test_those_alike_come_by_their_time_and_then_by_their_token_ten_at_most(self) -> None:
        run = Run()
        for number in range(10, 0, -1):
            message = run.message(5, token=f"alike-{number:02}")
            run.provider_says("delivered", message, 20, webhook="lost", delay=3)
        for token, at in (("z-early", 19.0), ("y-later", 19.5)):
            run.provider_says("delivered", run.message(5, token=token), at, webhook="lost", delay=3)
        assert [each.token for each in judged(run).offenders] == [
            "z-early",
            "y-later",
            *(f"alike-{number:02}" for number in range(1, 9)),
        ]

    def test_of_which_it_is_not_told_how_long_it_was_tried_counts_as_given_up_at_once(self) -> None:
        run = Run()
        for token, at, delay in (("b", 6, None), ("c", 7, 0), ("a", 8, None)):
            run.provider_says("delivered", run.message(5, token=token), at, webhook="lost", delay=delay)
        offenders = judged(run).offenders
        assert [each.token for each in offenders] == ["b", "c", "a"]
        assert offenders[0].why.endswith("given up after 0.0 s")


@pytest.mark.parametrize("allowed", ["1", 1.0, -1])
def test_what_is_no_count_may_not_be_allowed(allowed: Any) -> None:
    with pytest.raises(ValueError, match="at_most_lost"):
        judged(Run(), {"at_most_lost": allowed})
