"""One client connection: HTTP/1.1 by h11, and what a fake has to do with it that a server does not.

It has a name for the receipts; it knows when the first byte of a request came; a request can be left waiting,
answered by half, or not at all but by a reset; and its watcher is told when it ended without a goodbye.
Requests are taken one after the other; what comes behind one that waits is kept, up to a limit, and not
looked at. There is no server around it that takes signals and wall time, and no task for each request.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol, cast

import h11

from harness.providers.clock import Clock
from harness.providers.errors import JournalError
from harness.providers.http.answers import phrase
from harness.providers.http.attempt import Attempt
from harness.providers.http.messages import Headers

# nginx's own default. Were it shorter than clients keep idle connections (httpx: 5 s), a request could meet
# the close of its connection: an attempt of unknown fate that no fault explains.
KEEP_ALIVE_S = 75.0
MOST_HEADER_BYTES = 64 * 1024
MOST_HELD_BYTES = 64 * 1024  # of requests behind one that waits
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds
_WITHOUT_LENGTH = frozenset({204, 304})
_END = h11.EndOfMessage()

log = logging.getLogger(__name__)


class Handler(Protocol):
    """Who answers: each call may answer, tear down or linger, and then the request is taken care of."""

    @property
    def max_body_bytes(self) -> int: ...

    def begin(self, connection: ProviderConnection, head: h11.Request, began_ns: int) -> Attempt:
        """The headers are there."""
        ...

    def whole(self, attempt: Attempt) -> None:
        """The body is there."""
        ...

    def too_large(self, attempt: Attempt) -> None:
        """There is more of a body than `max_body_bytes`."""
        ...

    def cut_short(self, attempt: Attempt) -> None:
        """The client left before the end of the body."""
        ...


class Watcher(Protocol):
    """Who is told of connections; the listener."""

    @property
    def clock(self) -> Clock: ...

    @property
    def handler(self) -> Handler: ...

    def opened(self, connection: ProviderConnection) -> str:
        """Take note of a new connection and give it its name."""
        ...

    def closed(self, connection: ProviderConnection, without_goodbye: str | None) -> None:
        """`without_goodbye` says how, if it was not an orderly end between two requests."""
        ...


@lru_cache(maxsize=256)
def _response(status: int, reason: str, framing: Headers) -> h11.Response:
    """h11's events never change, and the same few go out again and again."""
    return h11.Response(status_code=status, headers=list(framing), reason=reason)


def header_lines(headers: Headers) -> bytes:
    """All but those that h11 writes. Raises ValueError for one that would be more than a line."""
    lines = [f"{name}: {value}\r\n" for name, value in headers if name.lower() != "connection"]
    text = "".join(lines)
    if text.count("\n") != len(lines) or text.count("\r") != len(lines):
        raise ValueError(f"a header of {headers!r} holds a line break")
    return text.encode("latin-1")


