"""A real run of a system that is observed in every way at once: all tell the same moments."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conduct.ending_runs import HARNESS, left_over

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "scenarios" / "systems" / "observed.yaml"
OF_THE_PRIMARY = (
    "detected", "down_by_file", "down_by_text", "down_by_sql", "down_by_command", "down_by_exit_code",
    "down_by_webhook",
)  # fmt: skip
ONE_AFTER_ANOTHER_NS = 300_000_000
"""The mailer tells its log first and posts last; a loaded machine may come between."""

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("observed") / "runs"
    done = subprocess.run(
        [*HARNESS, "run", str(SCENARIO), "--on", "local", "--proxy", "embedded", "--out", str(out)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (folder,) = out.iterdir()
    return folder


@pytest.fixture(scope="module")
def events(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "history.jsonl").read_text().splitlines()]


def told(events: list[dict[str, Any]], signal: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == "signal" and event["signal"] == signal]


def test_every_source_tells_that_the_primary_is_down_at_the_same_moment(events: list[dict[str, Any]]) -> None:
    edges = [next(each for each in told(events, name) if each.get("value")) for name in OF_THE_PRIMARY]
    after, until = (edge["previous_read_ns"] for edge in edges), (edge["t_ns"] for edge in edges)
    assert max(after) <= min(until) + ONE_AFTER_ANOTHER_NS
    injecting = next(event for event in events if event["kind"] == "fault.injecting")
    assert all(edge["t_ns"] > injecting["t_ns"] for edge in edges)


def test_every_source_tells_when_it_is_up_again(events: list[dict[str, Any]]) -> None:
    assert all(not told(events, name)[-1]["value"] for name in OF_THE_PRIMARY)
    words = [event["value"] for event in told(events, "primary_state")]
    assert [word for n, word in enumerate(words) if words[n - 1 : n] != [word]] == ["up", "down", "up"]


def test_nothing_that_was_read_made_no_sense(events: list[dict[str, Any]]) -> None:
    errors = [str(event["error"]) for event in events if event["kind"] == "signal" and event.get("error")]
    assert [error for error in errors if not error.startswith("unreachable")] == []
    warnings = {event["warning"] for event in events if event["kind"] == "harness.warning"}
    assert "states-unreadable" not in warnings


def test_the_states_come_from_the_database(events: list[dict[str, Any]]) -> None:
    states = {event["token"]: event["state"] for event in events if event["kind"] == "system.state"}
    submitted = {event["token"] for event in events if event["kind"] == "message.submitted"}
    assert states.keys() == submitted
    assert set(states.values()) <= {"sent", "held"}


def test_no_command_and_no_server_is_left(run_dir: Path) -> None:
    assert left_over(run_dir) == []
