"""Systems of every kind, run for real: however they are given mail, wherever they run, whoever operates them.

Each scenario of scenarios/systems that needs nothing but Python is run as it is; the others' ends are tried
with small changes to one of them. Up to four runs go on at once, since they mostly wait.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.ran import HARNESS, ROOT, Ran, command_line, run_harness
from tests.requires import require_docker

pytestmark = pytest.mark.e2e

docker = pytest.fixture(require_docker)

AT_ONCE = 4
SHORT = {"workload.receipts.for": "2s", "faults.0.at": "500ms", "faults.0.for": "1s", "expect.mttr": "null"}
BROKEN = "import sys; print('no such table: customers'); sys.exit(3)"
RUNS: dict[str, tuple[str, dict[str, str]]] = {
    "by SMTP": ("smtp", {}),
    "by SMTP on kept connections": ("smtp", {"system.submit.connections": "kept"}),
    "by a command": ("command", {}),
    "by a Python function": ("python", {}),
    "approved": ("approval", {}),
    "an action that is refused": (
        "approval",
        {"system.operator.approve.http": "POST /operator/nonsense", "operator.0.at": "1s"},
    ),
    "an action by a command": (
        "smtp",
        {
            **SHORT,
            "system.operator": '{pause: {command: [python, -c, "print(4 + 5)"]}}',
            "operator": "[{at: 1s, action: pause}]",
        },
    ),
    "a set-up that fails": (
        "command",
        {"system.setup": f'[[python, -m, spool, make], [python, -c, "{BROKEN}"]]'},
    ),
    "a tear-down that fails": ("command", {**SHORT, "system.teardown": f'[[python, -c, "{BROKEN}"]]'}),
    "a function that always raises": (
        "python",
        {"system.submit.body": "{to: '{{ to }}'}", "workload.receipts.for": "2s"},
    ),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Ran]]]:
    """All of them, under way."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            name: pool.submit(run_harness, f"systems/{scenario}", settings, tmp_path_factory.mktemp("runs"))
            for name, (scenario, settings) in RUNS.items()
        }


@pytest.mark.parametrize(
    "name",
    ["by SMTP", "by SMTP on kept connections", "by a command", "by a Python function", "approved"],
)
def test_a_right_system_passes(runs: dict[str, Future[Ran]], name: str):
    ran = runs[name].result()
    assert ran.exit_code == 0, ran.said
    assert {f["verdict"] for f in ran.run["findings"] if f["decides"]} == {"pass"}
    # That the driver was late is said of a machine with much else to do; it is nothing that the system did.
    assert [each for each in ran.run["warnings"] if not each.startswith("late-driver")] == []


def test_mail_by_smtp_has_the_token_in_recipient_header_and_body(runs: dict[str, Future[Ran]]):
    events = runs["by SMTP"].result().events()
    receipts = [e for e in events if e["kind"] == "receipt" and "canary" not in e]
    assert {tuple(sorted(e["carriers"])) for e in receipts} == {("header", "nonce", "recipient")}
    assert {e["code"] for e in events if e["kind"] == "message.submitted"} == {250}


def test_an_approval_is_in_the_history_when_it_was_given_and_nothing_left_before(
    runs: dict[str, Future[Ran]],
):
    events = runs["approved"].result().events()
    (approval,) = [e for e in events if e["kind"] == "operator"]
    storm_ns = next(e["t_ns"] for e in events if e["kind"] == "phase.entered" and e["phase"] == "storm")
    assert (approval["action"], approval["by"]) == ("approve", "scenario")
    assert approval["detail"].startswith("POST /operator/approve: 200 ")
    assert 0 <= approval["t_ns"] - storm_ns - 7_000_000_000 < 200_000_000
    marketing = {
        e["token"] for e in events if e["kind"] == "message.submitting" and e["class"] == "marketing"
    }
    copies = [e["end_ns"] for e in events if e["kind"] == "receipt" and e.get("token") in marketing]
    assert len(copies) == 16 and min(copies) > approval["t_ns"]


def test_an_action_may_be_a_command(runs: dict[str, Future[Ran]]):
    ran = runs["an action by a command"].result()
    assert ran.exit_code == 0, ran.said
    (action,) = [e for e in ran.events() if e["kind"] == "operator"]
    assert action["action"] == "pause" and action["detail"].endswith("exited with code 0: 9")


