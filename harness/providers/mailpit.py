"""Mailpit as a provider: how to start it, and how its mail becomes receipts.

Mailpit is not ours: it keeps no journal that is written before its answers, so its receipts are read back
from its REST API, with `observed: after` and times as good as its own (`MailpitReader.error_ns`). Nothing
here deletes or changes a message. Reading blocks; a caller with a loop puts it into a thread.

MailpitError
├── MailpitUnavailable     it did not start, exited, or its API does not answer as expected
└── MailpitClientMissing   the extra `mailpit` is not installed
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from harness.history.events import Receipt, ReceiptResult
from harness.providers.errors import ProviderError
from harness.providers.tokens import canary_of, identify, read_message

ENDPOINT = "smtp"
PAGE = 200
ROUNDING_NS = 1_000_000  # `Created` is cut to whole milliseconds
STORING_NS = (
    5_000_000  # it lies between the final dot and the reply, which are this far apart at most, unloaded
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# What Mailpit puts in front of a message ends with its own Received header, which names the envelope's first
# recipient. The parts before it vary: Bcc, Message-ID, Return-Path.
_TRACE = re.compile(
    rb"\A(?:(?!Received:)[^\r\n]*\r?\n)*?"
    rb"Received: from [^\r\n]*\r?\n[ \t]+by [^\r\n]* \(Mailpit\) with SMTP\r?\n"
    rb"[ \t]+for <([^>\r\n]*)>;[^\r\n]*\r?\n"
)


class MailpitError(ProviderError):
    pass


class MailpitUnavailable(MailpitError):
    pass


class MailpitClientMissing(MailpitError):
    pass


@dataclass(frozen=True, kw_only=True)
class MailpitLaunch:
    """One Mailpit of one run. Ports are chosen by the caller: Mailpit does not say which it took for 0."""

    binary: Path
    smtp_port: int
    http_port: int
    database: Path
    host: str = "127.0.0.1"

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.http_port}"

    def argv(self) -> list[str]:
        """Everything is kept (`--max 0`), repeated Message-IDs too: they are the duplicates to be counted."""
        return [
            str(self.binary),
            *("--smtp", f"{self.host}:{self.smtp_port}"),
            *("--listen", f"{self.host}:{self.http_port}"),
            *("--max", "0"),
            *("--database", str(self.database)),
            "--smtp-disable-rdns",
            "--disable-version-check",
        ]

    def env(self) -> dict[str, str]:
        """Nothing of the caller's environment: any MP_* variable there would change what Mailpit does."""
        return {}


class MailpitProcess:
    """A running Mailpit. `async with MailpitProcess(launch, log_path)` returns when it takes mail."""

    def __init__(
        self,
        launch: MailpitLaunch,
        log_path: Path,
        ready_within_s: float = 10,
        *,
        environ: Mapping[str, str] | None = None,
        on_process: Callable[[int], None] | None = None,
    ) -> None:
        """`environ` is added to the launch's own; `on_process` hears the pid as soon as there is one."""
        self.launch = launch
        self._environ = dict(environ or {})
        self._on_process = on_process
        self._log_path = log_path
        self._ready_within_s = ready_within_s
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Raises MailpitUnavailable, with the end of its log, when it is not ready in time."""
        with self._log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.launch.argv(),
                env={**self.launch.env(), **self._environ},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the harness, which ends its parts in order
            )
        if self._on_process is not None:
            self._on_process(self._process.pid)
        try:
            async with asyncio.timeout(self._ready_within_s):
                await self._ready()
        except TimeoutError:
            await self.stop()
            raise self._unavailable(f"was not ready after {self._ready_within_s:g} s") from None

    async def stop(self, grace_s: float = 5) -> None:
        """End it, by force if it does not end by itself. Its database is then complete."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(grace_s):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def __aenter__(self) -> MailpitProcess:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _ready(self) -> None:
        assert self._process is not None
        async with httpx.AsyncClient(timeout=1, trust_env=False) as client:
            while True:
                if self._process.returncode is not None:
                    raise self._unavailable(f"exited with {self._process.returncode}")
                # Whose ports? When SMTP's is taken, Mailpit's API is up for a moment before it gives up.
                if self._listens(self._process.pid):
                    with contextlib.suppress(httpx.TransportError):  # until the deadline around us
                        if (await client.get(f"{self.launch.base_url}/readyz")).status_code == httpx.codes.OK:
                            return
                await asyncio.sleep(0.02)

    def _listens(self, pid: int) -> bool:
        """Whether both ports are this very process's."""
        try:
            connections = psutil.Process(pid).net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            return False
        listening = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
        return {self.launch.smtp_port, self.launch.http_port} <= listening

    def _unavailable(self, what: str) -> MailpitUnavailable:
        tail = "\n".join(self._log_path.read_text("utf-8", "replace").splitlines()[-10:])
        return MailpitUnavailable(f"{self.launch.binary} {what}; its log:\n{tail}")


@dataclass(frozen=True, kw_only=True)
class RunClock:
    """The run's clock: `epoch_ns` is the wall time (Unix, ns) of its zero, right to `error_ns`."""

    epoch_ns: int
    error_ns: int = 0


