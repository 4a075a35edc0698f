"""What the providers recorded, and what is made of it: whose each receipt is, attempts, hand-offs, copies."""

from __future__ import annotations

from typing import Any

import pytest

from harness.history import events as ev
from tests.checks.histories import Run, ns, opened, span
from tests.history.asking import as_written, ask, clock


class TestWhoseAReceiptIs:
    def test_a_recipient_is_the_same_in_any_case_and_named_as_it_was_offered(self) -> None:
        run = Run(baseline=0)
        message = run.message(1, recipient="Anna@Customer.example")
        run.copy(message, 2, recipient="ANNA@customer.EXAMPLE")
        assert ask(run, "select known, recipient, rkey, class, stream, baseline from receipts") == [
            (True, "Anna@Customer.example", "anna@customer.example", "transactional", "receipts", False)
        ]

    def test_nobodys_is_named_as_it_came(self) -> None:
        run = Run(baseline=0)
        run.receipt(None, 2, token="e" * 16, recipient="Else@customer.example")
        assert ask(run, "select known, message, recipient, class, baseline from receipts") == [
            (False, None, "Else@customer.example", None, False)
        ]

    def test_another_recipients_of_the_same_token_is_nobodys(self) -> None:
        run = Run(baseline=0)
        run.copy(run.message(1), 2, recipient="else@customer.example")
        assert ask(run, "select known, message from receipts") == [(False, None)]

    def test_without_a_recipient_it_is_the_tokens(self) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        run.receipt(message, 2, recipient=None)
        assert ask(run, "select known, recipient, message is not null from receipts") == [
            (True, message.recipient, True)
        ]

    def test_on_another_channel_the_token_alone_says_whose(self) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        run.copy(message, 2, recipient="+4670000001")
        run.receipt(None, 3, token="e" * 16, recipient="+4670000002")
        run.receipt(None, 4, token="f" * 16, recipient="else@customer.example")
        assert ask(run, "select known, message, recipient from receipts order by end_ns") == [
            (True, None, "+4670000001"),
            (False, None, "+4670000002"),
            (False, None, "else@customer.example"),
        ]

    def test_another_run_has_messages_of_its_own(self) -> None:
        here, there = Run("here", baseline=0), Run("there", baseline=0)
        message = here.message(1)
        there.copy(message, 2)
        there.copy(message, 3, recipient="+4670000001")
        here.copy(message, 4, recipient="+4670000001")
        with opened(here, there) as history:
            told = history.con.execute("select known, message from receipts order by end_ns").fetchall()
        assert told == [(False, None), (False, None), (True, None)]

    def test_a_notice_to_the_messages_own_recipient_is_a_copy(self) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        run.receipt(message, 2, notice="failed")
        run.receipt(message, 3, notice="failed", recipient="sender@us.example")
        assert ask(run, "select notice from receipts order by end_ns") == [(None,), ("failed",)]
        assert ask(run, "select end_ns from handoffs") == [(ns(2),)]

    @pytest.mark.parametrize(
        ("more", "canary"),
        [
            ({}, None),
            ({"canary": "system"}, "system"),
            ({"recipient": "Probe@canary.example"}, "system"),
            ({"recipient": None}, None),
        ],
    )
    def test_canaries_are_told_apart(self, more: dict[str, Any], canary: str | None) -> None:
        run = Run(baseline=0)
        run.receipt(run.message(1), 2, **more)
        assert ask(run, "select canary from receipts") == [(canary,)]

    @pytest.mark.parametrize("more", [{"canary": "harness"}, {"token": "canary-7"}])
    def test_the_harness_own_are_no_receipts(self, more: dict[str, Any]) -> None:
        run = Run(baseline=0)
        run.receipt(run.message(1), 2, **more)
        assert ask(run, "from receipts") == []
        assert ask(run, "select canary from _receipts") == [("harness",)]

    @pytest.mark.parametrize(
        ("carriers", "nonce"),
        [([], None), (["header"], False), (["header", "nonce"], True)],
    )
    def test_the_body_kept_its_nonce(self, carriers: list[str], nonce: bool | None) -> None:
        run = Run(baseline=0)
        run.receipt(run.message(1), 2, carriers=carriers)
        assert ask(run, "select nonce from receipts") == [(nonce,)]

    @pytest.mark.parametrize(("observed", "after"), [("before", False), ("after", True)])
    def test_read_back_or_seen(self, observed: str, after: bool) -> None:
        run = Run(baseline=0)
        run.receipt(run.message(1), 2, observed=observed)
        assert ask(run, "select observed_after from receipts") == [(after,)]

    def test_its_times_are_as_right_as_its_sources_clock(self) -> None:
        run = Run(baseline=0)
        run.events = [each for each in run.events if not isinstance(each, ev.ClockCalibrated)]
        clock(run, "m365", 0.002)
        message = run.message(1)
        run.copy(message, 2)
        run.copy(message, 3, "backup")
        assert ask(run, "select error_ns from receipts order by end_ns") == [(span(0.002),), (0,)]


