"""Planning: times, counts, tokens and incidents; the same seed gives the same bytes everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.scenario.loader import load
from harness.scenario.models import Scenario
from harness.scenario.plan import plan, timeline_json
from harness.scenario.timeline import Fault, Marker, Message, Operator, Timeline
from tests.scenario.writing import SCENARIOS, loaded

DEMO = SCENARIOS / "m365-auth-outage.yaml"
S = 1_000_000_000


def messages(timeline: Timeline, stream: str, *, baseline: bool = False) -> list[Message]:
    return [
        entry
        for entry in timeline.entries
        if isinstance(entry, Message) and entry.stream == stream and entry.baseline == baseline
    ]


def faults(timeline: Timeline) -> list[Fault]:
    return [entry for entry in timeline.entries if isinstance(entry, Fault)]


def with_stream(stream: str, *sets: str) -> Scenario:
    return loaded(("count: 100, at: 6s", stream), sets=sets)


def test_the_demo_sends_325_messages_after_50_of_baseline() -> None:
    timeline = plan(load(DEMO))
    assert len(messages(timeline, "receipts")) == 225
    assert len(messages(timeline, "newsletter")) == 100
    assert len(messages(timeline, "receipts", baseline=True)) == 50


def test_a_rate_is_evenly_spaced_and_never_at_a_round_time() -> None:
    times = [m.at_ns for m in messages(plan(loaded()), "receipts")]
    assert times == [i * S // 5 + S // 10 for i in range(100)]


def test_a_count_comes_all_at_once() -> None:
    assert {m.at_ns for m in messages(plan(loaded()), "newsletter")} == {6 * S}


def test_a_count_with_a_length_is_spread_over_it() -> None:
    found = messages(plan(with_stream("count: 4, for: 2s, at: 6s")), "newsletter")
    assert [m.at_ns for m in found] == [6 * S + (2 * i + 1) * S // 4 for i in range(4)]


def test_a_rate_with_a_count_ends_with_the_last_of_them() -> None:
    scenario = with_stream("rate: 2/s, count: 3, at: 6s")
    times = [m.at_ns for m in messages(plan(scenario), "newsletter")]
    assert times == [6 * S + (2 * i + 1) * S // 4 for i in range(3)]


def test_what_does_not_fill_its_length_lies_in_its_middle() -> None:
    found = messages(plan(with_stream("rate: 1/s, for: 2500ms, at: 0s")), "newsletter")
    assert [m.at_ns for m in found] == [S // 4, S // 4 + S, S // 4 + 2 * S]


def test_a_rate_per_minute_is_exact() -> None:
    """Seven a minute are seven in one minute, and not eight, whatever 7/60 is in binary."""
    assert len(messages(plan(with_stream("rate: 7/min, for: 1m")), "newsletter")) == 7


def test_random_arrivals_are_chosen_by_the_seed() -> None:
    scenario = with_stream("rate: 20/s, for: 10s, arrivals: poisson")
    first, again, other = (
        [m.at_ns for m in messages(plan(scenario, seed), "newsletter")] for seed in (1, 1, 2)
    )
    assert first == again != other
    assert first == sorted(first) and first[0] >= 0 and first[-1] < 10 * S
    assert 120 < len(first) < 280


def test_a_random_count_is_met_exactly() -> None:
    scenario = with_stream("count: 30, for: 10s, arrivals: poisson")
    assert len(messages(plan(scenario), "newsletter")) == 30


def test_the_baseline_ends_where_the_storm_begins() -> None:
    timeline = plan(loaded())
    times = [m.at_ns for m in messages(timeline, "receipts", baseline=True)]
    assert times == [-2 * S + i * S // 5 + S // 10 for i in range(10)]
    markers = {e.marker: e.at_ns for e in timeline.entries if isinstance(e, Marker)}
    assert markers == {"baseline": -2 * S, "storm": 0, "heal": 20 * S, "drain-deadline": 80 * S}


def test_a_baseline_without_a_rate_sends_two_a_second() -> None:
    timeline = plan(loaded(sets=("baseline.stream=newsletter",)))
    assert len(messages(timeline, "newsletter", baseline=True)) == 4


def test_entries_are_in_order_of_time() -> None:
    times = [entry.at_ns for entry in plan(load(DEMO)).entries]
    assert times == sorted(times)


def test_a_message_says_what_it_is_in_every_carrier() -> None:
    message = messages(plan(loaded()), "receipts")[0]
    assert message.recipient == f"c.{message.token}@customer.example"
    assert message.headers == {"X-Harness-Token": message.token, "X-Harness-Class": "transactional"}
    assert f"\nref: hn-{message.token}-nh\n" in message.body
    assert message.within_ns == S


def test_a_message_expires_on_the_timelines_clock() -> None:
    found = messages(plan(with_stream("count: 1, at: 6s, expires: 3s")), "newsletter")
    assert found[0].expires_ns == 9 * S


def test_a_pool_repeats_its_addresses() -> None:
    scenario = with_stream("count: 50, at: 6s, recipients: {pool: [a@x.example, b@x.example]}")
    assert {m.recipient for m in messages(plan(scenario), "newsletter")} == {"a@x.example", "b@x.example"}


def test_faults_carry_plain_numbers_in_milliseconds() -> None:
    first, second = faults(plan(loaded()))
    assert (first.id, first.type, first.target) == ("f1", "auth-failure", "primary")
    assert (first.at_ns, first.until_ns, first.attributes) == (5 * S, 13 * S, {})
    assert second.attributes == {"latency": 400, "jitter": 100, "stream": "downstream"}


def test_a_kill_lasts_until_the_restart() -> None:
    (fault,) = faults(
        plan(
            loaded(sets=("faults=[{at: 5s, on: system, fault: kill, restart_after: 1s}]", "expect.mttd=null"))
        )
    )
    assert (fault.target, fault.until_ns, fault.attributes) == ("system", 6 * S, {"restart_after": 1000})


@pytest.mark.parametrize(
    ("written", "incidents"),
    [
        ("[10s 5s, 12s 5s]", ["i1", "i1"]),  # overlapping
        ("[10s 5s, 15s 5s]", ["i1", "i2"]),  # touching
        ("[10s 9s, 11s 1s, 18s 5s]", ["i1", "i1", "i1"]),  # a chain
        ("[16s 2s, 2s 2s]", ["i2", "i1"]),  # numbered by time, not by place in the file
        ("[2s 1s x, 16s 1s x, 9s 1s]", ["i1", "i1", "i2"]),  # one label
    ],
)
def test_faults_that_overlap_or_share_a_label_are_one_incident(written: str, incidents: list[str]) -> None:
    entries = []
    for entry in written.strip("[]").split(", "):
        at, length, *label = entry.split()
        incident = f", incident: {label[0]}" if label else ""
        entries.append(f"{{at: {at}, for: {length}, on: backup, fault: latency, latency: 50ms{incident}}}")
    timeline = plan(loaded(sets=(f"faults=[{', '.join(entries)}]",)))
    assert [fault.incident for fault in sorted(faults(timeline), key=lambda f: f.id)] == incidents


EVENTS = ("longest_retry: 2s", 'longest_retry: 2s\n  events: {grid: "POST /events/sendgrid"}')


@pytest.mark.parametrize(
    ("label", "incidents"), [("", ["i1", "i2", "i3"]), (", incident: x", ["i1", "i2", "i2"])]
)
def test_a_fault_where_no_mail_goes_ties_no_incidents_together(label: str, incidents: list[str]) -> None:
    timeline = plan(
        loaded(
            EVENTS,
            sets=(
                f"faults=[{{at: 1s, for: 5s, on: backup, fault: outage}},"
                f"{{at: 5s, for: 9s, on: backup.events, fault: outage{label}}},"
                f"{{at: 10s, for: 5s, on: backup, fault: outage{label}}}]",
            ),
        )
    )
    found = sorted(faults(timeline), key=lambda f: f.id)
    assert [fault.incident for fault in found] == incidents
    assert [fault.target for fault in found] == ["backup", "backup.events", "backup"]


def test_the_same_seed_gives_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    code = (
        "import sys; from harness.scenario.loader import load; from harness.scenario.plan import *; "
        f"sys.stdout.buffer.write(timeline_json(plan(load({str(DEMO)!r}))))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            cwd=tmp_path,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert seen == {timeline_json(plan(load(DEMO)))}


def test_another_seed_gives_other_tokens_and_the_same_times() -> None:
    one, two = plan(loaded(), 1), plan(loaded(), 2)
    assert [e.at_ns for e in one.entries] == [e.at_ns for e in two.entries]
    tokens = [{e.token for e in each.entries if isinstance(e, Message)} for each in (one, two)]
    assert not tokens[0] & tokens[1]


def test_a_change_to_one_stream_leaves_the_others_as_they_were() -> None:
    before = messages(plan(loaded()), "newsletter")
    after = messages(plan(loaded(sets=("workload.receipts.rate=3/s",))), "newsletter")
    assert before == after


def test_stored_timelines_read_back() -> None:
    timeline = plan(load(DEMO))
    assert msgspec.json.decode(timeline_json(timeline), type=Timeline) == timeline


@given(
    seed=st.integers(0, 2**63 - 1),
    rate=st.integers(1, 400),
    length=st.integers(1, 200),
    count=st.integers(1, 300),
    arrivals=st.sampled_from(["constant", "poisson"]),
)
def test_any_plan_is_in_order_with_unique_tokens_and_the_counts_asked_for(
    seed: int, rate: int, length: int, count: int, arrivals: str
) -> None:
    scenario = with_stream(
        f"count: {count}, for: {length * 10}ms, arrivals: {arrivals}",
        f"workload.receipts.rate={rate}/min",
        f"workload.receipts.for={length * 100}ms",
        "faults=[]",
        "expect={duplicates: none}",
    )
    timeline = plan(scenario, seed)
    times = [entry.at_ns for entry in timeline.entries]
    tokens = [entry.token for entry in timeline.entries if isinstance(entry, Message)]
    assert times == sorted(times)
    assert len(tokens) == len(set(tokens))
    assert all(len(t) == 16 and set(t) <= set("abcdefghijklmnopqrstuvwxyz234567") for t in tokens)
    assert len(messages(timeline, "newsletter")) == count
    assert len(messages(timeline, "receipts")) == -(-rate * length // 600)
    assert timeline == plan(scenario, seed)


OPERATOR = "  operator: {approve: {http: POST /approve}, page: {command: [page, 'a person']}}\n"


@given(st.lists(st.tuples(st.integers(0, 90), st.sampled_from(["approve", "page"])), max_size=6))
def test_an_operators_actions_are_in_order_and_the_storm_waits_for_the_last(
    steps: list[tuple[int, str]],
) -> None:
    written = ", ".join(f"{{at: {at_s}s, action: {action}}}" for at_s, action in steps)
    scenario = loaded(("workload:", f"{OPERATOR}workload:"), ("drain:", f"operator: [{written}]\ndrain:"))
    timeline = plan(scenario)
    actions = [entry for entry in timeline.entries if isinstance(entry, Operator)]
    assert [(a.at_ns // S, a.action) for a in actions] == sorted(steps, key=lambda step: step[0])
    assert {a.detail for a in actions} <= {"POST /approve", "page 'a person'"}
    assert timeline.storm_ns == max([20 * S, *(at_s * S for at_s, _ in steps)])


def test_whose_mail_an_action_is_about_is_in_the_timeline():
    step = "operator: [{at: 9s, action: approve, class: marketing}]"
    scenario = loaded(("workload:", f"{OPERATOR}workload:"), ("drain:", f"{step}\ndrain:"))
    (action,) = [entry for entry in plan(scenario).entries if isinstance(entry, Operator)]
    assert action.class_ == "marketing"
