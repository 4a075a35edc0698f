"""Putting faults in place and taking them away: inject, confirm (read back), act (canary), remove.

One class per kind of fault. Each proves by the harness's own canary, on the same proxy as the SUT, that it
acts; what cannot be proved is an InjectionError. Faults on one endpoint may overlap: each knows of the
others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from harness.history.events import Receipt, ReceiptResult
from harness.providers.wire import ProviderFault
from harness.scenario.timeline import Fault
from harness.testbed.canary import Canary, Saw, Sighting
from harness.testbed.proxy.errors import ProxyError, ProxyNotAsAsked
from harness.testbed.system.life import SystemNotReady, SystemUnderTest

Detail = dict[str, Any]
CANARY_TIMEOUT_S = 2.0
ROUND_TRIPS = 10
"""More than a canary's session takes; each is late by the latencies that are on."""
SILENCE_S = 0.6
"""A canary that hears nothing for so long counts as blackholed; an answer takes some milliseconds."""


class InjectionError(Exception):
    """A fault is not in place, did not act, or did not go away."""


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
    """Where a route's faults act."""

    route: str
    proxy: ProxyControl
    canary: Canary
    upstream: str
    rejecting_upstream: str | None
    provider: ProviderControl | None
    holding: dict[str, Fault] = field(default_factory=dict)
    """The faults that are on here, by id."""

    def holds(self, type_: str) -> bool:
        return any(fault.type == type_ for fault in self.holding.values())

    def delay_s(self) -> float:
        """By how much the latencies that are on can delay one answer."""
        attributes = [fault.attributes for fault in self.holding.values() if fault.type == "latency"]
        return sum(int(each["latency"]) + int(each.get("jitter", 0)) for each in attributes) / 1000

    def patience_s(self) -> float:
        """How long a canary waits for its whole session."""
        return CANARY_TIMEOUT_S + ROUND_TRIPS * self.delay_s()


class FaultInjector(Protocol):
    """The life of one fault. `act` raises InjectionError while the canary does not yet meet it."""

    async def inject(self) -> Detail: ...
    async def confirm(self) -> Detail: ...
    async def act(self) -> Detail: ...
    async def remove(self) -> Detail: ...


def _expect(sighting: Sighting, wanted: set[Saw], what: str) -> Detail:
    if sighting.saw not in wanted:
        names = " or ".join(sorted(saw.value for saw in wanted))
        raise InjectionError(
            f"{what}: the canary should have met `{names}`, it met `{sighting.saw.value}` "
            f"(code {sighting.code}, {sighting.elapsed_ms:.0f} ms)"
        )
    return sighting.detail()


class _OnEndpoint:
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


class Outage(_OnEndpoint):
    """Connections are refused and the open ones are closed."""

    async def _put(self) -> None:
        await self.endpoint.proxy.set_enabled(False)

    async def act(self) -> Detail:
        return _expect(
            await self.endpoint.canary.transport(CANARY_TIMEOUT_S), {Saw.CONNECT_REFUSED}, "outage"
        )

    async def _take_away(self) -> Detail:
        return await self.endpoint.proxy.set_enabled(not self.endpoint.holds("outage"))


class _ByToxics(_OnEndpoint):
    """Faults made of toxics; they are named after the fault, so that overlapping ones do not meet."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        """(type, stream, attributes) of each."""
        raise NotImplementedError

    def _names(self) -> list[tuple[str, tuple[str, str, dict[str, int]]]]:
        return [(f"{self.fault.id}-{toxic[0]}-{toxic[1]}", toxic) for toxic in self.toxics()]

    async def _put(self) -> None:
        for name, (type_, stream, attributes) in self._names():
            await self.endpoint.proxy.add_toxic(name, type_, stream, attributes)

    async def _take_away(self) -> Detail:
        for name, _ in self._names():
            # Whether the proxy is as it should be is asked when all of them are gone.
            with contextlib.suppress(ProxyNotAsAsked):
                await self.endpoint.proxy.remove_toxic(name)
        return await self.endpoint.proxy.confirm()


class Blackhole(_ByToxics):
    """Connections open and nothing passes, in either direction; what was under way hangs."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        return [("timeout", stream, {"timeout": 0}) for stream in ("upstream", "downstream")]

    async def act(self) -> Detail:
        silence_s = SILENCE_S + self.endpoint.delay_s()
        return _expect(await self.endpoint.canary.transport(silence_s), {Saw.NO_ANSWER}, "blackhole")


class Latency(_ByToxics):
    """Every answer is late by `latency` ± `jitter` (ms)."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        attributes = {
            "latency": int(self.attributes["latency"]),
            "jitter": int(self.attributes.get("jitter", 0)),
        }
        return [("latency", str(self.attributes.get("stream", "downstream")), attributes)]

    async def act(self) -> Detail:
        least_ms = int(self.attributes["latency"]) - int(self.attributes.get("jitter", 0))
        sighting = await self.endpoint.canary.transport(self.endpoint.patience_s())
        detail = _expect(sighting, {Saw.OK}, "latency")
        # Toxiproxy counts whole milliseconds and may fire a little early.
        if sighting.elapsed_ms < least_ms - 2:
            raise InjectionError(
                f"latency: the canary's answer took {sighting.elapsed_ms:.0f} ms, not {least_ms} ms"
            )
        return detail


class Reset(_ByToxics):
    """Connections are reset once data flows, after `after` ms."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        return [("reset_peer", "downstream", {"timeout": int(self.attributes.get("after", 0))})]

    async def act(self) -> Detail:
        after_s = int(self.attributes.get("after", 0)) / 1000
        sighting = await self.endpoint.canary.transport(self.endpoint.patience_s() + after_s)
        return _expect(sighting, {Saw.RESET, Saw.CLOSED}, "reset")