def test_the_harness_own_calls_are_left_out() -> None:
    run = Run(baseline=0)
    clock(run, "m365", 0.002)
    run.calls("token", 2)
    run.calls("token", 3, canary="harness")
    run.calls("token", 4, canary="system")
    assert ask(run, "select end_ns, error_ns from calls order by end_ns") == [
        (ns(2), span(0.002)),
        (ns(4), span(0.002)),
    ]


def test_a_call_at_a_clock_that_was_never_compared_is_taken_as_exact() -> None:
    run = Run(baseline=0)
    run.calls("token", 1)
    run.events = [each for each in run.events if not isinstance(each, ev.ClockCalibrated)]
    assert ask(run, "select error_ns from calls") == [(0,)]


def test_a_call_says_what_a_status_page_told_from_then_on() -> None:
    run = Run(baseline=0)
    for at, announced in ((2, True), (3, None), (4, False)):
        run.announces(at, announced)
    assert ask(run, "select announced from calls order by end_ns") == [(True,), (None,), (False,)]


def test_a_history_of_before_says_nothing_of_that() -> None:
    run = Run(baseline=0)
    run.calls("token", 2)  # what is not set is not written
    assert ask(run, "select announced from calls") == [(None,)]


class TestAttempts:
    ASKED = (
        "select begin_ns, end_ns, recipients, refused, retry_after_ns, canary, baseline, observed_after, "
        "error_ns from attempts order by begin_ns"
    )

    def test_one_with_one_recipient_is_as_its_receipt_says(self) -> None:
        run = Run(baseline=0)
        run.receipt(run.message(1), 2, result="deferred", retry_after_ns=5, observed="after", took=0.5)
        assert ask(run, self.ASKED) == [(ns(1.5), ns(2), 1, True, 5, None, False, True, 0)]

    def test_one_with_several_is_their_sum(self) -> None:
        run = Run(baseline=0)
        clock(run, "m365", 0.002)
        run.receipt(run.message(1, baseline=True), 2, attempt="a", took=0.5)
        run.receipt(
            run.message(1), 2.5, result="refused", attempt="a", retry_after_ns=7, observed="after", took=0.1
        )
        run.receipt(run.message(1), 2.2, attempt="a", retry_after_ns=5, recipient="probe@canary.example")
        assert ask(run, self.ASKED) == [(ns(1.5), ns(2.5), 3, True, 7, "system", False, True, span(0.002))]

    @pytest.mark.parametrize(
        ("results", "refused"),
        [
            (["accepted"], False), (["deferred"], True), (["refused"], True), (["aborted"], False),
            (["accepted", "accepted"], False), (["accepted", "deferred"], True),
        ],
    )  # fmt: skip
    def test_it_is_refused_where_any_recipient_was(self, results: list[str], refused: bool) -> None:
        run = Run(baseline=0)
        for result in results:
            run.receipt(run.message(1), 2, result=result, attempt="a")
        assert ask(run, "select refused from attempts") == [(refused,)]

    @pytest.mark.parametrize(("second", "baseline"), [(True, True), (False, False)])
    def test_it_is_of_the_baseline_where_all_are(self, second: bool, baseline: bool) -> None:
        run = Run(baseline=0)
        for each in (True, second):
            run.receipt(run.message(1, baseline=each), 2, attempt="a")
        assert ask(run, "select baseline from attempts") == [(baseline,)]

    def test_a_number_is_its_sources_own(self) -> None:
        run = Run(baseline=0)
        run.receipt(run.message(1), 2, attempt="a")
        run.receipt(run.message(1), 3, "backup", attempt="a")
        assert ask(run, "select recipients from attempts") == [(1,), (1,)]

    def test_and_its_runs_own(self) -> None:
        runs = [Run(name, baseline=0) for name in ("here", "there")]
        for run in runs:
            for _ in range(2):
                run.receipt(run.message(1), 2, attempt="a")
        with opened(*runs) as history:
            told = history.con.execute("select run, recipients from attempts order by run").fetchall()
        assert told == [("here", 2), ("there", 2)]


