"""When a system is up: its port takes a connection, a path answers, a command ends well, or at once.

Each is asked again and again until it is content, and says in words why it is not.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Protocol

import httpx

from harness.testbed.commands import CommandNotRun, Surround, run_command
from harness.testbed.system.reach import ANSWER_TIMEOUT_S, is_answered, whole_answer


class Readiness(Protocol):
    @property
    def every_s(self) -> float:
        """How often to ask."""
        ...

    async def complaint(self, client: httpx.AsyncClient) -> str | None:
        """Why it is not ready yet; None once it is. `client` speaks to the system's port."""
        ...


@dataclass(frozen=True)
class PortAnswers:
    address: tuple[str, int]
    every_s: float = 0.05

    async def complaint(self, client: httpx.AsyncClient) -> str | None:
        del client
        host, port = self.address
        return None if await is_answered(self.address) else f"nothing listens on {host}:{port}"


@dataclass(frozen=True)
class PathAnswers:
    path: str
    every_s: float = 0.05

    async def complaint(self, client: httpx.AsyncClient) -> str | None:
        try:
            answer = await whole_answer(client, self.path)
        except (httpx.HTTPError, TimeoutError) as error:
            return f"GET {self.path}: {type(error).__name__}"
        return None if answer.is_success else f"GET {self.path} answered {answer.status_code}"


@dataclass(frozen=True)
class CommandEnds:
    argv: tuple[str, ...]
    surround: Surround
    every_s: float = 0.2

    async def complaint(self, client: httpx.AsyncClient) -> str | None:
        del client
        try:
            ended = await run_command(self.argv, self.surround, timeout_s=ANSWER_TIMEOUT_S)
        except CommandNotRun as error:
            return str(error)
        return None if ended.code == 0 else f"`{shlex.join(self.argv)}` {ended.words()}"


@dataclass(frozen=True)
class AtOnce:
    """For a system that is not spoken to on any port, and says nothing of it: it is up once it runs."""

    every_s: float = 0.05

    async def complaint(self, client: httpx.AsyncClient) -> str | None:
        del client
        return None
