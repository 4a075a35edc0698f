"""Faults of the way to a provider: made by its proxy, or by turning it to the rejecting listener."""

from __future__ import annotations

import contextlib

from harness.testbed.canary import Saw, Sighting
from harness.testbed.faults.carrying import carry, goodbye, run_dry
from harness.testbed.faults.endpoint import (
    CANARY_TIMEOUT_S,
    SESSION_BYTES,
    OnEndpoint,
    bytes_per_s,
    expect,
)
from harness.testbed.faults.injector import Detail, InjectionError
from harness.testbed.proxy.errors import ProxyNotAsAsked

SILENCE_S = 0.6
"""A canary that hears nothing for so long counts as blackholed; an answer takes some milliseconds."""
SLOW_FOR_S = 0.5
LEAST_OF_IT = 0.7
"""The share of that which must be seen: proxies count in portions, and may be a little early."""
LITTLE_S = 0.1
LONGEST_WAIT_S = 2.0
"""A close that is still to come after so long is a slow one, however slow it is to be."""


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


class Bandwidth(ByToxics):
    """So many bytes a second, one way."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        # Toxiproxy counts kilobytes of 1000 bytes: bytes a millisecond.
        return [("bandwidth", str(self.attributes["stream"]), {"rate": int(self.attributes["rate"]) // 1000})]

    async def act(self) -> Detail:
        return await _slow(self)


class Slice(ByToxics):
    """Pieces of at most `size` bytes, with `delay` ms after each, one way."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        # An average and a variation, which must not be 0: Toxiproxy would crash. The delay is in µs.
        attributes = {
            "average_size": int(self.attributes["size"]) - 1,
            "size_variation": 1,
            "delay": int(self.attributes["delay"]) * 1000,
        }
        return [("slicer", str(self.attributes["stream"]), attributes)]

    async def act(self) -> Detail:
        return await _slow(self)


async def _slow(fault: Bandwidth | Slice) -> Detail:
    """Moves what takes half a second behind this fault, and at least two pieces."""
    per_s, endpoint = bytes_per_s(fault.fault), fault.endpoint
    size = max(int(per_s * SLOW_FOR_S), 3 * int(fault.attributes.get("size", 0)))
    # One request may be larger than what is asked for, and the narrowest fault here sets the pace.
    timeout_s = endpoint.patience_s() + 3 * (size + SESSION_BYTES) / endpoint.slowest_per_s()
    stream = str(fault.attributes["stream"])
    load = await carry(endpoint.canary, stream, size, timeout_s)
    passed = load.sent if stream == "upstream" else load.received
    detail = {"bytes": passed, "elapsed_ms": round(load.elapsed_s * 1000, 1), "saw": load.saw.value}
    if load.saw is not Saw.OK or load.elapsed_s < LEAST_OF_IT * size / per_s:
        raise InjectionError(
            f"{fault.fault.type}: {passed} bytes {stream} should have taken about {passed / per_s:.1f} s, "
            f"they took {load.elapsed_s:.1f} s and ended in `{load.saw.value}`"
        )
    return detail


class Cut(ByToxics):
    """Every connection ends after so many bytes, one way."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        return [("limit_data", str(self.attributes["stream"]), {"bytes": int(self.attributes["after"])})]

    async def act(self) -> Detail:
        after, stream = int(self.attributes["after"]), str(self.attributes["stream"])
        talk = await run_dry(self.endpoint.canary, stream, after, self.endpoint.patience_s())
        # What passes is counted to the byte, but a reset can take away some of it before it is read.
        exact = talk.received == after or talk.saw is Saw.RESET or self.endpoint.canary.address.is_https
        too_much = stream == "downstream" and not (talk.received <= after and exact)
        if talk.saw not in (Saw.CLOSED, Saw.RESET) or too_much:
            raise InjectionError(
                f"cut: a connection should have ended after {after} bytes {stream}; it met "
                f"`{talk.saw.value}` after {talk.sent} sent and {talk.received} received"
            )
        return {"saw": talk.saw.value, "sent": talk.sent, "received": talk.received}


class SlowClose(ByToxics):
    """The end of a connection comes late by `delay` ms."""

    def toxics(self) -> list[tuple[str, str, dict[str, int]]]:
        return [("slow_close", "downstream", {"delay": int(self.attributes["delay"])})]

    async def _put(self) -> None:
        before = await goodbye(self.endpoint.canary, self.endpoint.patience_s())
        if before.saw is Saw.NO_ANSWER and before.received:
            raise InjectionError(
                "slow-close: who is behind the proxy does not end a connection that it is asked to end, so a "
                "late end could not be told"
            )
        await super()._put()

    async def act(self) -> Detail:
        wait_s = min(int(self.attributes["delay"]) / 1000, LONGEST_WAIT_S)
        talk = await goodbye(self.endpoint.canary, wait_s + LITTLE_S)
        # That it is still open then is proof enough, if anything was said before.
        ending = talk.saw in (Saw.CLOSED, Saw.NO_ANSWER) and (talk.received > 0 or talk.saw is Saw.CLOSED)
        if not ending or talk.elapsed_s < wait_s - 0.002:
            raise InjectionError(
                f"slow-close: the end should have come after {wait_s:g} s or more; the canary met "
                f"`{talk.saw.value}` after {talk.elapsed_s:.2f} s"
            )
        return {"saw": talk.saw.value, "elapsed_ms": round(talk.elapsed_s * 1000, 1)}


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
