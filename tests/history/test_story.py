"""The life story of a message: its own events and what went on around it, in order."""

from __future__ import annotations

from typing import Any, cast

import pytest

from harness.history.story import About, stories
from tests.checks.histories import Run, opened


def story_of(run: Run, token: str) -> list[tuple[float, str, str]]:
    with opened(run) as history:
        return [
            (round(line.t_ns / 1e9 - 10, 6), str(line.about), line.text) for line in history.events_of(token)
        ]


def test_a_message_that_went_the_long_way() -> None:
    run = Run()
    run.traffic(0, 10, 1)
    run.fault(4, 20)
    run.detects(7)
    message = run.message(5)
    run.receipt(message, 5.5, "primary", "aborted")
    run.copy(message, 7.5, "backup", code=202)
    run.says(message, "sent", 8)
    assert story_of(run, message.token) == [
        (4, "fault", "fault f1 (outage on primary): injecting"),
        (4, "fault", "fault f1 (outage on primary): active"),
        (4, "fault", "fault f1 (outage on primary): acted"),
        (5, "message", f"offered to the system, transactional, to {message.recipient}"),
        (5, "message", "the system answered: accepted"),
        (5.5, "message", "m365 by primary: aborted"),
        (6.9, "signal", "signal detected of primary: false"),
        (7, "signal", "signal detected of primary: true"),
        (7.5, "message", "sendgrid by backup: accepted (202)"),
        (8, "message", "the system says: sent"),
    ]


def test_a_notice_to_the_sender_is_told_as_one() -> None:
    run = Run()
    message = run.message(5)
    run.receipt(message, 5.1, "primary", "refused", code=554)
    run.receipt(message, 5.2, "primary", recipient="no-reply@shop.example", notice="failed")
    assert [text for _, _, text in story_of(run, message.token)][-2:] == [
        "m365 by primary: refused (554)",
        "m365 by primary: accepted, a notice (failed) to no-reply@shop.example",
    ]


def test_what_happened_long_before_or_after_is_left_out() -> None:
    run = Run()
    run.fault(1, 2)
    run.kill(30, 31)
    message = run.message(10)
    run.copy(message, 10.1)
    assert {about for _, about, _ in story_of(run, message.token)} == {About.MESSAGE}


def test_restarts_and_the_operators_words_are_told() -> None:
    run = Run()
    message = run.message(10)
    run.kill(10.1, 10.5)
    run.operator("approve", 10.6)
    run.copy(message, 11)
    told = [text for _, _, text in story_of(run, message.token)]
    assert "the system's process: killed" in told
    assert "operator scenario: approve" in told


def about_the_system(run: Run, token: str) -> list[tuple[float, str]]:
    return [(at, text) for at, about, text in story_of(run, token) if about == About.SYSTEM]


def begins_of_faults(run: Run, token: str) -> list[tuple[float, str]]:
    told = [(at, text) for at, about, text in story_of(run, token) if about == About.FAULT]
    return [(at, text) for at, text in told if text.endswith(": active")]


def test_a_fault_in_force_is_told_however_long_ago_it_began() -> None:
    run = Run()
    run.fault(1, 50)
    run.fault(1, 5, "latency")
    run.fault(2, None, "blackhole", "backup")
    lost, sent = run.message(10), run.message(12)
    run.copy(sent, 12.1, "backup")
    for message in (lost, sent):
        assert [line for line in story_of(run, message.token) if line[1] == About.FAULT] == [
            (1, "fault", "fault f1 (outage on primary): active"),
            (2, "fault", "fault f3 (blackhole on backup): active"),
        ]


def test_a_kill_is_over_once_the_system_is_back() -> None:
    run = Run()
    run.kill(1, 2)
    run.restart(20, 40)
    before, meanwhile = run.message(10), run.message(30, result=None)
    run.copy(before, 10.1)
    assert begins_of_faults(run, before.token) == []
    assert begins_of_faults(run, meanwhile.token) == [(20, "fault f2 (restart on system): active")]


@pytest.mark.parametrize("change", ["killed", "exited", "stopped"])
def test_a_message_that_never_left_is_followed_to_the_system_s_next_end(change: str) -> None:
    run = Run()
    run.process("started", 1)
    run.process("killed", 5)
    run.process("started", 6)
    message = run.message(10)
    run.receipt(message, 10.2, "primary", "deferred")
    run.receipt(message, 10.3, "primary", recipient="no-reply@shop.example", notice="delayed")
    run.fault(12, 13)
    run.process("paused", 14)
    run.process(change, 20)
    run.process("started", 25)
    run.process("stopped", 60)
    assert about_the_system(run, message.token) == [
        (14, "the system's process: paused"),
        (20, f"the system's process: {change}"),
        (25, "the system's process: started"),
    ]
    assert begins_of_faults(run, message.token) == [(12, "fault f1 (outage on primary): active")]


