"""The way into the SUT by HTTP/1.1: keep-alive connections, one exchange at a time on each, nothing else.

A general client costs several times as much for each message, and the driver shares its processor with the
system that it drives. What matters is to tell what certainly did not arrive from what may have. The message's
token goes with it as Idempotency-Key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h11
import msgspec

from harness.history.events import Submitted
from harness.scenario.timeline import Message
from harness.testbed.system.doors.base import Submission, indeterminate, refused, submission_body

MAX_CONNECTIONS = 200
_READ_BYTES = 65536
_KEPT_BYTES = 65536


class NotOffered(Exception):
    """The system never got the request: no connection could be had."""


class NoAnswer(Exception):
    """The request went out, in part at least, and no whole answer came back."""


@dataclass(frozen=True)
class FrontDoorAnswer:
    """`body` holds the first 64 KiB."""

    status: int
    body: bytes


class HttpDoor:
    """One request for each offer: a 2xx means that it was taken."""

    def __init__(
        self,
        address: tuple[str, int],
        method: str,
        path: str,
        sender: str,
        body: dict[str, Any] | None,
        timeout_s: float,
    ) -> None:
        """`body` is the scenario's own form of it."""
        self._method = method
        self._path = path
        self._sender = sender
        self._body = body
        self._front = FrontDoor(*address, timeout_s)

    async def open(self) -> None:
        return

    async def submit(self, message: Message) -> Submission:
        try:
            answer = await self._front.exchange(
                self._method,
                self._path,
                {"Content-Type": "application/json", "Idempotency-Key": message.token},
                msgspec.json.encode(submission_body(message, self._sender, self._body)),
            )
        except NotOffered as error:
            return refused(str(error))
        except NoAnswer as error:
            return indeterminate(str(error))
        if 200 <= answer.status < 300:
            return Submission(Submitted.ACCEPTED, answer.status)
        # A gateway's time-out says nothing of what happened behind it.
        said = indeterminate if answer.status in (502, 504) else refused
        return said(answer.body.decode("utf-8", "replace"), answer.status)

    async def close(self) -> None:
        self._front.close()


class FrontDoor:
    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        """`timeout_s` is for a connection, and then again for the exchange."""
        self._host = host
        self._port = port
        self._timeout_s = timeout_s
        self._idle: list[_Connection] = []
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)

    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> FrontDoorAnswer:
        """One request and its answer. Raises NotOffered or NoAnswer."""
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError:
            raise NotOffered(f"{MAX_CONNECTIONS} requests are still without an answer") from None
        try:
            connection = await self._connection()
            host = f"{self._host}:{self._port}"
            sent = {"Host": host, "Content-Length": str(len(body)), **headers}
            answer = await self._answer(connection, method, target, sent, body)
            if connection.is_reusable():
                self._idle.append(connection)
                connection = None
            return answer
        finally:
            if connection is not None:
                connection.abort()
            self._free.release()

    async def _connection(self) -> _Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open():
                return connection
            connection.abort()
        try:
            async with asyncio.timeout(self._timeout_s):
                return _Connection(*await asyncio.open_connection(self._host, self._port))
        except OSError as error:  # a TimeoutError is one too
            raise NotOffered(type(error).__name__) from error

    async def _answer(
        self, connection: _Connection, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> FrontDoorAnswer:
        try:
            request = h11.Request(method=method, target=target, headers=list(headers.items()))
            async with asyncio.timeout(self._timeout_s):
                return await connection.exchange(request, body)
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._timeout_s:g} s") from None
        except (OSError, h11.ProtocolError) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error

    def close(self) -> None:
        """End the idle connections."""
        while self._idle:
            self._idle.pop().abort()


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    def is_open(self) -> bool:
        return not (self._reader.at_eof() or self._writer.transport.is_closing())

    def is_reusable(self) -> bool:
        """Whether the last exchange ended cleanly and the other side goes on; ready for the next one then."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return self.is_open()

    async def exchange(self, request: h11.Request, body: bytes) -> FrontDoorAnswer:
        parts = (request, h11.Data(data=body), h11.EndOfMessage()) if body else (request, h11.EndOfMessage())
        self._writer.write(b"".join(self._http.send(part) or b"" for part in parts))
        status, kept = 0, bytearray()
        while True:
            match self._http.next_event():
                case h11.NEED_DATA:
                    self._http.receive_data(await self._reader.read(_READ_BYTES))
                case h11.Response() as response:
                    status = response.status_code
                case h11.Data() as part:
                    kept += part.data[: _KEPT_BYTES - len(kept)]
                case h11.EndOfMessage():
                    return FrontDoorAnswer(status, bytes(kept))
                case h11.ConnectionClosed():
                    raise ConnectionError("closed without an answer")
                case _:
                    pass  # an informational response: the real one follows

    def abort(self) -> None:
        self._writer.transport.abort()
