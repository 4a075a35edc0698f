"""One request of a client library to the fake of an HTTP API, through a proxy, and what came of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.providers.api_fake import ApiFake, api_fake
from tests.providers.clients.observations import SENT, outcome_of
from tests.providers.clients.proxied import proxied
from tests.providers.running import ROUTE
from tests.waiting import until

PATIENCE_S = 30.0  # of a client whose answer comes in time
TIMEOUT_S, LATE_S = 3.0, 60.0  # a client waits so long for an answer that comes so late


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What the provider does, and what is to be said of it."""

    case: str
    fault: dict[str, Any] = field(default_factory=dict)
    secret: str = ROUTE.secret
    timeout_s: float = PATIENCE_S
    note: str = ""

    @property
    def id(self) -> str:
        return self.case.replace(" ", "-").replace(",", "")


@dataclass(frozen=True, kw_only=True)
class Seen:
    outcome: str
    results: list[str]  # of the provider's receipts
    retries: int


@dataclass(frozen=True, kw_only=True)
class Library:
    """How a test sends with it: to this base URL; blocks, and raises one of `errors`."""

    send: Callable[[str, Trial], object]
    errors: tuple[type[Exception], ...]
    code_of: Callable[[Exception], int | str | None]

    async def outcome(self, url: str, trial: Trial) -> str:
        try:
            await asyncio.to_thread(self.send, url, trial)
        except self.errors as error:
            return outcome_of(error, self.code_of(error))
        return SENT


async def tried(preset: str, trial: Trial, library: Library, **config: Any) -> Seen:
    async with api_fake(preset, **config) as fake, proxied(fake.port) as port:
        if trial.fault:
            fake.put(**trial.fault)
        return await seen(fake, await library.outcome(f"http://127.0.0.1:{port}", trial))


async def seen(fake: ApiFake, outcome: str) -> Seen:
    """Once the provider has its record, which may be later than the client has its answer."""
    await until(lambda: bool(fake.receipts))
    attempts = {each.attempt for each in fake.receipts}
    return Seen(
        outcome=outcome, results=[each.result.value for each in fake.receipts], retries=len(attempts) - 1
    )


def leave_out_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """No HTTP proxies of the machine that the tests run on."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
