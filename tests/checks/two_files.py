"""A run whose record lies in two files, which are not read in the order of time."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding
from harness.history.journal import write_events
from harness.history.store import History
from tests.checks.histories import Run


def check_in_two_files(run: Run, name: str, params: Any) -> Finding:
    """The later half of the record is in the file that is read first, its lines backwards."""
    with tempfile.TemporaryDirectory() as folder:
        whole, later, earlier = (Path(folder) / f"{name}.jsonl" for name in ("whole", "later", "earlier"))
        write_events(whole, run.name, sorted(run.events, key=lambda event: int(event.t_ns)))
        lines = whole.read_text().splitlines(keepends=True)
        later.write_text("".join(reversed(lines[len(lines) // 2 :])))
        earlier.write_text("".join(lines[: len(lines) // 2]))
        with History.open([later, earlier]) as history:
            return CHECKS[name].evaluate(history, run.name, parse_params(name, params))
