"""The gate starts a Docker engine where none answers, stops the one it started, and ends as the tests did.

Everything that it calls is a stand-in here: the gate itself runs on a machine of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

GATE = Path(__file__).resolve().parent.parent / ".ci" / "run"
PRESENT = ("jq", "curl", "openssl", "chromium", "mmdebstrap", "smtp-source", "iptables", "go")

DOCKER = 'test -e "$STATE/up"'
DOCKERD = """
trap 'rm "$STATE/up"; touch "$STATE/stopped"; exit 0' TERM
touch "$STATE/up"
while :; do sleep 0.05; done
"""
MAKE = """
echo "$*; REAL=$HARNESS_REQUIRE_REAL" >>"$STATE/made"
case "$*" in *" test "*) echo "the tests' closing lines"; exit "${TESTS_EXIT:-0}";; esac
"""


class Machine:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir()
        for name in PRESENT:
            self.install(name, "exit 0")
        self.install("docker", DOCKER)
        self.install("dockerd", DOCKERD)
        self.install("make", MAKE)
        self.install("apt-get", 'echo "$*" >>"$STATE/installed"')

    def install(self, name: str, script: str) -> None:
        program = self.programs / name
        program.write_text(f"#!/bin/bash\n{script}\n")
        program.chmod(0o755)

    def gate(self, **environ: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}"}
        env |= {"STATE": str(self.folder), "TMPDIR": str(self.folder), **environ}
        return subprocess.run(
            ["bash", str(GATE)], env=env, capture_output=True, text=True, check=False, timeout=60
        )

    def has(self, name: str) -> bool:
        return (self.folder / name).exists()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_engine_that_it_started_is_stopped_and_the_tests_decide(machine: Machine, code: int) -> None:
    done = machine.gate(TESTS_EXIT=str(code))
    assert done.returncode == code, done.stderr
    assert done.stdout.rstrip().endswith("the tests' closing lines")
    assert machine.has("stopped")
    made = (machine.folder / "made").read_text().splitlines()
    assert ["images" in made[0], "test" in made[1]] == [True, True]
    assert all(line.endswith("REAL=1") for line in made)


def test_an_engine_that_runs_already_is_used_and_left(machine: Machine) -> None:
    (machine.folder / "up").touch()
    assert machine.gate().returncode == 0
    assert machine.has("up")
    assert not machine.has("stopped")


def test_an_engine_that_does_not_come_up_ends_it_with_what_it_logged(machine: Machine) -> None:
    machine.install("dockerd", "echo no cgroups here >&2; exit 1")
    done = machine.gate()
    assert done.returncode == 1
    assert "dockerd does not answer" in done.stderr
    assert "no cgroups here" in done.stderr
    assert not machine.has("made")


def test_a_failure_before_the_tests_stops_the_engine_too(machine: Machine) -> None:
    machine.install("make", "exit 9")
    assert machine.gate().returncode == 9
    assert machine.has("stopped")


@pytest.mark.skipif(shutil.which("debconf-set-selections") is None, reason="not a Debian machine")
def test_what_is_missing_is_installed(machine: Machine) -> None:
    machine.install(
        "python3",
        f'[ "$1" = -c ] && [[ "$2" == *ensurepip* ]] && exit 1; exec {shutil.which("python3")} "$@"',
    )
    assert machine.gate().returncode == 0
    assert "python3-venv" in (machine.folder / "installed").read_text()