class TestWhatAProviderTakesBack:
    def test_the_first_word_undoes_the_first_hand_off(self) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        for at in (2, 3, 4):
            run.copy(message, at)
        run.provider_says("dropped", message, 5)
        run.provider_says("bounced", message, 6)
        assert ask(run, "select end_ns from copies") == [(ns(4),)]
        assert ask(
            run, "select t.end_ns, u.event from _undone u join handoffs t using (run, seq) order by 1"
        ) == [
            (ns(2), "dropped"),
            (ns(3), "bounced"),
        ]

    def test_only_of_what_that_provider_took(self) -> None:
        run = Run(baseline=0)
        message, other = run.message(1), run.message(1)
        run.copy(message, 2)
        run.copy(other, 2)
        run.copy(message, 3, "backup")
        run.provider_says("dropped", message, 5, "backup")
        assert sorted(ask(run, "select token, route from copies")) == sorted(
            [(message.token, "primary"), (other.token, "primary")]
        )

    @pytest.mark.parametrize("event", ["delivered", "complained"])
    def test_other_words_undo_nothing(self, event: str) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        run.copy(message, 2)
        run.provider_says(event, message, 5)
        assert len(ask(run, "from copies")) == 1

    @pytest.mark.parametrize(("result", "copies"), [("accepted", 1), ("ack-lost", 1), ("deferred", 0)])
    def test_what_was_taken_is_a_copy_whether_its_answer_arrived_or_not(
        self, result: str, copies: int
    ) -> None:
        run = Run(baseline=0)
        run.receipt(run.message(1), 2, result=result)
        assert len(ask(run, "from copies")) == copies


def test_attempts_with_several_recipients_are_one() -> None:
    run = Run(baseline=0)
    for _ in range(3):
        run.copy(run.message(1), 2, attempt="together")
    assert ask(run, "select recipients from attempts") == [(3,)]


def test_attempts_are_those_of_one_provider_in_one_run() -> None:
    here, there = Run("here", baseline=0), Run("there", baseline=0)
    first = here.copy(here.message(1), 2, attempt="1")
    here.copy(here.message(1), 2, attempt="1")
    here.copy(here.message(1), 3, attempt="2")
    here.copy(here.message(1), 4, "backup", attempt="1")
    there.copy(there.message(1), 2, attempt="1")
    with opened(here, there) as history:
        told = history.con.execute(
            "select run, source, provider, endpoint, attempt, recipients from attempts order by all"
        ).fetchall()
        seq = history.con.execute(
            "select a.seq = r.seq from attempts a join receipts r using (run, source, attempt) "
            "where a.recipients = 2 and r.token = ?",
            [first.token],
        ).fetchall()
    assert told == [
        ("here", "m365", "m365", "smtp", "1", 2),
        ("here", "m365", "m365", "smtp", "2", 1),
        ("here", "sendgrid", "sendgrid", "smtp", "1", 1),
        ("there", "m365", "m365", "smtp", "1", 1),
    ]
    assert seq == [(True,)]


class TestWhatCameToNothing:
    """A message is taken twice, and the provider tells of it afterwards."""

    def test_a_drop_undoes_the_first_that_it_took_in_whatever_order_they_were_written(self) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        for at in (7, 6):
            run.copy(message, at)
        run.provider_says("dropped", message, 8)
        assert as_written(run, "select end_ns from copies") == [(ns(7),)]

    def test_of_equal_times_the_one_that_was_told_first(self) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        for attempt in ("one", "two", "three"):
            run.copy(message, 6, attempt=attempt)
        run.provider_says("dropped", message, 8)
        assert ask(run, "select attempt from copies order by seq") == [("two",), ("three",)]

    @pytest.mark.parametrize("times", [(9, 8), (8, 8)])
    def test_what_was_told_first_of_a_copy_became_of_it(self, times: tuple[float, float]) -> None:
        run = Run(baseline=0)
        message = run.message(1)
        run.copy(message, 6)
        events = list(zip(("dropped", "bounced"), times, strict=True))
        for event, at in events if times[0] > times[1] else reversed(events):
            run.provider_says(event, message, at)
        assert as_written(run, "select event from _undone") == [("bounced",)]
