"""The router running in this process, on this loop, and a client that talks to it and waits on conditions."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
from mailrouter.clock import Clock
from mailrouter.config import Config, endpoint
from mailrouter.log import Log
from mailrouter.serve import serve

from tests.systems.stubs import Stub

CLOCK = Clock(epoch_s=1_800_000_000.0)


def submission(name: str, class_: str = "transactional", **more: Any) -> dict[str, Any]:
    return {
        "to": f"{name}@customer.example", "from": "shop@company.example", "subject": "Your receipt",
        "text": "Thank you.\n.\nA line that is a single dot came before this one.\n", "class": class_,
        "headers": {"X-Test": name}, **more,
    }  # fmt: skip


@dataclass
class Client:
    """Talks to one running router."""

    http: httpx.AsyncClient
    log: io.StringIO

    async def submit(self, name: str, class_: str = "transactional", **more: Any) -> httpx.Response:
        return await self.http.post(
            "/messages", json=submission(name, class_, **more), headers={"Idempotency-Key": name}
        )

    async def status(self) -> dict[str, Any]:
        return dict((await self.http.get("/status")).json())

    async def state_of(self, name: str) -> str:
        listed = (await self.http.get("/messages")).json()["messages"]
        return next(str(message["state"]) for message in listed if message["key"] == name)

    async def until(self, condition: Callable[[], Awaitable[bool]], deadline_s: float = 8.0) -> float:
        """Returns the seconds that it took."""
        began = time.monotonic()
        while not await condition():
            assert time.monotonic() - began < deadline_s, self.log.getvalue()
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def until_state(self, name: str, state: str, deadline_s: float = 8.0) -> float:
        async def reached() -> bool:
            return await self.state_of(name) == state

        return await self.until(reached, deadline_s)

    async def until_route(self, name: str, state: str, deadline_s: float = 8.0) -> float:
        async def reached() -> bool:
            return bool((await self.status())["routes"][name]["state"] == state)

        return await self.until(reached, deadline_s)

    async def until_event(self, word: str, deadline_s: float = 8.0) -> float:
        async def told() -> bool:
            return word in (await self.status())["events"]

        return await self.until(told, deadline_s)

    async def until_quiet(self, deadline_s: float = 8.0) -> float:
        async def reached() -> bool:
            queue = (await self.status())["queue"]
            return bool(queue["pending"] == queue["sending"] == 0)

        return await self.until(reached, deadline_s)


@asynccontextmanager
async def running(config: Config, clock: Clock = CLOCK, **changes: Any) -> AsyncIterator[Client]:
    config = replace(config, **changes)
    log, stop = io.StringIO(), asyncio.Event()
    task = asyncio.create_task(serve(config, clock, stop, Log(clock, log)))
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{config.port}", trust_env=False, verify=False
        ) as http:
            client = Client(http, log)

            async def answers() -> bool:
                if task.done():
                    await task
                try:
                    return (await http.get("/status")).status_code == 200
                except httpx.ConnectError:
                    return False

            await client.until(answers)
            yield client
    finally:
        stop.set()
        await task


def with_routes(config: Config, primary: Stub, backup: Stub) -> Config:
    return replace(config, primary=endpoint(primary.url), backup=endpoint(backup.url))
