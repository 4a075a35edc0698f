"""The life story of a message: its own events and what went on around it, in order."""

from __future__ import annotations

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


def test_what_the_system_told_on_its_page_is_told_and_what_it_told_next() -> None:
    run = Run(without_mail=["page"])
    for at, told in ((1, True), (4.5, False), (9, False), (20, True), (30, True), (40, False)):
        run.announces(at, told)
    run.announces(10, True, canary="harness")
    message = run.message(5)
    assert [(at, about, text) for at, about, text in story_of(run, message.token) if about == "system"] == [
        (4.5, "system", "calls its outage over on page"),
        (20, "system", "announces an outage on page"),
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
    run = Run()
    run.fault(4, 8)
    run.detects(5)
    messages = run.traffic(0, 10, 1)
    with opened(run) as history:
        together = stories(history.con, run.name, [each.token for each in messages])
        alone = {each.token: history.events_of(each.token) for each in messages}
    assert together == alone


def test_of_no_message_there_is_no_story() -> None:
    with opened(Run()) as history:
        assert stories(history.con, "run", []) == {}
