"""Mailpit as a provider: what is read back from a real one, and what its Python client does wrong.

The second half documents mailpit-api-client against the Mailpit at hand: a test there that fails after an
upgrade says that something got better or worse, and what may be used of it now.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import smtplib
import sys
import time
from collections.abc import AsyncIterator, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.errors import FaultRefused
from harness.providers.mailpit import MailpitLaunch, MailpitProcess
from harness.providers.mailpit_mail import (
    MailpitClientMissing,
    MailpitReader,
    MailpitUnavailable,
    RunClock,
)
from harness.providers.wire import ProviderFault
from tests.ports import free_port
from tests.requires import require_tool

TOKEN = "abcdefghijklmnop"
OTHER = "ponmlkjihgfedcba"


@pytest.fixture
async def mailpit(tmp_path: Path) -> AsyncIterator[MailpitLaunch]:
    smtp_port, http_port = free_port(), free_port()
    launch = MailpitLaunch(
        binary=require_tool("mailpit"),
        smtp_port=smtp_port,
        http_port=http_port,
        database=tmp_path / "mailpit.db",
    )
    async with MailpitProcess(launch, tmp_path / "mailpit.log"):
        yield launch


@pytest.fixture
def reader(mailpit: MailpitLaunch) -> Iterator[MailpitReader]:
    reader = reader_of(mailpit)
    yield reader
    reader.close()


class TestReceipts:
    async def test_a_message_becomes_a_receipt_that_says_it_was_seen_afterwards(
        self, mailpit: MailpitLaunch, reader: MailpitReader
    ) -> None:
        message = mail(f"c.{TOKEN}@customer.example", token=TOKEN)
        send(mailpit, message, f"c.{TOKEN}@customer.example")
        (receipt,) = await read(reader)
        assert receipt.token == TOKEN
        assert receipt.recipient == f"c.{TOKEN}@customer.example"
        assert receipt.carriers == ["recipient", "header", "nonce"]
        assert (receipt.source, receipt.n, receipt.route, receipt.endpoint) == ("inbox", 1, "backup", "smtp")
        assert (receipt.result, receipt.code, receipt.observed) == (ReceiptResult.ACCEPTED, 250, "after")
        assert receipt.text.startswith("2.0.0 Ok: queued as ")

    async def test_the_body_hash_is_of_the_message_as_it_was_sent(
        self, mailpit: MailpitLaunch, reader: MailpitReader
    ) -> None:
        recipient = f"c.{TOKEN}@customer.example"
        sent = mail(recipient, token=TOKEN, message_id="<1@shop.example>")
        send(mailpit, sent, recipient)
        send(mailpit, mail(recipient, token=TOKEN), recipient)  # no Message-ID: Mailpit puts one in front
        first, second = await read(reader)
        assert first.body_sha256 == hashlib.sha256(sent).hexdigest()
        assert first.body_bytes == len(sent)
        assert second.body_sha256 == hashlib.sha256(mail(recipient, token=TOKEN)).hexdigest()

    async def test_each_message_is_read_once_and_numbers_have_no_gap(
        self, mailpit: MailpitLaunch, reader: MailpitReader
    ) -> None:
        recipient = f"c.{TOKEN}@customer.example"
        assert await read(reader) == []
        send(mailpit, mail(recipient), recipient)
        send(mailpit, mail(recipient), recipient)
        assert [receipt.n for receipt in await read(reader)] == [1, 2]
        assert await read(reader) == []
        send(mailpit, mail(recipient), recipient)
        assert [receipt.n for receipt in await read(reader)] == [3]

    async def test_the_same_message_id_twice_is_two_receipts(
        self, mailpit: MailpitLaunch, reader: MailpitReader
    ) -> None:
        recipient = f"c.{TOKEN}@customer.example"
        for _ in range(2):
            send(mailpit, mail(recipient, message_id="<same@shop.example>"), recipient)
        assert len({receipt.attempt for receipt in await read(reader)}) == 2

    async def test_more_than_a_page_of_messages_is_read_whole_and_in_order(
        self, mailpit: MailpitLaunch, reader: MailpitReader
    ) -> None:
        recipients = [f"c.{'a' * 13}{hundred}@customer.example" for hundred in three_letters(450)]
        send_all(mailpit, [(mail(recipient), recipient) for recipient in recipients])
        receipts = await read(reader)
        assert [receipt.n for receipt in receipts] == list(range(1, 451))
        assert {receipt.recipient for receipt in receipts} == set(recipients)
        assert [receipt.t_ns for receipt in receipts] == sorted(receipt.t_ns for receipt in receipts)
        assert reader.count() == 450

    async def test_its_time_lies_within_the_stated_error_of_the_hand_over(
        self, mailpit: MailpitLaunch
    ) -> None:
        epoch_ns = time.time_ns()
        reader = reader_of(mailpit, RunClock(epoch_ns=epoch_ns, error_ns=2_000_000))
        recipient = f"c.{TOKEN}@customer.example"
        before_ns = time.time_ns() - epoch_ns
        send(mailpit, mail(recipient), recipient)
        after_ns = time.time_ns() - epoch_ns
        (receipt,) = await read(reader)
        assert reader.error_ns >= 2_000_000 + 1_000_000
        assert before_ns - reader.error_ns <= receipt.t_ns <= after_ns + reader.error_ns
        reader.close()

    async def test_every_recipient_of_the_envelope_has_a_receipt(
        self, mailpit: MailpitLaunch, reader: MailpitReader
    ) -> None:
        to, hidden = f"c.{TOKEN}@customer.example", f"c.{OTHER}@customer.example"
        send(mailpit, mail(to), to, hidden)
        receipts = await read(reader)
        assert {(receipt.recipient, receipt.token) for receipt in receipts} == {(to, TOKEN), (hidden, OTHER)}
        assert len({receipt.attempt for receipt in receipts}) == 1

    async def test_whose_probe_a_message_is_shows(self, mailpit: MailpitLaunch) -> None:
        reader = reader_of(mailpit, system_canaries=["Probe@canary.example"])
        for recipient in ("c.canary0001@canary.example", "probe@canary.example", "someone@customer.example"):
            send(mailpit, mail(recipient), recipient)
        found = {receipt.recipient: receipt.canary for receipt in await read(reader)}
        assert found == {
            "c.canary0001@canary.example": "harness",
            "probe@canary.example": "system",
            "someone@customer.example": None,
        }
        reader.close()

    @pytest.mark.parametrize(
        "content",
        [
            b"\r\n",
            b"Subject: no sender\r\n\r\nx",
            b"From: broken <<>\r\nTo: undisclosed-recipients:;\r\n\r\nx",
            "From: Jürgen <j@shop.example>\r\nSubject: =?utf-8?q?=C3=BC?=\r\n\r\nü".encode(),
            b"From: a@shop.example\r\nReceived: from x\r\n by y (Mailpit) with SMTP\r\n for <z>; x\r\n\r\nx",
        ],
    )
    async def test_odd_mail_is_read_too(
        self, mailpit: MailpitLaunch, reader: MailpitReader, content: bytes
    ) -> None:
        recipient = f"c.{TOKEN}@customer.example"
        send(mailpit, content, recipient)
        assert [receipt.token for receipt in await read(reader)] == [TOKEN]


class TestTheRestOfTheApi:
    async def test_headers_raw_search_and_counts(self, mailpit: MailpitLaunch, reader: MailpitReader) -> None:
        recipient = f"c.{TOKEN}@customer.example"
        send(mailpit, mail(recipient, token=TOKEN), recipient)
        (receipt,) = await read(reader)
        assert reader.headers(receipt.attempt)["X-Harness-Token"] == [TOKEN]
        assert f"ref: hn-{TOKEN}-nh".encode() in reader.raw(receipt.attempt)
        assert reader.search(f"to:{recipient}") == [receipt.attempt]
        assert reader.search("to:nobody@customer.example") == []
        assert reader.count() == 1
        assert reader.info()["RuntimeStats"]["SMTPAccepted"] == 1

    async def test_a_mailpit_that_is_gone_is_an_error_and_nothing_is_lost(
        self, mailpit: MailpitLaunch, tmp_path: Path
    ) -> None:
        other = MailpitLaunch(
            binary=mailpit.binary,
            smtp_port=free_port(),
            http_port=free_port(),
            database=tmp_path / "other.db",
        )
        process = MailpitProcess(other, tmp_path / "other.log")
        await process.start()
        reader = reader_of(other)
        recipient = f"c.{TOKEN}@customer.example"
        send(other, mail(recipient), recipient)
        await process.stop()
        with pytest.raises(MailpitUnavailable, match="list of messages"):
            await read(reader)
        async with MailpitProcess(other, tmp_path / "other.log"):
            assert [receipt.n for receipt in await read(reader)] == [1]
        reader.close()

    def test_without_the_extra_the_error_names_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in [name for name in sys.modules if name.split(".")[0] == "mailpit"]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setattr(sys, "meta_path", [_NoMailpit(), *sys.meta_path])
        with pytest.raises(MailpitClientMissing, match=r"mail-failover-harness\[mailpit\]"):
            MailpitReader(
                base_url="http://127.0.0.1:1", provider="inbox", route="backup", clock=RunClock(epoch_ns=0)
            )


class TestTheProcess:
    def test_it_keeps_everything_and_takes_nothing_from_the_environment(self, tmp_path: Path) -> None:
        launch = MailpitLaunch(binary=Path("mailpit"), smtp_port=1, http_port=2, database=tmp_path / "db")
        argv = launch.argv()
        assert argv[argv.index("--max") + 1] == "0"
        assert argv[argv.index("--smtp") + 1] == "127.0.0.1:1"
        assert not any("ignore-duplicate" in argument for argument in argv)
        assert launch.env() == {}

    async def test_one_that_cannot_start_says_why(self, mailpit: MailpitLaunch, tmp_path: Path) -> None:
        same_ports = MailpitLaunch(
            binary=mailpit.binary,
            smtp_port=mailpit.smtp_port,
            http_port=free_port(),
            database=tmp_path / "second.db",
        )
        with pytest.raises(MailpitUnavailable, match="address already in use"):
            await MailpitProcess(same_ports, tmp_path / "second.log").start()

    async def test_one_that_never_gets_ready_is_ended(self, tmp_path: Path) -> None:
        silent = tmp_path / "mailpit"
        silent.write_text("#!/bin/sh\necho waiting for godot\nexec /bin/sleep 60\n")
        silent.chmod(0o755)
        smtp_port, http_port = free_port(), free_port()
        launch = MailpitLaunch(
            binary=silent, smtp_port=smtp_port, http_port=http_port, database=tmp_path / "db"
        )
        process = MailpitProcess(launch, tmp_path / "log", ready_within_s=0.5)
        with pytest.raises(MailpitUnavailable, match=r"not ready after 0\.5 s.*\n.*godot"):
            await process.start()
        assert process.pid is not None
        assert not psutil.pid_exists(process.pid)


def test_the_preset_is_known_and_refuses_what_mailpit_cannot_do() -> None:
    preset = presets.load("mailpit")
    assert preset.limits.model_fields == {}
    with pytest.raises(FaultRefused, match="transport fault"):
        preset.place_fault(ProviderFault(id="f", type="ack-loss"))


class TestWhatMailpitApiClientDoes:
    """Measured; see the module's docstring."""

    @pytest.fixture
    async def api(self, mailpit: MailpitLaunch) -> Any:
        api_module = importlib.import_module("mailpit.client.api")
        recipient = f"c.{TOKEN}@customer.example"
        for _ in range(3):
            send(mailpit, mail(recipient), recipient)
        return api_module.API(mailpit.base_url, timeout=5)

    @pytest.mark.filterwarnings("ignore:'NoneType' object value:RuntimeWarning")
    async def test_get_messages_works(self, api: Any) -> None:
        messages = api.get_messages(limit=2, start=1)
        assert (messages.total, messages.count, len(messages.messages)) == (3, 2, 2)
        assert messages.messages[0].to[0].address == f"c.{TOKEN}@customer.example"
        assert messages.messages[0].created.utcoffset().total_seconds() == 0

    async def test_get_messages_warns_of_empty_lists(self, api: Any) -> None:
        with pytest.warns(RuntimeWarning, match="non-optional type bcc"):
            api.get_messages()

    @pytest.mark.filterwarnings("ignore:'NoneType' object value:RuntimeWarning")
    async def test_get_message_fails_on_a_field_that_is_gone(self, api: Any) -> None:
        message_id = api.get_messages().messages[0].id
        with pytest.raises(KeyError, match="read"):
            api.get_message(message_id)

    @pytest.mark.filterwarnings("ignore:'NoneType' object value:RuntimeWarning")
    async def test_get_message_headers_fails_on_headers_that_need_not_be_there(self, api: Any) -> None:
        message_id = api.get_messages().messages[0].id
        with pytest.raises(KeyError, match="date"):
            api.get_message_headers(message_id)

    @pytest.mark.filterwarnings("ignore:'NoneType' object value:RuntimeWarning")
    async def test_put_messages_is_refused(self, api: Any) -> None:
        message_id = api.get_messages().messages[0].id
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            api.put_messages([message_id], "Read", True)

    @pytest.mark.filterwarnings("ignore:'NoneType' object value:RuntimeWarning")
    async def test_delete_messages_of_one_deletes_all(self, api: Any, reader: MailpitReader) -> None:
        message_id = api.get_messages().messages[0].id
        assert reader.count() == 3
        api.delete_messages([message_id])
        assert reader.count() == 0


