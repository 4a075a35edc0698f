"""Two providers that do as a test says: what they took is in `taken`, what they do next in `mood`.

Raw asyncio servers and no protocol library, because a test has to cut the line at an exact byte.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from enum import StrEnum
from urllib.parse import parse_qsl


class Mood(StrEnum):
    WELL = "well"
    REFUSES_LOGIN = "refuses-login"
    BUSY = "busy"  # takes nothing, answers 451 or 503
    TOO_FAST = "too-fast"  # 432 or 429
    REJECTS = "rejects"  # refuses the recipient for good
    NO_TRANSACTIONS = "no-transactions"  # logs in, then 451 at MAIL: what a probe of logins cannot see
    CLOSES_BEFORE = "closes-before"  # drops the line before the point of no return
    HANGS_BEFORE = "hangs-before"
    CLOSES_AFTER = "closes-after"  # takes the message and drops the line in place of the answer
    HANGS_AFTER = "hangs-after"
    GATEWAY_TIMEOUT = "gateway-timeout"  # takes it and answers 504


class Stub:
    """Common to both: the recipients of what was taken, in order, each with the loop's time."""

    scheme = ""

    def __init__(self) -> None:
        self.mood = Mood.WELL
        self.taken: list[tuple[float, str]] = []
        self.attempts: list[float] = []
        self.connections = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        return f"{self.scheme}://user:secret@127.0.0.1:{self.port}"

    def copies(self) -> Counter[str]:
        return Counter(recipient for _, recipient in self.taken if not recipient.startswith("probe@"))

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)

    async def become(self, mood: Mood) -> None:
        """From now on; open connections are cut, as when a proxy is turned to another upstream."""
        self.mood = mood
        for writer in list(self._writers):
            writer.close()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a client that goes away is what these tests are about
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    def _take(self, recipient: str) -> None:
        self.taken.append((asyncio.get_running_loop().time(), recipient))

    async def _hang(self) -> None:
        await asyncio.Event().wait()


class SmtpStub(Stub):
    scheme = "smtp"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        writer.write(b"220 stub ESMTP\r\n")
        while line := (await reader.readline()).strip():
            match line.split(b" ")[0].upper():
                case b"EHLO":
                    answer = b"250-stub\r\n250 AUTH PLAIN"
                case b"AUTH":
                    refused = self.mood is Mood.REFUSES_LOGIN
                    answer = b"535 5.7.3 Authentication unsuccessful" if refused else b"235 2.7.0 ok"
                case b"MAIL":
                    answer = b"451 4.3.2 Temporary server error" if self._refuses_mail else b"250 2.1.0 ok"
                case b"RCPT":
                    self.attempts.append(asyncio.get_running_loop().time())
                    recipient = line.decode().split("<")[1].rstrip(">")
                    rejects = self.mood is Mood.REJECTS
                    answer = b"550 5.1.1 no such user" if rejects else b"250 2.1.5 ok"
                case b"DATA":
                    if self.mood is Mood.CLOSES_BEFORE:
                        return
                    if self.mood is Mood.HANGS_BEFORE:
                        await self._hang()
                    writer.write(b"354 go on\r\n")
                    await reader.readuntil(b"\r\n.\r\n")
                    answer = b"432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"
                    if self.mood is not Mood.TOO_FAST:
                        self._take(recipient)
                        answer = b"250 2.0.0 ok"
                    if self.mood is Mood.CLOSES_AFTER:
                        return
                    if self.mood is Mood.HANGS_AFTER:
                        await self._hang()
                case b"QUIT":
                    writer.write(b"221 bye\r\n")
                    return
                case _:
                    answer = b"250 2.0.0 ok"
            writer.write(answer + b"\r\n")

    @property
    def _refuses_mail(self) -> bool:
        return self.mood in (Mood.BUSY, Mood.NO_TRANSACTIONS)


STATUS = {
    Mood.REFUSES_LOGIN: b"401 Unauthorized",
    Mood.BUSY: b"503 Service Unavailable",
    Mood.TOO_FAST: b"429 Too Many Requests",
    Mood.REJECTS: b"400 Bad Request",
    Mood.GATEWAY_TIMEOUT: b"504 Gateway Timeout",
}
TAKES = (Mood.WELL, Mood.CLOSES_AFTER, Mood.HANGS_AFTER, Mood.GATEWAY_TIMEOUT)


class SendGridStub(Stub):
    scheme = "sendgrid+http"
    taken_status = b"202 Accepted"
    answer = b"{}"
    retry_after_s = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mood is Mood.CLOSES_BEFORE:
            return
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            lengths = [line for line in head.lower().split("\r\n") if line.startswith("content-length:")]
            if head.startswith("POST"):
                self.attempts.append(asyncio.get_running_loop().time())
                body = await reader.readexactly(int(lengths[0].split(":")[1]))
                if self.mood in TAKES:
                    self._take(self._recipient_in(body))
                if self.mood is Mood.CLOSES_AFTER:
                    return
                if self.mood is Mood.HANGS_AFTER:
                    await self._hang()
                status = STATUS.get(self.mood, self.taken_status)
            else:
                status = STATUS[self.mood] if self.mood is Mood.REFUSES_LOGIN else b"200 OK"
            more = b"Retry-After: %d\r\n" % self.retry_after_s if self.mood is Mood.TOO_FAST else b""
            length = b"Content-Length: %d\r\n\r\n" % len(self.answer)
            writer.write(b"HTTP/1.1 " + status + b"\r\n" + more + length + self.answer)

    def _recipient_in(self, body: bytes) -> str:
        return str(json.loads(body)["personalizations"][0]["to"][0]["email"])


class TwilioStub(SendGridStub):
    scheme = "twilio+http"
    taken_status = b"201 Created"
    answer = b'{"sid": "SM1"}'

    @property
    def url(self) -> str:
        return f"{super().url}?from=%2B15005550006"

    def _recipient_in(self, body: bytes) -> str:
        return dict(parse_qsl(body.decode()))["To"]
