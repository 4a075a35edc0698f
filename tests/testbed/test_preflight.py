"""What is refused before anything starts, because it cannot work on this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from harness.scenario.loader import load_text
from harness.scenario.models import Scenario
from harness.testbed import preflight
from harness.testbed.discover import NotAvailable
from tests.scenario.writing import changed

PROCESS = "process: [python, -m, mailrouter]"
HTTP = 'http: "POST /messages"'


def check_ahead(scenario: Scenario, testbed: str = "local") -> None:
    preflight.check_ahead(scenario, testbed)


def scenario(folder: Path, *changes: tuple[str, str]) -> Scenario:
    return load_text(changed(*changes), folder / "drill.yaml")


def test_a_scenario_of_the_usual_kind_is_let_through(tmp_path: Path):
    check_ahead(scenario(tmp_path))


def test_an_address_that_is_taken(tmp_path: Path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        drill = scenario(tmp_path, ("{provider: m365}", f"{{provider: m365, listen: '127.0.0.1:{port}'}}"))
        with pytest.raises(
            NotAvailable, match=rf"route `primary` cannot listen at 127\.0\.0\.1:{port}: Address"
        ):
            check_ahead(drill)
    check_ahead(drill)


def test_an_address_of_another_machine(tmp_path: Path):
    drill = scenario(tmp_path, ("{provider: m365}", "{provider: m365, listen: '192.0.2.1:2525'}"))
    with pytest.raises(NotAvailable, match=r"cannot listen at 192\.0\.2\.1:2525"):
        check_ahead(drill)


def test_an_address_at_which_containers_cannot_publish(tmp_path: Path):
    drill = scenario(tmp_path, ("{provider: m365}", "{provider: m365, listen: '127.0.0.2:2525'}"))
    check_ahead(drill, "local")
    with pytest.raises(NotAvailable, match=r"containers publish on 127\.0\.0\.1 alone"):
        check_ahead(drill, "containers")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ((PROCESS, PROCESS + "\n  setup: [[touch, x], [no-such-program]]"), r"system.setup\[1\]"),
        ((PROCESS, PROCESS + "\n  teardown: [[./no-such-program]]"), r"system.teardown\[0\]"),
        ((HTTP, "command: [no-such-program]"), "system.submit.command"),
        ((PROCESS, PROCESS + "\n  ready: {command: [no-such-program]}"), "system.ready.command"),
        (
            (PROCESS, PROCESS + "\n  operator: {approve: {command: [no-such-program]}}"),
            "system.operator.approve.command",
        ),
    ],
)
def test_a_program_that_is_not_there(tmp_path: Path, change: tuple[str, str], where: str):
    with pytest.raises(NotAvailable, match=f"`{where}` runs `.*no-such-program`"):
        check_ahead(scenario(tmp_path, change))


def test_a_program_beside_the_scenario_is_found_and_one_that_a_template_names_is_left_to_the_run(
    tmp_path: Path,
):
    program = tmp_path / "submit.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    check_ahead(scenario(tmp_path, (HTTP, "command: [./submit.sh]")))
    check_ahead(scenario(tmp_path, (HTTP, 'command: ["{{ run_dir }}/submit.sh"]')))


def test_a_function_whose_file_needs_what_is_not_here(tmp_path: Path):
    (tmp_path / "caller.py").write_text("import no_such_module\ndef submit(message): ...\n")
    drill = scenario(tmp_path, (HTTP, "python: 'caller.py:submit'"))
    with pytest.raises(NotAvailable, match="No module named 'no_such_module'"):
        check_ahead(drill)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "no_such_module.py").write_text("")
    check_ahead(
        scenario(tmp_path, (HTTP, "python: 'caller.py:submit'"), (PROCESS, PROCESS + "\n  path: lib"))
    )
