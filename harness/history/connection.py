"""A DuckDB connection that keeps within its memory.

What does not fit into memory goes to the scratch folder and is gone with it. DuckDB may use half of the
machine's memory, and 2.4 GB where there is more; `HARNESS_MEMORY` says otherwise (`HARNESS_MEMORY=8GB`). What
it does not count comes on top: with a hundred million events the process takes 3.2 GB.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import duckdb
import psutil

from harness.history.columns import text_literal
from harness.history.errors import HistoryError

MEMORY = "HARNESS_MEMORY"
_MOST_BYTES = 2_400_000_000


class MemoryUnreadable(HistoryError):
    """What HARNESS_MEMORY says is no size."""

    do = "write it as 8GB or 500MB"


def connect(scratch: Path) -> duckdb.DuckDBPyConnection:
    """Raises MemoryUnreadable."""
    con = duckdb.connect()
    con.execute("set preserve_insertion_order = false")
    # A query of some seconds would write how far it is into the middle of what the command prints.
    con.execute("set enable_progress_bar = false")
    con.execute(f"set temp_directory = {text_literal(str(scratch / 'spilled'))}")
    con.execute(f"set memory_limit = {text_literal(_memory())}")
    return con


def _memory() -> str:
    wanted = os.environ.get(MEMORY)
    if wanted is None:
        return f"{min(_MOST_BYTES, psutil.virtual_memory().total // 2)} bytes"
    if not re.fullmatch(r"\d+(\.\d+)?\s*[KMGT]i?B", wanted.strip()):
        raise MemoryUnreadable(f"{MEMORY}={wanted} is no size of memory")
    return wanted.strip()
