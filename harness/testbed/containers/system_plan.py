"""From the scenario to the host of a system in containers: its image or file, its variables filled in."""

from __future__ import annotations

from pathlib import Path

from harness.scenario.hosts import certificate_names
from harness.scenario.models import Scenario
from harness.scenario.templates import render_env, render_words
from harness.testbed.containers.ground import Ground
from harness.testbed.containers.system_compose import ComposeHost, ComposePlan
from harness.testbed.containers.system_container import ContainerHost, ContainerPlan
from harness.testbed.containers.system_host import ContainedHost, Surface
from harness.testbed.containers.system_image import reference_of
from harness.testbed.resources import ResourceLedger
from harness.testbed.system.plan import Surroundings

CA_VARIABLES = ("CA_FILE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "CURL_CA_BUNDLE")
"""By one of these, most TLS libraries are told whom to trust."""


def contained_host(
    scenario: Scenario,
    inside: Surroundings,
    ca_path: Path,
    ground: Ground,
    surface: Surface,
    ledger: ResourceLedger,
) -> ContainedHost:
    """`inside` is the world as the system's containers see it; `ca_path` lies on this machine."""
    system = scenario.system
    given = {**inside.environment(), **dict.fromkeys(CA_VARIABLES, inside.ca_file)}
    env = render_env(scenario, inside.context())
    if system.container is not None:
        plan = ContainerPlan(
            image=reference_of(scenario, system.container),
            command=tuple(render_words(system.container.command or (), inside.context())),
            env={**given, **env},
            files={
                inside.ca_file: ca_path.read_bytes(),
                **{each["key_file"]: each["key"].encode() for each in inside.dkim.values()},
            },
        )
        return ContainerHost(plan, ground, surface, inside.run_dir, ledger)
    assert system.compose is not None, "the system is in no container"
    # A compose file has volumes of its own, and where they are mounted it says itself.
    given.pop("STATE_DIR")
    file = inside.scenario_dir / system.compose.file
    return ComposeHost(
        ComposePlan(
            file=file,
            service=system.compose.service,
            given=given,
            env=env,
            ca=ca_path.read_text(encoding="ascii"),
            taken=frozenset(certificate_names(scenario)),
        ),
        ground,
        surface,
        inside.run_dir,
        ledger,
    )
