"""What the system is started with: the names that templates may use, and the variables that it is given.

A container sees other paths and addresses than a process on this machine; whoever makes the surroundings says
how the system sees them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.scenario.models import Scenario
from harness.scenario.templates import render_env
from harness.testbed.address import RouteAddress


@dataclass(frozen=True)
class Surroundings:
    """The world as the system finds it."""

    routes: Mapping[str, RouteAddress]
    host: str
    port: int
    state_dir: str
    ca_file: str
    python: str
    run_dir: Path
    scenario_dir: Path
    webhooks: Mapping[str, str] = field(default_factory=dict)
    dkim: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """For each route on which the system signs: DKIM_VARIABLES of harness.scenario.templates."""

    def context(self) -> dict[str, Any]:
        """What templates may name: TOP_VARIABLES of harness.scenario.templates."""
        return {
            "routes": {
                name: address.template_context() | ({"dkim": self.dkim[name]} if name in self.dkim else {})
                for name, address in self.routes.items()
            },
            "system": {"host": self.host, "port": self.port, "state_dir": self.state_dir},
            "ca_file": self.ca_file,
            "python": self.python,
            "run_dir": str(self.run_dir),
            "scenario_dir": str(self.scenario_dir),
            "webhooks": dict(self.webhooks),
        }

    def environment(self) -> dict[str, str]:
        """What the harness gives every system, below what the scenario's `env` says."""
        return {
            "PORT": str(self.port),
            "STATE_DIR": self.state_dir,
            "CA_FILE": self.ca_file,
            "SSL_CERT_FILE": self.ca_file,
            "HARNESS_RUN": self.run_dir.name,
        }


def environment_here(scenario: Scenario, here: Surroundings) -> dict[str, str]:
    """For what runs on this machine: the harness's own environment, the system's `path` and `env` on top."""
    given = {**here.environment(), **python_path(scenario, here.scenario_dir)}
    written = render_env(scenario, here.context())
    return {**os.environ, "PYTHONUNBUFFERED": "1", **given, **written}


def environment_ahead(scenario: Scenario, scenario_dir: Path) -> dict[str, str]:
    """What is known of it before anything has an address."""
    return {**os.environ, **python_path(scenario, scenario_dir)}


def python_path(scenario: Scenario, scenario_dir: Path) -> dict[str, str]:
    """The system's `path`, before what PYTHONPATH already has."""
    if scenario.system.path is None:
        return {}
    inherited = os.environ.get("PYTHONPATH")
    own = str((scenario_dir / scenario.system.path).resolve())
    return {"PYTHONPATH": f"{own}{os.pathsep}{inherited}" if inherited else own}


@dataclass(frozen=True)
class ProcessPlan:
    """A command of this machine, whole: nothing is added to its environment but the run's marker."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
