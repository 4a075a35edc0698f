"""Outages that are to be noticed, for the tests of `mttd`."""

from __future__ import annotations

from tests.checks.histories import Run


def outage(
    on: float = 10,
    off: float = 20,
    *,
    switches_at: float | None = 15,
    run: Run | None = None,
    takes: float = 0,
    type_: str = "outage",
) -> Run:
    """Mail that suffers from a fault, and takes the other route from some moment on."""
    run = run or Run()
    run.fault(on, off, type_, takes=takes, attributes={"latency": 100} if type_ == "latency" else None)
    for number in range(round((off - on) * 5)):
        message = run.message(on + number / 5)
        if switches_at is not None:
            run.copy(message, max(switches_at, message.at + 0.1), "backup")
        else:
            run.copy(message, off + 1)
    return run
