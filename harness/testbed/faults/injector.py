"""The life of a fault: inject, confirm (read back), act (canary), remove; and how each of them fails."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Protocol

import httpx

from harness.testbed.proxy.errors import ProxyError
from harness.testbed.system.host import HostError
from harness.testbed.system.life import SystemNotReady

Detail = dict[str, Any]


class InjectionError(Exception):
    """A fault is not in place, did not act, or did not go away."""


class FaultInjector(Protocol):
    """The life of one fault. `act` raises InjectionError while the canary does not yet meet it."""

    async def inject(self) -> Detail: ...
    async def confirm(self) -> Detail: ...
    async def act(self) -> Detail: ...
    async def remove(self) -> Detail: ...


class Translated:
    """An injector whose every failure is an InjectionError, whoever's it was."""

    def __init__(self, injector: FaultInjector) -> None:
        self._injector = injector

    async def inject(self) -> Detail:
        return await self._told(self._injector.inject())

    async def confirm(self) -> Detail:
        return await self._told(self._injector.confirm())

    async def act(self) -> Detail:
        return await self._told(self._injector.act())

    async def remove(self) -> Detail:
        return await self._told(self._injector.remove())

    async def _told(self, step: Awaitable[Detail]) -> Detail:
        try:
            return await step
        except (ProxyError, httpx.HTTPError, HostError, SystemNotReady) as error:
            raise InjectionError(f"{type(error).__name__}: {error}") from error
