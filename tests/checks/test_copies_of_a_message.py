"""What counts as a message's copies, attempts and bounces where one pass over the receipts cannot tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from harness.checks.finding import Finding, Verdict
from harness.history.events import ClockCalibrated
from tests.checks.histories import Message, Run, check, span


def delivered(run: Run) -> Finding:
    return check(run, "delivered", "all")


def attempts(run: Run) -> tuple[object, object]:
    """How many messages were attempted, and the most attempts that one of them took."""
    finding = check(run, "cost", 1)
    return finding.counted, finding.numbers["attempts_per_message_max"]


def vague(run: Run, source: str) -> list[Any]:
    """The run's events, but for the clock of one source."""
    return [
        msgspec.structs.replace(each, error_ns=span(0.2))
        if isinstance(each, ClockCalibrated) and each.source == source
        else each
        for each in run.events
    ]


def shared(run: Run, *names: str) -> list[Message]:
    """One message to several people."""
    return [run.message(5, token="shared", recipient=f"{name}@customer.example") for name in names]


class TestAttemptsThatNameNobody:
    def test_one_is_of_every_recipient_of_its_message(self) -> None:
        run = Run()
        ann, _ = shared(run, "ann", "bob")
        run.copy(ann, 5.1, recipient=None)
        other = run.message(6)
        run.copy(other, 6.1)
        assert delivered(run).numbers["arrived"] == 3
        assert attempts(run) == (3, 1)

    def test_it_comes_on_top_of_those_that_do(self) -> None:
        run = Run()
        ann, bob = shared(run, "Ann", "bob")
        run.receipt(ann, 5.1, result="deferred", recipient=None)
        run.receipt(ann, 5.2, result="deferred", recipient="ANN@customer.example")
        run.copy(bob, 5.3)
        finding = delivered(run)
        assert (finding.numbers["arrived"], finding.numbers["lost"]) == (1, 1)
        assert finding.offenders[0].recipient == "Ann@customer.example"
        assert finding.offenders[0].cause == "attempted without success"
        assert attempts(run) == (2, 2)

    def test_one_that_names_no_message_either_is_of_none(self) -> None:
        run = Run()
        run.message(5)
        run.copy(run.message(6), 6.1)
        run.receipt(None, 5.1)
        finding = delivered(run)
        assert (finding.numbers["arrived"], finding.numbers["lost"]) == (1, 1)
        assert attempts(run) == (1, 1)


class TestSeveralCopies:
    def test_the_first_tells_the_way(self) -> None:
        for ways in (("backup", "primary"), ("primary", "backup")):
            run = Run()
            message = run.message(5)
            run.says(message, "failed", 90)
            for number, via in enumerate(ways):
                run.copy(message, 6 - number / 2, via)
            finding = check(run, "reconciliation", "agrees")
            assert finding.offenders[0].why == f"the system says failed, and {ways[1]} took it"

    def test_of_two_at_one_moment_the_one_written_down_first_does(self) -> None:
        for ways in (("backup", "primary"), ("primary", "backup")):
            run = Run()
            message = run.message(5)
            run.says(message, "failed", 90)
            for via in ways:
                run.copy(message, 6, via)
            finding = check(run, "reconciliation", "agrees")
            assert finding.offenders[0].why == f"the system says failed, and {ways[0]} took it"

    def test_they_are_as_exact_as_the_worst_of_their_clocks(self) -> None:
        for source, fate in (("m365", "perhaps"), ("sendgrid", "perhaps"), ("neither", "arrived")):
            run = Run()
            run.events = vague(run, source)
            message = run.message(5, expires=10)
            run.copy(message, 9.9)
            run.copy(message, 9.95, "backup")
            assert delivered(run).verdict is (Verdict.INCONCLUSIVE if fate == "perhaps" else Verdict.PASS)

    def test_where_one_was_read_back_the_time_of_none_is_sure(self) -> None:
        for read_back in (1, 2):
            run = Run()
            run.fault(4, 8)
            for _ in range(2):
                message = run.message(5)
                for number in (1, 2):
                    more = {"observed": "after"} if number == read_back else {}
                    run.copy(message, 6 + number, "backup", **more)
            assert "without exact times" in check(run, "mttr", "50s").reason

    def test_attempts_that_failed_are_attempts_and_no_copies(self) -> None:
        run = Run()
        message = run.message(5)
        for at, result in ((5.1, "deferred"), (5.2, "ack-lost"), (5.3, "refused"), (5.4, "accepted")):
            run.receipt(message, at, result=result)
        run.receipt(message, 5.5, result="accepted", canary="system")
        run.receipt(message, 5.6, result="accepted", canary="harness")
        assert delivered(run).numbers["arrived"] == 1
        assert attempts(run) == (1, 4)
        assert check(run, "duplicates", "none").verdict is Verdict.FAIL

    def test_attempts_that_failed_say_nothing_of_the_copies_beside_them(self) -> None:
        """Neither by their clocks and their way, nor because they were read back, nor by their times."""
        run = Run()
        run.fault(4, 8)
        run.events = vague(run, "sendgrid")
        for _ in range(2):
            message = run.message(5, expires=10)
            run.receipt(message, 5.5, "backup", "deferred", observed="after")
            run.copy(message, 9.9)
            run.copy(message, 9.95)
            run.says(message, "failed", 90)
        assert delivered(run).numbers["arrived"] == 2
        assert delivered(run).verdict is Verdict.PASS
        assert check(run, "mttr", "50s").numbers["worst_late_s"] == 4.9
        assert "read back" not in check(run, "mttr", "50s").reason
        finding = check(run, "reconciliation", "agrees")
        assert finding.offenders[0].why == "the system says failed, and primary took it"


