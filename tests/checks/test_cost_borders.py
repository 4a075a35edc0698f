"""What belongs to which message, what follows what, and who is named: the borders of `cost`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.checks.finding import Finding, Verdict
from tests.checks.histories import Message, Run, check, ns

SMS: dict[str, Any] = {"recipient": "+12025550123", "carriers": ["nonce"]}


def judged(run: Run, params: Any = 3) -> Finding:
    return check(run, "cost", params)


def tried(run: Run, message: Message, *routes: str, **more: Any) -> None:
    for number, route in enumerate(routes):
        run.receipt(message, message.at + 0.1 * (number + 1), route, "deferred", **more)


def beyond(finding: Finding) -> list[Any]:
    names = ("sdk_retries", "retries_on_the_same_route", "failovers", "by_fallback")
    return [finding.numbers[name] for name in names]


class TestTheNumbers:
    def test_of_one_attempt_each(self) -> None:
        run = Run()
        run.traffic(0, 3, 1)
        assert judged(run, 1).numbers == {
            "messages": 3,
            "attempts": 3,
            "attempts_per_message_max": 1,
            "attempts_per_message_mean": 1.0,
            "allowed": 1,
            "too_many": 0,
            "sdk_retries": 0,
            "retries_on_the_same_route": 0,
            "failovers": 0,
            "by_fallback": 0,
            "without_a_message": 0,
        }

    def test_of_no_attempt_at_all(self) -> None:
        run = Run()
        run.message(5)
        numbers = judged(run).numbers
        assert {name: value for name, value in numbers.items() if value} == {"allowed": 3}

    def test_of_messages_unlike_each_other(self) -> None:
        run = Run()
        tried(run, run.message(5), "primary", "primary")
        for at in (6, 7):
            sent_twice = run.message(at)
            run.copy(sent_twice, at + 0.1)
            run.copy(sent_twice, at + 0.2, "backup", **SMS)
        tried(run, run.message(8), "primary")
        tried(run, run.message(9), "primary")
        tried(run, run.message(10), "primary")
        finding = judged(run)
        assert finding.verdict is Verdict.PASS
        assert finding.numbers["attempts_per_message_max"] == 2
        assert finding.numbers["attempts_per_message_mean"] == 1.5
        assert beyond(finding) == [0, 1, 0, 2]

    def test_a_mean_is_told_to_the_millionth(self) -> None:
        run = Run()
        tried(run, run.message(5), "primary", "primary")
        tried(run, run.message(6), "primary")
        tried(run, run.message(7), "primary")
        assert judged(run).numbers["attempts_per_message_mean"] == 1.333333

    def test_a_mean_may_be_over_its_limit_by_what_arithmetic_loses(self) -> None:
        run = Run()
        tried(run, run.message(5), "primary", "primary")
        limits = {"attempts_per_message": 2, "on_average": 1.999999999}
        assert judged(run, limits).verdict is Verdict.PASS


class TestWhoseAnAttemptIs:
    def test_each_recipient_of_one_message_has_his_own(self) -> None:
        run = Run()
        one = run.message(5, token="both", recipient="one@customer.example")
        two = run.message(5, token="both", recipient="two@customer.example")
        for at in (5.1, 5.4):
            run.receipt(one, at, "primary", "deferred")
            run.receipt(two, at + 0.1, "backup", "deferred")
        finding = judged(run)
        assert finding.numbers["attempts_per_message_max"] == 2
        assert beyond(finding) == [0, 2, 0, 0]

    def test_an_only_attempt_repeats_nothing_whoever_else_gets_the_message(self) -> None:
        run = Run()
        one = run.message(5, token="both", recipient="one@customer.example")
        two = run.message(5, token="both", recipient="two@customer.example")
        run.copy(one, 5.1)
        tried(run, two, "primary", "backup")
        assert beyond(judged(run)) == [0, 0, 1, 0]

    def test_a_recipient_is_the_same_however_he_is_spelt(self) -> None:
        run = Run()
        message = run.message(5, recipient="Anna@Customer.example")
        run.receipt(message, 5.1, "primary", "deferred", recipient="anna@customer.example")
        run.receipt(message, 5.2, "primary", recipient="ANNA@customer.example")
        assert beyond(judged(run)) == [0, 1, 0, 0]

    def test_mail_to_somebody_else_and_a_report_to_the_sender_are_none(self) -> None:
        run = Run()
        message = run.message(5)
        run.copy(message, 5.1)
        run.copy(message, 5.2, recipient="somebody.else@customer.example")
        run.copy(message, 5.3, recipient="postmaster", carriers=["header"], notice="failed")
        finding = judged(run, 1)
        assert finding.verdict is Verdict.PASS
        assert (finding.numbers["attempts"], finding.numbers["by_fallback"]) == (1, 0)

    def test_what_the_baseline_repeated_is_not_split_either(self) -> None:
        run = Run()
        early = run.message(-5, baseline=True)
        tried(run, early, "primary", "primary", "backup")
        tried(run, early, "backup", "backup", sdk_retry="1")
        run.traffic(0, 3, 1)
        assert beyond(judged(run)) == [0, 0, 0, 0]


def test_attempts_that_began_at_once_follow_each_other_as_they_ended() -> None:
    """The answer to the first was held back, so it is recorded last."""
    run = Run()
    message = run.message(5)
    held_back = run.receipt(message, 5.2, "primary", took=0.2)
    run.events[-1] = msgspec.structs.replace(held_back, t_ns=ns(9))
    run.receipt(message, 5.3, "backup", took=0.3)
    run.receipt(message, 6, "backup")
    assert beyond(judged(run)) == [0, 1, 1, 0]


class TestOffenders:
    def test_are_those_over_the_limit_and_not_those_at_it(self) -> None:
        run = Run()
        at_it, over_it = run.message(5), run.message(6)
        tried(run, at_it, *["primary"] * 3)
        tried(run, over_it, *["primary"] * 4)
        finding = judged(run)
        assert [each.token for each in finding.offenders] == [over_it.token]
        assert finding.offenders[0].recipient == over_it.recipient
        assert finding.offenders[0].why == "4 attempts; beyond the first, 3 on the same route"

    def test_the_worst_ten_are_named_and_those_alike_by_token(self) -> None:
        run = Run()
        for number in range(11, 0, -1):  # whose recipients come the other way round
            name = f"r{20 - number}@customer.example"
            tried(run, run.message(5, token=f"alike-{number:02}", recipient=name), *["primary"] * 4)
        tried(run, run.message(5, token="worst"), *["primary"] * 6)
        named = [each.token for each in judged(run).offenders]
        assert named == ["worst", *(f"alike-{number:02}" for number in range(1, 10))]

    def test_of_one_message_ten_recipients_are_named_in_their_order(self) -> None:
        run = Run()
        names = [f"r{number:02}@customer.example" for number in range(12)]
        for name in reversed(names):
            tried(run, run.message(5, token="all", recipient=name), *["primary"] * 4)
        assert [each.recipient for each in judged(run).offenders] == names[:10]

    def test_each_is_split_by_what_was_its_own(self) -> None:
        run = Run()
        for token, name, routes in (
            ("one", "a", ["primary"] * 4),
            ("one", "b", ["primary", "backup", "primary", "backup"]),
            ("two", "a", ["primary", "primary", "backup", "backup", "backup"]),
        ):
            message = run.message(5, token=token, recipient=f"{name}@customer.example")
            tried(run, message, *routes)
        assert [(each.token, each.recipient, each.why, each.cause) for each in judged(run).offenders] == [
            (
                "two",
                "a@customer.example",
                "5 attempts; beyond the first, 3 on the same route, 1 on another route",
                "on the same route",
            ),
            (
                "one",
                "a@customer.example",
                "4 attempts; beyond the first, 3 on the same route",
                "on the same route",
            ),
            (
                "one",
                "b@customer.example",
                "4 attempts; beyond the first, 3 on another route",
                "on another route",
            ),
        ]

    @pytest.mark.parametrize("by_mail", [True, False])
    def test_what_a_fallback_channel_repeated_is_its_own_whether_mail_was_tried_or_not(
        self, by_mail: bool
    ) -> None:
        run = Run()
        message = run.message(5)
        if by_mail:
            run.copy(message, 5.1)
        for at in range(3 if by_mail else 4):
            run.receipt(message, 6 + at, "backup", "deferred", **SMS)
        (offender,) = judged(run).offenders
        assert offender.why == "4 attempts; beyond the first, 3 by a fallback channel"
        assert offender.cause == "by a fallback channel"


@pytest.mark.parametrize(
    "params",
    ["3", 0, {"attempts_per_message": 3.0}, {"attempts_per_message": 3, "on_average": 0.5}],
)
def test_limits_that_nothing_could_meet_or_are_no_counts_are_refused(params: Any) -> None:
    with pytest.raises(ValueError, match="Params"):
        judged(Run(), params)
