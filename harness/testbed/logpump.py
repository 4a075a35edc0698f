"""Keeps a chatty system's log bounded: `python -m harness.testbed.logpump FILE`, log on standard input.

Writes to FILE until it is full, then moves it to FILE.1 and starts again, so the last lines are always there
and a flood costs at most twice the limit. A process of its own: a flood must not slow the driver down.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

LIMIT_BYTES = 8 * 1024 * 1024


def pump(source_fd: int, path: Path, limit_bytes: int = LIMIT_BYTES) -> None:
    """Copy until the end of the source. A full disk loses log lines, never the system's life."""
    written = path.stat().st_size if path.exists() else 0
    log = path.open("ab", buffering=0)
    while chunk := os.read(source_fd, 65536):
        if written + len(chunk) > limit_bytes:
            log.close()
            path.replace(path.with_name(path.name + ".1"))
            log, written = path.open("ab", buffering=0), 0
        try:
            written += log.write(chunk)
        except OSError:
            continue
    log.close()


if __name__ == "__main__":
    # It ends when the last writer does, not before: the system's last words matter most.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    pump(0, Path(sys.argv[1]))
