"""Refusals, lost acknowledgements and broken-off attempts: what the client hears, what the ledger holds."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiosmtplib
import pytest

from harness.history.events import Receipt, ReceiptResult
from harness.providers.errors import FaultRefused, JournalError
from harness.providers.ledger import MemorySink
from harness.providers.wire import ProviderFault
from tests.providers.conftest import Certificates
from tests.providers.running import (
    CANARY,
    RECIPIENT,
    ROUTE,
    TOKEN,
    Provider,
    Raw,
    message,
    provider,
    raw,
    recipient,
    token,
)
from tests.waiting import until

MAIL = "MAIL FROM:<sender@sender.example>"
RCPT = f"RCPT TO:<{RECIPIENT}>"


def put(fake: Provider, **attributes: Any) -> None:
    fake.running.faults.put(ProviderFault(**{"id": "f1", "type": "refuse", **attributes}))


async def converse(client: Raw, *lines: str, body: bytes = message()) -> list[int]:
    """Codes of the answers, one command at a time; DATA that is let through is followed by the body."""
    codes = []
    for line in lines:
        codes.append(int((await client.ask(line))[:3]))
        if codes[-1] == 354:
            codes.append(int((await client.ask(body + b".\r\n"))[:3]))
    return codes


@pytest.mark.parametrize(
    ("stage", "codes", "known"),
    [
        ("mail", [451, 503, 503], None),
        ("rcpt", [250, 451, 554], RECIPIENT),
        ("data", [250, 250, 451], RECIPIENT),
        ("body", [250, 250, 354, 451], RECIPIENT),
    ],
)
async def test_a_refusal_comes_at_its_stage_and_leaves_one_receipt(
    stage: str, codes: list[int], known: str | None
) -> None:
    async with provider() as fake:
        put(fake, code=451, text="4.3.2 Not now", stage=stage)
        async with raw(fake.port) as client:
            assert await converse(client, MAIL, RCPT, "DATA") == codes
            (receipt,) = fake.records
            assert (receipt.result, receipt.code, receipt.text) == (
                ReceiptResult.DEFERRED,
                451,
                "4.3.2 Not now",
            )
            assert (receipt.recipient, receipt.token) == (known, known and TOKEN)
            assert receipt.fault == "f1"
            assert await converse(client, "RSET", "QUIT") == [250, 221]
        assert len(fake.records) == 1


async def test_a_refusal_for_good_is_told_from_one_for_now() -> None:
    async with provider() as fake:
        put(fake, named="mailbox-unavailable")
        async with raw(fake.port) as client:
            assert await client.ask(MAIL) == "250 2.1.0 Sender OK"
            assert await client.ask(RCPT) == f"550 5.1.1 <{RECIPIENT}> Mailbox unavailable"
        assert fake.receipts[0].result is ReceiptResult.REFUSED


async def test_a_refused_connection_is_one_deferred_attempt_of_nobody() -> None:
    async with provider() as fake:
        put(fake, named="service-unavailable")
        client = await Raw.connect(fake.port)
        assert (await client.reply()).startswith("421 4.3.2")
        assert await client.reply() == ""
        await client.close()
        (receipt,) = fake.records
        assert (receipt.result, receipt.token, receipt.code) == (ReceiptResult.DEFERRED, None, 421)


async def test_421_at_any_stage_is_the_last_word() -> None:
    async with provider() as fake:
        put(fake, code=421, stage="rcpt")
        async with raw(fake.port) as client:
            assert await converse(client, MAIL, RCPT) == [250, 421]
            assert await client.reply() == ""
        assert fake.closed == []


async def test_a_pipelining_client_hears_every_refusal_in_order() -> None:
    async with provider() as fake:
        put(fake, code=451, count=1)
        async with raw(fake.port) as client:
            client.send("\r\n".join([MAIL, RCPT, "DATA", "RSET", MAIL, RCPT, "DATA", ""]).encode())
            codes = [(await client.reply())[:3] for _ in range(7)]
            assert codes == ["451", "503", "503", "250", "250", "250", "354"]
            assert (await client.ask(message() + b".\r\n")).startswith("250")
        assert [receipt.result for receipt in fake.receipts] == ["deferred", "accepted"]


async def test_one_refused_recipient_of_two_does_not_stop_the_other() -> None:
    async with provider() as fake:
        put(fake, code=550, stage="rcpt", every=2)
        async with raw(fake.port) as client:
            codes = await converse(
                client, MAIL, f"RCPT TO:<{recipient(1)}>", f"RCPT TO:<{recipient(2)}>", "DATA", "QUIT"
            )
            assert codes == [250, 250, 550, 354, 250, 221]
        assert [(receipt.token, receipt.result) for receipt in fake.receipts] == [
            (token(2), ReceiptResult.REFUSED),
            (token(1), ReceiptResult.ACCEPTED),
        ]


async def test_a_class_is_refused_after_the_body_because_only_then_it_is_known() -> None:
    async with provider() as fake:
        put(fake, code=451, class_="marketing")
        async with raw(fake.port) as client:
            marketing = message(class_="marketing")
            assert await converse(client, MAIL, RCPT, "DATA", body=marketing) == [250, 250, 354, 451]
            assert await converse(client, MAIL, RCPT, "DATA") == [250, 250, 354, 250]


async def test_a_share_is_refused_at_the_recipient_because_it_goes_by_the_token() -> None:
    async with provider() as fake:
        put(fake, code=451, share=0.5)
        async with raw(fake.port) as client:
            codes = [
                await converse(client, MAIL, f"RCPT TO:<{recipient(number)}>", "RSET") for number in range(40)
            ]
        refused = [number for number, (_, code, _) in enumerate(codes) if code == 451]
        assert 8 <= len(refused) <= 32
        assert [receipt.token for receipt in fake.receipts if receipt.result == "deferred"] == [
            token(number) for number in refused
        ]


@pytest.mark.parametrize(
    ("attributes", "complaint"),
    [
        ({"stage": "mail", "code": 451, "share": 0.5}, "use stage rcpt"),
        ({"stage": "rcpt", "code": 451, "class_": "marketing"}, "use stage body"),
        ({"stage": "ack", "code": 451}, "none of connect, auth, mail"),
        ({"code": 451, "text": "two\r\nlines"}, "one printable line"),
        ({"named": "busy", "code": 451}, "not both"),
        ({}, "needs a code"),
        ({"type": "ack-loss", "code": 451, "stage": "mid-reply"}, "the reply is the provider.s own"),
    ],
)
async def test_a_fault_that_makes_no_sense_here_is_refused(
    attributes: dict[str, Any], complaint: str
) -> None:
    async with provider() as fake:
        with pytest.raises(FaultRefused, match=complaint):
            put(fake, **attributes)


async def test_a_lost_acknowledgement_is_a_hand_off_and_a_reset() -> None:
    async with provider() as fake:
        put(fake, type="ack-loss", count=1)
        async with raw(fake.port) as client:
            assert await converse(client, MAIL, RCPT) == [250, 250]
            assert (await client.ask("DATA")).startswith("354")
            client.send(message() + b".\r\n")
            with pytest.raises(ConnectionResetError):
                await client.reply()
        receipt, closed = await fake.until_records(2)
        assert (receipt.result, receipt.fault, receipt.token) == (ReceiptResult.ACK_LOST, "f1", TOKEN)
        assert receipt.body_bytes == len(message())
        assert (closed.connections, closed.reason) == ([receipt.connection], "fault f1")
        assert fake.running.ledger.handed_off == {"primary": 1}


async def test_a_client_library_cannot_tell_a_lost_acknowledgement_from_a_lost_message(
    certificates: Certificates,
) -> None:
    async with provider("microsoft365-smtp", **certificates.config) as fake:
        put(fake, type="ack-loss", every=2)
        outcomes = []
        for number in range(4):
            try:
                await aiosmtplib.send(
                    message(),
                    sender="sender@sender.example",
                    recipients=[recipient(number)],
                    hostname="localhost",
                    port=fake.port,
                    start_tls=True,
                    tls_context=certificates.client_context(),
                    username=ROUTE.username,
                    password=ROUTE.secret,
                )
                outcomes.append("ok")
            except aiosmtplib.SMTPServerDisconnected:
                outcomes.append("lost")
        assert outcomes == ["ok", "lost", "ok", "lost"]
        assert [receipt.result.value for receipt in fake.receipts] == ["accepted", "ack-lost"] * 2


async def test_the_canary_sees_a_fault_that_spares_everyone_else() -> None:
    async with provider() as fake:
        put(fake, code=451, every=1000)
        async with raw(fake.port) as client:
            assert await converse(client, MAIL, "RSET") == [250, 250]
        with pytest.raises(aiosmtplib.SMTPSenderRefused):
            await aiosmtplib.send(
                message(),
                sender="sender@sender.example",
                recipients=["c.canary0001@canary.example"],
                hostname="127.0.0.1",
                port=fake.port,
                username=CANARY.username,
                password=CANARY.secret,
            )
        assert fake.receipts[-1].canary == "harness"


@pytest.mark.parametrize("announced", ["RSET", "QUIT", "EHLO again.example"])
async def test_an_attempt_that_its_client_takes_back_is_aborted(announced: str) -> None:
    async with provider() as fake, raw(fake.port) as client:
        await converse(client, MAIL, RCPT, announced)
        (receipt,) = fake.records
        assert (receipt.result, receipt.token, receipt.text) == (
            ReceiptResult.ABORTED,
            TOKEN,
            announced.split()[0],
        )


async def test_a_client_that_leaves_in_the_middle_of_the_body_hands_nothing_over() -> None:
    async with provider() as fake:
        async with raw(fake.port) as client:
            await converse(client, MAIL, RCPT)
            await client.ask("DATA")
            client.send(message())  # no final dot
        receipt, closed = await fake.until_records(2)
        assert (receipt.result, receipt.token) == (ReceiptResult.ABORTED, TOKEN)
        assert closed.connections == [receipt.connection]


async def test_a_client_that_leaves_after_the_final_dot_has_handed_over() -> None:
    async with provider(limits={"messages_per_minute": 1}) as fake:
        for number in range(2):  # the second one waits for its minute, and does not wait long enough
            async with raw(fake.port) as client:
                await converse(client, MAIL, f"RCPT TO:<{recipient(number)}>")
                await client.ask("DATA")
                client.send(message(token(number)) + b".\r\n")
                if number == 0:
                    assert (await client.reply()).startswith("250")
                    await converse(client, "QUIT")
        await fake.until_records(3)
        assert [receipt.result for receipt in fake.receipts] == ["accepted", "ack-lost"]
        assert fake.receipts[1].token == token(1)


async def test_a_connection_that_just_goes_away_is_told_of() -> None:
    async with provider() as fake:
        async with raw(fake.port):
            pass
        (closed,) = await fake.until_records(1)
        assert (closed.connections, closed.reason, closed.route) == (["c1"], "disconnected", "primary")


class WatchingSink(MemorySink):
    """Looks at the client's side of the connection at the moment a record is written."""

    def __init__(self) -> None:
        super().__init__()
        self.client: socket.socket | None = None
        self.heard: list[bytes] = []

    def record(self, line: bytes) -> None:
        super().record(line)
        if self.client is not None:
            try:
                self.heard.append(self.client.recv(1000, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            except BlockingIOError:
                self.heard.append(b"")


@pytest.mark.parametrize("code", [None, 451])
async def test_the_record_is_written_before_the_answer_is_sent(code: int | None) -> None:
    sink = WatchingSink()
    async with provider(sink=sink) as fake:
        if code is not None:
            put(fake, code=code, stage="body")
        with socket.create_connection(("127.0.0.1", fake.port)) as client:
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            for line in ("", "EHLO x", MAIL, RCPT, "DATA"):
                if line:
                    await loop.sock_sendall(client, line.encode() + b"\r\n")
                await loop.sock_recv(client, 4096)
            sink.client = client
            await loop.sock_sendall(client, message() + b".\r\n")
            await until(lambda: bool(sink.records))
            answer = await loop.sock_recv(client, 4096)
            sink.client = None
        assert answer.startswith(str(code or 250).encode())
        assert sink.heard == [b""]


async def test_what_cannot_be_written_down_is_not_acknowledged() -> None:
    class Full(MemorySink):
        def record(self, line: bytes) -> None:
            if b"receipt" in line:
                raise JournalError("disk full")
            super().record(line)

    async with provider(sink=Full()) as fake:
        async with raw(fake.port) as client:
            assert await converse(client, MAIL, RCPT, "DATA", "QUIT") == [250, 250, 354, 451, 221]
        assert fake.records == []


async def test_the_provider_stops_with_mail_under_way() -> None:
    sink = MemorySink()
    async with provider(sink=sink) as fake:
        client = await Raw.connect(fake.port)
        await client.reply()
        await converse(client, "EHLO x", MAIL, RCPT)
        stopped = fake
    assert [type(record).__name__ for record in stopped.records] == ["Receipt", "ConnectionsClosed"]
    (receipt,) = stopped.receipts
    assert isinstance(receipt, Receipt)
    assert (receipt.result, receipt.text) == (ReceiptResult.ABORTED, "provider stopped")
    await client.close()
