"""A system that runs already, somewhere: it is spoken to, and never started, ended or frozen.

Whether it still runs cannot be known from here. Should it go away, its port refuses what it is offered and
its signals cannot be read; the history has both, and no unbidden exit.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from harness.testbed.system.host import HostError

_ONLY_SPOKEN_TO = "a system that is external is only spoken to: it cannot be broken from here"


class ExternalHost:
    is_ours = False
    pid: int | None = None
    exit_code: int | None = None

    def __init__(self, address: tuple[str, int], run_dir: Path) -> None:
        self.log_path = run_dir / "system.log"  # never written: what it logs is its own affair
        self._address = address
        self._in_use = False

    @property
    def address(self) -> tuple[str, int]:
        return self._address

    @property
    def faults(self) -> frozenset[str]:
        return frozenset()

    @property
    def is_running(self) -> bool:
        return self._in_use

    async def start(self) -> None:
        self._in_use = True

    async def wait(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        self._in_use = False

    async def kill(self) -> None:
        raise HostError(_ONLY_SPOKEN_TO)

    async def end(self, grace_s: float) -> bool:
        raise HostError(_ONLY_SPOKEN_TO)

    async def pause(self) -> None:
        raise HostError(_ONLY_SPOKEN_TO)

    async def resume(self) -> None:
        raise HostError(_ONLY_SPOKEN_TO)

    async def is_paused(self) -> bool:
        raise HostError(_ONLY_SPOKEN_TO)

    async def cut_off(self) -> None:
        raise HostError(_ONLY_SPOKEN_TO)

    async def rejoin(self) -> None:
        raise HostError(_ONLY_SPOKEN_TO)

    async def is_cut_off(self) -> bool:
        raise HostError(_ONLY_SPOKEN_TO)

    async def is_heard_on_routes(self) -> bool:
        raise HostError(_ONLY_SPOKEN_TO)