def test_an_end_without_a_start_again_is_the_end_of_a_message_that_never_left() -> None:
    run = Run()
    message = run.message(10)
    run.fault(12, 30)
    run.process("stopped", 20)
    run.fault(22, 25)
    assert about_the_system(run, message.token) == [(20, "the system's process: stopped")]
    assert begins_of_faults(run, message.token) == [(12, "fault f1 (outage on primary): active")]


@pytest.mark.parametrize("result", ["accepted", "ack-lost"])
def test_what_becomes_of_the_system_is_no_matter_to_a_message_that_has_left(result: str) -> None:
    run = Run(without_mail=["page"])
    message = run.message(10)
    run.receipt(message, 10.1, "primary", result)
    run.announces(15)
    run.kill(20, 21)
    assert about_the_system(run, message.token) == []


def test_what_the_system_told_on_its_page_is_told_and_what_it_told_next() -> None:
    run = Run(without_mail=["page"])
    for at, told in ((1, True), (4.5, False), (9, False), (20, True), (30, True), (40, False)):
        run.announces(at, told)
    run.announces(10, True, canary="harness")
    message = run.message(5)
    assert about_the_system(run, message.token) == [
        (1, "announces an outage on page"),
        (4.5, "calls its outage over on page"),
        (20, "announces an outage on page"),
    ]


def test_an_outage_that_was_announced_already_is_told_from_its_first_announcement() -> None:
    run = Run(without_mail=["page", "other"])
    for at, told, page in (
        (1, True, "page"), (2, False, "page"), (3, True, "page"), (4, True, "page"),
        (1, True, "other"), (5, False, "other"),
    ):  # fmt: skip
        run.announces(at, told, via=page)
    message = run.message(10)
    run.copy(message, 10.1)
    assert about_the_system(run, message.token) == [(3, "announces an outage on page")]


@pytest.mark.parametrize("counter", ["queue_depth", "events_seen"])
def test_a_counter_is_no_news(counter: str) -> None:
    run = Run()
    message = run.message(10)
    run.copy(message, 10.2)
    for number in range(3):
        run.reads(counter, number, 10 + number / 10, None)
    run.reads("paused", True, 10.1, None)
    assert [text for _, about, text in story_of(run, message.token) if about == About.SIGNAL] == [
        "signal paused: true"
    ]


def test_nobody_knows_a_token_that_never_was() -> None:
    assert story_of(Run(), "x" * 16) == []


def test_a_connection_that_is_cut_right_after_the_answer_is_told() -> None:
    run = Run()
    message, before = run.message(5), run.message(3)
    run.copy(before, 3.1, connection="c")
    run.copy(message, 5.1, connection="c")
    run.closes("c", 5.15)
    run.closes("other", 5.16)
    assert [text for _, _, text in story_of(run, message.token)][-2:] == [
        "m365 by primary: accepted",
        "m365 by primary: the connection of its attempt is cut",
    ]
    assert "cut" not in story_of(run, before.token)[-1][2]


def test_several_stories_are_those_of_each_alone() -> None:
    run = Run(without_mail=["page"])
    run.fault(4, 8)
    run.detects(5)
    run.announces(6)
    messages = run.traffic(0, 10, 1)
    messages += [run.message(3), run.message(12)]
    run.kill(11, 11.5)
    run.kill(20, 21)
    with opened(run) as history:
        together = stories(history.con, run.name, [each.token for each in messages])
        alone = {each.token: history.events_of(each.token) for each in messages}
    assert together == alone


class Counted:
    """A connection that counts what it is asked."""

    def __init__(self, con: Any) -> None:
        self.con = con
        self.questions = 0

    def execute(self, *asked: Any) -> Any:
        self.questions += 1
        return self.con.execute(*asked)


def test_several_stories_take_as_many_questions_as_one() -> None:
    run = Run()
    run.kill(20, 21)
    messages = [run.message(at) for at in range(5)]
    with opened(run) as history:
        counted = [Counted(history.con), Counted(history.con)]
        for con, asked in zip(counted, (messages[:1], messages), strict=True):
            stories(cast("Any", con), run.name, [each.token for each in asked])
    assert counted[0].questions == counted[1].questions


def test_of_no_message_there_is_no_story() -> None:
    with opened(Run()) as history:
        assert stories(history.con, "run", []) == {}
