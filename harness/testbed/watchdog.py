"""The watchdog: a process that outlives the harness just long enough to heal after it.

`python -m harness.testbed.watchdog RUN_DIR` reads its standard input, whose other end only the harness holds.
The word `done` means an orderly end; end of file without it means that the harness died, however it died, and
the watchdog heals. It runs in a session of its own, so that Ctrl-C and a killed process group spare it.

An engine can be so slow that what the harness had asked of it appears after that, and one that is just
being restarted does not answer: where containers were used, the watchdog looks again later.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from harness.testbed.heal import HealReport, heal
from harness.testbed.resources import LEDGER_NAME, standing

DONE = b"done"
REPORT_NAME = "watchdog.json"
LOOK_AGAIN_AFTER_S = (5.0, 25.0)


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
    _write(report)
    if standing(run_dir).used:
        for after_s in LOOK_AGAIN_AFTER_S:
            time.sleep(after_s)
            if not (run_dir / LEDGER_NAME).exists():
                break  # somebody has put the folder away
            again = heal(run_dir, engines_again=True)
            report = HealReport(
                run_dir=run_dir,
                killed=report.killed + again.killed,
                faults=report.faults or again.faults,
                removed=report.removed + again.removed,
                left=again.left,
            )
            _write(report)
    return 0 if report.ok else 6


def _write(report: HealReport) -> None:
    """In one piece: whoever reads it may do so at any moment."""
    document = {
        "killed": report.killed,
        "faults": report.faults,
        "removed": report.removed,
        "left": report.left,
    }
    path = report.run_dir / REPORT_NAME
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(msgspec.json.encode(document))
    unfinished.replace(path)


if __name__ == "__main__":
    sys.exit(watch(Path(sys.argv[1])))
