"""The toxics: what each type's attributes are, and what its station does with the data.

A pipe takes chunks from its station and forwards them; it holds no lock and may be cancelled at any await.
Attributes are whatever Toxiproxy would accept, so pipes must survive values that make no sense there (a
negative rate, slices of no size) and for which Toxiproxy itself panics.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from harness.testbed.proxy.embedded_draws import Draws
from harness.testbed.proxy.embedded_station import Station

LATENCY_BUFFER = 1024  # chunks that may be on their way at once
BANDWIDTH_TICK_S = 0.1  # slow transfers are sent in portions of this length


@dataclass(frozen=True, slots=True)
class ToxicType:
    """A kind of toxic: its integer attributes in the order of replies, and its behaviour."""

    name: str
    attributes: tuple[str, ...]
    pipe: Callable[[Station, LiveToxic, Draws], Awaitable[None]]
    capacity: int = 1
    closes_when_removed: bool = False
    resets: bool = False  # every close of its connections is a RST


@dataclass(slots=True)
class LiveToxic:
    """A toxic of a proxy. Its attributes change under the feet of the pipes, as PATCH does it."""

    type: ToxicType
    name: str
    stream: str  # as it was spelt in the request
    toxicity: float
    attributes: dict[str, int] = field(default_factory=dict)
    revision: int = 0  # counts the changes; toxicity is drawn anew for each

    @property
    def upstream(self) -> bool:
        """Whether it acts on what the client sends."""
        return self.stream.lower() == "upstream"

    def to_json(self) -> dict[str, Any]:
        """The toxic as replies show it."""
        return {
            "attributes": {name: self.attributes.get(name, 0) for name in self.type.attributes},
            "name": self.name,
            "type": self.type.name,
            "stream": self.stream,
            "toxicity": self.toxicity,
        }


async def run_toxic(station: Station, toxic: LiveToxic, draws: Draws) -> None:
    """Work as the toxic on this connection, or pass data through where the draw spares it."""
    if draws.fraction("toxicity", toxic.revision) < toxic.toxicity:
        await toxic.type.pipe(station, toxic, draws)
    else:
        await _noop(station, toxic, draws)


async def _noop(station: Station, toxic: LiveToxic, draws: Draws) -> None:
    while await station.take() is not None:
        await station.forward()
    station.close()


async def _latency(station: Station, toxic: LiveToxic, draws: Draws) -> None:
    loop = asyncio.get_running_loop()
    drawn = 0
    while (chunk := await station.take()) is not None:
        delay_ms = toxic.attributes.get("latency", 0)
        jitter_ms = toxic.attributes.get("jitter", 0)
        if jitter_ms > 0:
            drawn += 1
            delay_ms += draws.between(-jitter_ms, jitter_ms, "jitter", toxic.revision, drawn)
        due_s = chunk.at_s + delay_ms / 1000
        if due_s > loop.time():
            await asyncio.sleep(due_s - loop.time())
        chunk.at_s = max(due_s, chunk.at_s)
        await station.forward()
    station.close()


async def _bandwidth(station: Station, toxic: LiveToxic, draws: Draws) -> None:
    loop = asyncio.get_running_loop()
    owed_s = 0.0  # what pacing is behind or, if negative, ahead
    while (chunk := await station.take()) is not None:
        rate = toxic.attributes.get("rate", 0)  # kB/s, so bytes per millisecond
        while rate <= 0:
            await asyncio.sleep(BANDWIDTH_TICK_S)
            rate = toxic.attributes.get("rate", 0)
        owed_s += len(chunk.data) / rate / 1000
        portion = int(rate * 1000 * BANDWIDTH_TICK_S)
        while station.held is not None and len(station.held.data) > portion:
            await asyncio.sleep(BANDWIDTH_TICK_S)
            await station.forward(portion)
            owed_s -= BANDWIDTH_TICK_S
        began_s = loop.time()
        await asyncio.sleep(max(0.0, owed_s))
        owed_s -= loop.time() - began_s
        await station.forward()
    station.close()


async def _slow_close(station: Station, toxic: LiveToxic, draws: Draws) -> None:
    while await station.take() is not None:
        await station.forward()
    await asyncio.sleep(max(0, toxic.attributes.get("delay", 0)) / 1000)
    station.close()


async def _timeout(station: Station, toxic: LiveToxic, draws: Draws) -> None:
    timeout_ms = toxic.attributes.get("timeout", 0)
    try:
        while True:
            # Whatever comes is dropped and starts the wait anew: it is an idle timeout.
            async with asyncio.timeout(timeout_ms / 1000 if timeout_ms > 0 else None):
                if await station.take() is None:
                    break
            station.held = None
    except TimeoutError:
        pass
    station.close()


async def _reset_peer(station: Station, toxic: LiveToxic, draws: Draws) -> None:
    await station.take()
    station.held = None
    station.committed = True
    await asyncio.sleep(max(0, toxic.attributes.get("timeout", 0)) / 1000)
    station.close()


async def _slicer(station: Station, toxic: LiveToxic, draws: Draws) -> None:
    drawn = 0
    while (chunk := await station.take()) is not None:
        average = max(1, toxic.attributes.get("average_size", 0))
        variation = max(0, toxic.attributes.get("size_variation", 0))
        delay_s = max(0, toxic.attributes.get("delay", 0)) / 1_000_000
        drawn += 1
        for size in slices(len(chunk.data), average, variation, draws.at("slice", toxic.revision, drawn)):
            await station.forward(size)
            await asyncio.sleep(delay_s)
    station.close()


def slices(size: int, average: int, variation: int, draws: Draws) -> list[int]:
    """Sizes that add up to `size`, by halving about the middle until a part is near enough the average."""
    sizes: list[int] = []
    todo = [size]
    while todo:
        part = todo.pop()
        if part - average <= variation or part < 2:
            sizes.append(part)
            continue
        middle = (
            part // 2 + draws.between(-variation, variation, len(sizes), part) if variation else part // 2
        )
        middle = min(max(1, middle), part - 1)
        todo += [part - middle, middle]
    return sizes


async def _limit_data(station: Station, toxic: LiveToxic, draws: Draws) -> None:
    # What has passed is counted on the station: a change of the limit does not forget it.
    while (chunk := await station.take()) is not None:
        room = max(0, toxic.attributes.get("bytes", 0) - station.passed_bytes)
        chunk.data = chunk.data[:room]
        station.passed_bytes += len(chunk.data)
        if chunk.data:
            await station.forward()
        if station.passed_bytes >= toxic.attributes.get("bytes", 0):
            break
    station.close()


TOXIC_TYPES = {
    toxic_type.name: toxic_type
    for toxic_type in (
        ToxicType("noop", (), _noop),
        ToxicType("latency", ("latency", "jitter"), _latency, capacity=LATENCY_BUFFER),
        ToxicType("bandwidth", ("rate",), _bandwidth),
        ToxicType("slow_close", ("delay",), _slow_close),
        ToxicType("timeout", ("timeout",), _timeout, closes_when_removed=True),
        ToxicType("reset_peer", ("timeout",), _reset_peer, resets=True),
        ToxicType("slicer", ("average_size", "size_variation", "delay"), _slicer),
        ToxicType("limit_data", ("bytes",), _limit_data),
    )
}
