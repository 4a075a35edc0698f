"""The lane diagram: what happens when, at a glance."""

from __future__ import annotations

from harness.cli.lanes import diagram
from harness.scenario.timeline import Fault, Marker, Message, Operator, Timeline

S = 1_000_000_000


def message(at_s: float, stream: str = "receipts") -> Message:
    return Message(
        at_ns=round(at_s * S),
        token="t",
        recipient="c.t@customer.example",
        stream=stream,
        class_="x",
        subject="",
        body="",
    )


def fault(at_s: float, until_s: float | None, type_: str = "outage", target: str = "primary") -> Fault:
    until_ns = None if until_s is None else round(until_s * S)
    return Fault(at_ns=round(at_s * S), until_ns=until_ns, id="f", incident="i", type=type_, target=target)


def timeline(*entries: Message | Fault | Operator, storm_s: int = 40) -> Timeline:
    markers = [
        Marker(at_ns=-10 * S, marker="baseline"),
        Marker(at_ns=0, marker="storm"),
        Marker(at_ns=storm_s * S, marker="heal"),
    ]
    return Timeline(
        scenario="a",
        seed=0,
        baseline_ns=10 * S,
        storm_ns=storm_s * S,
        drain_deadline_ns=60 * S,
        entries=sorted([*markers, *entries], key=lambda entry: entry.at_ns),
    )


def test_an_operators_actions_are_marks_with_their_names_and_none_covers_another() -> None:
    steps = [Operator(at_ns=round(at_s * S), action=name) for at_s, name in ((10, "pause"), (11, "approve"))]
    lines = diagram(timeline(message(1), *steps), 80)
    first, second = lines[-2:]
    assert first.startswith("operator") and first.endswith("▼pause")
    assert second.startswith(" ") and second.endswith("▼approve")
    assert lane(diagram(timeline(message(1), *steps), 80, unicode=False), "operator").endswith("vpause")


def lane(lines: list[str], label: str) -> str:
    return next(line for line in lines if line.startswith(label))


def test_a_fault_spans_its_window_on_the_ruler_and_names_its_kind() -> None:
    lines = diagram(timeline(message(1), fault(10, 30)), 80)
    window = lane(lines, "✗ primary")
    assert "outage" in window
    assert abs(window.index("┣") - lines[0].rindex("10s")) <= 1
    assert abs(window.index("┫") - lines[0].index("30s")) <= 1


def test_phases_begin_where_they_do() -> None:
    lines = diagram(timeline(message(1)), 80)
    phases = lane(lines, "phase")
    assert phases.index("├baseline") < phases.index("├storm") < phases.index("├drain")


def test_a_burst_is_darker_than_a_trickle() -> None:
    burst = [message(20) for _ in range(50)]
    row = lane(diagram(timeline(message(5), *burst), 80), "receipts")
    assert "·" in row
    assert "█" in row


def test_each_stream_and_each_target_has_its_lane() -> None:
    lines = diagram(
        timeline(message(1), message(2, "newsletter"), fault(5, 10), fault(6, 9, "latency", "backup")), 80
    )
    labels = [line.split("  ")[0] for line in lines]
    assert [label for label in labels if label] == [
        "phase",
        "receipts",
        "newsletter",
        "✗ primary",
        "✗ backup",
    ][: len([label for label in labels if label])]


def test_faults_of_one_target_that_overlap_stand_below_each_other() -> None:
    lines = diagram(timeline(message(1), fault(5, 20), fault(10, 30, "latency")), 80)
    outage = next(i for i, line in enumerate(lines) if "outage" in line)
    latency = next(i for i, line in enumerate(lines) if "latency" in line)
    assert latency == outage + 1


def test_what_happens_at_one_instant_is_a_mark() -> None:
    lines = diagram(timeline(message(1), fault(20, None, "kill", "system")), 80)
    assert "▼kill" in lane(lines, "✗ system")


def test_no_line_is_wider_than_asked_for() -> None:
    entries = [message(i / 3, "a-stream-with-a-rather-long-name") for i in range(120)]
    for width in (60, 80, 110):
        lines = diagram(timeline(*entries, fault(39.9, None, "kill", "system"), fault(39, 40)), width)
        assert max(map(len, lines)) <= width


def test_a_terminal_without_unicode_gets_ascii() -> None:
    lines = diagram(timeline(message(1), fault(10, 30), fault(20, None, "kill", "system")), 80, unicode=False)
    assert all(line.isascii() for line in lines)
