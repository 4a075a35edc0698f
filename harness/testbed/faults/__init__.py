"""Putting faults in place and taking them away; one class for each kind, found by its name in the scenario.

injector.py: the life of a fault. endpoint.py: where it acts on a route. transport.py, in_provider.py and
system.py: the kinds.
"""

from __future__ import annotations

from harness.scenario.faults import MASKING
from harness.scenario.timeline import Fault
from harness.testbed.faults.endpoint import Endpoint
from harness.testbed.faults.in_provider import AckLoss, Refuse
from harness.testbed.faults.injector import Detail, FaultInjector, InjectionError, Translated
from harness.testbed.faults.system import Kill, Partition, Pause, Restart
from harness.testbed.faults.transport import AuthFailure, Blackhole, Latency, Outage, Reset
from harness.testbed.system.life import SystemUnderTest

__all__ = [
    "MASKING",
    "Detail",
    "Endpoint",
    "FaultInjector",
    "InjectionError",
    "injector_for_system",
    "injector_on",
]

_ON_ENDPOINT: dict[str, type[Outage | Blackhole | Latency | Reset | AuthFailure | Refuse | AckLoss]] = {
    "outage": Outage,
    "blackhole": Blackhole,
    "latency": Latency,
    "reset": Reset,
    "auth-failure": AuthFailure,
    "refuse": Refuse,
    "ack-loss": AckLoss,
}

_ON_SYSTEM: dict[str, type[Kill | Restart | Pause | Partition]] = {
    "kill": Kill,
    "restart": Restart,
    "pause": Pause,
    "partition": Partition,
}


def injector_on(fault: Fault, endpoint: Endpoint) -> FaultInjector:
    return Translated(_ON_ENDPOINT[fault.type](fault, endpoint))


def injector_for_system(fault: Fault, system: SystemUnderTest) -> FaultInjector:
    return Translated(_ON_SYSTEM[fault.type](fault, system))
