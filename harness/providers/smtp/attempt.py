"""Attempts of one connection, and what the ledger is told of them.

An attempt begins at MAIL FROM, or at AUTH or the connection itself where those are refused. It leaves one
receipt for each recipient, or a single one without recipient if it never got that far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from harness.history.events import Receipt, ReceiptResult
from harness.providers.smtp.service import ENDPOINT, Service
from harness.providers.tokens import NOTHING_CARRIED, Canary, Carried, canary_of, identify


class Reply(NamedTuple):
    """What the client is told, or, without a code, why it is told nothing."""

    code: int | None
    text: str

    @classmethod
    def of(cls, line: str) -> Reply:
        """A reply from one line that begins with its code."""
        return cls(int(line[:3]), line[4:])

    def __str__(self) -> str:
        return f"{self.code} {self.text}"

    @property
    def result(self) -> ReceiptResult:
        if self.code is None:
            return ReceiptResult.ABORTED
        if self.code < 400:
            return ReceiptResult.ACCEPTED
        return ReceiptResult.DEFERRED if self.code < 500 else ReceiptResult.REFUSED


NO_ANSWER = Reply(None, "no answer was given")
CUT = Reply(None, "the connection was reset in place of an answer")


class Stored(NamedTuple):
    """Where in the pack a body is."""

    offset: int
    size: int


@dataclass(kw_only=True)
class Attempt:
    """A message under way; `recipients` are those that were not refused."""

    id: str
    begin_ns: int
    sender: str
    recipients: list[str] = field(default_factory=list)
    refused: int = 0
    chunks: bytearray | None = None  # of BDAT; None until the first
    settled: bool = False  # what became of it is recorded


class Recorder:
    def __init__(self, service: Service, connection: str) -> None:
        self._service = service
        self._ledger = service.context.ledger
        self._connection = connection
        self.account = ""
        self._attempts = 0
        self.canary_account = False
        self.tenant = service.listener.account.tenant  # whose it is, as long as nobody says otherwise

    def claim(self, username: str) -> None:
        """The client says who it is; its receipts say so too, whether it is believed or not."""
        self.account = username
        account = self._service.known(username)
        self.tenant = account.tenant if account else ""
        self.canary_account = self._service.is_canary_account(username)

    @property
    def next_attempt_id(self) -> str:
        return f"{self._connection}.{self._attempts + 1}"

    def begin(self, sender: str, begin_ns: int) -> Attempt:
        attempt = Attempt(id=self.next_attempt_id, begin_ns=begin_ns, sender=sender)
        self._attempts += 1
        return attempt

    def canary(self, recipient: str) -> Canary | None:
        canaries = self._service.context.config.system_canaries
        return canary_of(recipient, canary_account=self.canary_account, system_canaries=canaries)

    def customers(self, attempt: Attempt) -> list[str]:
        """Whom it is for, probes left out: they are nobody's mail."""
        return [recipient for recipient in attempt.recipients if self.canary(recipient) is None]

    def refusal(self, reply: Reply, begin_ns: int, *, fault: str | None = None) -> None:
        """An attempt that was refused before it had a recipient."""
        self._receipt(
            self.begin("", begin_ns), reply.result, None, code=reply.code, text=reply.text, fault=fault
        )

    def outcome(
        self,
        attempt: Attempt,
        reply: Reply,
        recipients: Sequence[str],
        *,
        result: ReceiptResult | None = None,
        carried: Carried = NOTHING_CARRIED,
        stored: Stored | None = None,
        fault: str | None = None,
        end_ns: int | None = None,
    ) -> list[Receipt]:
        """What became of these recipients; `result` follows from the reply unless that is never sent."""
        return [
            self._receipt(
                attempt,
                result or reply.result,
                recipient,
                carried,
                code=reply.code,
                text=reply.text,
                fault=fault,
                stored=stored,
                end_ns=end_ns,
            )
            for recipient in recipients
        ]

    def aborted(self, attempt: Attempt, reason: str) -> None:
        """The attempt ended before its body was there. Refused recipients have had their receipts."""
        recipients: Sequence[str | None] = attempt.recipients or ([] if attempt.refused else [None])
        for recipient in recipients:
            self._receipt(attempt, ReceiptResult.ABORTED, recipient, text=reason)

    def lost(self, reason: str) -> None:
        """The connection ended without a goodbye."""
        self._ledger.connections_closed(
            route=self._service.route, endpoint=ENDPOINT, connections=[self._connection], reason=reason
        )

    def _receipt(
        self,
        attempt: Attempt,
        result: ReceiptResult,
        recipient: str | None,
        carried: Carried = NOTHING_CARRIED,
        *,
        code: int | None = None,
        text: str = "",
        fault: str | None = None,
        stored: Stored | None = None,
        end_ns: int | None = None,
    ) -> Receipt:
        identity = identify(recipient, carried)
        return self._ledger.receipt(
            route=self._service.route,
            endpoint=ENDPOINT,
            result=result,
            attempt=attempt.id,
            begin_ns=attempt.begin_ns,
            end_ns=end_ns,
            token=identity.token,
            carriers=identity.carriers,
            recipient=recipient,
            code=code,
            text=text,
            connection=self._connection,
            account=self.account,
            tenant=self.tenant,
            body_sha256=carried.sha256,
            body_offset=stored.offset if stored else None,
            body_bytes=stored.size if stored else None,
            canary=self.canary(recipient or ""),
            fault=fault,
            notice=carried.notice,
            sender=attempt.sender or None,
        )
