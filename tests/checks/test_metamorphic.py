"""What must not change any verdict, asked of every check on random histories.

- The order of events with the same time, but where it says something: of receipts, of what the system says of
  one message, of the readings of one signal, of the system's starts and ends and of providers' events the
  journal's order is the order in which they happened. All else may be told in any order.
- One run in two files; several runs in one file. A run is a run wherever its events lie.
- All times moved by a constant.
- Mail of another class by another route, which no check is about: it makes no failure, unmakes none, and
  takes no pass away. (It may settle what nothing had been counted for.)

A check without an entry in PARAMS fails here: it has to say how it wants to be asked.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding, Verdict
from harness.history import events as ev
from harness.history.journal import write_events
from harness.history.store import History
from tests.checks.generated import history, in_order
from tests.checks.histories import Run, ns

BUCKET = {"rate": "2/s", "burst": 2}
PARAMS: dict[str, Any] = {
    "exposure": "required",
    "duplicates": "none",
    "delivered": "all",
    "unexpected": "none",
    "suppression": "kept",
    "throttle": {"primary": BUCKET, "backup": BUCKET},
    "waves": {"share": "10%", "every": "2s"},
    "flapping": {},
    "reconciliation": "agrees",
    "analytics": "all",
    "cost": 2,
    "pause": "marketing",
    "approval": "marketing",
    "false-alarm": "none",
    "quiescence": "reached",
    "fallback": {"after": "2s", "within": "10s"},
    "authentication": "all",
    "priority": "transactional",
    "mttd": "5s",
    "mttm": "5s",
    "mttr": "5s",
}
SEEDS = [range(first, first + 3) for first in (10_000, 20_000, 30_000)]
SHIFT_NS = 3_600_000_000_123
ABSOLUTE = ("t_ns", "scheduled_ns", "expires_ns", "begin_ns", "end_ns", "previous_read_ns")

Answer = tuple[Verdict, dict[str, Any], int, list[tuple[str | None, str | None, str]]]


def test_every_check_is_asked() -> None:
    assert PARAMS.keys() == CHECKS.keys()


def told(finding: Finding) -> Answer:
    offenders = [(each.token, each.subject, each.cause) for each in finding.offenders]
    return finding.verdict, finding.numbers, finding.counted, offenders


def answers(path: Path | list[Path], names: list[str]) -> dict[str, dict[str, Answer]]:
    """What each check says of each run."""
    with History.open(path) as opened:
        return {
            name: {
                check: told(CHECKS[check].evaluate(opened, name, parse_params(check, params)))
                for check, params in PARAMS.items()
            }
            for name in names
        }


def written(path: Path, runs: dict[str, list[Any]]) -> Path:
    for name, events in runs.items():
        write_events(path, name, sorted(events, key=lambda event: int(event.t_ns)))
    return path


def moved(run: Run, dice: random.Random) -> list[Any]:
    def later(event: Any) -> Any:
        times = {
            name: value + SHIFT_NS for name in ABSOLUTE if (value := getattr(event, name, None)) is not None
        }
        return msgspec.structs.replace(event, **times)

    return [later(event) for event in run.events]


def shuffled(run: Run, dice: random.Random) -> list[Any]:
    """In any order; of what must keep its order the places are shuffled, and filled in the old order."""
    events = in_order(run)
    places = list(range(len(events)))
    dice.shuffle(places)
    lines: dict[Any, list[int]] = {}
    for index, event in enumerate(events):
        lines.setdefault(_line(event, index), []).append(index)
    found: list[Any] = [None] * len(events)
    for indices in lines.values():
        for place, index in zip(sorted(places[i] for i in indices), indices, strict=True):
            found[place] = events[index]
    return found


def _line(event: Any, index: int) -> Any:
    match event:
        case ev.Receipt() | ev.ProviderEvent() | ev.SystemProcess():
            return type(event)
        case ev.SystemState():
            return type(event), event.token
        case ev.Signal():
            return type(event), event.signal, event.route
    return index


def with_other_mail(run: Run, dice: random.Random) -> list[Any]:
    """A digest that goes by a route of its own, early on."""
    states = any(isinstance(event, ev.SystemState) for event in run.events)
    added: list[Any] = [ev.ClockCalibrated(t_ns=0, source="third", when="start", offset_ns=0, error_ns=0)]
    for number in range(1, 6):
        at, token, recipient = ns(number / 4), f"digest{number:0>10}", f"c.digest{number}@other.example"
        added += [
            ev.MessageSubmitting(
                t_ns=at, token=token, recipient=recipient, stream="digest", class_="digest", scheduled_ns=at
            ),
            ev.MessageSubmitted(
                t_ns=at, token=token, recipient=recipient, result=ev.Submitted.ACCEPTED
            ),
            ev.Receipt(
                t_ns=at + 1000, source="third", n=number, provider="third", route="third", endpoint="api",
                result=ev.ReceiptResult.ACCEPTED, attempt=f"third-{number}", token=token,
                recipient=recipient, begin_ns=at, end_ns=at + 1000, carriers=["recipient", "nonce"],
            ),
        ]  # fmt: skip
        if states:
            added.append(ev.SystemState(t_ns=at + 2000, token=token, state="sent"))
    return [*run.events, *added]


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"from {seeds.start}")
@pytest.mark.parametrize("change", [moved, shuffled], ids=["moved in time", "told in another order"])
def test_verdicts_and_numbers_stay(
    seeds: range, change: Callable[[Run, random.Random], list[Any]], tmp_path: Path
) -> None:
    runs = {f"seed {seed}": history("", random.Random(seed)) for seed in seeds}
    changed = {f"{name}, changed": change(run, random.Random(name)) for name, run in runs.items()}
    path = written(tmp_path / "history.jsonl", {name: run.events for name, run in runs.items()} | changed)
    found = answers(path, [*runs, *changed])
    for name in runs:
        assert found[f"{name}, changed"] == found[name], name


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"from {seeds.start}")
def test_other_mail_makes_no_failure_and_takes_no_pass_away(seeds: range, tmp_path: Path) -> None:
    runs = {f"seed {seed}": history("", random.Random(seed)) for seed in seeds}
    changed = {f"{name}, more": with_other_mail(run, random.Random(name)) for name, run in runs.items()}
    path = written(tmp_path / "history.jsonl", {name: run.events for name, run in runs.items()} | changed)
    found = answers(path, [*runs, *changed])
    for name in runs:
        for check in CHECKS:
            before, _, counted, _ = found[name][check]
            after = found[f"{name}, more"][check][0]
            if counted:
                assert (before is Verdict.FAIL) == (after is Verdict.FAIL), f"{check}, {name}"
                assert before is not Verdict.PASS or after is Verdict.PASS, f"{check}, {name}"


@pytest.mark.parametrize("seeds", SEEDS, ids=lambda seeds: f"from {seeds.start}")
def test_a_run_is_judged_alike_alone_among_others_and_in_two_files(seeds: range, tmp_path: Path) -> None:
    runs = {f"seed {seed}": history("", random.Random(seed)).events for seed in seeds}
    together = answers(written(tmp_path / "all.jsonl", runs), list(runs))
    for name, events in runs.items():
        with tempfile.TemporaryDirectory() as folder:
            whole = written(Path(folder) / "whole.jsonl", {name: events})
            assert answers(whole, [name])[name] == together[name], name
            lines = whole.read_text().splitlines(keepends=True)
            halves = [Path(folder) / "one.jsonl", Path(folder) / "other.jsonl"]
            for at, half in enumerate(halves):
                half.write_text("".join(lines[at::2]))
            assert answers(halves, [name])[name] == together[name], f"{name}, in two files"
