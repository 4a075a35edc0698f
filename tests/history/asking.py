"""Asking the views of runs that a test made up."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.history import events as ev
from harness.history.journal import write_events
from harness.history.store import History
from tests.checks.histories import Run, opened, span


def ask(run: Run, sql: str) -> list[tuple[Any, ...]]:
    with opened(run) as history:
        return history.con.execute(sql).fetchall()


@contextmanager
def opened_as_written(run: Run) -> Iterator[History]:
    """With the events in the order in which the test tells them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        write_events(path, run.name, run.events)
        with History.open(path) as history:
            yield history


def as_written(run: Run, sql: str) -> list[tuple[Any, ...]]:
    with opened_as_written(run) as history:
        return history.con.execute(sql).fetchall()


def clock(run: Run, source: str, error: float) -> None:
    run.events.append(
        ev.ClockCalibrated(t_ns=0, source=source, when="end", offset_ns=0, error_ns=span(error))
    )
