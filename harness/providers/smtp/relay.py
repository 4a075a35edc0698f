"""A copy of what was accepted, for an inbox that people can look at and that bears witness to the ledger.

It runs beside the provider and never keeps it waiting: one session, in the order of acceptance. A copy waits
in the queue until the inbox has taken it; none is given up in silence, and the counts tell of each. Lines in
front of a copy say who took the message (`X-Tags`, which Mailpit shows) and for whom; what the ledger hashed
and the pack holds is the message without them.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence

import aiosmtplib
import msgspec

from harness.providers.errors import ConfigError

log = logging.getLogger(__name__)

QUEUE_BYTES = 256 * 1024 * 1024
TIMEOUT_S = 10
DRAIN_S = 5
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 2.0
TAGS = "X-Tags"
ENVELOPE = "X-Harness-Envelope-To"
_LABELS = re.compile(
    rb"%s: ([^\r\n]*)\r?\n%s: (<[^>\r\n]*>(?:,\r?\n <[^>\r\n]*>)*)\r?\n" % (TAGS.encode(), ENVELOPE.encode())
)


class RelayCounts(msgspec.Struct):
    """Copies; offered = relayed + failed + dropped + queued."""

    offered: int = 0
    relayed: int = 0
    failed: int = 0  # the inbox refused it, may or may not have it, or was not there at the end
    dropped: int = 0  # the queue was full
    queued: int = 0


class _Copy(msgspec.Struct, frozen=True):
    sender: str
    recipients: Sequence[str]
    message: bytes


class _NotTaken(Exception):
    """The connection broke before the message was on its way: the copy can go again."""


class Relay:
    def __init__(self, address: str, provider: str) -> None:
        """`address` is host:port; raises ConfigError if it is not."""
        host, colon, port = address.rpartition(":")
        if not colon or not host or not port.isdecimal():
            raise ConfigError(f"relay {address!r} is not host:port")
        self._counts = RelayCounts()
        self._address = address
        self._provider = provider
        self._client = aiosmtplib.SMTP(
            hostname=host.strip("[]"),
            port=int(port),
            timeout=TIMEOUT_S,
            start_tls=False,
            local_hostname="provider.example",
        )
        self._queue: asyncio.Queue[_Copy] = asyncio.Queue()
        self._queued_bytes = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def counts(self) -> RelayCounts:
        counts = self._counts
        queued = counts.offered - counts.relayed - counts.failed - counts.dropped
        return msgspec.structs.replace(counts, queued=queued)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="relay")

    def offer(self, sender: str, recipients: Sequence[str], message: bytes) -> None:
        if not recipients:
            return
        self._counts.offered += 1
        if self._queued_bytes + len(message) > QUEUE_BYTES:
            self._counts.dropped += 1
            log.warning("the inbox %s is %d MB behind: a copy is left out", self._address, QUEUE_BYTES >> 20)
            return
        self._queued_bytes += len(message)
        self._queue.put_nowait(_Copy(sender, tuple(recipients), message))

    async def settle(self, within_s: float) -> bool:
        """Wait until nothing is queued; false if that takes too long."""
        try:
            async with asyncio.timeout(within_s):
                await self._queue.join()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Send what is queued, for at most DRAIN_S; what is left after that counts as failed."""
        if self._task is None:
            return
        if not await self.settle(DRAIN_S):
            left = self.counts.queued
            log.warning("the inbox %s did not take %d copies by the end", self._address, left)
            self._counts.failed += left
        self._task.cancel()
        await asyncio.wait({self._task})
        self._task = None
        self._client.close()

    async def _run(self) -> None:
        while True:
            copy = await self._queue.get()
            try:
                await self._deliver(copy)
                self._counts.relayed += 1
            except (aiosmtplib.SMTPException, OSError) as error:
                self._counts.failed += 1
                log.warning("the inbox %s did not take a copy: %s", self._address, error)
                self._client.close()
            finally:
                self._queued_bytes -= len(copy.message)
                self._queue.task_done()

    async def _deliver(self, copy: _Copy) -> None:
        """Until it is taken or refused; an inbox that is not there may come back."""
        wait_s = FIRST_WAIT_S
        while True:
            try:
                await self._send(copy)
                return
            except _NotTaken as error:
                if wait_s == FIRST_WAIT_S:
                    log.warning("the inbox %s cannot be reached: %s", self._address, error.__cause__)
                self._client.close()
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _send(self, copy: _Copy) -> None:
        client = self._client
        try:
            if not client.is_connected:
                await client.connect()
            international = not all(address.isascii() for address in (copy.sender, *copy.recipients))
            options = ["SMTPUTF8"] if international else []
            await client.mail(copy.sender, options=options, encoding="utf-8")
            for recipient in copy.recipients:
                await client.rcpt(recipient, encoding="utf-8")
        except aiosmtplib.SMTPResponseException:
            raise
        except (aiosmtplib.SMTPException, OSError) as error:
            raise _NotTaken from error
        await client.data(self._labels(copy) + copy.message)

    def _labels(self, copy: _Copy) -> bytes:
        recipients = ",\r\n ".join(f"<{recipient}>" for recipient in copy.recipients)
        return f"{TAGS}: {self._provider}\r\n{ENVELOPE}: {recipients}\r\n".encode()


class Labels(msgspec.Struct, frozen=True):
    """What the lines in front of a copy say, and how many bytes they are."""

    provider: str
    recipients: Sequence[str]
    size: int


def read_labels(copy: bytes) -> Labels | None:
    """None where a message is not a copy of ours."""
    found = _LABELS.match(copy)
    if found is None:
        return None
    recipients = [each.decode("utf-8", "replace") for each in re.findall(rb"<([^>]*)>", found[2])]
    return Labels(found[1].decode("utf-8", "replace"), recipients, found.end())
