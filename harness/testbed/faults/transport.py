"""Faults of the way to a provider: made by its proxy, or by turning it to the rejecting listener."""

from __future__ import annotations

import contextlib

from harness.testbed.canary import Saw, Sighting
from harness.testbed.faults.endpoint import CANARY_TIMEOUT_S, OnEndpoint, expect
from harness.testbed.faults.injector import Detail, InjectionError
from harness.testbed.proxy.errors import ProxyNotAsAsked

SILENCE_S = 0.6
"""A canary that hears nothing for so long counts as blackholed; an answer takes some milliseconds."""


class Outage(OnEndpoint):
    """Connections are refused and the open ones are closed."""

    async def _put(self) -> None:
        await self.endpoint.proxy.set_enabled(False)

    async def act(self) -> Detail:
        sighting = await self.endpoint.canary.transport(CANARY_TIMEOUT_S)
        return expect(sighting, self.endpoint.refused_as, "outage")

    async def _take_away(self) -> Detail:
        return await self.endpoint.proxy.set_enabled(not self.endpoint.holds("outage"))


class ByToxics(OnEndpoint):
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


class Blackhole(ByToxics):
    """Connections open and nothing passes, in either direction; what was under way hangs."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        return [("timeout", stream, {"timeout": 0}) for stream in ("upstream", "downstream")]

    async def act(self) -> Detail:
        silence_s = SILENCE_S + self.endpoint.delay_s()
        return expect(await self.endpoint.canary.transport(silence_s), {Saw.NO_ANSWER}, "blackhole")


class Latency(ByToxics):
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
        detail = expect(sighting, {Saw.OK}, "latency")
        # Toxiproxy counts whole milliseconds and may fire a little early.
        if sighting.elapsed_ms < least_ms - 2:
            raise InjectionError(
                f"latency: the canary's answer took {sighting.elapsed_ms:.0f} ms, not {least_ms} ms"
            )
        return detail


class Reset(ByToxics):
    """Connections are reset once data flows, after `after` ms."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        return [("reset_peer", "downstream", {"timeout": int(self.attributes.get("after", 0))})]

    async def act(self) -> Detail:
        after_s = int(self.attributes.get("after", 0)) / 1000
        sighting = await self.endpoint.canary.transport(self.endpoint.patience_s() + after_s)
        return expect(sighting, {Saw.RESET, Saw.CLOSED}, "reset")


class AuthFailure(OnEndpoint):
    """Every login is refused: the proxy leads to the provider's rejecting listener."""

    async def _put(self) -> None:
        if self.endpoint.rejecting_upstream is None:
            raise InjectionError(f"{self.endpoint.target}: its provider has no rejecting listener")
        await self.endpoint.proxy.set_upstream(self.endpoint.rejecting_upstream)

    async def act(self) -> Detail:
        sighting = await self.endpoint.canary.login(self.endpoint.patience_s())
        return expect(sighting, {Saw.REJECTED}, "auth-failure")

    async def _take_away(self) -> Detail:
        if self.endpoint.holds("auth-failure"):
            return await self.endpoint.proxy.confirm()
        return await self.endpoint.proxy.set_upstream(self.endpoint.upstream)

    async def _seen_after(self) -> Sighting:
        return await self.endpoint.canary.login(self.endpoint.patience_s())
