"""What a run takes beyond its own plan: wall time against baseline, storm and drain, and where the rest goes.

`python benchmarks/run_overhead.py [SCENARIO] [--set PATH=VALUE ...]` runs it once by the command line, as a
user does, and prints the ratio and the seconds of each part. Targets: wall time without set-up and tear-down
at most 1.05 times baseline + storm + drain; set-up and tear-down at most 2 s together. Without arguments it
is a short variant of the demo: what comes before and after a run weighs more there than in the full 73 s.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import msgspec

from harness.history.events import (
    AnyEvent,
    ClockCalibrated,
    Phase,
    PhaseEntered,
    RunFinished,
    RunStarted,
    SystemProcess,
)

SCENARIO = "scenarios/m365-auth-outage.yaml"
SHORT = (
    "baseline.for=2s",
    "workload.receipts.for=8s",
    "workload.newsletter.at=3s",
    "workload.newsletter.count=5",
    "faults.0.at=1s",
    "faults.0.for=4s",
    "faults.1.at=3s",
    "faults.1.for=1s",
    "drain.deadline=20s",
)
PLANNED = (Phase.BASELINE, Phase.STORM, Phase.HEAL, Phase.DRAIN)


def main(arguments: list[str]) -> int:
    scenario = arguments[0] if arguments else SCENARIO
    settings = arguments[1:] or [part for each in SHORT for part in ("--set", each)]
    with tempfile.TemporaryDirectory() as out:
        command = [
            sys.executable,
            "-c",
            "import sys; from harness.cli import main; sys.exit(main())",
            "run",
            scenario,
            "--out",
            out,
            "-q",
            "--on",
            "local",
            *settings,
        ]
        began = time.monotonic()
        code = subprocess.run(command, check=False).returncode
        wall_s = time.monotonic() - began
        (history,) = Path(out).glob("*/history.jsonl")
        events = [msgspec.json.decode(line, type=AnyEvent) for line in history.read_bytes().splitlines()]
    report(events, wall_s)
    return code


def report(events: list[AnyEvent], wall_s: float) -> None:
    entered = {event.phase: event.t_ns for event in events if isinstance(event, PhaseEntered)}
    ended_ns = next(event.t_ns for event in events if isinstance(event, RunFinished))
    marks = [*entered.items(), (None, ended_ns)]
    took = {phase: (end - at) / 1e9 for (phase, at), (_, end) in pairwise(marks)}
    planned_s = sum(took.get(phase, 0.0) for phase in PLANNED)
    around_s = took[Phase.SETUP] + took[Phase.TEARDOWN]
    outside_s = wall_s - ended_ns / 1e9
    print(f"baseline + storm + heal + drain  {planned_s:6.2f} s")
    print(f"set-up                           {took[Phase.SETUP]:6.2f} s")
    for what, at_s in set_up_marks(events):
        print(f"    {what:<28} {at_s:6.2f} s after run.started")
    print(f"tear-down                        {took[Phase.TEARDOWN]:6.2f} s")
    print(f"before and after the run         {outside_s:6.2f} s (loading, Parquet, checks, report)")
    print(f"set-up + tear-down               {around_s:6.2f} s (target 2 s)")
    print(f"wall time                        {wall_s:6.2f} s")
    print(f"(wall - set-up - tear-down) / planned  {(wall_s - around_s) / planned_s:.3f} (target 1.05)")


def set_up_marks(events: list[AnyEvent]) -> list[tuple[str, float]]:
    marks = []
    for event in events:
        if isinstance(event, RunStarted):
            marks.append(("run.started", event.t_ns / 1e9))
        elif isinstance(event, ClockCalibrated) and event.when == "start":
            marks.append((f"{event.source} up, calibrated", event.t_ns / 1e9))
        elif isinstance(event, SystemProcess) and event.change == "started":
            marks.append(("proxies up, system started", event.t_ns / 1e9))
        elif isinstance(event, PhaseEntered) and event.phase is Phase.BASELINE:
            marks.append(("system ready, baseline", event.t_ns / 1e9))
            break
    return marks


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
