"""A provider's own journal: numbered records, written before the provider answers.

In go the facts of an attempt; out go one JSON line to the sink and the same line to everyone who follows
`GET /journal`. A record is (source, n) with n from 1 and no gap, so that a missing one shows. `receipt()`
and its siblings are synchronous on purpose: when they return, the record is with the kernel, and only then
may the engine send its answer.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol, TypedDict, Unpack

import msgspec

from harness.history.events import (
    ConnectionsClosed,
    EndpointCalled,
    ProviderEvent,
    Receipt,
    ReceiptResult,
)
from harness.providers.clock import Clock
from harness.providers.errors import JournalError

HAND_OFFS = frozenset({ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST})
TAIL_RECORDS = 20_000  # kept in memory for followers; who is further behind is served from the sink
BATCH_RECORDS = 1_000
MARK_EVERY = 1_024


class Sink(Protocol):
    """Where records go. `record` returns when the line is written, or raises JournalError."""

    @property
    def last_n(self) -> int: ...

    def record(self, line: bytes) -> None: ...

    def lines(self, after: int, limit: int) -> list[bytes]:
        """At most `limit` records that follow record number `after`."""
        ...


class MemorySink:
    def __init__(self) -> None:
        self.records: list[bytes] = []

    @property
    def last_n(self) -> int:
        return len(self.records)

    def record(self, line: bytes) -> None:
        self.records.append(line)

    def lines(self, after: int, limit: int) -> list[bytes]:
        return self.records[after : after + limit]


class FileSink:
    """One `write` a record on an O_APPEND descriptor, no fsync: it survives the process, not the machine.

    A file that is already there is continued: its whole lines count, a torn last line is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._last_n = 0
        self._size = 0
        self._marks = [0]  # byte offset of record 1, 1 + MARK_EVERY, ...
        with path.open("rb") as journal:
            for line in journal:
                if line.endswith(b"\n"):
                    self._count(line)
        os.ftruncate(self._fd, self._size)

    @property
    def last_n(self) -> int:
        return self._last_n

    def record(self, line: bytes) -> None:
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            raise JournalError(f"cannot write {self._path}: {error}") from error
        if written != len(line):
            os.ftruncate(self._fd, self._size)
            raise JournalError(
                f"{self._path} took {written} of {len(line)} bytes of a record; is the disk full?"
            )
        self._count(line)

    def lines(self, after: int, limit: int) -> list[bytes]:
        with self._path.open("rb") as journal:
            journal.seek(self._marks[after // MARK_EVERY])
            for _ in range(after % MARK_EVERY):
                journal.readline()
            return [line for line in (journal.readline() for _ in range(limit)) if line.endswith(b"\n")]

    def close(self) -> None:
        os.close(self._fd)

    def _count(self, line: bytes) -> None:
        self._last_n += 1
        self._size += len(line)
        if self._last_n % MARK_EVERY == 0:
            self._marks.append(self._size)


class ReceiptFields(TypedDict, total=False):
    """The optional fields of a Receipt; see there for their meaning."""

    token: str | None
    recipient: str | None
    code: int | None
    text: str
    connection: str
    account: str
    tenant: str
    idempotency_key: str | None
    sdk_retry: str | None
    carriers: list[str]
    body_sha256: str | None
    body_offset: int | None
    body_bytes: int | None
    retry_after_ns: int | None
    canary: str | None
    fault: str | None
    notice: str | None
    observed: str
    sender: str | None


class ProviderEventFields(TypedDict, total=False):
    route: str
    token: str | None
    recipient: str | None
    canary: str | None
    webhook: str
    delay_ns: int | None


class CallFields(TypedDict):
    """What an EndpointCalled says of the request; see there."""

    request: str
    code: int | None
    account: str
    tenant: str
    canary: str | None
    fault: str | None
    announced: bool | None


class Ledger:
    def __init__(self, provider: str, clock: Clock, sink: Sink) -> None:
        self.provider = provider
        self.handed_off: Counter[str] = Counter()  # by route
        self._clock = clock
        self._sink = sink
        self._last_n = sink.last_n
        self._tail: list[bytes] = []
        self._followers: set[asyncio.Event] = set()
        self._closed = False
        self._encoder = msgspec.json.Encoder()

    @property
    def last_n(self) -> int:
        return self._last_n

    def receipt(
        self,
        *,
        route: str,
        endpoint: str,
        result: ReceiptResult,
        attempt: str,
        begin_ns: int,
        end_ns: int | None = None,
        **fields: Unpack[ReceiptFields],
    ) -> Receipt:
        """Record one attempt at one recipient. `end_ns` is now unless the engine knows better."""
        end = self._clock.now_ns() if end_ns is None else end_ns
        record = Receipt(
            t_ns=end,
            source=self.provider,
            n=self._last_n + 1,
            provider=self.provider,
            route=route,
            endpoint=endpoint,
            result=result,
            attempt=attempt,
            begin_ns=begin_ns,
            end_ns=end,
            **fields,
        )
        self._append(record)
        if result in HAND_OFFS:
            self.handed_off[route] += 1
        return record

    def connections_closed(self, *, route: str, endpoint: str, connections: list[str], reason: str) -> None:
        """Record connections that ended without a goodbye."""
        self._append(
            ConnectionsClosed(
                t_ns=self._clock.now_ns(),
                source=self.provider,
                n=self._last_n + 1,
                provider=self.provider,
                route=route,
                endpoint=endpoint,
                connections=connections,
                reason=reason,
            )
        )

    def called(self, *, route: str, endpoint: str, begin_ns: int, **fields: Unpack[CallFields]) -> None:
        """Record a request, about to be answered, at an endpoint where no mail goes through."""
        end_ns = self._clock.now_ns()
        self._append(
            EndpointCalled(
                t_ns=end_ns,
                source=self.provider,
                n=self._last_n + 1,
                provider=self.provider,
                route=route,
                endpoint=endpoint,
                begin_ns=begin_ns,
                end_ns=end_ns,
                **fields,
            )
        )

    def event(self, event: str, **fields: Unpack[ProviderEventFields]) -> None:
        """Record what became of a message later: delivered, bounced, complained, dropped, deferred."""
        self._append(
            ProviderEvent(
                t_ns=self._clock.now_ns(),
                source=self.provider,
                n=self._last_n + 1,
                provider=self.provider,
                event=event,
                **fields,
            )
        )

    async def follow(self, after: int = 0, *, endless: bool = True) -> AsyncIterator[bytes]:
        """Batches of whole lines with n > `after`; when `endless`, goes on until the ledger is closed."""
        wake = asyncio.Event()
        self._followers.add(wake)
        try:
            while True:
                wake.clear()
                while after < self._last_n:
                    batch = self._since(after)
                    after += len(batch)
                    yield b"".join(batch)
                if self._closed or not endless:
                    return
                await wake.wait()
        finally:
            self._followers.discard(wake)

    def close(self) -> None:
        """End every follower once it has read what there is. Records are still taken."""
        self._closed = True
        self._wake()

    def _append(self, record: Receipt | ConnectionsClosed | EndpointCalled | ProviderEvent) -> None:
        line = self._encoder.encode(record) + b"\n"
        self._sink.record(line)
        self._last_n += 1
        self._tail.append(line)
        if len(self._tail) >= 2 * TAIL_RECORDS:
            del self._tail[:TAIL_RECORDS]
        self._wake()

    def _since(self, after: int) -> list[bytes]:
        in_tail = after - (self._last_n - len(self._tail))
        if in_tail < 0:
            return self._sink.lines(after, min(BATCH_RECORDS, -in_tail))
        return self._tail[in_tail : in_tail + BATCH_RECORDS]

    def _wake(self) -> None:
        for follower in self._followers:
            follower.set()
