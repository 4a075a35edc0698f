"""What runs the system under test, and where: the interface that every kind of host keeps.

A host starts, ends and freezes one system, keeps its log, and knows where the harness reaches it. It journals
nothing and judges nothing: `SystemUnderTest` (life.py) does the one, the faults do the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

KILL, RESTART, PAUSE, PARTITION = "kill", "restart", "pause", "partition"


class HostError(Exception):
    """The host could not do as asked. The message says what and why, for people."""


class SystemHost(Protocol):
    log_path: Path
    """What the system wrote; exists once it has written something."""

    @property
    def is_ours(self) -> bool:
        """Whether it lives and dies with the run; False where it runs already and goes on afterwards."""
        ...

    @property
    def address(self) -> tuple[str, int]:
        """Where the harness reaches the system's port: known before `start`, the same after each one."""
        ...

    @property
    def faults(self) -> frozenset[str]:
        """Which of KILL, RESTART, PAUSE and PARTITION it can do; the methods for others raise HostError."""
        ...

    @property
    def pid(self) -> int | None:
        """For the journal; None where a number of this machine would mean nothing."""
        ...

    @property
    def is_running(self) -> bool:
        """As far as the host knows without asking anybody."""
        ...

    @property
    def exit_code(self) -> int | None:
        """How it ended last: as Python has it, a negative number is a signal. None while it runs."""
        ...

    async def start(self) -> None:
        """Start it, again with the state that it kept; it need not listen yet. Raises HostError."""
        ...

    async def wait(self) -> None:
        """Until the system that was started last has ended, and its last words are in the log."""
        ...

    async def kill(self) -> None:
        """At once, as a power cut would; over when it is gone."""
        ...

    async def end(self, grace_s: float) -> bool:
        """Ask it to end, and end it where it takes longer; what it was run with is kept. Whether it
        complied."""
        ...

    async def stop(self) -> None:
        """Ask it to end, then end it, and let go of everything that was made to run it. Never raises for what
        is already gone."""
        ...

    async def pause(self) -> None:
        """Freeze it: it keeps its connections and does nothing. Raises HostError."""
        ...

    async def resume(self) -> None:
        """Let it go on. Raises HostError."""
        ...

    async def is_paused(self) -> bool:
        """Asked of the system's keeper, not remembered. Raises HostError."""
        ...

    async def cut_off(self) -> None:
        """Part it from every route, not from its callers. Raises HostError."""
        ...

    async def rejoin(self) -> None:
        """Take it back to the routes. Raises HostError."""
        ...

    async def is_cut_off(self) -> bool:
        """Asked of its keeper, not remembered. Raises HostError."""
        ...

    async def is_heard_on_routes(self) -> bool:
        """Whether anything passes between the routes and it: tried. Raises HostError."""
        ...
