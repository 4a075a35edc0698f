"""The harness's own canary: proves, through the same proxy as the SUT, that a fault acts and that it is gone.

Three depths: the transport (does anything answer, how fast), a login, and a whole message. A canary reports
what it saw and judges nothing; fault injectors compare that with what their fault should look like.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path

import aiosmtplib
import httpx

from harness.providers.preset import ApiCanary, Ask
from harness.providers.wire import Account
from harness.testbed.address import RouteAddress


class Saw(StrEnum):
    """What the canary met."""

    OK = "ok"
    CONNECT_REFUSED = "connection refused"
    NO_ANSWER = "no answer"
    RESET = "reset"
    CLOSED = "closed without an answer"
    REJECTED = "rejected"
    UNTRUSTED = "a certificate that is not the run's"


@dataclass(frozen=True)
class Sighting:
    saw: Saw
    elapsed_ms: float
    code: int | None = None
    text: str = ""
    token: str | None = None

    def detail(self) -> dict[str, object]:
        found: dict[str, object] = {"saw": self.saw.value, "elapsed_ms": round(self.elapsed_ms, 1)}
        if self.code is not None:
            found |= {"code": self.code, "text": self.text}
        if self.token is not None:
            found["token"] = self.token
        return found


class Canary:
    """A client of one endpoint's proxy, with an account that providers exempt from limits and mark."""

    def __init__(
        self,
        address: RouteAddress,
        account: Account | None,
        ca_path: Path | None,
        api: ApiCanary | None = None,
        *,
        ask: Ask | None = None,
    ) -> None:
        """`api` makes the requests where the route is an HTTP API; SMTP needs none.

        `ask` in its place makes the one request that there is where no mail goes through, which is then both
        the login and the message.
        """
        self.address = address
        self._ask = api.login if api is not None else ask
        self._write = api.message if api is not None else None
        self._account = account
        self._ca_path = ca_path
        self._numbers = itertools.count(1)

    async def transport(self, timeout_s: float) -> Sighting:
        """Connect and wait for the first byte (SMTP speaks first; HTTP is asked something)."""
        started = asyncio.get_running_loop().time()
        writer: asyncio.StreamWriter | None = None
        code = None
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_connection(
                    self.address.host, self.address.port, ssl=self._tls() if self.address.is_https else None
                )
                if self.address.is_http:
                    writer.write(b"GET /harness-canary HTTP/1.1\r\nHost: canary.example\r\n\r\n")
                    await writer.drain()
                line = await reader.readline()
                saw = Saw.OK if line else Saw.CLOSED
                if not self.address.is_http and line[:3].isdigit():
                    code = int(line[:3])
                    if code >= 400:
                        saw = Saw.REJECTED
        except TimeoutError:
            saw = Saw.NO_ANSWER
        except ConnectionRefusedError:
            saw = Saw.CONNECT_REFUSED
        except (ConnectionResetError, BrokenPipeError):
            saw = Saw.RESET
        except ssl.SSLCertVerificationError:
            saw = Saw.UNTRUSTED
        except ssl.SSLError:
            saw = Saw.CLOSED
        finally:
            if writer is not None:
                writer.transport.abort()
        elapsed_ms = (asyncio.get_running_loop().time() - started) * 1000
        return Sighting(saw=saw, elapsed_ms=elapsed_ms, code=code)

    async def login(self, timeout_s: float) -> Sighting:
        """Authenticate, send nothing."""
        return await self._speak(timeout_s, message=False)

    async def send(self, timeout_s: float) -> Sighting:
        """Send one message to the canary's own recipient; ask, where no mail goes through."""
        return await self._speak(timeout_s, message=self._ask is None or self._write is not None)

    async def _speak(self, timeout_s: float, *, message: bool) -> Sighting:
        token = f"canary{next(self._numbers):04d}" if message else None
        started = asyncio.get_running_loop().time()
        code: int | None = None
        text = ""
        try:
            async with asyncio.timeout(timeout_s):
                if self._ask is not None:
                    code, text = await self._http(self._ask, token, timeout_s)
                else:
                    await self._smtp(token, timeout_s)
            saw = Saw.OK if code is None or code < 400 else Saw.REJECTED
        except aiosmtplib.SMTPResponseException as error:
            code, text, saw = error.code, error.message, Saw.REJECTED
        except aiosmtplib.SMTPRecipientsRefused as error:
            first = error.recipients[0]
            code, text, saw = first.code, first.message, Saw.REJECTED
        except (TimeoutError, aiosmtplib.SMTPTimeoutError, httpx.TimeoutException):
            saw = Saw.NO_ANSWER
        except ConnectionRefusedError:
            saw = Saw.CONNECT_REFUSED
        except httpx.ConnectError as error:
            # Its word for a TLS handshake that fails as well.
            saw = _why_not_connected(error)
        except aiosmtplib.SMTPConnectError as error:
            # The library's word for a connection that ends before the greeting as well.
            refused = isinstance(error.__cause__, ConnectionRefusedError)
            saw = Saw.CONNECT_REFUSED if refused else Saw.CLOSED
        except (aiosmtplib.SMTPServerDisconnected, ConnectionError, httpx.TransportError):
            saw = Saw.CLOSED
        elapsed_ms = (asyncio.get_running_loop().time() - started) * 1000
        return Sighting(saw=saw, elapsed_ms=elapsed_ms, code=code, text=text, token=token)

    def _tls(self) -> ssl.SSLContext | None:
        if self._ca_path is None:
            return None
        return ssl.create_default_context(cafile=str(self._ca_path))

    async def _smtp(self, token: str | None, timeout_s: float) -> None:
        starttls = "starttls" in self.address.scheme
        client = aiosmtplib.SMTP(
            hostname=self.address.host,
            port=self.address.port,
            timeout=timeout_s,
            start_tls=starttls,
            tls_context=self._tls() if starttls else None,
        )
        await client.connect()
        try:
            if self._account is not None:
                await client.login(self._account.username, self._account.secret)
            if token is not None:
                await client.send_message(canary_message(token))
            await client.quit()
        finally:
            client.close()

    async def _http(self, ask: Ask, token: str | None, timeout_s: float) -> tuple[int, str]:
        assert self._account is not None, "an API without an account"
        if token is None or self._write is None:
            request = ask(self._account)
        else:
            request = self._write(self._account, canary_message(token))
        tls = self._tls() if self.address.is_https else None
        async with httpx.AsyncClient(
            base_url=self.address.base_url, timeout=timeout_s, trust_env=False, verify=tls or False
        ) as client:
            answer = await client.request(
                request.method, request.path, headers=request.headers, content=request.body
            )
            return answer.status_code, answer.text[:200]


def _why_not_connected(error: BaseException) -> Saw:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return Saw.CONNECT_REFUSED
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Saw.UNTRUSTED
        cause = cause.__cause__ or cause.__context__
    return Saw.CLOSED


def canary_recipient(token: str) -> str:
    return f"c.{token}@canary.example"


def canary_message(token: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "harness@canary.example"
    message["To"] = canary_recipient(token)
    message["Subject"] = "canary"
    message["X-Harness-Token"] = token
    message.set_content(f"ref: hn-{token}-nh\n")
    return message
