"""The way in by SMTP: the harness is the client, as an application that sends its mail through a relay.

The point of no return is the final dot: what fails before it was certainly not taken, what fails after it may
have been. aiosmtplib's own `data()` does not tell the two apart, so that step is driven by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import aiosmtplib
from aiosmtplib import SMTPException, SMTPResponseException, SMTPServerDisconnected

from harness.history.events import Submitted
from harness.scenario.timeline import Message
from harness.testbed.system.doors.base import DoorError, Submission, indeterminate, refused
from harness.testbed.system.doors.letter import letter

MAX_CONNECTIONS = 100
GOODBYE_S = 1.0
CLOSING = 421
OWN_NAME = "harness.example"
_LEADING_DOT = re.compile(rb"(?m)^\.")


@dataclass(frozen=True)
class Relay:
    """Where and as whom mail is handed in. `ca_path`: whom to trust; None verifies nothing."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    starttls: bool = False
    ca_path: Path | None = None
    keeps_connections: bool = False


class SmtpDoor:
    """One transaction for each offer, on a connection of its own or on one that is kept."""

    def __init__(self, relay: Relay, sender: str, timeout_s: float) -> None:
        """`timeout_s` is for a whole offer, the connection included."""
        self._relay = relay
        self._sender = sender
        self._timeout_s = timeout_s
        self._tls: ssl.SSLContext | None = None
        self._idle: list[aiosmtplib.SMTP] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)

    async def open(self) -> None:
        if not self._relay.starttls:
            return
        try:
            self._tls = ssl.create_default_context(cafile=self._relay.ca_path)
        except (OSError, ssl.SSLError) as error:
            raise DoorError(f"the certificates in {self._relay.ca_path} cannot be used: {error}") from error
        if self._relay.ca_path is None:
            self._tls.check_hostname = False
            self._tls.verify_mode = ssl.CERT_NONE

    async def submit(self, message: Message) -> Submission:
        offer = _Offer(letter(message, self._sender, time.time()), self._sender, message.recipient)
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                return await self._by_a_connection(offer)
        except TimeoutError:
            return offer.broken(f"no answer within {self._timeout_s:g} s")
        except SMTPResponseException as error:
            if offer.crossed and not 400 <= error.code < 600:
                # Nonsense in place of an answer: aiosmtplib has a code of its own for it.
                return offer.broken(error.message)
            return refused(error.message, error.code)
        except (SMTPException, OSError, ValueError) as error:
            return offer.broken(str(error) or type(error).__name__)

    async def _by_a_connection(self, offer: _Offer) -> Submission:
        while self._idle:
            client = self._idle.pop()
            try:
                return await self._use(client, offer)
            except SMTPServerDisconnected:
                # A kept connection had been closed meanwhile, which says nothing of the system.
                if offer.crossed:
                    raise
            except SMTPResponseException as error:
                if offer.crossed or error.code != CLOSING:
                    raise
        return await self._use(await self._connect(), offer)

    async def _use(self, client: aiosmtplib.SMTP, offer: _Offer) -> Submission:
        try:
            answer = await offer.make(client)
        except BaseException:
            client.close()
            raise
        if self._relay.keeps_connections:
            self._idle.append(client)
        else:
            # The answer is there; how the connection ends must not delay it.
            leaving = asyncio.create_task(_goodbye(client))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
        return answer

    async def _connect(self) -> aiosmtplib.SMTP:
        relay = self._relay
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            timeout=self._timeout_s,
            start_tls=relay.starttls,
            tls_context=self._tls,
            local_hostname=OWN_NAME,
        )
        try:
            await client.connect()
            await _greet(client)
            if relay.username is not None and relay.password is not None:
                await client.login(relay.username, relay.password)
        except BaseException:
            client.close()
            raise
        return client

    async def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        for leaving in self._leaving:
            leaving.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)


@dataclass
class _Offer:
    """One message on its way; `crossed` once its final dot may have been sent."""

    content: bytes
    sender: str
    recipient: str
    crossed: bool = False

    async def make(self, client: aiosmtplib.SMTP) -> Submission:
        """Raises SMTPException or OSError; `crossed` tells on which side of the dot."""
        for command, expected in (
            (f"MAIL FROM:<{self.sender}>", (250,)),
            (f"RCPT TO:<{self.recipient}>", (250, 251)),
            ("DATA", (354,)),
        ):
            reply = await client.execute_command(command.encode("ascii"))
            if reply.code not in expected:
                raise SMTPResponseException(reply.code, reply.message)
        session = client.protocol
        if session is None:
            raise SMTPServerDisconnected("the connection was lost before the body")
        self.crossed = True
        session.write(_LEADING_DOT.sub(b"..", self.content) + b".\r\n")
        reply = await session.read_response()
        if not 200 <= reply.code < 300:
            raise SMTPResponseException(reply.code, reply.message)
        return Submission(Submitted.ACCEPTED, reply.code)

    def broken(self, why: str) -> Submission:
        return indeterminate(why) if self.crossed else refused(why)


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()


async def _goodbye(client: aiosmtplib.SMTP) -> None:
    """A QUIT that is not answered changes nothing any more."""
    try:
        with contextlib.suppress(SMTPException, OSError):
            await client.quit(timeout=GOODBYE_S)
    finally:
        client.close()
