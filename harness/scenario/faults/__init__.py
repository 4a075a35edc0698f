"""Faults: one model for each kind, with its attributes and their ranges, and where it acts.

base.py: what every fault says. transport.py, in_provider.py, told.py and system.py: the kinds, by the place
where they act. selection.py: whom a fault inside a provider hits.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.scenario.faults.base import ActsIn, FaultBase, LastingFault
from harness.scenario.faults.in_provider import (
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
    Throttle,
    provider_fault,
)
from harness.scenario.faults.selection import SELECTION, Selective
from harness.scenario.faults.system import Kill, Partition, Pause, Restart
from harness.scenario.faults.told import Status
from harness.scenario.faults.transport import (
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

__all__ = [
    "KINDS",
    "MASKING",
    "SELECTION",
    "ActsIn",
    "Fault",
    "FaultBase",
    "LastingFault",
    "Partition",
    "Selective",
    "provider_fault",
]

Fault = Annotated[
    Outage
    | Blackhole
    | Latency
    | Bandwidth
    | Slice
    | Cut
    | SlowClose
    | Reset
    | AuthFailure
    | Refuse
    | AckLoss
    | SlowAck
    | Hang
    | Disconnect
    | SilentDrop
    | Throttle
    | Certificate
    | KeyRotated
    | Bounce
    | EventsLost
    | EventsLate
    | Status
    | Kill
    | Restart
    | Pause
    | Partition,
    Field(discriminator="fault"),
]

KINDS: dict[str, type[FaultBase]] = {
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
    "kill": Kill,
    "restart": Restart,
    "pause": Pause,
    "partition": Partition,
}

MASKING = frozenset(kind for kind, model in KINDS.items() if model.masks)
"""Faults behind which no canary gets through, so that another one there cannot be proved."""
