"""A system under test from its host and what the scenario says: its ways in and out, operator, hooks."""

from __future__ import annotations

from harness.history.journal import Journal
from harness.scenario.models import Scenario
from harness.scenario.system import System
from harness.testbed.commands import Surround
from harness.testbed.resources import ResourceLedger
from harness.testbed.signals.readings import Reach, states_source
from harness.testbed.system.doors.base import Door
from harness.testbed.system.doors.command import CommandDoor
from harness.testbed.system.doors.http import HttpDoor
from harness.testbed.system.doors.python import Callee, PythonDoor
from harness.testbed.system.doors.smtp import Relay, SmtpDoor
from harness.testbed.system.hooks import Hooks
from harness.testbed.system.host import SystemHost
from harness.testbed.system.life import SystemUnderTest
from harness.testbed.system.operator import Operator
from harness.testbed.system.plan import Surroundings, environment_here
from harness.testbed.system.reach import base_url
from harness.testbed.system.readiness import AtOnce, CommandEnds, PathAnswers, PortAnswers, Readiness
from harness.testbed.system.states import States


def reach_of(scenario: Scenario, host: SystemHost, here: Surroundings, ledger: ResourceLedger) -> Reach:
    """`here` is the world as this machine sees it, where submissions, hooks and the operator act."""
    return Reach(
        base_url=base_url(host.address),
        log_path=host.log_path,
        context=here.context(),
        commands=Surround(environment_here(scenario, here), here.scenario_dir, ledger.marker),
    )


def assemble(
    scenario: Scenario,
    host: SystemHost,
    here: Surroundings,
    reach: Reach,
    journal: Journal,
    ledger: ResourceLedger,
) -> SystemUnderTest:
    system = scenario.system
    return SystemUnderTest(
        host,
        _door(scenario, host, here, reach, ledger),
        journal,
        ready=_readiness(system, host, reach),
        states=States(states_source(system.states, reach), system.states.items) if system.states else None,
        operator=Operator(system.operator, reach.context, reach.commands),
        hooks=Hooks(
            [reach.words(words) for words in system.setup],
            [reach.words(words) for words in system.teardown],
            reach.commands,
            here.run_dir,
            ledger,
        ),
    )


def _readiness(system: System, host: SystemHost, reach: Reach) -> Readiness:
    if system.ready is not None and system.ready.http is not None:
        return PathAnswers(system.ready.http)
    if system.ready is not None and system.ready.command is not None:
        return CommandEnds(reach.words(system.ready.command), reach.commands)
    return PortAnswers(host.address) if system.is_spoken_to else AtOnce()


def _door(
    scenario: Scenario, host: SystemHost, here: Surroundings, reach: Reach, ledger: ResourceLedger
) -> Door:
    submit = scenario.system.submit
    timeout_s = submit.timeout / 1e9
    if submit.request is not None:
        method, path = submit.request
        return HttpDoor(host.address, method, path, submit.from_, submit.body, timeout_s)
    if submit.function is not None:
        file, function = submit.function
        callee = Callee(
            file=here.scenario_dir / file,
            function=function,
            env=reach.commands.env,
            cwd=reach.commands.cwd,
            log_path=here.run_dir / "submission.log",
        )
        return PythonDoor(callee, ledger, submit.from_, submit.body, timeout_s)
    if submit.command is not None:
        return CommandDoor(
            submit.command, reach.context, reach.commands, submit.from_, submit.body, timeout_s
        )
    return SmtpDoor(_relay(scenario, here, reach), submit.from_, timeout_s)


def _relay(scenario: Scenario, here: Surroundings, reach: Reach) -> Relay:
    submit = scenario.system.submit
    host, _, port = reach.text(submit.smtp or "").rpartition(":")
    return Relay(
        host=host or here.host,
        port=int(port),
        username=None if submit.username is None else reach.text(submit.username),
        password=None if submit.password is None else reach.text(submit.password),
        starttls=submit.starttls,
        ca_path=None if submit.ca is None else here.scenario_dir / submit.ca,
        keeps_connections=submit.connections == "kept",
    )
