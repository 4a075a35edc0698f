"""The watchdog: a process that outlives the harness just long enough to heal after it.

`python -m harness.testbed.watchdog RUN_DIR` reads its standard input, whose other end only the harness holds.
The word `done` means an orderly end; end of file without it means that the harness died, however it died, and
the watchdog heals. It runs in a session of its own, so that Ctrl-C and a killed process group spare it.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from harness.testbed.heal import heal

DONE = b"done"
REPORT_NAME = "watchdog.json"


class Watchdog:
    """The harness's end of it."""

    def __init__(self, run_dir: Path) -> None:
        # The output goes to a file: a pipe of a dead harness would kill the watchdog when it speaks.
        with (run_dir / "watchdog.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "harness.testbed.watchdog", str(run_dir.resolve())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def dismiss(self) -> None:
        """All is healed: let the watchdog go."""
        try:
            self._process.communicate(DONE, timeout=5)
        except (subprocess.TimeoutExpired, BrokenPipeError):
            self._process.kill()
            self._process.wait()


def watch(run_dir: Path) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.buffer.read() == DONE:
        return 0
    report = heal(run_dir)
    (run_dir / REPORT_NAME).write_bytes(
        msgspec.json.encode(
            {
                "killed": report.killed,
                "faults": report.faults,
                "removed": report.removed,
                "left": report.left,
            }
        )
    )
    return 0 if report.ok else 6


if __name__ == "__main__":
    sys.exit(watch(Path(sys.argv[1])))