def test_a_scenario_whose_action_was_not_done_was_not_carried_out(runs: dict[str, Future[Ran]]):
    ran = runs["an action that is refused"].result()
    assert ran.exit_code == 5
    assert "the operator's `approve` at 1 s was not done: POST /operator/nonsense: 404" in ran.run["detail"]
    assert not [e for e in ran.events() if e["kind"] == "operator"]


def test_a_set_up_that_fails_is_no_baseline_and_is_torn_down_all_the_same(runs: dict[str, Future[Ran]]):
    ran = runs["a set-up that fails"].result()
    run_dir = Path(ran.run["run_dir"])
    assert ran.exit_code == 4
    assert "setup 2" in ran.run["detail"] and "exited with code 3" in ran.run["detail"]
    assert ran.run["detail"].endswith("no such table: customers")
    assert not (run_dir / "system" / "spool").exists(), "the tear-down removes what the set-up made"
    assert "no such table: customers" in (run_dir / "hooks.log").read_text()


def test_a_tear_down_that_fails_is_a_warning(runs: dict[str, Future[Ran]]):
    ran = runs["a tear-down that fails"].result()
    assert ran.exit_code == 0, ran.said
    (warning,) = [each for each in ran.run["warnings"] if not each.startswith("late-driver")]
    assert warning.startswith("teardown-failed (system): teardown 1") and "no such table" in warning


def test_what_a_function_raises_is_the_systems_answer(runs: dict[str, Future[Ran]]):
    ran = runs["a function that always raises"].result()
    assert ran.exit_code == 4
    assert "the system answered KeyError: 'from'" in ran.run["detail"].replace("  ", " ")


def test_an_interrupted_run_is_torn_down(tmp_path: Path):
    command = command_line(
        "systems/command", {"system.teardown": f"[[touch, {tmp_path / 'torn'}]]"}, tmp_path
    )
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as harness:
        wait_for(lambda: any(tmp_path.glob("*/system/spool/new/*")))
        harness.send_signal(signal.SIGINT)
        harness.communicate(timeout=60)
    assert harness.returncode == 130
    assert (tmp_path / "torn").exists()


@pytest.mark.parametrize("on", ["local", "containers"])
def test_a_system_that_runs_already_is_spoken_to_and_left_alone(
    tmp_path: Path, on: str, request: pytest.FixtureRequest
):
    if on == "containers":
        request.getfixturevalue("docker")
    proxy = "embedded" if on == "local" else "toxiproxy"
    settings = {
        "routes.primary.listen": f"127.0.0.1:{free_port()}",
        "routes.backup.listen": f"127.0.0.1:{free_port()}",
        "system.external.port": str(free_port()),
    }
    with relay(settings, tmp_path) as process:
        ran = run_harness("systems/external", settings, tmp_path, proxy, on)
        assert ran.exit_code == 0, ran.said
        assert process.poll() is None, "it goes on when the run is over"
    changes = [e["change"] for e in ran.events() if e["kind"] == "system.process"]
    assert changes == ["found"]
    assert {e["route"] for e in ran.events() if e["kind"] == "receipt"} == {"primary", "backup"}
    assert ran.events()[0]["testbed"] == on


def test_a_system_that_is_not_there_is_no_baseline(tmp_path: Path):
    settings = {"routes.primary.listen": f"127.0.0.1:{free_port()}", "system.external.port": str(free_port())}
    settings["routes.backup.listen"] = f"127.0.0.1:{free_port()}"
    ran = run_harness("systems/external", settings, tmp_path)
    assert ran.exit_code == 4
    assert ran.run["detail"].endswith(f"nothing listens on 127.0.0.1:{settings['system.external.port']}")


@contextmanager
def relay(settings: dict[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The relay as somebody else would start it, from what `harness plan` tells."""
    sets = [word for path, value in settings.items() for word in ("--set", f"{path}={value}")]
    planned = subprocess.run(
        [HARNESS, "plan", "scenarios/systems/external.yaml", "--routes", "--json", *sets],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    routes = json.loads(planned.stdout)
    env = os.environ | {
        "PYTHONPATH": str(ROOT / "fixtures" / "systems"),
        "PORT": settings["system.external.port"],
        "PRIMARY_URL": routes["primary"]["url"],
        "BACKUP_URL": routes["backup"]["url"],
    }
    with (folder / "relay.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "smtprelay"], env=env, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition, within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
