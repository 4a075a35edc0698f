"""What the SUT is started with: the scenario's templates filled in with this run's addresses."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.scenario.models import Scenario
from harness.scenario.templates import render_words
from harness.testbed.address import RouteAddress
from harness.testbed.base import TestbedError
from harness.testbed.mail.keys import FOLDER, dkim_variables
from harness.testbed.proxy.ports import candidate_ports
from harness.testbed.system.plan import ProcessPlan, Surroundings, environment_here


def surroundings_of(
    scenario: Scenario,
    run_dir: Path,
    addresses: Mapping[str, RouteAddress],
    ca_path: Path,
    at: tuple[str, int],
    webhooks: Mapping[str, str],
    seed: int,
) -> Surroundings:
    """The world as a process here sees it; the system listens, or is to listen, `at` that address.

    `webhooks` are the addresses to post to.
    """
    state_dir = run_dir / "system"
    state_dir.mkdir(exist_ok=True)
    host, port = at
    return Surroundings(
        routes=addresses,
        host=host,
        port=port,
        state_dir=str(state_dir),
        ca_file=str(ca_path),
        python=sys.executable,
        run_dir=run_dir,
        scenario_dir=scenario.path.resolve().parent,
        webhooks=webhooks,
        dkim=dkim_variables(scenario, seed, str(run_dir / FOLDER)),
    )


def plan_process(scenario: Scenario, here: Surroundings) -> ProcessPlan:
    """Command and environment of a system that is a process here."""
    return ProcessPlan(
        argv=render_words(scenario.system.process or (), here.context()),
        env=environment_here(scenario, here),
        cwd=here.scenario_dir,
    )


def free_port(name: str) -> int:
    """A port that nothing listens on, outside the range of outgoing connections."""
    for port in candidate_ports(name):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise TestbedError("no free port for the system was found on 127.0.0.1")
