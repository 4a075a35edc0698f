"""Asking the views of runs that a test made up."""

from __future__ import annotations

from typing import Any

from harness.history import events as ev
from tests.checks.histories import Run, opened, span


def ask(run: Run, sql: str) -> list[tuple[Any, ...]]:
    with opened(run) as history:
        return history.con.execute(sql).fetchall()


def clock(run: Run, source: str, error: float) -> None:
    run.events.append(
        ev.ClockCalibrated(t_ns=0, source=source, when="end", offset_ns=0, error_ns=span(error))
    )
