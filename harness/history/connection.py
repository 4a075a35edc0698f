"""A DuckDB connection that keeps within its memory and, where it is asked to, reads S3-compatible storage.

What does not fit into memory goes to the scratch folder and is gone with it. Half of the machine's memory is
used at most, and 3 GB where there is more; `HARNESS_MEMORY` says otherwise (`HARNESS_MEMORY=8GB`).
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
_MOST_BYTES = 3_000_000_000


class StorageUnreadable(HistoryError):
    """DuckDB has no way to S3-compatible storage here."""

    do = "where there is a network say `duckdb -c 'install httpfs'` once, or copy the files here"


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


def reach_storage(con: duckdb.DuckDBPyConnection) -> None:
    """Make `s3://` readable, with the credentials and the endpoint of the usual AWS_ variables.

    Raises StorageUnreadable.
    """
    try:
        con.execute("load httpfs")
    except duckdb.Error:
        try:
            con.execute("install httpfs")
            con.execute("load httpfs")
        except duckdb.Error as error:
            raise StorageUnreadable(
                f"DuckDB {duckdb.__version__} cannot read s3:// addresses here: its extension httpfs is not "
                f"installed and could not be fetched ({str(error).splitlines()[0]})"
            ) from error
    options = {
        "key_id": os.environ.get("AWS_ACCESS_KEY_ID"),
        "secret": os.environ.get("AWS_SECRET_ACCESS_KEY"),
        "session_token": os.environ.get("AWS_SESSION_TOKEN"),
        "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        scheme, _, host = endpoint.rpartition("://")
        options |= {
            "endpoint": host.rstrip("/"),
            "url_style": "path",
            "use_ssl": str(scheme != "http").lower(),
        }
    written = "".join(f", {name} {text_literal(value)}" for name, value in options.items() if value)
    con.execute(f"create or replace secret storage (type s3{written})")