class TestGivenBack:
    def test_one_copy_that_two_words_give_back_was_one_attempt(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 5.1)
        run.provider_says("bounced", message, 6)
        run.provider_says("bounced", replace(message, recipient=None), 7)  # type: ignore[arg-type]
        assert attempts(run) == (1, 1)
        assert delivered(run).numbers["bounced"] == 1

    def test_thrown_away_and_bounced_is_bounced(self) -> None:
        run = Run()
        message = run.message(5)
        for at, via in ((5.1, "primary"), (5.2, "backup")):
            run.copy(message, at, via)
        run.provider_says("dropped", message, 6)
        run.provider_says("bounced", message, 6, "backup")
        finding = delivered(run)
        assert (finding.numbers["bounced"], finding.numbers["lost"]) == (1, 0)

    def test_one_that_was_thrown_away_by_every_provider_is_lost(self) -> None:
        run = Run()
        message = run.message(5)
        for at, via in ((5.1, "primary"), (5.2, "backup")):
            run.copy(message, at, via)
            run.provider_says("dropped", message, at + 1, via)
        finding = delivered(run)
        assert finding.numbers["lost"] == 1
        assert finding.offenders[0].cause == "dropped by the provider"

    def test_of_several_that_bounced_the_first_that_was_taken_was_on_its_way(self) -> None:
        run = Run()
        message = run.message(5)
        run.receipt(message, 7, result="deferred")
        for at, via in ((12, "primary"), (10, "backup")):
            run.copy(message, at, via)
            run.provider_says("bounced", message, 20, via)
        assert check(run, "mttr", "50s").numbers["worst_late_s"] == 5

    def test_what_was_thrown_away_is_no_copy_for_a_system_that_gave_it_up(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 5.1)
        run.provider_says("dropped", message, 6)
        run.says(message, "failed", 90)
        assert check(run, "reconciliation", "agrees").verdict is Verdict.PASS

    @pytest.mark.parametrize("dropped", [True, False])
    @pytest.mark.parametrize(("expires", "missing"), [(26, 0), (26.000000001, 1)])
    def test_without_a_copy_no_clock_blurs_when_it_ended(
        self, dropped: bool, expires: float, missing: int
    ) -> None:
        """Due by another channel from 16 s to 26 s."""
        run = Run(clock_error=0.1)
        message = run.message(10, expires=expires)
        if dropped:
            run.copy(message, 12)
            run.provider_says("dropped", message, 13)
        finding = check(run, "fallback", {"after": "5s", "within": "10s"})
        assert (finding.numbers["due"], finding.numbers["missing"]) == (missing, missing)

    @pytest.mark.parametrize(
        ("named", "bounced"),
        [
            ("Ann@customer.example", 1),
            ("ANN@CUSTOMER.example", 1),
            ("carl@customer.example", 0),
            (None, 2),
        ],
    )
    @pytest.mark.parametrize("taken", [True, False])
    def test_a_bounce_is_about_whom_it_names_and_else_about_all(
        self, named: str | None, bounced: int, taken: bool
    ) -> None:
        run = Run()
        ann, bob = shared(run, "Ann", "Bob")
        for each in (ann, bob):
            run.receipt(each, 5.1, result="accepted" if taken else "deferred")
        run.provider_says("bounced", replace(ann, recipient=named), 6)  # type: ignore[arg-type]
        finding = delivered(run)
        left = finding.numbers["arrived"] if taken else finding.numbers["lost"]
        assert (finding.numbers["bounced"], left) == (bounced, 2 - bounced)

    @pytest.mark.parametrize("event", ["deferred", "delivered", "complained", "processed", "dropped"])
    def test_no_other_word_accounts_for_what_nobody_took(self, event: str) -> None:
        run = Run()
        message = run.message(5)
        run.provider_says(event, message, 6)
        finding = delivered(run)
        assert (finding.numbers["bounced"], finding.numbers["lost"]) == (0, 1)

    def test_a_notice_gives_back_the_message_that_it_is_about_and_no_other(self) -> None:
        run = Run()
        about, other = run.message(5), run.message(6)
        run.receipt(about, 7, recipient="no-reply@shop.example", notice="failed")
        finding = delivered(run)
        assert (finding.numbers["returned"], finding.numbers["lost"]) == (1, 1)
        assert [each.recipient for each in finding.offenders] == [other.recipient, about.recipient]

    def test_a_bounce_of_another_message_accounts_for_none(self) -> None:
        run = Run()
        message = run.message(5)
        run.provider_says("bounced", replace(message, token="another"), 6)
        assert delivered(run).numbers["lost"] == 1


