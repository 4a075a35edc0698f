"""A station of a link: an inbox, a task that works on it, and the station that comes next.

Everything that rearranges stations is synchronous, so it happens between two steps of any task. A station's
task keeps the chunk in its hands in `held` until the next station has it; whoever cancels the task finds
there what must not be lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass


@dataclass(slots=True)
class Chunk:
    """Bytes that were read together, and when: loop time in seconds of their arrival or last release."""

    data: bytes
    at_s: float


class Station:
    """One step on the way of the data through a link."""

    def __init__(self, capacity: int = 1) -> None:
        self.next: Station | None = None
        self.held: Chunk | None = None
        self.committed = False  # is about to close the link and cannot be talked out of it
        self.closed = False  # has told the next station that nothing more comes
        self.passed_bytes = 0  # kept across changes of the toxic that counts it
        self._inbox: deque[Chunk] = deque()
        self._capacity = capacity
        self._ended = False  # nothing more will come into the inbox
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def ended(self) -> bool:
        """Whether the station before has closed: the inbox gets nothing more."""
        return self._ended

    def run(self, work: Coroutine[None, None, None]) -> None:
        """Work on the inbox in a task of its own."""
        self._task = asyncio.get_running_loop().create_task(work)

    def stop(self) -> None:
        """Cancel the task; it touches nothing of this station afterwards."""
        if self._task is not None:
            self._task.cancel()

    async def take(self) -> Chunk | None:
        """The next chunk, now also `held`; None at the end."""
        while not self._inbox:
            if self._ended:
                return None
            self._changed.clear()
            await self._changed.wait()
        self.held = self._inbox.popleft()
        self._changed.set()
        return self.held

    async def forward(self, size: int | None = None) -> None:
        """Give the first `size` bytes of the held chunk (all of it by default) to the next station."""
        while self.held is not None:
            following = self._following()
            if len(following._inbox) < following._capacity:
                data, rest = self.held.data[:size], b"" if size is None else self.held.data[size:]
                following.put(Chunk(data, self.held.at_s))
                self.held = Chunk(rest, self.held.at_s) if rest else None
                return
            following._changed.clear()
            await following._changed.wait()

    def put(self, chunk: Chunk) -> None:
        """Into the inbox, full or not."""
        self._inbox.append(chunk)
        self._changed.set()

    def end(self) -> None:
        """Nothing more will come into the inbox."""
        self._ended = True
        self._changed.set()

    def close(self) -> None:
        """Tell the next station that nothing more comes from here."""
        if not self.closed:
            self.closed = True
            self._following().end()

    def look_again(self) -> None:
        """Wake whoever waits for room here: the chain has changed."""
        self._changed.set()

    def let_go(self) -> None:
        """Cancel the task and pass on what it held. The inbox stays, for the next task."""
        self.stop()
        if self.held is not None:
            self._following().put(self.held)
            self.held = None

    def hand_over(self) -> None:
        """Cancel the task and pass on everything, including the end; this station is out of the chain."""
        self.let_go()
        while self._inbox:
            self._following().put(self._inbox.popleft())
        if self._ended:
            self.close()
        self._changed.set()

    def _following(self) -> Station:
        if self.next is None:
            raise RuntimeError("the last station of a link has nobody to hand to")
        return self.next