class MailpitReader:
    """Mailpit's mail as receipts, each one once.

    The list of messages comes through mailpit-api-client, whose `get_messages` is right; headers, raw
    messages, counts and searches come from the REST API, because the client's other calls fail or, like
    `delete_messages`, do harm.
    """

    def __init__(
        self,
        *,
        base_url: str,
        provider: str,
        route: str,
        clock: RunClock,
        system_canaries: Collection[str] = (),
        timeout_s: float = 5,
    ) -> None:
        self.provider = provider
        self.route = route
        self._clock = clock
        self._system_canaries = {recipient.lower() for recipient in system_canaries}
        self._client = _list_client(base_url, timeout_s)
        self._http = httpx.Client(base_url=base_url, timeout=timeout_s, trust_env=False)
        self._seen: set[str] = set()
        self._last_n = 0

    @property
    def error_ns(self) -> int:
        """How far, at most, a receipt's time is from the moment at which Mailpit took the message."""
        return self._clock.error_ns + ROUNDING_NS + STORING_NS

    def poll(self) -> list[Receipt]:
        """The receipts of messages that were not there at the last poll, oldest first, numbered on.

        All or nothing: when it raises MailpitUnavailable, the next poll returns these messages as well.
        """
        new = sorted(self._new_summaries(), key=lambda summary: summary.created)
        found = [(summary, self.raw(summary.id)) for summary in new]
        receipts = [receipt for summary, raw in found for receipt in self._receipts(summary, raw)]
        self._seen.update(summary.id for summary in new)
        return receipts

    def info(self) -> dict[str, Any]:
        """Mailpit's own account of itself: Version, Messages, RuntimeStats with SMTPAccepted, ..."""
        info: dict[str, Any] = self._json("/api/v1/info")
        return info

    def count(self) -> int:
        """How many messages Mailpit holds."""
        return int(self.info()["Messages"])

    def headers(self, message_id: str) -> dict[str, list[str]]:
        """All headers of one message, also those that Mailpit added. `message_id` is Mailpit's own."""
        headers: dict[str, list[str]] = self._json(f"/api/v1/message/{message_id}/headers")
        return headers

    def raw(self, message_id: str) -> bytes:
        """One message as stored, with the headers that Mailpit put in front."""
        return self._get(f"/api/v1/message/{message_id}/raw").content

    def search(self, query: str) -> list[str]:
        """Mailpit's ids of the messages that match, in its own query language, newest first."""
        ids: list[str] = []
        while True:
            page = self._json("/api/v1/search", query=query, start=len(ids), limit=PAGE)
            ids += [message["ID"] for message in page["messages"]]
            if not page["messages"] or len(ids) >= page["messages_count"]:
                return ids

    def close(self) -> None:
        self._http.close()

    def _new_summaries(self) -> Iterator[Any]:
        """Pages are newest first. Mail that comes meanwhile shifts them, so an id may be met twice."""
        met: set[str] = set()
        start = 0
        while True:
            with _as_unavailable("list of messages"):
                page = self._client.get_messages(limit=PAGE, start=start)
            new = [each for each in page.messages if each.id not in self._seen and each.id not in met]
            yield from new
            met.update(each.id for each in new)
            start += len(page.messages)
            # Mail is not stored strictly in order of time: a page without news ends it only if all is known.
            complete = not new and len(self._seen) + len(met) >= page.total
            if complete or not page.messages or start >= page.total:
                return

    def _receipts(self, summary: Any, raw: bytes) -> Iterator[Receipt]:
        trace = _TRACE.match(raw)
        sent = raw[trace.end() :] if trace else raw
        carried = read_message(sent)
        at_ns = (summary.created - _EPOCH) // timedelta(microseconds=1) * 1000 - self._clock.epoch_ns
        for recipient in _recipients(summary, trace):
            identity = identify(recipient, carried)
            self._last_n += 1
            yield Receipt(
                t_ns=at_ns,
                source=self.provider,
                n=self._last_n,
                provider=self.provider,
                route=self.route,
                endpoint=ENDPOINT,
                result=ReceiptResult.ACCEPTED,
                attempt=summary.id,
                token=identity.token,
                recipient=recipient,
                code=250,
                text=f"2.0.0 Ok: queued as {summary.id}",
                begin_ns=at_ns,
                end_ns=at_ns,
                carriers=identity.carriers,
                body_sha256=hashlib.sha256(sent).hexdigest(),
                body_bytes=len(sent),
                canary=canary_of(recipient, canary_account=False, system_canaries=self._system_canaries),
                notice=carried.notice,
                observed="after",
            )

    def _json(self, path: str, **params: str | int) -> Any:
        response = self._get(path, **params)
        with _as_unavailable(path):
            return response.json()

    def _get(self, path: str, **params: str | int) -> httpx.Response:
        with _as_unavailable(path):
            return self._http.get(path, params=params).raise_for_status()


def _recipients(summary: Any, trace: re.Match[bytes] | None) -> list[str]:
    """Who a message went to, as far as Mailpit tells.

    It keeps no envelope: only its first recipient, and as Bcc those that no header names. So with several
    addresses in To and Cc, one that was named but not sent to cannot be told from one that was.
    """
    envelope_first = [trace[1].decode("utf-8", "replace")] if trace and trace[1] else []
    contacts = [*(summary.to or []), *(summary.cc or []), *(summary.bcc or [])]
    named = [*envelope_first, *(contact.address for contact in contacts if contact.address)]
    return list({recipient.lower(): recipient for recipient in reversed(named)}.values())[::-1]


def _list_client(base_url: str, timeout_s: float) -> Any:
    try:
        from mailpit.client.api import API
    except ModuleNotFoundError as error:
        raise MailpitClientMissing(
            "reading from Mailpit needs mailpit-api-client: pip install 'mail-failover-harness[mailpit]'"
        ) from error
    # It declares To and Bcc as never null; Mailpit sends null for an empty list, and that is well.
    warnings.filterwarnings(
        "ignore", message="'NoneType' object value of non-optional type", category=RuntimeWarning
    )
    return API(base_url, timeout=timeout_s)


@contextlib.contextmanager
def _as_unavailable(what: str) -> Iterator[None]:
    try:
        yield
    except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
        raise MailpitUnavailable(f"Mailpit's {what}: {type(error).__name__}: {error}") from error
