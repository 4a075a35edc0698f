"""A system under test from its host and what the scenario says: which way in, when ready, which states."""

from __future__ import annotations

from harness.history.journal import Journal
from harness.scenario.models import Scenario
from harness.testbed.base import TestbedError
from harness.testbed.signals.readings import Reach, states_source
from harness.testbed.system.doors.base import Door
from harness.testbed.system.doors.http import HttpDoor
from harness.testbed.system.host import SystemHost
from harness.testbed.system.life import SystemUnderTest
from harness.testbed.system.states import States


def assemble(scenario: Scenario, host: SystemHost, journal: Journal, reach: Reach) -> SystemUnderTest:
    system = scenario.system
    return SystemUnderTest(
        host,
        _door(scenario, host),
        journal,
        ready_path=system.ready.http if system.ready else None,
        states=States(states_source(system.states, reach), system.states.items) if system.states else None,
    )


def _door(scenario: Scenario, host: SystemHost) -> Door:
    submit = scenario.system.submit
    if submit.http is None or scenario.system.process is None:
        raise TestbedError("only a process that is given mail by HTTP can be run as yet")
    return HttpDoor(host.address, *submit.request, submit.body, submit.timeout / 1e9)