class TestProbes:
    """What looks like a probe is one everywhere, even if somebody submitted it."""

    @pytest.mark.parametrize("more", [{"token": "canary0001"}, {"recipient": "Probe@canary.example"}])
    def test_their_receipts_are_no_copies_and_no_attempts(self, more: dict[str, str]) -> None:
        run = Run()
        run.copy(run.message(5, **more), 5.1)  # type: ignore[arg-type]
        run.copy(run.message(6), 6.1)
        finding = delivered(run)
        assert (finding.numbers["arrived"], finding.numbers["lost"]) == (1, 1)
        assert attempts(run) == (1, 1)

    def test_whose_they_are_the_run_itself_says(self) -> None:
        run = Run()
        run.events[0] = msgspec.structs.replace(
            run.events[0],
            resolved={"system": {"canaries": ["one@of-this-run.example", "two@of-this-run.example"]}},
        )
        run.copy(run.message(5, recipient="one@of-this-run.example"), 5.1)
        run.copy(run.message(6, recipient="probe@canary.example"), 6.1)
        assert attempts(run) == (1, 1)

    def test_one_that_was_never_tried_took_no_attempt(self) -> None:
        run = Run()
        run.message(5, token="canary0001")
        run.message(5, recipient="probe@canary.example")
        run.copy(run.message(6), 6.1)
        assert attempts(run) == (1, 1)


class TestOffers:
    @pytest.mark.parametrize(
        ("answers", "number"),
        [
            (("refused", "refused"), "undelivered"),
            (("refused", "indeterminate"), "unknown"),
            (("indeterminate", "refused"), "unknown"),
            (("indeterminate", "accepted"), "lost"),
            (("accepted", "refused"), "lost"),
        ],
    )
    def test_it_was_accepted_if_any_was_and_refused_only_if_all_were(
        self, answers: tuple[str, str], number: str
    ) -> None:
        run = Run()
        message = run.message(5, result=answers[0])
        run.offer_again(message, 6, 2, answers[1])
        numbers = delivered(run).numbers
        assert {name: numbers[name] for name in ("undelivered", "unknown", "lost")} == {
            "undelivered": 0, "unknown": 0, "lost": 0, number: 1,
        }  # fmt: skip
