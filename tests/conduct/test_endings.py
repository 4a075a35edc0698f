"""However a run ends, it says why, leaves nothing behind, and what it recorded can be read.

The system misbehaves, people interrupt, the harness is killed, the disk is full, a part of the testbed dies.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from harness.conduct import run as conduct
from harness.conduct.judge import ExitCode, judge
from harness.history.errors import HistoryNotFound
from harness.scenario.loader import load
from harness.scenario.plan import plan
from harness.testbed.heal import find_unhealed
from harness.testbed.resources import standing
from harness.testbed.system import life
from tests.conduct.ending_runs import DEADLINE_S, HARNESS, SCENARIO, Ended, Running, left_over
from tests.requires import find_tool, require_tool
from tests.waiting import wait_until

pytestmark = pytest.mark.e2e

KILL = ["faults.0={at: 500ms, on: system, fault: kill, restart_after: 500ms}"]
MTTD = ["expect.mttd=2s"]
WAYS: dict[str, tuple[str, list[str]]] = {
    # name: (the system's MODE, what is set beside it)
    "cannot start": ("", ['system.process=["/bin/false"]']),
    "delivers nothing": ("delivers-nothing", []),
    "dies": ("dies", []),
    "does not come back": ("does-not-come-back", KILL),
    "answers garbage": ("garbage-gzip", MTTD),
    "answers nonsense": ("garbage-number", MTTD),
    "noisy and stubborn": ("floods,stubborn,garbage-states", []),
    "well": ("", []),
    "nobody reads what it prints": ("", []),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """One run for each way, several side by side."""
    folder = tmp_path_factory.mktemp("ways")

    def conduct_one(name: str) -> Ended:
        mode, sets = WAYS[name]
        words = [word for each in sets for word in ("--set", each)]
        unread = name == "nobody reads what it prints"
        return Running(folder / name.replace(" ", "-"), *words, mode=mode, unread=unread).end()

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(WAYS, pool.map(conduct_one, WAYS), strict=True))


def assert_healed(run: Ended) -> None:
    assert run.left_over() == []
    assert standing(run.dir).is_clean
    last = json.loads((run.dir / "history.jsonl").read_text().splitlines()[-1])
    assert last["kind"] == "run.finished"


class TestTheSystem:
    @pytest.mark.parametrize("way", WAYS)
    def test_leaves_nothing_behind_whatever_it_does(self, ended: dict[str, Ended], way: str) -> None:
        assert_healed(ended[way])

    def test_that_cannot_start_is_a_baseline_unmet(self, ended: dict[str, Ended]) -> None:
        run = ended["cannot start"]
        assert run.code == 4, run.said
        assert "the system exited with code 1 before it was ready; it logged nothing" in flat(run.said)
        assert [event["phase"] for event in run.events("phase.entered")] == ["setup", "teardown"]

    def test_that_is_never_ready_is_a_baseline_unmet(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(life, "READY_TIMEOUT_S", 1.0)
        scenario = load(SCENARIO, ["system.env.MODE=never-ready"])
        request = conduct.RunRequest(
            scenario=scenario, timeline=plan(scenario), on="local", proxy="embedded", out=tmp_path
        )
        judgement = judge(asyncio.run(conduct.run(request)))
        assert judgement.exit_code is ExitCode.BASELINE_UNMET
        assert "not ready within 1 s: GET /ready answered 503" in judgement.detail
        assert left_over(judgement.run_dir) == []

    def test_that_delivers_nothing_is_a_baseline_unmet(self, ended: dict[str, Ended]) -> None:
        run = ended["delivers nothing"]
        assert run.code == 4, run.said
        said = flat(run.said)
        assert "5 of 5 baseline messages reached no provider without any fault" in said
        assert "; the last lines of system.log: " in said or "(system.log is empty)" in said
        assert not run.events("fault.injecting")

    def test_that_dies_in_the_storm_fails_and_is_heard_for_the_last_time(
        self, ended: dict[str, Ended]
    ) -> None:
        run = ended["dies"]
        assert run.code == 1, run.said
        assert "exited with code 3; the last lines of system.log: the last words of the system" in flat(
            run.said
        )
        assert [e["log_tail"] for e in run.events("system.process") if e["change"] == "exited"] == [
            ["the last words of the system"]
        ]

    def test_that_does_not_survive_a_restart_fails(self, ended: dict[str, Ended]) -> None:
        run = ended["does not come back"]
        assert run.code == 1, run.said
        assert "the database is locked" in run.said

    @pytest.mark.parametrize("way", ["answers garbage", "answers nonsense"])
    def test_that_answers_garbage_to_a_signal_is_inconclusive(
        self, ended: dict[str, Ended], way: str
    ) -> None:
        run = ended[way]
        assert run.code == 3, run.said
        signals = run.events("signal")
        assert {str(event["signal"]) for event in signals} == {"detected", "queue_depth"}
        assert all(str(event["error"]).startswith("garbage: ") for event in signals)

    def test_that_floods_its_log_disturbs_nobody(self, ended: dict[str, Ended]) -> None:
        run = ended["noisy and stubborn"]
        assert run.code == 0, run.said
        logs = list(run.dir.glob("system.log*"))
        assert sum(log.stat().st_size for log in logs) < 20_000_000
        assert (run.dir / "system.log").read_bytes().endswith(b"the flood is over\n")

    def test_that_ignores_sigterm_is_ended_all_the_same(self, ended: dict[str, Ended]) -> None:
        last = ended["noisy and stubborn"].events("system.process")[-1]
        assert (last["change"], last["code"]) == ("stopped", -signal.SIGKILL)

    def test_that_tells_states_without_sense_is_warned_of(self, ended: dict[str, Ended]) -> None:
        warnings = ended["noisy and stubborn"].events("harness.warning")
        assert [w["warning"] for w in warnings if w["subject"] == "system"] == ["states-unreadable"]

    @pytest.mark.parametrize("way", ["well", "nobody reads what it prints"])
    def test_that_is_well_passes_beside_the_others(self, ended: dict[str, Ended], way: str) -> None:
        assert ended[way].code == 0, ended[way].said
        assert ended[way].judgement().exit_code is ExitCode.PASS


MOMENTS: dict[str, tuple[str, signal.Signals, signal.Signals | None]] = {
    # name: (what its history says then, the signal, a second one in the tear-down)
    "begun": ('"kind":"run.started"', signal.SIGTERM, None),
    "setting up": ('"phase":"setup"', signal.SIGINT, None),
    "starting the system": ('"change":"started"', signal.SIGTERM, None),
    "in the baseline": ('"phase":"baseline"', signal.SIGINT, None),
    "putting a fault in place": ('"kind":"fault.injecting"', signal.SIGTERM, None),
    "with a fault on": ('"kind":"fault.acted"', signal.SIGINT, signal.SIGINT),
    "restarting the system": ('"kind":"fault.removing"', signal.SIGINT, None),
    "draining": ('"phase":"drain"', signal.SIGTERM, signal.SIGINT),
    "tearing down": ('"phase":"teardown"', signal.SIGINT, signal.SIGTERM),
}


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """One run for each moment, several side by side."""
    folder = tmp_path_factory.mktemp("moments")

    def interrupt_one(name: str) -> Ended:
        said, number, then = MOMENTS[name]
        kill = ["--set", *KILL] if name == "restarting the system" else []
        running = Running(folder / name.replace(" ", "-"), "-q", *kill)
        running.until(said)
        running.send(number)
        if then is not None:
            running.until_phase("teardown")
            running.send(then)
        return running.end()

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(MOMENTS, pool.map(interrupt_one, MOMENTS), strict=True))


class TestAnInterruption:
    """Ctrl-C, or a CI job that is cancelled."""

    @pytest.mark.parametrize("moment", MOMENTS)
    def test_heals_and_ends_with_130(self, interrupted: dict[str, Ended], moment: str) -> None:
        run = interrupted[moment]
        assert run.code == 130, run.said
        assert_healed(run)
        judgement = run.judgement()
        assert judgement.exit_code is ExitCode.INTERRUPTED
        _, *numbers = MOMENTS[moment]
        # Of two that come at once it is the kernel's choice which one is first.
        assert judgement.detail in {f"by {each.name}" for each in numbers if each is not None}

    @pytest.mark.parametrize("moment", MOMENTS)
    def test_takes_every_fault_away(self, interrupted: dict[str, Ended], moment: str) -> None:
        run = interrupted[moment]
        assert len(run.events("fault.injecting")) == len(run.events("fault.removed"))

    def test_in_a_restart_does_not_start_the_system_twice(self, interrupted: dict[str, Ended]) -> None:
        changes = [e["change"] for e in interrupted["restarting the system"].events("system.process")]
        assert changes == ["started", "killed", "started", "stopped"]


class TestKillingTheHarness:
    MOMENTS_S = random.Random(9).sample([0.6 * step for step in range(14)], 10)  # from the folder's making

    def test_leaves_nothing_at_any_moment_and_a_history_that_can_be_read(self, tmp_path: Path) -> None:
        def one(number: int, after_s: float) -> str:
            proxy = "toxiproxy" if number % 2 and find_tool("toxiproxy-server") else "embedded"
            running = Running(tmp_path / f"killed-{number}", "-q", proxy=proxy)
            wait_until(lambda: running.folder is not None, DEADLINE_S)
            try:
                running.process.wait(after_s)
            except subprocess.TimeoutExpired:
                running.process.kill()
            run = running.end()
            # The ledger first: looking at every process of the machine is what takes time here.
            wait_until(lambda: standing(run.dir).is_clean and not left_over(run.dir), 5)
            if run.code != -signal.SIGKILL:
                return "it was over already"
            try:
                judgement = run.judgement()
            except HistoryNotFound as error:
                assert "holds no events" in str(error) or "there is no history" in str(error)
                return "nothing was recorded"
            if run.events("run.finished"):
                return "it was recorded whole"
            assert judgement.exit_code is ExitCode.HARNESS_FAILED
            assert judgement.detail.startswith("the recording ends without its last event")
            return "it was cut off"

        with ThreadPoolExecutor(5) as pool:
            ends = list(pool.map(one, range(10), self.MOMENTS_S))
        assert ends.count("it was cut off") >= 4, ends

    def test_and_the_watchdog_is_put_right_by_heal(self, tmp_path: Path) -> None:
        running = Running(tmp_path / "out", "-q", mode="stubborn")
        running.until('"kind":"fault.acted"')
        (watchdog,) = [
            child for child in children_of(running) if "harness.testbed.watchdog" in " ".join(child.cmdline())
        ]
        watchdog.kill()
        running.process.kill()
        run = running.end()
        assert len(left_over(run.dir)) >= 4  # provider, proxy, system, its daemon
        assert find_unhealed(running.out) == [run.dir]

        checked = harness("check", str(run.dir))
        assert checked.returncode == 70
        assert "the harness was killed, or is still at work" in flat(checked.stdout)

        healed = harness("heal", "--out", str(running.out))
        assert healed.returncode == 0, healed.stderr
        assert "ended process" in healed.stdout and "fault f1 went with its process" in healed.stdout
        assert left_over(run.dir) == []
        assert "nothing to heal" in harness("heal", "--out", str(running.out)).stdout


class TestAPartOfTheTestbed:
    @pytest.mark.parametrize(
        ("words", "proxy", "sentence"),
        [
            ("harness.providers", "embedded", "provider mail was killed by SIGKILL"),
            ("harness.testbed.proxy", "embedded", "the proxy only.smtp ended by itself"),
            ("toxiproxy-server", "toxiproxy", "the proxy only.smtp ended by itself"),
        ],
    )
    def test_that_dies_is_our_failure_and_never_the_systems(
        self, tmp_path: Path, words: str, proxy: str, sentence: str
    ) -> None:
        if proxy == "toxiproxy":
            require_tool("toxiproxy-server")
        running = Running(tmp_path / "out", proxy=proxy)
        running.until('"kind":"fault.acted"')
        running.part(words).kill()
        run = running.end()
        assert run.code == 70, run.said
        assert sentence in flat(run.said)
        assert_healed(run)
        assert run.judgement().exit_code is ExitCode.HARNESS_FAILED


class TestTheDisk:
    @pytest.fixture
    def small_disk(self, tmp_path: Path) -> Iterator[Path]:
        disk = tmp_path / "disk"
        disk.mkdir()
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mount(b"tmpfs", bytes(disk), b"tmpfs", 0, b"size=4m") != 0:
            pytest.skip(f"a small disk cannot be mounted here: {os.strerror(ctypes.get_errno())}")
        yield disk
        assert libc.umount2(bytes(disk), 2) == 0

    def test_that_fills_up_in_the_storm_ends_the_run_healed(self, small_disk: Path) -> None:
        running = Running(small_disk / "out")
        running.until('"kind":"fault.acted"')
        fill(small_disk)
        # Its own log is on that disk as well, as it may be in a CI job: the code alone tells.
        run = running.end()
        assert run.code == 70, run.said
        assert run.left_over() == []
        assert not run.events("run.finished")
        assert run.judgement().exit_code is ExitCode.HARNESS_FAILED

    def test_that_is_full_lets_nothing_start(self, small_disk: Path, tmp_path: Path) -> None:
        fill(small_disk)
        done = harness(
            "run", str(SCENARIO), "--on", "local", "--proxy", "embedded", "--out", str(small_disk / "out")
        )
        assert done.returncode in (2, 70)
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr

    def test_that_cannot_be_written_to_is_an_invalid_command(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        done = harness("run", str(SCENARIO), "--on", "local", "--out", str(tmp_path / "file" / "out"))
        assert done.returncode == 2
        assert "nothing was started" in done.stderr


def fill(disk: Path) -> None:
    try:
        with (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
    except OSError:
        return


def children_of(running: Running) -> list[psutil.Process]:
    return psutil.Process(running.process.pid).children()


def harness(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*HARNESS, *arguments], capture_output=True, text=True, timeout=60, check=False)


def flat(text: str) -> str:
    """Without its line breaks, wherever the console put them."""
    return " ".join(text.split())
