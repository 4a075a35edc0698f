"""One direction of one connection: a chain of stations from the socket that is read to the one written to.

    source ─ head ─ toxic ─ toxic ─ … ─ tail ─ destination

A full inbox holds back the station before it, so a slow reader is felt by the sender. Toxics come and go
while data flows: that only rearranges the chain, synchronously and waiting for nobody, which is why no such
request can deadlock. What a removed station still held moves on to the next one, in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.testbed.proxy.embedded_draws import Draws
from harness.testbed.proxy.embedded_station import Chunk, Station
from harness.testbed.proxy.embedded_toxics import LiveToxic, run_toxic

CHUNK_BYTES = 32 * 1024  # as much as Toxiproxy copies at a time


@dataclass(frozen=True, slots=True)
class _ToxicStation:
    toxic: LiveToxic
    station: Station


class Link:
    """A chain between two streams; `on_end` is called when it has nothing more to write."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        toxics: Sequence[LiveToxic],
        draws: Draws,
        on_end: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._draws = draws
        self._on_end = on_end
        self._head = Station()
        self._tail = Station()
        self._head.next = self._tail
        self._toxics: list[_ToxicStation] = []
        self._tail.run(self._write())
        for toxic in toxics:
            self.add(toxic)
        self._head.run(self._read())

    def add(self, toxic: LiveToxic) -> None:
        """Put a toxic at the end of the chain, in effect from the next chunk on."""
        if self._tail.ended:
            return
        station = Station(toxic.type.capacity)
        before = self._toxics[-1].station if self._toxics else self._head
        station.next, before.next = self._tail, station
        self._tail.look_again()
        self._toxics.append(_ToxicStation(toxic, station))
        self._run(toxic, station)

    def update(self, toxic: LiveToxic) -> None:
        """Start a toxic anew after its attributes changed; the chunk it held back is let go at once."""
        station = self._station_of(toxic)
        if station is not None:
            station.let_go()
            self._run(toxic, station)

    def remove(self, toxic: LiveToxic) -> None:
        """Take a toxic out of the chain; what it held back is let go at once."""
        station = self._station_of(toxic)
        if station is None:
            return
        if toxic.type.closes_when_removed:
            station.stop()
            station.close()
            return
        index = [entry.station for entry in self._toxics].index(station)
        before = self._toxics[index - 1].station if index else self._head
        before.next = station.next
        station.hand_over()
        del self._toxics[index]

    def source_closed(self) -> None:
        """The source was closed by us: nothing more is read, what is on its way still arrives."""
        self._head.stop()
        self._head.held = None
        self._head.close()

    def stop(self) -> None:
        """End all tasks at once, dropping what is on its way."""
        for station in (self._head, *(entry.station for entry in self._toxics), self._tail):
            station.stop()

    def _station_of(self, toxic: LiveToxic) -> Station | None:
        """The station where a toxic can still be changed: neither closed nor bound to close."""
        for entry in self._toxics:
            if entry.toxic is toxic and not (entry.station.closed or entry.station.committed):
                return entry.station
        return None

    def _run(self, toxic: LiveToxic, station: Station) -> None:
        station.run(run_toxic(station, toxic, self._draws.at(toxic.name)))

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await self._reader.read(CHUNK_BYTES):
                self._head.held = Chunk(data, loop.time())
                await self._head.forward()
        except OSError:
            pass  # a reset ends the data as an end of file does
        self._head.close()

    async def _write(self) -> None:
        try:
            while (chunk := await self._tail.take()) is not None:
                self._writer.write(chunk.data)
                await self._writer.drain()
        except OSError:
            pass  # the destination is gone, and nothing can be written any more
        self._on_end()
