"""The scenarios of systems in containers, as short as their own comments have them: run by the command,
judged, passed, and nothing left.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from harness.testbed.containers import names
from harness.testbed.containers.engine import Engine
from harness.testbed.containers.images import PINNED, Kind
from harness.testbed.containers.reaper import look

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[3]
HARNESS = Path(sys.executable).with_name("harness")
SCENARIOS = ROOT / "scenarios"
HARDCODED = ROOT / "fixtures/systems/hardcoded"
SLOW_MACHINE = ["--set", "baseline.for=3s", "--set", "workload.receipts.within=10s"]


def short_variant(scenario: Path) -> list[str]:
    comment = "\n".join(line[2:] for line in scenario.read_text().splitlines() if line.startswith("# "))
    return shlex.split(comment[comment.index("A short variant") :].split("\n", 1)[1].partition("\nWhat ")[0])


def run(scenario: str, out: Path, *more: str) -> tuple[int, dict[str, Any]]:
    """Exit code and findings of the short variant."""
    file = SCENARIOS / f"{scenario}.yaml"
    command = [
        str(HARNESS),
        "run",
        str(file),
        "--on",
        "containers",
        *short_variant(file),
        *SLOW_MACHINE,
        *more,
    ]
    done = subprocess.run(
        [*command, "--out", str(out), "--json"],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode in (0, 1, 3, 4), done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout)["runs"][0]


@pytest.fixture
def wheels(docker: Engine) -> None:
    """What the image is built from; the builds themselves reach no index."""
    subprocess.run([sys.executable, str(HARDCODED / "prepare.py"), PINNED[Kind.PYTHON]], check=True)


@pytest.mark.usefixtures("wheels")
@pytest.mark.timeout(240)
def test_a_client_with_its_providers_compiled_in_goes_through_the_proxies(
    docker: Engine, tmp_path: Path
) -> None:
    code, found = run("hard-coded-hosts", tmp_path)
    assert code == 0, found
    assert {"primary", "backup"} <= routes_of(tmp_path)
    assert not [warning for warning in found["warnings"] if warning.startswith("egress")]
    assert look(docker.client.api, names.of_run(marker_of(tmp_path))) == []


@pytest.mark.usefixtures("wheels")
@pytest.mark.timeout(240)
def test_a_client_that_does_not_trust_the_runs_authority_sends_nothing(tmp_path: Path) -> None:
    code, _ = run("hard-coded-hosts", tmp_path, "--set", "system.env.SSL_CERT_FILE=/dev/null")
    assert code == 4
    assert routes_of(tmp_path) == set()


@pytest.mark.timeout(240)
def test_two_services_of_one_compose_file_fail_over_together(docker: Engine, tmp_path: Path) -> None:
    code, found = run("compose", tmp_path)
    assert code == 0, found
    assert {"primary", "backup"} <= routes_of(tmp_path)
    assert not [warning for warning in found["warnings"] if warning.startswith("egress")]
    assert look(docker.client.api, names.of_run(marker_of(tmp_path))) == []


@pytest.mark.timeout(240)
def test_two_runs_at_once_do_not_meet(docker: Engine, tmp_path: Path) -> None:
    places = [tmp_path / "one", tmp_path / "other"]
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda out: run("mailpit-smoke", out), places))
    assert [code for code, _ in ended] == [0, 0], ended
    assert all({"primary", "backup"} <= routes_of(out) for out in places)
    for out in places:
        assert look(docker.client.api, names.of_run(marker_of(out))) == []


def events(out: Path) -> list[dict[str, Any]]:
    (history,) = out.glob("*/history.jsonl")
    return [json.loads(line) for line in history.read_text().splitlines()]


def routes_of(out: Path) -> set[str]:
    """By which mail was taken."""
    taken = [event for event in events(out) if event["kind"] == "receipt" and not event.get("canary")]
    return {event["route"] for event in taken if event["result"] == "accepted"}


def marker_of(out: Path) -> str:
    (ledger,) = out.glob("*/resources.jsonl")
    return str(json.loads(ledger.read_text().splitlines()[0])["marker"])
