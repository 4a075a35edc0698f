"""The line between client and conversation, built on aiosmtpd's protocol.

aiosmtpd owns the transport, the upgrade to TLS and the timer. Where it differs: a client that goes away
does not cancel the work on what it has already sent (it may have sent a whole message, and then that
message counts); one timer serves the whole connection; and a connection can be cut with a reset in place of
an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, Protocol, cast

from aiosmtpd.smtp import SMTP, TLSSetupException

from harness.providers.smtp.service import Service

IDLE_S = 300
LINE_BYTES = 64 * 1024
DISCONNECTED = "disconnected"
_START_TLS_OF_AIOSMTPD = "220 Ready to start TLS"
_END_OF_MESSAGE = b"\r\n.\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class Talk(Protocol):
    async def run(self) -> None:
        """Talk until it ends; raises IncompleteReadError or ConnectionError when the client is gone."""
        ...

    def conclude(self) -> None:
        """Record what the end leaves behind; called once, whatever way it ended."""
        ...


class Wire(SMTP):
    """One client connection. `gone` is set once the client has closed its side, or all of it."""

    line_length_limit = LINE_BYTES

    def __init__(
        self, service: Service, loop: asyncio.AbstractEventLoop, talk: Callable[[Wire], Talk]
    ) -> None:
        super().__init__(
            None,
            hostname=service.hosts["frontend"],
            enable_SMTPUTF8=True,
            tls_context=service.certificates.right,
            timeout=IDLE_S,
            loop=loop,
        )
        self.service = service
        self.gone = asyncio.Event()
        self.end = DISCONNECTED  # why the connection ended, unless somebody says better
        self.encrypted = False
        self._holding = False  # the client is made to wait, and that is not idleness
        self.idle_text = "421 4.4.2 Connection timed out"
        self.stopping_text = "421 4.3.2 Service is shutting down"
        self._start_talk = talk
        self._talk: Talk | None = None
        self._heard_s = loop.time()

    @property
    def ip(self) -> str:
        peer = self.transport.get_extra_info("peername") if self.transport is not None else None
        return str(peer[0]) if peer else "127.0.0.1"

    async def read_line(self) -> str:
        """One line without its end. Raises LimitOverrunError; the caller then calls skip_line()."""
        line = await self._reader.readuntil(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r\n")

    async def skip_line(self, overrun: asyncio.LimitOverrunError) -> None:
        while True:
            await self._reader.readexactly(overrun.consumed)
            try:
                await self._reader.readuntil(b"\n")
                return
            except asyncio.LimitOverrunError as again:
                overrun = again

    async def read_dotted(self, most_bytes: int) -> bytes | None:
        """A message up to its final dot, with transparent dots undone; None if it was bigger than allowed."""
        body = bytearray(b"\r\n")  # that of DATA itself: the dot may follow at once
        fits = True
        while True:
            more = await self._reader.read(LINE_BYTES)
            if not more:
                raise asyncio.IncompleteReadError(b"", None)
            searched = max(0, len(body) - len(_END_OF_MESSAGE) + 1)
            body += more
            end = body.find(_END_OF_MESSAGE, searched)
            if end >= 0:
                self._give_back(bytes(body[end + len(_END_OF_MESSAGE) :]))
                del body[end + 2 :]
                break
            if len(body) > 2 * most_bytes + LINE_BYTES:  # dots that are undone could at most halve it
                fits = False
                del body[: 1 - len(_END_OF_MESSAGE)]
        message = body.replace(b"\r\n.", b"\r\n")[2:]
        return bytes(message) if fits and len(message) <= most_bytes else None

    def _give_back(self, ahead: bytes) -> None:
        """What a pipelining client sent behind its message; asyncio's reader has no way to take it back."""
        self._reader._buffer[:0] = ahead  # type: ignore[attr-defined]

    async def read_chunk(self, size: int, most_bytes: int) -> bytes | None:
        """Exactly `size` bytes, which are read but not kept (None) if they are more than allowed."""
        if size <= most_bytes:
            return await self._reader.readexactly(size)
        while size > 0:
            size -= len(await self._reader.readexactly(min(size, LINE_BYTES)))
        return None

    async def upgrade(self, certificate: ssl.SSLContext) -> None:
        """Answer STARTTLS and shake hands; raises ConnectionAbortedError when that fails.

        What was sent ahead in the clear is forgotten (by aiosmtpd, as RFC 3207 asks).
        """
        self.encrypted = True
        self.tls_context = certificate
        try:
            await self.smtp_STARTTLS("")
        except TLSSetupException as error:
            self.end = "TLS handshake failed"
            raise ConnectionAbortedError(self.end) from error

    async def push(self, status: Any) -> None:
        """Send one reply. A client that is gone hears nothing, and what it has sent goes on counting."""
        if self.transport is None or self.transport.is_closing():
            return
        if status == _START_TLS_OF_AIOSMTPD:
            status = self.service.manners.texts.start_tls
        try:
            await super().push(status)
        except ConnectionError:
            if not self.gone.is_set():
                raise

    async def hold(self, wait_s: float) -> None:
        """Make the client wait for `wait_s` seconds; the wait ends early when it goes away."""
        self._holding = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), wait_s)
        self._holding = False

    async def hold_until_gone(self) -> None:
        """Say nothing more, until the client gives up; not for ever."""
        await self.hold(IDLE_S)

    def cut(self) -> None:
        """End the connection with a reset, in place of an answer."""
        if self.transport is None:
            return
        connected = self.transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        cast(asyncio.Transport, self.transport).abort()

    def break_off(self, status: str) -> None:
        """End the connection in the middle of an answer."""
        if self.transport is not None and not self.transport.is_closing():
            said = status.encode() + b"\r\n"
            self._writer.write(said[: len(said) // 2])
            self.transport.close()

    def stop(self, reason: str) -> None:
        """End the connection from the provider's side, now."""
        self.end = reason
        if self.transport is not None:
            self._writer.write(self.stopping_text.encode() + b"\r\n")
            cast(asyncio.Transport, self.transport).abort()
        if self._handler_coroutine is not None:
            self._handler_coroutine.cancel()

    async def wait_ended(self) -> None:
        if self._handler_coroutine is not None:
            await asyncio.wait({self._handler_coroutine})

    # --- asyncio's and aiosmtpd's side ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._heard_s = self.loop.time()
        super().connection_made(transport)
        if self._talk is None:
            self._talk = self._start_talk(self)

    def data_received(self, data: bytes) -> None:
        self._heard_s = self.loop.time()
        super().data_received(data)

    def eof_received(self) -> bool:
        self.gone.set()
        self._reader.feed_eof()
        return not self.encrypted  # a TLS transport cannot stay half open

    def connection_lost(self, error: Exception | None) -> None:
        # aiosmtpd cancels the conversation here, and asyncio makes the reader forget what it holds when it is
        # passed an error. Both would lose a message that has arrived.
        self.gone.set()
        self._cancel_timer()
        if self._original_transport is not None:
            self._original_transport.close()
        asyncio.StreamReaderProtocol.connection_lost(self, None)
        self.transport = None

    async def _handle_client(self) -> None:
        assert self._talk is not None
        try:
            await self._talk.run()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone; conclude() records what that leaves
        finally:
            self._talk.conclude()
            self._cancel_timer()
            for transport in (self.transport, self._original_transport):
                if transport is not None:
                    transport.close()

    def _timeout_cb(self) -> None:
        left_s = IDLE_S if self._holding else self._heard_s + IDLE_S - self.loop.time()
        if left_s > 0:
            self._reset_timeout(left_s)
        elif self.transport is not None:
            self._writer.write(self.idle_text.encode() + b"\r\n")
            self.end = "idle"
            self.transport.close()

    def _cancel_timer(self) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
