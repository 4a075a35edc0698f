"""Postfix as it is: its fallback relay works, and a lost acknowledgement gives customers a second copy.

One real run, shortened, judged with the allowance for that and then without it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.requires import require_postfix
from tests.systems.machine import machine

ROOT = Path(__file__).resolve().parents[2]
HARNESS = Path(sys.executable).with_name("harness")
SHORT = {
    "baseline.for": "2s",
    "workload.receipts.for": "11s",
    "faults.0.at": "1s",
    "faults.0.for": "3s",
    "faults.1.at": "6s",
    "faults.1.for": "4s",
    "faults.1.every": "5",
}

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Judged:
    exit_code: int
    run: dict[str, Any]

    def finding(self, check: str) -> dict[str, Any]:
        return next(dict(each) for each in self.run["findings"] if each["check"] == check)

    @property
    def folder(self) -> Path:
        return Path(self.run["run_dir"])

    @property
    def said(self) -> str:
        return json.dumps([self.run["detail"], self.run["findings"], self.run["warnings"]], indent=1)


@dataclass(frozen=True)
class Ran:
    judged: Judged
    machine_before: dict[str, tuple[int, ...]]
    machine_after: dict[str, tuple[int, ...]]


def harness(*arguments: str, cwd: Path) -> Judged:
    command = [str(HARNESS), *arguments, "--json"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=150)
    assert done.stdout.startswith("{"), done.stderr
    return Judged(done.returncode, json.loads(done.stdout)["runs"][0])


@pytest.fixture(scope="module")
def ran() -> Iterator[Ran]:
    require_postfix()
    # Not pytest's folder, whose length differs from one machine to the next: Postfix cannot be in a deep one.
    with tempfile.TemporaryDirectory(prefix="postfix-", dir="/tmp") as out:
        yield run_it(out)


def run_it(out: str) -> Ran:
    before = machine()
    sets = [word for path, value in SHORT.items() for word in ("--set", f"{path}={value}")]
    scenario = str(ROOT / "scenarios" / "systems" / "postfix.yaml")
    judged = harness("run", scenario, "--on", "local", "--out", out, *sets, cwd=ROOT)
    return Ran(judged, before, machine())


def test_with_the_allowance_it_passes_and_the_copies_are_told(ran: Ran) -> None:
    judged = ran.judged
    assert judged.exit_code == 0, judged.said
    duplicates = judged.finding("duplicates")["numbers"]
    assert duplicates["duplicated"] == duplicates["cross_route_after_lost_ack"] > 0
    assert judged.finding("delivered")["numbers"]["lost"] == 0
    assert judged.finding("exposure")["verdict"] == "pass"


def test_without_the_allowance_it_fails_and_the_cause_is_named(ran: Ran) -> None:
    again = harness("check", str(ran.judged.folder), "--expect", "duplicates=none", cwd=ROOT)
    assert again.exit_code == 1, again.said
    finding = again.finding("duplicates")
    assert finding["verdict"] == "fail"
    causes = {offender["cause"] for offender in finding["offenders"]}
    assert causes == {"cross-route after a lost acknowledgement"}


def test_an_allowance_for_another_cause_does_not_excuse_them(ran: Ran) -> None:
    expect = "duplicates={at_most: 10%, only: replay}"
    assert harness("check", str(ran.judged.folder), "--expect", expect, cwd=ROOT).exit_code == 1


def test_what_postfix_logs_is_what_was_done_to_it(ran: Ran) -> None:
    log = (ran.judged.folder / "system.log").read_text("utf-8", "replace")
    lost = ran.judged.finding("duplicates")["numbers"]["cross_route_after_lost_ack"]
    assert log.count("-- message may be sent more than once") == lost
    assert ": Connection refused" in log
    assert "status=bounced" not in log


def test_both_signals_were_read(ran: Ran) -> None:
    events = [json.loads(line) for line in (ran.judged.folder / "history.jsonl").read_text().splitlines()]
    signals = [event for event in events if event["kind"] == "signal"]
    assert {event["signal"] for event in signals} == {"detected", "queue_depth"}
    assert {event["value"] for event in signals if event["signal"] == "detected"} == {True, False}
    assert [event["value"] for event in signals if event["signal"] == "queue_depth"][-1] == 0
    assert not [event["error"] for event in signals if event.get("error")]


def test_nothing_is_left_and_the_machine_s_own_mail_system_is_as_it_was(ran: Ran) -> None:
    folder = ran.judged.folder
    first = json.loads((folder / "resources.jsonl").read_text().splitlines()[0])
    assert not [pid for pid in psutil.pids() if _carries(pid, first["marker"])]
    assert not [pid for pid in psutil.pids() if str(folder) in " ".join(_command(pid))]
    assert ran.machine_before == ran.machine_after
    assert {path.name for path in (folder / "system").iterdir()} == {"etc", "queue"}


def _carries(pid: int, marker: str) -> bool:
    try:
        return psutil.Process(pid).environ().get("HARNESS_RUN_MARKER") == marker
    except psutil.Error:
        return False


def _command(pid: int) -> list[str]:
    try:
        return psutil.Process(pid).cmdline()
    except psutil.Error:
        return []
