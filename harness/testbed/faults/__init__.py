"""Putting faults in place and taking them away; one class for each kind, found by its name in the scenario.

injector.py: the life of a fault. endpoint.py: where it acts on a route. transport.py, in_provider.py and
system.py: the kinds. carrying.py: what a canary cannot tell of a proxy.
"""

from __future__ import annotations

from collections.abc import Callable

from harness.scenario.faults import MASKING
from harness.scenario.timeline import Fault
from harness.testbed.faults.endpoint import Endpoint
from harness.testbed.faults.in_provider import (
    AckLoss,
    Bounce,
    Certificate,
    Disconnect,
    EventsLate,
    EventsLost,
    Hang,
    KeyRotated,
    Refuse,
    SilentDrop,
    SlowAck,
    Status,
    Throttle,
)
from harness.testbed.faults.injector import Detail, FaultInjector, InjectionError, Translated
from harness.testbed.faults.system import Kill, Partition, Pause, Restart
from harness.testbed.faults.transport import (
    AuthFailure,
    Bandwidth,
    Blackhole,
    Cut,
    Latency,
    Outage,
    Reset,
    Slice,
    SlowClose,
)
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

_ON_ENDPOINT: dict[str, Callable[[Fault, Endpoint], FaultInjector]] = {
    "outage": Outage,
    "blackhole": Blackhole,
    "latency": Latency,
    "bandwidth": Bandwidth,
    "slice": Slice,
    "cut": Cut,
    "slow-close": SlowClose,
    "reset": Reset,
    "auth-failure": AuthFailure,
    "refuse": Refuse,
    "ack-loss": AckLoss,
    "slow-ack": SlowAck,
    "hang": Hang,
    "disconnect": Disconnect,
    "silent-drop": SilentDrop,
    "throttle": Throttle,
    "certificate": Certificate,
    "key-rotated": KeyRotated,
    "bounce": Bounce,
    "events-lost": EventsLost,
    "events-late": EventsLate,
    "status": Status,
}

_ON_SYSTEM: dict[str, Callable[[Fault, SystemUnderTest], FaultInjector]] = {
    "kill": Kill,
    "restart": Restart,
    "pause": Pause,
    "partition": Partition,
}


def injector_on(fault: Fault, endpoint: Endpoint) -> FaultInjector:
    return Translated(_ON_ENDPOINT[fault.type](fault, endpoint))


def injector_for_system(fault: Fault, system: SystemUnderTest) -> FaultInjector:
    return Translated(_ON_SYSTEM[fault.type](fault, system))
