"""Outages of which mail takes another route, for the tests of `mttm`."""

from __future__ import annotations

from tests.checks.histories import Run


def outage(switches_at: float | None = 15, *, run: Run | None = None, on: float = 10, off: float = 20) -> Run:
    """An outage whose messages wait until the switch, or for its end."""
    run = run or Run()
    run.fault(on, off)
    for number in range(round((off - on) * 5)):
        message = run.message(on + number / 5)
        if switches_at is None:
            run.copy(message, off + 1 + number / 100)
        else:
            run.copy(message, max(switches_at + number / 1000, message.at + 0.1), "backup")
    return run