class AuthFailure(_OnEndpoint):
    """Every login is refused: the proxy leads to the provider's rejecting listener."""

    async def _put(self) -> None:
        if self.endpoint.rejecting_upstream is None:
            raise InjectionError(f"route {self.endpoint.route}: its provider has no rejecting listener")
        await self.endpoint.proxy.set_upstream(self.endpoint.rejecting_upstream)

    async def act(self) -> Detail:
        sighting = await self.endpoint.canary.login(self.endpoint.patience_s())
        return _expect(sighting, {Saw.REJECTED}, "auth-failure")

    async def _take_away(self) -> Detail:
        if self.endpoint.holds("auth-failure"):
            return await self.endpoint.proxy.confirm()
        return await self.endpoint.proxy.set_upstream(self.endpoint.upstream)

    async def _seen_after(self) -> Sighting:
        return await self.endpoint.canary.login(self.endpoint.patience_s())


class _InProvider(_OnEndpoint):
    """Faults that the provider itself commits."""

    @property
    def provider(self) -> ProviderControl:
        if self.endpoint.provider is None:
            raise InjectionError(f"route {self.endpoint.route}: its provider takes no faults")
        return self.endpoint.provider

    async def _put(self) -> None:
        known = {"code", "text", "named", "share", "every", "count"} & self.attributes.keys()
        await self.provider.put_fault(
            ProviderFault(
                id=self.fault.id,
                type=self.fault.type,
                route=self.endpoint.route,
                class_=self.attributes.get("class"),
                **{name: self.attributes[name] for name in known},
            )
        )

    async def confirm(self) -> Detail:
        ids = await self.provider.fault_ids()
        if self.fault.id not in ids:
            raise InjectionError(
                f"{self.fault.type}: the provider lists the faults {ids}, not {self.fault.id}"
            )
        return {"provider_faults": ids}

    async def _take_away(self) -> Detail:
        await self.provider.delete_fault(self.fault.id)
        ids = await self.provider.fault_ids()
        if self.fault.id in ids:
            raise InjectionError(
                f"{self.fault.type}: the provider still lists {self.fault.id} after its removal"
            )
        return {"provider_faults": ids}

    async def _seen_after(self) -> Sighting:
        return await self.endpoint.canary.send(self.endpoint.patience_s())


class Refuse(_InProvider):
    """The provider answers with a code."""

    async def act(self) -> Detail:
        sighting = await self.endpoint.canary.send(self.endpoint.patience_s())
        detail = _expect(sighting, {Saw.REJECTED}, "refuse")
        wanted = self.attributes.get("code")
        if wanted is not None and sighting.code != wanted:
            raise InjectionError(f"refuse: the canary was refused with {sighting.code}, not with {wanted}")
        return detail


class AckLoss(_InProvider):
    """The provider takes the message and its answer never arrives."""

    async def act(self) -> Detail:
        sighting = await self.endpoint.canary.send(self.endpoint.patience_s())
        detail = _expect(sighting, {Saw.CLOSED, Saw.RESET}, "ack-loss")
        assert sighting.token is not None
        receipt = await self.provider.canary_receipt(sighting.token)
        if receipt is None or receipt.result is not ReceiptResult.ACK_LOST:
            seen = receipt.result.value if receipt else "no receipt"
            raise InjectionError(f"ack-loss: the provider's journal shows `{seen}` for the canary")
        return detail | {"receipt": receipt.n}


class Kill:
    """kill -9 of the SUT, and after `restart_after` its start again."""

    def __init__(self, fault: Fault, system: SystemUnderTest) -> None:
        self.fault = fault
        self.system = system

    async def inject(self) -> Detail:
        await self.system.kill()
        return {}

    async def confirm(self) -> Detail:
        if self.system.is_running:
            raise InjectionError("kill: the system's process is still running")
        return {"running": False}

    async def act(self) -> Detail:
        if await self.system.is_answered():
            raise InjectionError("kill: something still listens on the system's port")
        return {"canary": "nothing answers on its port"}

    async def remove(self) -> Detail:
        # A removal that was interrupted may have started it already.
        if not self.system.is_running:
            await self.system.start()
        return {"running": True}


_ON_ENDPOINT: dict[str, type[Outage | Blackhole | Latency | Reset | AuthFailure | Refuse | AckLoss]] = {
    "outage": Outage,
    "blackhole": Blackhole,
    "latency": Latency,
    "reset": Reset,
    "auth-failure": AuthFailure,
    "refuse": Refuse,
    "ack-loss": AckLoss,
}


class _Translated:
    """An injector whose every failure is an InjectionError, whoever's it was."""

    def __init__(self, injector: FaultInjector) -> None:
        self._injector = injector

    async def inject(self) -> Detail:
        return await self._told(self._injector.inject())

    async def confirm(self) -> Detail:
        return await self._told(self._injector.confirm())

    async def act(self) -> Detail:
        return await self._told(self._injector.act())

    async def remove(self) -> Detail:
        return await self._told(self._injector.remove())

    async def _told(self, step: Awaitable[Detail]) -> Detail:
        try:
            return await step
        except (ProxyError, httpx.HTTPError, SystemNotReady) as error:
            raise InjectionError(f"{type(error).__name__}: {error}") from error


def injector_on(fault: Fault, endpoint: Endpoint) -> FaultInjector:
    return _Translated(_ON_ENDPOINT[fault.type](fault, endpoint))


def injector_for_system(fault: Fault, system: SystemUnderTest) -> FaultInjector:
    return _Translated(Kill(fault, system))


MASKING = {"outage", "blackhole", "reset", "auth-failure"}
"""While one of these is on, a canary for another fault on the same route meets this one instead."""
