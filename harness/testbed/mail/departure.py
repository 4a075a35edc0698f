"""Mail as it leaves the providers, made when a run is over: composed, signed, with its route's return path.

In go the receipts of the history and the bodies that the fakes stored; out go `outbound/<provider>.pack` and
`outbound/index.jsonl`, a line for each hand-over and recipient. The fakes keep what they were handed, to the
byte, and spend no time on signatures: a signature follows from the stored body, the route and the run's keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.parser import BytesHeaderParser
from email.utils import parseaddr
from pathlib import Path
from typing import IO

import msgspec

from harness.history.events import ReceiptResult
from harness.providers.outgoing import Outgoing, Taken
from harness.scenario.mail import Signer
from harness.scenario.models import Scenario
from harness.scenario.senders import SHARED_SELECTOR, Sender, senders
from harness.testbed.mail.keys import own_key, route_key

FOLDER, INDEX = "outbound", "index.jsonl"
HAND_OFFS = (ReceiptResult.ACCEPTED, ReceiptResult.ACK_LOST)
SIGNED = (
    *(b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to", b"mime-version"),
    *(b"content-type", b"content-transfer-encoding", b"list-unsubscribe", b"list-unsubscribe-post"),
)
"""What a provider covers, where it is there: the fields of RFC 6376, 5.4.1, and those of RFC 8058."""


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of an event; only receipts have all of it."""

    kind: str
    t_ns: int = 0
    wall_start: str = ""
    source: str = ""
    n: int = 0
    provider: str = ""
    route: str = ""
    result: str = ""
    attempt: str = ""
    token: str | None = None
    recipient: str | None = None
    body_offset: int | None = None
    body_bytes: int | None = None
    sender: str | None = None
    canary: str | None = None


class Departed(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the index: where the message is, and what its receiver's server saw beside it."""

    source: str
    n: int  # (source, n) is the receipt
    file: str  # within the folder
    offset: int
    bytes: int
    mail_from: str
    egress: str


@dataclass(frozen=True)
class Left:
    """How many messages left, and of how many none could be made, with the first reason."""

    messages: int
    unmade: int
    reason: str = ""


def write_outbound(run_dir: Path, scenario: Scenario, seed: int) -> Left:
    """Nothing where the scenario has no `mail`. Raises OSError."""
    found = senders(scenario)
    if not found:
        return Left(0, 0)
    folder = run_dir / FOLDER
    folder.mkdir(exist_ok=True)
    made, unmade, reason = 0, 0, ""
    packs: dict[str, IO[bytes]] = {}
    try:
        with (folder / INDEX).open("wb") as index:
            for receipt, wall_s in _handed_over(run_dir / "history.jsonl", found):
                sender, outgoing = found[receipt.route], scenario.preset(receipt.route).outgoing
                assert outgoing is not None, "a sender without a preset that sends"
                try:
                    body = _body(run_dir, receipt)
                    message, mail_from = depart(_taken(receipt, body, wall_s), outgoing, sender, seed)
                except Exception as error:  # noqa: BLE001  of a body in a form that nobody foresaw; it is counted
                    unmade, reason = unmade + 1, reason or f"{type(error).__name__}: {error}"
                    continue
                name = f"{receipt.provider}.pack"
                if name not in packs:
                    packs[name] = (folder / name).open("wb")
                pack = packs[name]
                line = Departed(
                    source=receipt.source,
                    n=receipt.n,
                    file=name,
                    offset=pack.tell(),
                    bytes=len(message),
                    mail_from=mail_from,
                    egress=sender.egress,
                )
                pack.write(message)
                index.write(msgspec.json.encode(line) + b"\n")
                made += 1
    finally:
        for pack in packs.values():
            pack.close()
    return Left(made, unmade, reason)


def depart(taken: Taken, outgoing: Outgoing, sender: Sender, seed: int) -> tuple[bytes, str]:
    """The message as it leaves, and its return path. Raises ValueError where there is no message in it."""
    message = outgoing(taken)
    author = parseaddr(str(BytesHeaderParser().parsebytes(message).get("From", "")))[1]
    # Without a return path SPF is judged by the name of the server that delivers (RFC 7208, 2.4).
    mail_from = taken.sender or f"postmaster@{sender.own_bounces}"
    if sender.signer is Signer.PROVIDER and not sender.vouches_for(author.rpartition("@")[2].lower()):
        message = signed(message, SHARED_SELECTOR, sender.own, own_key(seed, sender.own), taken.wall_s)
        mail_from = f"bounces@{sender.own_bounces}"
    else:
        if sender.signer is Signer.PROVIDER:
            key = route_key(seed, sender.key)
            message = signed(message, sender.selector, sender.domain, key, taken.wall_s)
        if sender.bounces is not None:
            mail_from = f"bounces@{sender.bounces}"
    return (sealed(message, sender, seed, taken.wall_s) if sender.arc else message), mail_from


def signed(message: bytes, selector: str, domain: str, key: bytes, wall_s: float) -> bytes:
    """With a DKIM signature of that time in front."""
    import dkim

    from harness.checks.mail.clock import as_of

    present = {name.lower().encode() for name in BytesHeaderParser().parsebytes(message)}
    with as_of(wall_s):
        field: bytes = dkim.sign(
            message,
            selector.encode(),
            domain.encode(),
            key,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=[name for name in SIGNED if name in present],
        )
    return field + message


def sealed(message: bytes, sender: Sender, seed: int, wall_s: float) -> bytes:
    """With the first set of an ARC chain (RFC 8617), by the provider's own domain."""
    import dkim

    from harness.checks.mail.clock import as_of

    server = sender.own.encode()
    message = b"Authentication-Results: " + server + b"; none\r\n" + message
    with as_of(wall_s):
        fields = dkim.arc_sign(message, SHARED_SELECTOR.encode(), server, own_key(seed, sender.own), server)
    return b"".join(fields) + message


def _handed_over(history: Path, found: dict[str, Sender]) -> Iterator[tuple[_Line, float]]:
    """Each receipt by which a route with a sender took mail, and its wall time."""
    decoder = msgspec.json.Decoder(_Line)
    start_s = 0.0
    with history.open("rb") as lines:
        for raw in lines:
            if b'"kind":"run.started"' in raw:
                start_s = datetime.fromisoformat(decoder.decode(raw).wall_start).timestamp()
            if b'"kind":"receipt"' not in raw:
                continue
            line = decoder.decode(raw)
            is_mail = line.body_offset is not None and line.recipient is not None and line.canary is None
            if is_mail and line.result in HAND_OFFS and line.route in found:
                yield line, start_s + line.t_ns / 1e9


def _body(run_dir: Path, receipt: _Line) -> bytes:
    with (run_dir / "bodies" / f"{receipt.provider}.pack").open("rb") as pack:
        pack.seek(receipt.body_offset or 0)
        return pack.read(receipt.body_bytes or 0)


def _taken(receipt: _Line, body: bytes, wall_s: float) -> Taken:
    return Taken(
        body=body,
        recipient=receipt.recipient or "",
        token=receipt.token,
        sender=receipt.sender,
        id=receipt.attempt,
        wall_s=wall_s,
    )