class ProviderConnection(asyncio.Protocol):
    def __init__(self, watcher: Watcher) -> None:
        self.name = ""
        self._watcher = watcher
        self._handler = watcher.handler
        self._loop = asyncio.get_running_loop()
        self._http = h11.Connection(h11.SERVER, MOST_HEADER_BYTES)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._method = b""
        self._attempt: Attempt | None = None  # whose body is still to come
        self._last_bytes_s = 0.0
        self._last_answer_s = 0.0
        self._next_began_ns: int | None = None  # first byte of the request that is not parsed yet
        self._held_bytes = 0  # behind a request that waits
        self._writing_paused = False
        self._idle: asyncio.TimerHandle | None = None
        self._then: Callable[[bool], None] | None = None  # of a request that is left waiting
        self._waiting: asyncio.TimerHandle | None = None
        self._is_last = False  # of the requests that are taken
        self._torn_down = False

    # --- what the transport tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._last_bytes_s = self._loop.time()
        self._idle = self._loop.call_later(KEEP_ALIVE_S, self._check_idle)
        self.name = self._watcher.opened(self)

    def data_received(self, data: bytes) -> None:
        self._last_bytes_s = self._loop.time()
        if self._next_began_ns is None and self._http.their_state is not h11.SEND_BODY:
            self._next_began_ns = round(self._last_bytes_s * 1e9)
        self._http.receive_data(data)
        self._go_on()
        if self._then is not None or self._writing_paused:
            self._held_bytes += len(data)
            if self._held_bytes > MOST_HELD_BYTES:
                self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The client does not read its answers: no more requests are taken from it meanwhile."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        self._writing_paused = False
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        without_goodbye = self._without_goodbye(exc)
        for timer in (self._idle, self._waiting):
            if timer is not None:
                timer.cancel()
        attempt, self._attempt = self._attempt, None
        then, self._then = self._then, None
        try:
            if attempt is not None:
                self._handler.cut_short(attempt)
            if then is not None:
                then(False)
        except JournalError:
            log.exception("%s: a request that was cut off is not in the journal", self.name)
        finally:
            self._watcher.closed(self, without_goodbye)

    # --- what becomes of a request ---

    @property
    def lingers(self) -> bool:
        """A request is left waiting on purpose."""
        return self._then is not None

    def linger(self, wait_s: float | None, then: Callable[[bool], None]) -> None:
        """Say nothing for so long, or until the client leaves; `then` is told whether it is still there."""
        self._attempt = None
        self._then = then
        if wait_s is not None:
            self._waiting = self._loop.call_later(wait_s, self._waited)

    def answer(self, status: int, reason: str, headers: Headers, body: bytes) -> None:
        """The whole answer in one piece; the length is added where there may be one.

        h11 sees the headers that say where it ends and whether the connection does. The others it would only
        check, at a price that is a good part of a whole request's.
        """
        self._attempt = None
        if self._transport.is_closing():
            return
        framing: Headers = () if status in _WITHOUT_LENGTH else (("Content-Length", str(len(body))),)
        framing += tuple(each for each in headers if each[0].lower() == "connection")
        first, end, rest = self._http.send(_response(status, reason, framing)).partition(b"\r\n")
        said = first + end + header_lines(headers) + rest
        if body and self._method != b"HEAD":
            said += self._http.send(h11.Data(data=body))
        self._transport.write(said + self._http.send(_END))
        self._last_answer_s = self._loop.time()
        if self._is_last or self._http.our_state is h11.MUST_CLOSE:
            self._transport.close()

    def tear_down(self) -> None:
        """End the connection by a reset, with nothing more sent. A request under way gets no answer."""
        self._torn_down = True
        # Under TLS, a transport that is closing may have no socket to tell of any more.
        closing = self._transport.is_closing()
        peer: socket.socket | None = None if closing else self._transport.get_extra_info("socket")
        if peer is not None and peer.fileno() >= 0:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def break_off(self, said: bytes) -> None:
        """Say this much of an answer, and end the connection."""
        self._torn_down = True
        self._attempt = None
        self._transport.write(said)
        self._transport.close()

    def wind_up(self) -> None:
        """End between two requests: at once, or after the one that is coming in. One that waits is cut."""
        self._is_last = True
        if self.lingers:
            self.tear_down()
        elif self._attempt is None:
            self._transport.close()

    # --- from bytes to requests ---

    def _go_on(self) -> None:
        """Take what has come, as far as no request waits."""
        if self._then is not None or self._writing_paused:
            return
        if self._held_bytes > MOST_HELD_BYTES:
            self._transport.resume_reading()
        self._held_bytes = 0
        try:
            while self._then is None and not self._writing_paused and not self._transport.is_closing():
                event = self._http.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED:
                    return
                self._take(event)
                if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                    self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            self._refuse(error)
        except JournalError:
            log.exception("%s: no record, no answer", self.name)
            self.tear_down()

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Request):
            began_ns, self._next_began_ns = self._next_began_ns, None
            if began_ns is None:  # it came behind another one, at most one read too late
                began_ns = round(self._last_bytes_s * 1e9)
            self._method = event.method
            begun = self._handler.begin(self, event, began_ns)
            answered = self._http.our_state is not h11.SEND_RESPONSE
            if not (answered or self.lingers or self._torn_down):
                self._attempt = begun
                if self._http.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                    self._transport.write(self._http.send(go_on) or b"")
        elif isinstance(event, h11.Data):
            if self._attempt is not None:
                self._attempt.body.extend(event.data)
                if len(self._attempt.body) > self._handler.max_body_bytes:
                    self._handler.too_large(self._attempt)
        elif isinstance(event, h11.EndOfMessage):
            attempt, self._attempt = self._attempt, None
            if attempt is not None:
                self._handler.whole(attempt)

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """What came is not HTTP."""
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            self._handler.cut_short(attempt)
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            text = b"Invalid HTTP request received."
            headers = (("Content-Type", "text/plain; charset=utf-8"), ("Connection", "close"))
            self.answer(error.error_status_hint, phrase(error.error_status_hint), headers, text)
        self._transport.close()

    def _waited(self) -> None:
        """The time of a request that lingers is over."""
        then, self._then = self._then, None
        if then is None:
            return
        try:
            then(True)
        except JournalError:
            log.exception("%s: no record, no answer", self.name)
            self.tear_down()
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        self._go_on()

    def _check_idle(self) -> None:
        """Close what has been silent for too long, whether between two requests or inside one."""
        silent_s = self._loop.time() - max(self._last_bytes_s, self._last_answer_s)
        if silent_s >= KEEP_ALIVE_S and not self.lingers:
            self._transport.close()
            return
        rest_s = KEEP_ALIVE_S if self.lingers else KEEP_ALIVE_S - silent_s
        self._idle = self._loop.call_later(rest_s, self._check_idle)

    def _without_goodbye(self, exc: Exception | None) -> str | None:
        if self._torn_down:
            return None
        if self._attempt is not None or self._then is not None:
            return "during a request"
        if exc is not None:
            return f"reset ({type(exc).__name__})"
        if self._http.their_state is h11.IDLE and self._http.trailing_data[0]:
            return "inside a request's headers"
        return None
