"""What a run has made is found and removed by its ledger alone, whoever heals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.testbed.heal import find_unhealed, heal, processes_of
from harness.testbed.processes import ChildProcess, ProcessError, log_tail
from harness.testbed.resources import LEDGER_NAME, MARKER, ResourceLedger, What, standing
from harness.testbed.watchdog import REPORT_NAME, Watchdog
from tests.waiting import wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
# A child that leaves its parent's session and process group, as daemons do.
DAEMON = [
    sys.executable,
    "-c",
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    "time.sleep(60)",
]


@pytest.fixture
def ledger(tmp_path: Path):
    ledger = ResourceLedger(tmp_path, marker=f"test-{os.getpid()}-{tmp_path.name}")
    yield ledger
    heal(tmp_path)
    ledger.close()


async def test_a_started_process_stands_in_the_ledger_until_it_is_stopped(tmp_path, ledger):
    child = ChildProcess(ledger, "sleeper", tmp_path / "log")
    await child.start(SLEEPER, env=os.environ)
    assert list(standing(tmp_path).processes) == ["sleeper"]
    await child.stop()
    assert standing(tmp_path).is_clean


async def test_heal_kills_a_process_and_its_daemonised_child(tmp_path, ledger):
    child = ChildProcess(ledger, "daemon", tmp_path / "log")
    await child.start(DAEMON, env=os.environ)
    wait_until(lambda: len(processes_of(standing(tmp_path))) == 2)
    report = heal(tmp_path)
    await child.wait()
    assert report.ok
    assert len(report.killed) == 2
    assert not processes_of(standing(tmp_path))
    assert standing(tmp_path).is_clean


def test_a_process_whose_pid_was_never_written_down_is_found_by_its_marker(tmp_path, ledger):
    ledger.making(What.PROCESS, "orphan")
    process = subprocess.Popen(SLEEPER, env={**os.environ, MARKER: ledger.marker}, start_new_session=True)
    report = heal(tmp_path)
    process.wait(timeout=5)  # heal has reaped it already, so its code is lost
    assert len(report.killed) == 1
    assert not psutil.pid_exists(process.pid)


def test_a_reused_pid_is_left_alone(tmp_path, ledger):
    innocent = subprocess.Popen(SLEEPER)
    try:
        ledger.making(What.PROCESS, "gone long ago")
        ledger.made(What.PROCESS, "gone long ago", pid=innocent.pid, started_at=1.0)
        report = heal(tmp_path)
        assert report.killed == []
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


def test_healing_twice_finds_nothing_the_second_time(tmp_path, ledger):
    ledger.making(What.FAULT, "f1")
    assert heal(tmp_path).faults == ["f1"]
    assert heal(tmp_path) == heal(tmp_path)
    assert standing(tmp_path).is_clean


def test_a_torn_last_line_does_not_hide_the_rest(tmp_path, ledger):
    ledger.making(What.FAULT, "f1")
    with (tmp_path / LEDGER_NAME).open("ab") as file:
        file.write(b'{"op":"gone","what":"fau')
    assert standing(tmp_path).faults == ["f1"]
    heal(tmp_path)
    assert standing(tmp_path).is_clean


def test_a_folder_without_ledger_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="not the folder of a run"):
        heal(tmp_path)


def test_unhealed_runs_are_found_once_their_harness_is_gone(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    # A harness that made a fault and died.
    script = (
        "import sys; from pathlib import Path\n"
        "from harness.testbed.resources import ResourceLedger, What\n"
        "ResourceLedger(Path(sys.argv[1]), 'm').making(What.FAULT, 'f1')\n"
    )
    subprocess.run([sys.executable, "-c", script, str(run)], check=True)
    assert find_unhealed(tmp_path) == [run]
    heal(run)
    assert find_unhealed(tmp_path) == []


HARNESS_THAT_DIES = """
import os, signal, sys, asyncio
from pathlib import Path
from harness.testbed.processes import ChildProcess
from harness.testbed.resources import ResourceLedger
from harness.testbed.watchdog import Watchdog

async def main(run):
    ledger = ResourceLedger(run, "watchdog-test-" + run.name)
    Watchdog(run)
    child = ChildProcess(ledger, "sleeper", run / "log")
    await child.start([sys.executable, "-c", "import time; time.sleep(60)"], env=os.environ)
    print(child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main(Path(sys.argv[1])))
"""


def test_the_watchdog_heals_after_a_killed_harness(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HARNESS_THAT_DIES, str(tmp_path)], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    wait_until(lambda: (tmp_path / REPORT_NAME).exists(), deadline_s=5)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert standing(tmp_path).is_clean


def test_a_dismissed_watchdog_heals_nothing(tmp_path, ledger):
    process = subprocess.Popen(SLEEPER, env={**os.environ, MARKER: ledger.marker})
    watchdog = Watchdog(tmp_path)
    watchdog.dismiss()
    assert process.poll() is None
    assert not (tmp_path / REPORT_NAME).exists()
    process.kill()
    process.wait()


async def test_a_missing_program_is_named(tmp_path, ledger):
    child = ChildProcess(ledger, "system", tmp_path / "log")
    with pytest.raises(ProcessError, match="cannot run '/no/such/program': No such file"):
        await child.start(["/no/such/program"], env={})
    assert standing(tmp_path).is_clean


async def test_a_process_that_never_gets_ready_shows_its_last_words(tmp_path, ledger):
    child = ChildProcess(ledger, "provider", tmp_path / "log")
    await child.start(
        [sys.executable, "-c", "import sys; print('port taken', file=sys.stderr)"],
        env=os.environ,
        pipe_stdout=True,
    )
    with pytest.raises(ProcessError, match="port taken"):
        await child.first_line(5)
    await child.wait()


def test_log_tail_takes_any_bytes(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"first\n" + b"\xff\xfe\n" * 3 + b"last")
    assert log_tail(path, lines=2) == ["��", "last"]
    assert log_tail(tmp_path / "none") == []
