"""What the SUT is started with: the scenario's templates filled in with this run's addresses."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.scenario.models import Scenario
from harness.scenario.templates import render_env, render_words
from harness.testbed.address import RouteAddress
from harness.testbed.base import TestbedError
from harness.testbed.proxy.ports import candidate_ports
from harness.testbed.system.plan import ProcessPlan, Surroundings, base_environment


def surroundings_of(
    scenario: Scenario,
    run_dir: Path,
    addresses: Mapping[str, RouteAddress],
    ca_path: Path,
    port: int,
    webhooks: Mapping[str, str] | None = None,
) -> Surroundings:
    """The world as a process of this machine finds it. `webhooks` are the addresses to post to."""
    state_dir = run_dir / "system"
    state_dir.mkdir(exist_ok=True)
    return Surroundings(
        routes=addresses,
        port=port,
        state_dir=str(state_dir),
        ca_file=str(ca_path),
        python=sys.executable,
        run_dir=run_dir,
        scenario_dir=scenario.path.resolve().parent,
        webhooks=webhooks or {},
    )


def plan_process(scenario: Scenario, surroundings: Surroundings) -> ProcessPlan:
    """Command and environment of a system that is a process here."""
    system = scenario.system
    context, given = surroundings.context(), surroundings.environment()
    if system.path is not None:
        inherited = os.environ.get("PYTHONPATH")
        own = str((surroundings.scenario_dir / system.path).resolve())
        given["PYTHONPATH"] = f"{own}{os.pathsep}{inherited}" if inherited else own
    return ProcessPlan(
        argv=render_words(system.process or (), context),
        env=base_environment({**given, **render_env(scenario, context)}),
        cwd=surroundings.scenario_dir,
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
