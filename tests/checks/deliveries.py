"""Messages of every fate that `delivered` knows, for its tests."""

from __future__ import annotations

from typing import Any

from harness.checks.finding import Finding
from tests.checks.histories import Message, Run, check


def judged(run: Run, params: Any = "all") -> Finding:
    return check(run, "delivered", params)


def held(run: Run, at: float) -> Message:
    """For good reason: its body was aborted."""
    message = run.message(at)
    run.receipt(message, at + 0.1, "primary", "aborted")
    run.says(message, "held", at + 1)
    return message


def given_back(run: Run, at: float) -> Message:
    message = run.message(at)
    run.receipt(message, at + 0.5, "primary", "accepted", recipient="sender@firm.example", notice="failed")
    return message


def perhaps_stale(run: Run, at: float) -> Message:
    """It had expired before it was offered."""
    message = run.message(at, expires=at + 1, offered=at + 2)
    run.copy(message, at + 3)
    return message


def stale(run: Run, at: float) -> Message:
    message = run.message(at, expires=at + 1)
    run.copy(message, at + 2)
    return message


def by_sms(run: Run, message: Message, at: float) -> None:
    run.copy(message, at, "backup", recipient="+12025550123", carriers=["nonce"])
