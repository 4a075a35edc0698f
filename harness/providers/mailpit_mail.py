"""What Mailpit holds, read over its REST API: messages as they are, and messages as receipts.

Mailpit keeps no journal that is written before its answers, so its receipts are read back, with `observed:
after` and times as good as its own (`MailpitReader.error_ns`). Nothing here deletes or changes a message.
Reading blocks; a caller with a loop puts it into a thread.

MailpitError
├── MailpitUnavailable     it did not start, exited, or its API does not answer as expected
└── MailpitClientMissing   the extra `mailpit` is not installed
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

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
class RunClock:
    """The run's clock: `epoch_ns` is the wall time (Unix, ns) of its zero, right to `error_ns`."""

    epoch_ns: int
    error_ns: int = 0


class MailpitApi:
    """What one Mailpit holds, by its REST API."""

    def __init__(self, base_url: str, timeout_s: float = 5) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=timeout_s, trust_env=False)

    def messages(self, limit: int = PAGE) -> Iterator[dict[str, Any]]:
        """Each message once, newest first, as the REST API lists it: ID, To, Cc, Bcc, Tags, ...

        Unlike `MailpitReader.summaries` it needs nothing but Mailpit, and tells the tags.
        """
        met: set[str] = set()
        start = 0
        while True:
            page = self._json("/api/v1/messages", start=start, limit=limit)
            with _as_unavailable("list of messages"):
                new = [each for each in page["messages"] if each["ID"] not in met]
                met.update(each["ID"] for each in new)
                start += len(page["messages"])
                over = not page["messages"] or start >= page["total"]
            yield from new
            if over:
                return

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

    def _json(self, path: str, **params: str | int) -> Any:
        response = self._get(path, **params)
        with _as_unavailable(path):
            return response.json()

    def _get(self, path: str, **params: str | int) -> httpx.Response:
        with _as_unavailable(path):
            return self._http.get(path, params=params).raise_for_status()


class MailpitReader(MailpitApi):
    """Mailpit's mail as receipts, each one once.

    The list of messages comes through mailpit-api-client, whose `get_messages` is right; the rest comes from
    the REST API, because the client's other calls fail or, like `delete_messages`, do harm.
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
        """Raises MailpitClientMissing."""
        super().__init__(base_url, timeout_s)
        self._client = _list_client(base_url, timeout_s)
        self.provider = provider
        self.route = route
        self._clock = clock
        self._system_canaries = {recipient.lower() for recipient in system_canaries}
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
        new = sorted(self.summaries(self._seen), key=lambda summary: summary.created)
        found = [(summary, self.raw(summary.id)) for summary in new]
        receipts = [receipt for summary, raw in found for receipt in self._receipts(summary, raw)]
        self._seen.update(summary.id for summary in new)
        return receipts

    def summaries(self, known: Collection[str] = ()) -> Iterator[Any]:
        """Each message that is not `known` by its id, once, as Mailpit's list has it.

        Pages are newest first; mail that comes meanwhile shifts them.
        """
        met: set[str] = set()
        start = 0
        while True:
            with _as_unavailable("list of messages"):
                page = self._client.get_messages(limit=PAGE, start=start)
            new = [each for each in page.messages if each.id not in known and each.id not in met]
            yield from new
            met.update(each.id for each in new)
            start += len(page.messages)
            # Mail is not stored strictly in order of time: a page without news ends it only if all is known.
            complete = not new and len(known) + len(met) >= page.total
            if complete or not page.messages or start >= page.total:
                return

    def _receipts(self, summary: Any, raw: bytes) -> Iterator[Receipt]:
        trace = _TRACE.match(raw)
        sent = without_trace(raw)
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


def without_trace(raw: bytes) -> bytes:
    """A message as it was sent: without what Mailpit put in front of it."""
    trace = _TRACE.match(raw)
    return raw[trace.end() :] if trace else raw


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
