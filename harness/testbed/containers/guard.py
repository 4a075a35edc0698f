"""A container beside each of the system's: it closes the way out, counts who tries it, and looks from inside.

An internal network drops what leaves it, but on many engines says nothing of it: a call to the outside just
hangs. The guard takes the default route away, so that such a call fails at once and is counted. It lives in
the network of the container that it guards, so from there it can also be tried what the system can reach.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from docker.errors import APIError

from harness.testbed.containers.ground import ContainerError, Ground, Started

PART = "guard"
STOP_WITHIN_S = 2
_INSIDE = Path(__file__).with_name("guard_inside.py")
_COUNT = re.compile(rb"without-a-route (\d+)")
_REACH = """
import socket, sys
for at in sys.argv[1:]:
    host, _, port = at.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except ConnectionRefusedError:
        print(at)  # somebody was there to refuse
    except OSError:
        pass
    else:
        print(at)
"""


class Guard:
    def __init__(self, ground: Ground, image: str, guarded: Started, number: int) -> None:
        """`image` has Python; `number` tells this guard from the run's others."""
        self._ground = ground
        self._image = image
        self._guarded = guarded
        self._name = ground.run.object_name(f"{PART}-{number}")
        self._container: Any = None

    async def start(self) -> None:
        """Raises ContainerError, also where its container has ended already."""
        self._ground.watch.leave(PART, lambda _: None)  # it ends when we say so, and nothing hangs on it
        self._container = await self._ground.call(
            self._name,
            lambda: self._ground.engine.client.containers.run(
                self._image,
                ["-c", _INSIDE.read_text(encoding="utf-8")],
                entrypoint=["python3"],
                name=self._name,
                labels=self._ground.run.labels(PART),
                network_mode=f"container:{self._guarded.id}",
                cap_add=["NET_ADMIN"],
                user="0:0",
                detach=True,
            ),
        )

    async def reached(self, addresses: list[str]) -> list[str]:
        """Those of these `host:port` that answer the guarded container's calls. Raises ContainerError."""
        return (await self._run(_REACH, *addresses)).split()

    async def count(self) -> int:
        """How many calls to the outside there have been by now. Raises ContainerError."""
        definitions = _INSIDE.read_text(encoding="utf-8").partition("class Count")[0]
        return int(await self._run(f"{definitions}\nprint(without_a_route())"))

    async def _run(self, script: str, *arguments: str) -> str:
        ended = await self._ground.call(
            self._name, lambda: self._container.exec_run(["python3", "-c", script, *arguments])
        )
        said = str(ended.output.decode("utf-8", "replace"))
        if ended.exit_code != 0:
            raise ContainerError(f"{self._name}: {said.strip()[-300:]}")
        return said

    async def finish(self) -> int | None:
        """How many calls to the outside there were; None where it could not count. It is gone then."""
        if self._container is None:
            return None
        try:
            return await self._ground.call(self._name, self._finish)
        except ContainerError:
            return None  # its end is the same as that of everything: by the run's labels

    def _finish(self) -> int | None:
        try:
            self._container.stop(timeout=STOP_WITHIN_S)
            told = _COUNT.search(self._container.logs(tail=5))
            self._container.remove(force=True)
        except APIError:
            return None
        return int(told[1]) if told else None


class Guards:
    """One beside each container of the system, from each start to the end that follows.

    They come and go beside the system's own start and end, which wait for none of them.
    """

    def __init__(self, ground: Ground, image: str) -> None:
        self._ground = ground
        self._image = image
        self._made = 0
        self._here: list[tuple[Guard, asyncio.Task[None]]] = []
        self._counts: list[asyncio.Task[int | None]] = []
        self._excused = 0

    def set(self, containers: Sequence[Started]) -> None:
        for container in containers:
            self._made += 1
            guard = Guard(self._ground, self._image, container, self._made)
            self._here.append((guard, asyncio.create_task(guard.start(), name="guard")))

    def take(self) -> None:
        """What they have counted is there once `calls_outside` is asked for."""
        self._counts += [
            asyncio.create_task(_count_of(guard, started), name="guard's count")
            for guard, started in self._here
        ]
        self._here.clear()

    async def calls_outside(self) -> int | None:
        """How often the system called what no network of the run leads to; None where nobody counted."""
        counts = await asyncio.gather(*self._counts)
        known = [count for count in counts if count is not None]
        return sum(known) - self._excused if known or not counts else None

    async def excuse(self) -> None:
        """What the system calls in vain from now on, until `count_again`, is no way out, but its proxies."""
        self._excused -= await self._count()

    async def count_again(self) -> None:
        self._excused += await self._count()

    async def _count(self) -> int:
        return sum(await asyncio.gather(*(guard.count() for guard in await self._ready())))

    async def reach_any(self, addresses: list[str]) -> bool:
        """Whether any container reaches any of them. Raises ContainerError."""
        return any(await asyncio.gather(*(guard.reached(addresses) for guard in await self._ready())))

    async def _ready(self) -> list[Guard]:
        await asyncio.gather(*(started for _, started in self._here))
        return [guard for guard, _ in self._here]


async def _count_of(guard: Guard, started: asyncio.Task[None]) -> int | None:
    try:
        await started
    except ContainerError:
        return None  # what it was to guard had ended already, or the engine grants nobody such a guard
    return await guard.finish()