def test_nothing_here_can_delete() -> None:
    source = Path(importlib.import_module("harness.providers.mailpit_mail").__file__ or "").read_text()
    assert "delete_messages(" not in source
    assert "DELETE" not in source
    assert not [name for name in dir(MailpitReader) if "delete" in name or "put" in name]


class _NoMailpit:
    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] == "mailpit":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def reader_of(
    launch: MailpitLaunch, clock: RunClock | None = None, system_canaries: list[str] | None = None
) -> MailpitReader:
    return MailpitReader(
        base_url=launch.base_url,
        provider="inbox",
        route="backup",
        clock=clock or RunClock(epoch_ns=0),
        system_canaries=system_canaries or [],
    )


async def read(reader: MailpitReader) -> list[Any]:
    return await asyncio.to_thread(reader.poll)


def mail(to: str, *, token: str = "", message_id: str = "") -> bytes:
    message = EmailMessage()
    message["From"] = "shop@shop.example"
    message["To"] = to
    message["Subject"] = "Your order"
    if token:
        message["X-Harness-Token"] = token
    if message_id:
        message["Message-ID"] = message_id
    message.set_content(f"Thank you.\n.\nref: hn-{token or TOKEN}-nh\n")
    return message.as_bytes().replace(b"\n", b"\r\n")


def send(launch: MailpitLaunch, content: bytes, *recipients: str) -> None:
    with smtplib.SMTP(launch.host, launch.smtp_port, timeout=5) as smtp:
        smtp.sendmail("shop@shop.example", recipients, content)


def send_all(launch: MailpitLaunch, mails: list[tuple[bytes, str]]) -> None:
    with smtplib.SMTP(launch.host, launch.smtp_port, timeout=5) as smtp:
        for content, recipient in mails:
            smtp.sendmail("shop@shop.example", recipient, content)


def three_letters(count: int) -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return [
        letters[number // 676] + letters[number // 26 % 26] + letters[number % 26] for number in range(count)
    ]
