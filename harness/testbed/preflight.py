"""What can be known of a scenario on this machine before anything starts: fixed ports, programs, imports.

Better to be told now than by a baseline that is not met.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

from harness.scenario.models import Scenario
from harness.testbed.discover import NotAvailable
from harness.testbed.signals.drivers import check_databases
from harness.testbed.system.doors.python import worker_command
from harness.testbed.system.plan import environment_ahead

LOOPBACK = "127.0.0.1"
IMPORT_TIMEOUT_S = 20.0


def check_ahead(scenario: Scenario, testbed: str) -> None:
    """Raises NotAvailable for the first thing that cannot work here, on that testbed."""
    _ports(scenario, testbed)
    _programs(scenario)
    _function(scenario)
    check_databases(scenario)


def _ports(scenario: Scenario, testbed: str) -> None:
    for name, route in scenario.routes.items():
        if route.listen is None:
            continue
        host, _, port = route.listen.rpartition(":")
        if testbed == "containers" and host != LOOPBACK:
            raise NotAvailable(
                f"route `{name}` is to listen at {route.listen}, and containers publish on {LOOPBACK} alone",
                f"say `listen: {LOOPBACK}:{port}`, or `--on local`",
            )
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, int(port)))
            except OSError as error:
                raise NotAvailable(
                    f"route `{name}` cannot listen at {route.listen}: {error.strerror}",
                    "end what listens there, or give the route another `listen`",
                ) from error


def _programs(scenario: Scenario) -> None:
    folder = scenario.path.resolve().parent
    search = scenario.system.env.get("PATH", "")
    for where, program in _commands(scenario):
        if program == "python" or "{{" in program:
            continue
        path = str(folder / program) if os.sep in program else program
        if shutil.which(path, path=None if "{{" in search else search or None) is None:
            raise NotAvailable(
                f"`{where}` runs `{program}`, and there is no such program here",
                "install it, or write the whole path",
            )


def _commands(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """(where, program) of every command that is run on this machine beside the system."""
    system = scenario.system
    for key in ("setup", "teardown"):
        for number, command in enumerate(getattr(system, key)):
            yield f"system.{key}[{number}]", command[0]
    if system.submit.command is not None:
        yield "system.submit.command", system.submit.command[0]
    if system.ready is not None and system.ready.command is not None:
        yield "system.ready.command", system.ready.command[0]
    for name, action in system.operator.items():
        if action.command is not None:
            yield f"system.operator.{name}.command", action.command[0]


def _function(scenario: Scenario) -> None:
    """Import the file that submits, in a process of its own: a module may be missing that it needs."""
    if scenario.system.submit.function is None:
        return
    file, function = scenario.system.submit.function
    folder = scenario.path.resolve().parent
    try:
        done = subprocess.run(
            worker_command(folder / file, function, check=True),
            env=environment_ahead(scenario, folder),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=IMPORT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return  # what takes so long may still end; the run tells
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise NotAvailable(
            f"`system.submit.python` cannot be used: {said[0]}",
            f"it is imported by {sys.executable}; see that this has what {file} needs",
        )
