"""Where faults act, on a route or an endpoint beside it, and what all faults there share.

Each proves by the harness's own canary, on the same proxy as the SUT, that it acts; what cannot be proved is
an InjectionError. Faults on one endpoint may overlap: each knows of the others.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from harness.history.events import Receipt
from harness.providers.wire import ProviderFault
from harness.scenario.targets import target_of
from harness.scenario.timeline import Fault
from harness.testbed.canary import Canary, Saw, Sighting
from harness.testbed.faults.injector import Detail, InjectionError

CANARY_TIMEOUT_S = 2.0
ROUND_TRIPS = 10
"""More than a canary's session takes; each is late by the latencies that are on."""


class ProxyControl(Protocol):
    """What faults need of an endpoint's proxy; every change is read back by the implementation."""

    async def set_enabled(self, enabled: bool) -> Detail: ...
    async def set_upstream(self, upstream: str) -> Detail: ...
    async def add_toxic(self, name: str, type_: str, stream: str, attributes: dict[str, int]) -> Detail: ...
    async def remove_toxic(self, name: str) -> Detail: ...
    async def confirm(self) -> Detail: ...


class ProviderControl(Protocol):
    async def put_fault(self, fault: ProviderFault) -> object: ...
    async def delete_fault(self, fault_id: str) -> None: ...
    async def fault_ids(self) -> list[str]: ...
    async def canary_receipt(self, token: str) -> Receipt | None: ...


@dataclass(frozen=True)
class Endpoint:
    """Where the faults of a route act, or those of one endpoint beside it."""

    route: str
    proxy: ProxyControl
    canary: Canary
    upstream: str
    rejecting_upstream: str | None
    provider: ProviderControl | None
    refused_as: frozenset[Saw] = frozenset({Saw.CONNECT_REFUSED})
    """What the canary meets where nothing listens; a port forwarder in between takes it and hangs up."""
    beside: str = ""
    """Which endpoint beside the one that mail goes through; empty: that one."""
    holding: dict[str, Fault] = field(default_factory=dict)
    """The faults that are on here, by id."""

    @property
    def target(self) -> str:
        """What faults here are `on`."""
        return target_of(self.route, self.beside)

    def holds(self, type_: str) -> bool:
        return any(fault.type == type_ for fault in self.holding.values())

    def delay_s(self) -> float:
        """By how much the latencies that are on can delay one answer."""
        attributes = [fault.attributes for fault in self.holding.values() if fault.type == "latency"]
        return sum(int(each["latency"]) + int(each.get("jitter", 0)) for each in attributes) / 1000

    def patience_s(self) -> float:
        """How long a canary waits for its whole session."""
        return CANARY_TIMEOUT_S + ROUND_TRIPS * self.delay_s()


def expect(sighting: Sighting, wanted: AbstractSet[Saw], what: str) -> Detail:
    if sighting.saw not in wanted:
        names = " or ".join(sorted(saw.value for saw in wanted))
        raise InjectionError(
            f"{what}: the canary should have met `{names}`, it met `{sighting.saw.value}` "
            f"(code {sighting.code}, {sighting.elapsed_ms:.0f} ms)"
        )
    return sighting.detail()


class OnEndpoint:
    """What faults on a route share: after the removal the canary must get through again."""

    def __init__(self, fault: Fault, endpoint: Endpoint) -> None:
        self.fault = fault
        self.endpoint = endpoint
        self.attributes = fault.attributes

    async def inject(self) -> Detail:
        self.endpoint.holding[self.fault.id] = self.fault
        await self._put()
        return {}

    async def confirm(self) -> Detail:
        """The proxy as it is now, which must be what all the faults on it make of it."""
        return await self.endpoint.proxy.confirm()

    async def remove(self) -> Detail:
        self.endpoint.holding.pop(self.fault.id, None)
        read_back = await self._take_away()
        return read_back | {"canary": (await self._seen_after()).detail()}

    async def _put(self) -> None:
        raise NotImplementedError

    async def _take_away(self) -> Detail:
        raise NotImplementedError

    async def _seen_after(self) -> Sighting:
        # Another fault may still be in the way: that all ways are free is proved when everything is healed.
        return await self.endpoint.canary.transport(self.endpoint.patience_s())
