"""The queries against a slow model in plain Python, on hundreds of random histories: every run must agree.

Times lie on a coarse grid, so that equal timestamps and exact borders are common rather than rare. Many
histories go into one file and each query answers for all of them at once.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.checks.delivered import FATES
from harness.checks.duplicates import EXTRA_COPIES
from harness.checks.throttle import EARLY, GRACE_NS, peaks
from harness.checks.waves import LEAD_NS, WAVES
from tests.checks.histories import Message, Run, opened
from tests.checks.model import Model

RUNS = 30
ROUTES = ("primary", "backup")

times = st.integers(0, 60).map(lambda steps: steps / 2)
instants = st.one_of(times, st.integers(0, 600).map(lambda steps: steps / 20))


@st.composite
def histories(draw: st.DrawFn, name: str) -> Run:
    run = Run(
        name,
        baseline=draw(st.sampled_from([0, 3, 20])),
        ends=40,
        clock_error=draw(st.sampled_from([0, 0.05])),
    )
    for _ in range(draw(st.integers(0, 2))):
        on, length = draw(times), draw(st.integers(1, 20)) / 2
        type_ = draw(st.sampled_from(["outage", "latency", "ack-loss"]))
        attributes = {"latency": 200, "jitter": 50} if type_ == "latency" else {}
        run.fault(on, on + length, type_, draw(st.sampled_from(ROUTES)), attributes=attributes)
    if draw(st.integers(0, 3)) == 0:
        at = draw(times)
        run.kill(at, at + 0.5)
    match draw(st.integers(0, 6)):
        case 0:
            run.restart(at := draw(times), at + 0.5, complies=draw(st.booleans()))
        case 1:
            on = draw(times)
            run.fault(
                on, on + draw(st.integers(1, 8)) / 2, draw(st.sampled_from(["pause", "partition"])), "system"
            )
    for _ in range(draw(st.integers(0, 2))):
        run.operator(draw(st.sampled_from(["resume", "approve"])), draw(times))
    messages = [draw_message(draw, run) for _ in range(draw(st.integers(0, 8)))]
    for message in messages:
        for _ in range(draw(st.integers(0, 3))):
            draw_attempt(draw, run, message)
        if draw(st.integers(0, 5)) == 0:
            state = draw(st.sampled_from(["sending", "held", "expired", "suppressed", "sent"]))
            run.says(message, state, draw(times))
        if draw(st.integers(0, 5)) == 0:
            event = draw(st.sampled_from(["bounced", "dropped", "delivered"]))
            run.provider_says(event, message, draw(times), draw(st.sampled_from(ROUTES)))
    return run


def draw_message(draw: st.DrawFn, run: Run) -> Message:
    at = draw(times)
    message = run.message(
        at,
        draw(st.sampled_from(["transactional", "marketing"])),
        expires=draw(st.sampled_from([None, None, at + 5])),
        result=draw(st.sampled_from(["accepted", "accepted", "accepted", "refused", "indeterminate", None])),
    )
    if draw(st.integers(0, 7)) == 0:
        run.offer_again(message, at + 0.5, 2, draw(st.sampled_from(["accepted", "refused"])))
    return message


def draw_attempt(draw: st.DrawFn, run: Run, message: Message) -> None:
    result = draw(
        st.sampled_from(["accepted", "accepted", "accepted", "ack-lost", "deferred", "refused", "aborted"])
    )
    via = draw(st.sampled_from(ROUTES))
    more: dict[str, Any] = {}
    if result == "deferred" and draw(st.booleans()):
        more["retry_after_ns"] = draw(st.sampled_from([500_000_000, 2_000_000_000]))
    at = draw(instants)
    receipt = run.receipt(message, at, via, result, took=draw(st.sampled_from([0, 0.05, 0.5])), **more)
    if draw(st.integers(0, 6)) == 0:
        run.closes(receipt.connection, at + draw(st.sampled_from([0, 0.1, 0.15, 0.4])), via)


@st.composite
def many(draw: st.DrawFn) -> list[Run]:
    return [draw(histories(f"run-{number:02}")) for number in range(RUNS)]


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(many())
def test_duplicates_delivered_throttle_and_waves_agree(runs: list[Run]) -> None:
    models = {run.name: Model(sorted(run.events, key=lambda event: int(event.t_ns))) for run in runs}
    with opened(*runs) as history:
        con = history.con

        extra: dict[str, set[tuple[str, int, str]]] = defaultdict(set)
        for run, token, _, _, copy, *_, cause in con.execute(EXTRA_COPIES, {"run": None}).fetchall():
            extra[run].add((token, copy, cause))
        fates: dict[str, dict[str, str]] = defaultdict(dict)
        for run, token, *_, fate in con.execute(FATES, {"run": None}).fetchall():
            fates[run][token] = fate
        for name, model in models.items():
            assert extra[name] == model.extra_copies(), name
            assert fates[name] == model.fates(), name

        for route, rate in (("primary", 2.0), ("backup", 0.75)):
            found_peaks = peaks(history, route, rate)
            early: dict[str, int] = defaultdict(int)
            for run, *_ in con.execute(EARLY, {"run": None, "route": route, "grace": GRACE_NS}).fetchall():
                early[run] += 1
            for name, model in models.items():
                expected = model.peak(route, Fraction(rate))
                assert (name in found_peaks) == (expected is not None), name
                assert expected is None or Fraction(*found_peaks[name][:2]) == expected, name
                assert early[name] == model.too_early(route), name

        found: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        asked = {"run": None, "class": None, "share": 0.1, "every": 2_000_000_000, "lead": LEAD_NS}
        for run, _, _, _, backlog, largest, _, allowed in con.execute(WAVES, asked).fetchall():
            found[run].append((backlog, largest, allowed))
        for name, model in models.items():
            assert found[name] == model.waves(Fraction(1, 10), 2_000_000_000), name
