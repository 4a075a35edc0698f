"""The providers of a run as a testbed handles them: a fake of ours or Mailpit, wherever it runs."""

from __future__ import annotations

from typing import Protocol

from harness.providers.wire import Ready


class Provider(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def is_running(self) -> bool: ...

    async def start(self) -> Ready:
        """Until it takes mail. Raises ProcessError."""
        ...

    async def calibrate(self, when: str) -> None:
        """Find the offset of its clock; `when` is start or end."""
        ...

    def follow(self) -> None:
        """From now on its receipts go into the run's history."""
        ...

    def lost(self) -> str | None:
        """How it ended unbidden, in words; None while all is well."""
        ...

    async def finish(self) -> None:
        """Take the last receipts."""
        ...

    async def stop(self) -> None: ...
