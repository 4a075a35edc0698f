"""The stories of offenders as a report tells them."""

from __future__ import annotations

from harness.checks.finding import Offender
from harness.report.facts import facts_of
from harness.report.story import key_of, stories_of
from harness.report.words import Tone
from tests.checks.histories import Message, Run, opened


def test_a_notice_to_the_sender_is_no_copy_of_the_message() -> None:
    run = Run()
    message = run.message(5)
    run.receipt(message, 5.1, "primary", "refused", code=554)
    run.receipt(message, 5.2, "primary", recipient="no-reply@shop.example", notice="failed", code=250)
    run.copy(message, 5.3, "backup", code=202)
    offender = Offender(token=message.token, why="")
    with opened(run) as history:
        *_, notice, copy = stories_of(facts_of(history, "run"), [offender])[message.token].lines
    assert notice.text == "takes a notice, failed, to no-reply@shop.example (250)"
    assert notice.tone is Tone.BAD
    assert copy.text == "takes the first copy (202)"


def told(run: Run, offender: Offender) -> list[str]:
    with opened(run) as history:
        stories = stories_of(facts_of(history, "run"), [offender])
    return [f"{line.actor}: {line.text}" for line in stories[key_of(offender)].lines]


def of(message: Message) -> Offender:
    return Offender(token=message.token, recipient=message.recipient, why="two copies")


def test_an_attempt_names_the_faults_that_were_in_force_on_its_route() -> None:
    run = Run()
    run.fault(4, 8, "auth-failure")
    run.fault(4, 8, "latency", "backup")
    message = run.message(5)
    run.receipt(message, 5.1, "primary", "refused", code=535)
    with opened(run) as history:
        lines = stories_of(facts_of(history, "run"), [of(message)])[message.token].lines
    assert next(line.faults for line in lines if line.route == "primary") == ("auth-failure on primary",)


def test_an_acknowledgement_that_a_cut_connection_took_along_is_told() -> None:
    run = Run()
    message = run.message(5)
    run.copy(message, 5.1, connection="c")
    run.closes("c", 5.15)
    assert "m365: its connection is cut, 50 ms after its answer" in told(run, of(message))


def test_a_kill_with_an_attempt_in_flight_says_so_and_another_does_not() -> None:
    run = Run()
    message = run.message(5)
    run.kill(5.5, 5.8)
    run.receipt(message, 5.6, "primary", "aborted", took=0.3)
    run.kill(6.0, 6.2)
    kills = [line for line in told(run, of(message)) if "killed" in line]
    assert [("in flight" in line) for line in kills] == [True, False]


def test_a_system_that_was_sending_when_it_was_killed_had_an_attempt_in_flight() -> None:
    run = Run()
    message = run.message(5)
    run.says(message, "sending", 5.2)
    run.kill(5.5, 5.8)
    run.copy(message, 6)
    assert any("in flight" in line for line in told(run, of(message)))


def test_what_a_message_was_lost_by_is_told_though_it_came_before_or_after() -> None:
    run = Run()
    run.fault(1, 50)
    message = run.message(10)
    run.process("killed", 12)
    run.process("started", 14)
    lines = told(run, of(message))
    assert lines[0] == "fault: outage on primary begins"
    assert lines[-2:] == ["system: the system's process: killed", "system: the system's process: started"]


def test_a_long_life_is_told_from_its_beginning_and_to_its_end() -> None:
    run = Run()
    message = run.message(5)
    for number in range(100):
        run.receipt(message, 5.1 + number / 10, "primary", "deferred")
    run.copy(message, 16, "backup")
    lines = told(run, of(message))
    assert len(lines) == 40
    assert lines[0].startswith("driver: offers it")
    assert lines[-1] == "sendgrid: takes the first copy"
    assert [line for line in lines if "left out" in line] == ["…: 64 events left out"]


def test_of_an_incident_everything_is_told_that_was_no_message_s_own() -> None:
    run = Run()
    run.fault(5, 15, incident="the first")
    run.fault(40, 50, incident="the second")
    run.detects(7, until=16)
    run.traffic(6, 15, 0.5, via="backup")
    run.operator("approve", 15.5)
    lines = told(run, Offender(subject="incident the first", why="detected late"))
    assert lines == [
        "fault: outage on primary begins",
        "run: switched",
        "signal: signal detected of primary: false",
        "signal: signal detected of primary: true",
        "run: detected",
        "fault: outage on primary ends",
        "operator: operator scenario: approve",
        "signal: signal detected of primary: false",
    ]


def test_a_route_has_the_story_of_its_faults_and_a_stream_has_none() -> None:
    run = Run()
    run.fault(5, 15)
    run.fault(20, 22, "latency", "backup")
    route = Offender(subject="route backup", why="too fast")
    assert told(run, route) == ["fault: latency on backup begins", "fault: latency on backup ends"]
    with opened(run) as history:
        assert stories_of(facts_of(history, "run"), [Offender(subject="stream receipts", why="late")]) == {}


def test_an_alarm_on_a_route_that_was_never_broken_has_the_story_of_what_was_said_of_it() -> None:
    run = Run()
    run.fault(5, 15)
    run.detects(7)
    run.detects(20, "backup", until=25)
    assert told(run, Offender(subject="route backup", why="detected without a fault")) == [
        "signal: signal detected of backup: false",
        "signal: signal detected of backup: true",
        "signal: signal detected of backup: false",
    ]
    assert len(told(run, Offender(subject="the system", why="detected without a fault"))) == 7
