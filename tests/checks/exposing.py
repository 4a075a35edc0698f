"""What tests of exposure share: the kinds of fault by what shows them, and a run with one of them in it."""

from __future__ import annotations

from harness.checks.finding import Finding
from tests.checks.histories import Run, check

DELAYS = ("latency", "bandwidth", "slice", "slow-close")
PLAYED = (
    "refuse", "ack-loss", "slow-ack", "hang", "disconnect", "silent-drop", "throttle", "certificate",
    "key-rotated",
)  # fmt: skip
AFTERWARDS = ("bounce", "events-lost", "events-late")


def judged(run: Run) -> Finding:
    return check(run, "exposure", "required")


def faulty(type_: str = "outage", target: str = "primary") -> Run:
    """Broken from 10 s to 20 s."""
    run = Run()
    run.fault(10, 20, type_, target)
    return run
