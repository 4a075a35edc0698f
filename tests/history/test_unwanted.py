"""Who is not to be written to any more, and since when."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from harness.history.events import ClockCalibrated
from tests.checks.histories import Run, ns, span
from tests.history.asking import ask, clock


class TestWhoIsNotToBeWrittenTo:
    def unwanted(self, run: Run) -> list[tuple[Any, ...]]:
        return ask(run, "select why, route, token, at_ns, error_ns, told from unwanted")

    @pytest.mark.parametrize(
        ("endpoint", "code", "text", "found"),
        [
            ("smtp", 550, "5.1.1 no such user", 1),
            ("smtp", 550, "5.1.0 no", 1),
            ("smtp", 550, "5.1.6 no", 1),
            ("smtp", 550, "5.1.10 no", 1),
            ("smtp", 550, "5.1.7 your sender", 0),
            ("smtp", 550, "5.1.8 sender", 0),
            ("smtp", 552, "5.2.1 disabled", 1),
            ("smtp", 552, "5.2.2 full", 0),
            ("smtp", 551, "5.4.1 no", 1),
            ("smtp", 550, "5.7.1 blocked", 0),
            ("smtp", 550, "gone", 1),
            ("smtp", 551, "gone", 1),
            ("smtp", 553, "gone", 1),
            ("smtp", 550, None, 1),
            ("smtp", 552, "gone", 0),
            ("smtp", 554, "gone", 0),
            ("smtp", 535, "5.7.8 no", 0),
            ("mail", 400, "whatever", 1),
        ],
    )
    def test_a_final_no_that_is_about_him(
        self, endpoint: str, code: int, text: str | None, found: int
    ) -> None:
        run = Run(baseline=0)
        more = {} if text is None else {"text": text}
        run.receipt(run.message(1), 2, result="refused", endpoint=endpoint, code=code, **more)
        assert len(self.unwanted(run)) == found

    @pytest.mark.parametrize(
        ("event", "webhook", "canary", "found"),
        [
            ("bounced", "delivered", None, 1),
            ("complained", "late", None, 1),
            ("delivered", "delivered", None, 0),
            ("bounced", "lost", None, 0),
            ("bounced", "none", None, 0),
            ("bounced", "delivered", "harness", 0),
        ],
    )
    def test_an_event_that_got_through(
        self, event: str, webhook: str, canary: str | None, found: int
    ) -> None:
        run = Run(baseline=0)
        clock(run, "m365", 0.002)
        message = run.message(1)
        run.provider_says(event, message, 5, webhook=webhook, canary=canary)
        assert self.unwanted(run) == [(event, "primary", message.token, ns(5), span(0.002), True)] * found

    def test_the_first_word_counts_and_a_refusal_before_an_event_at_once(self) -> None:
        run = Run(baseline=0)
        clock(run, "m365", 0.002)
        clock(run, "sendgrid", 0.003)
        message = run.message(1)
        run.receipt(message, 5, "backup", "refused", code=550, text="5.1.1 no")
        run.provider_says("bounced", message, 5, webhook="delivered")
        run.provider_says("complained", message, 4.999999999, "backup", webhook="delivered")
        [first] = self.unwanted(run)
        assert first == ("complained", "backup", message.token, ns(4.999999999), span(0.003), True)
        run.events.pop()
        [first] = self.unwanted(run)
        assert first == ("refused for good", "backup", message.token, ns(5), span(0.003), False)

    @pytest.mark.parametrize(("refusing", "telling"), [("primary", "backup"), ("backup", "primary")])
    def test_of_equal_times_the_refusal_whatever_the_routes(self, refusing: str, telling: str) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        run.receipt(message, 5, refusing, "refused", code=550)
        run.provider_says("bounced", message, 5, telling, webhook="delivered")
        assert [(why, route) for why, route, *_ in self.unwanted(run)] == [("refused for good", refusing)]

    @pytest.mark.parametrize(
        ("routes", "first"),
        [
            (("primary", "backup"), ("complained", "backup")),
            (("backup", "primary"), ("bounced", "backup")),
            (("backup", "backup"), ("bounced", "backup")),
        ],
    )
    def test_of_two_events_at_once_the_first_by_route_and_name(
        self, routes: tuple[str, str], first: tuple[str, str]
    ) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        run.provider_says("complained", message, 5, routes[1], webhook="delivered")
        run.provider_says("bounced", message, 5, routes[0], webhook="delivered")
        assert [(why, route) for why, route, *_ in self.unwanted(run)] == [first]

    def test_what_names_nobody_is_about_nobody(self) -> None:
        run = Run(baseline=0)
        run.receipt(None, 5, result="refused", code=550)
        run.provider_says("bounced", run.message(1), 6, webhook="delivered")
        run.events[-1] = msgspec.structs.replace(run.events[-1], recipient=None)
        assert self.unwanted(run) == []

    def test_a_clock_that_was_never_compared_is_taken_as_exact(self) -> None:
        run = Run(baseline=0)
        run.events = [each for each in run.events if not isinstance(each, ClockCalibrated)]
        message = run.message(1)
        run.provider_says("bounced", message, 6, webhook="delivered")
        assert self.unwanted(run) == [("bounced", "primary", message.token, ns(6), 0, True)]

    def test_a_canary_says_nothing_of_anybody(self) -> None:
        run = Run(baseline=0)
        run.receipt(run.message(1), 5, result="refused", code=550, text="5.1.1 no", canary="system")
        assert self.unwanted(run) == []

    def test_he_is_the_same_in_any_case(self) -> None:
        run = Run(baseline=0)
        message = run.message(1, recipient="Anna@customer.example")
        run.provider_says("bounced", message, 6, webhook="delivered")
        run.receipt(run.message(2, recipient="anna@customer.example"), 5, result="refused", code=550)
        assert ask(run, "select rkey, at_ns from unwanted") == [("anna@customer.example", ns(5))]

    def test_of_which_message_it_was_is_known_the_first_in_the_record_of_several_at_once(self) -> None:
        run = Run(baseline=0)
        first, second = (run.message(at, recipient="anna@customer.example") for at in (2, 1))
        for message in (first, second):
            run.receipt(message, 5, result="refused", code=550)
        assert ask(run, "select token from unwanted") == [(first.token,)]
        run.provider_says("bounced", second, 4, webhook="delivered")
        assert ask(run, "select token from unwanted") == [(second.token,)]

    def test_or_of_none(self) -> None:
        run = Run(baseline=0)
        message = run.message(2)
        run.receipt(message, 5, result="refused", code=550)
        run.receipt(message, 4, result="refused", code=550, token=None)
        assert ask(run, "select token from unwanted") == [(None,)]
