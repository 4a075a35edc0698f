"""Real clients get their mail through, and each message leaves one receipt."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage

import aiosmtplib
import pytest

from harness.history.events import ReceiptResult
from tests.providers.conftest import Certificates
from tests.providers.running import CANARY, RECIPIENT, ROUTE, TOKEN, message, provider, raw, recipient
from tests.requires import require_tool
from tests.waiting import until


async def test_smtplib_logs_in_and_sends() -> None:
    def send(port: int) -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.login(ROUTE.username, ROUTE.secret)
            client.sendmail("sender@sender.example", [RECIPIENT], message())

    async with provider() as fake:
        await asyncio.to_thread(send, fake.port)
        (receipt,) = fake.records
        assert receipt.result is ReceiptResult.ACCEPTED
        assert (receipt.token, receipt.recipient, receipt.account) == (TOKEN, RECIPIENT, ROUTE.username)
        assert receipt.carriers == ["recipient", "header", "nonce"]
        assert (receipt.code, receipt.route, receipt.endpoint) == (250, "primary", "smtp")
        assert receipt.begin_ns <= receipt.end_ns == receipt.t_ns
        assert bytes(fake.running.pack.content) == message()  # type: ignore[attr-defined]


async def test_smtplib_over_starttls_with_the_runs_ca(certificates: Certificates) -> None:
    def send(port: int) -> None:
        with smtplib.SMTP("localhost", port, timeout=10) as client:
            client.starttls(context=certificates.client_context())
            client.login(ROUTE.username, ROUTE.secret)
            client.sendmail("sender@sender.example", [RECIPIENT], message())

    async with provider("microsoft365-smtp", **certificates.config) as fake:
        await asyncio.to_thread(send, fake.port)
        assert [receipt.result for receipt in fake.records] == [ReceiptResult.ACCEPTED]


async def test_aiosmtplib_sends_many_on_one_connection_and_dots_survive(certificates: Certificates) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "sender@sender.example", RECIPIENT, "Grüße"
    mail.set_content("first\n.\n..second\n" + "x" * 3000 + "\n")
    async with provider(
        "microsoft365-smtp", limits={"messages_per_minute": 1000}, **certificates.config
    ) as fake:
        client = aiosmtplib.SMTP(
            hostname="localhost",
            port=fake.port,
            start_tls=True,
            tls_context=certificates.client_context(),
            username=ROUTE.username,
            password=ROUTE.secret,
        )
        async with client:
            for number in range(5):
                await client.send_message(mail, recipients=[recipient(number)])
        assert [receipt.n for receipt in fake.records] == [1, 2, 3, 4, 5]
        assert len({receipt.attempt for receipt in fake.receipts}) == 5
        assert len({receipt.body_sha256 for receipt in fake.receipts}) == 1
        assert b"\r\n..second\r\n" in bytes(fake.running.pack.content)  # type: ignore[attr-defined]


async def test_each_recipient_of_one_attempt_has_a_receipt() -> None:
    async with provider() as fake:
        await aiosmtplib.send(
            message(),
            sender="sender@sender.example",
            recipients=[recipient(1), recipient(2)],
            hostname="127.0.0.1",
            port=fake.port,
        )
        first, second = fake.records
        assert first.attempt == second.attempt
        assert first.body_offset == second.body_offset == 0
        assert (first.recipient, second.recipient) == (recipient(1), recipient(2))


async def test_openssl_sees_a_certificate_that_it_can_verify(certificates: Certificates) -> None:
    openssl = require_tool("openssl")
    async with provider("microsoft365-smtp", **certificates.config) as fake:
        command = [openssl, "s_client", "-starttls", "smtp", "-connect", f"localhost:{fake.port}"]
        process = await asyncio.create_subprocess_exec(
            *command,
            *(
                "-CAfile",
                certificates.ca,
                "-verify_return_error",
                "-crlf",
                "-quiet",
                "-verify_hostname",
                "localhost",
            ),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, _ = await asyncio.wait_for(process.communicate(b"EHLO client.example\nQUIT\n"), 20)
        assert process.returncode == 0
        assert b"AUTH LOGIN XOAUTH2" in output


async def test_a_client_that_does_not_trust_the_ca_leaves_a_trace(certificates: Certificates) -> None:
    async with provider("microsoft365-smtp", **certificates.config) as fake:
        async with raw(fake.port) as client:
            assert (await client.ask("STARTTLS")).startswith("220")
            with pytest.raises(ssl.SSLCertVerificationError):
                await client.writer.start_tls(ssl.create_default_context(), server_hostname="localhost")
            await until(lambda: bool(fake.closed))
        assert fake.running.ledger.last_n == 1


async def test_a_client_that_leaves_during_the_handshake_leaves_a_trace(certificates: Certificates) -> None:
    async with provider("microsoft365-smtp", **certificates.config) as fake:
        async with raw(fake.port) as client:
            assert (await client.ask("STARTTLS")).startswith("220")
        await until(lambda: bool(fake.closed))


async def test_the_harness_canary_is_marked_and_so_are_the_systems_own_probes() -> None:
    async with provider(system_canaries=["probe@canary.example"]) as fake:
        for account, to in ((CANARY, "c.canary0001@canary.example"), (ROUTE, "probe@canary.example")):
            await aiosmtplib.send(
                message(),
                sender="sender@sender.example",
                recipients=[to],
                hostname="127.0.0.1",
                port=fake.port,
                username=account.username,
                password=account.secret,
            )
        assert [receipt.canary for receipt in fake.records] == ["harness", "system"]
