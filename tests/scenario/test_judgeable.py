"""Expectations that nothing could decide are refused, and only those; the messages are under snapshots/."""

from __future__ import annotations

from tests.scenario.writing import changed, problem, problems

PAUSE = (
    ("drain:", "operator: [{at: 9s, action: pause, class: marketing}]\ndrain:"),
    ("longest_retry: 2s", 'longest_retry: 2s\n  operator: {pause: {http: "POST /pause"}}'),
)
SAYS_PAUSED = ("signals:\n", "signals:\n    paused: {http: /status, when: paused}\n")


def test_a_pause_needs_somebody_who_pauses() -> None:
    expected = ("mttd: 5s", "pause: marketing")
    assert problem(changed(expected)).path == "expect.pause"
    assert not problems(changed(expected, *PAUSE))
    assert not problems(changed(expected, SAYS_PAUSED))
    assert not problems(changed(("mttd: 5s", "pause: {class: marketing, from: detection}")))
    other = changed(("mttd: 5s", "pause: transactional"), *PAUSE)
    assert problem(other).path == "expect.pause"


def test_an_approval_needs_a_reason_to_wait_but_nobody_has_to_give_it() -> None:
    text = changed(("mttd: 5s", "approval: marketing"), ("  mttr: 15s\n", ""))
    beside = "faults=[]"
    assert not problems(text)
    assert problem(text, beside).path == "expect.approval"
    assert not problems(text.replace(*SAYS_PAUSED), beside)


def test_an_alarm_needs_a_signal() -> None:
    assert not problems(changed(("mttd: 5s", "false-alarm: none")))
    assert problem(changed(("mttd: 5s", "false-alarm: none"), ("detected: {", "broken: {"))).path == (
        "expect.false-alarm"
    )


def test_priority_needs_both_classes_and_something_that_lets_a_backlog_go() -> None:
    text = changed(("mttd: 5s", "priority: transactional"), ("  mttr: 15s\n", ""))
    assert not problems(text)
    assert problem(text, "faults=[]").path == "expect.priority"
    assert not problems(text.replace(*SAYS_PAUSED), "faults=[]")
    other = text.replace("priority: transactional", "priority: {first: transactional, then: marketing}")
    assert not problems(other)
    assert problem(text.replace("class: marketing", "class: digest")).path == "expect.priority"
