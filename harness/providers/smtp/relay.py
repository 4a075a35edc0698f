"""A copy of what was accepted, for an inbox that people can look at.

It runs beside the provider and never slows it: a full queue drops, and the numbers say so. What is queued
when the provider stops is still sent, within a few seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import aiosmtplib
import msgspec

from harness.providers.errors import ConfigError

log = logging.getLogger(__name__)

QUEUE_MESSAGES = 5_000
TIMEOUT_S = 10
DRAIN_S = 5


class RelayCounts(msgspec.Struct):
    relayed: int = 0
    failed: int = 0
    dropped: int = 0  # the queue was full


class _Copy(msgspec.Struct, frozen=True):
    sender: str
    recipients: Sequence[str]
    message: bytes


class Relay:
    def __init__(self, address: str) -> None:
        """`address` is host:port; raises ConfigError if it is not."""
        host, colon, port = address.rpartition(":")
        if not colon or not host or not port.isdecimal():
            raise ConfigError(f"relay {address!r} is not host:port")
        self.counts = RelayCounts()
        self._client = aiosmtplib.SMTP(
            hostname=host.strip("[]"),
            port=int(port),
            timeout=TIMEOUT_S,
            start_tls=False,
            local_hostname="provider.example",
        )
        self._queue: asyncio.Queue[_Copy] = asyncio.Queue(QUEUE_MESSAGES)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="relay")

    def offer(self, sender: str, recipients: Sequence[str], message: bytes) -> None:
        try:
            self._queue.put_nowait(_Copy(sender, tuple(recipients), message))
        except asyncio.QueueFull:
            self.counts.dropped += 1

    async def close(self) -> None:
        """Send what is queued, for at most DRAIN_S; what is left after that counts as failed."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(DRAIN_S):
                await self._queue.join()
        except TimeoutError:
            self.counts.failed += self._queue.qsize()
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        self._client.close()

    async def _run(self) -> None:
        while True:
            copy = await self._queue.get()
            try:
                await self._send(copy)
                self.counts.relayed += 1
            except (aiosmtplib.SMTPException, OSError) as error:
                self.counts.failed += 1
                log.warning("the inbox did not take a copy: %s", error)
                self._client.close()
            finally:
                self._queue.task_done()

    async def _send(self, copy: _Copy) -> None:
        if not self._client.is_connected:
            await self._client.connect()
        await self._client.sendmail(copy.sender, list(copy.recipients), copy.message)
