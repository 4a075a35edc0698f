"""The inbox of a run: one Mailpit to which the SMTP fakes relay what they took.

People look into it, and the witness (witness.py) compares it with the ledger. It takes part in nothing: no
mail of the system goes through it, and a run goes on without it. Where it runs is its testbed's business;
everybody else needs two addresses.
"""

from __future__ import annotations

from typing import Protocol


class Inbox(Protocol):
    @property
    def base_url(self) -> str:
        """Its HTTP side as the harness reaches it; known when the whole testbed is up."""
        ...

    async def start(self) -> str:
        """host:port of its SMTP side as providers find it; it may still be on its way up.

        Raises ProcessError where there will be none.
        """
        ...

    async def stop(self) -> None: ...

    def leave(self) -> None:
        """Let it run on when the run is over; the ledger says so, and where it is."""
        ...
