"""Amazon SES by SMTP: the session of its developer guide, and throttling that comes after the message."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness.providers.wire import ProviderFault
from tests.providers.conftest import Certificates
from tests.providers.running import ROUTE, Provider, Raw, message, provider, raw, recipient, token


@asynccontextmanager
async def ses(certificates: Certificates, **limits: Any) -> AsyncIterator[tuple[Provider, Raw]]:
    """The provider, and a client that has logged in."""
    async with (
        provider("ses-smtp", limits=limits, **certificates.config) as fake,
        raw(fake.port) as client,
    ):
        await client.start_tls(certificates.client_context())
        await client.ask("EHLO client.example")
        plain = f"\0{ROUTE.username}\0{ROUTE.secret}".encode()
        answer = await client.ask(f"AUTH PLAIN {base64.b64encode(plain).decode()}")
        assert answer == "235 Authentication successful."
        yield fake, client


async def send(client: Raw, number: int) -> str:
    answers = [
        await client.ask(line)
        for line in ("MAIL FROM:<s@sender.example>", f"RCPT TO:<{recipient(number)}>", "DATA")
    ]
    assert answers == ["250 Ok", "250 Ok", "354 End data with <CR><LF>.<CR><LF>"]
    return await client.ask(message(token(number)) + b".\r\n")


async def test_the_session_of_the_developer_guide(certificates: Certificates) -> None:
    async with provider("ses-smtp", **certificates.config) as fake, raw(fake.port, hello=False) as client:
        greeting = r"220 email-smtp\.amazonaws\.com ESMTP SimpleEmailService-d-VCSHDP1YZ [0-9A-F]{12}"
        assert re.fullmatch(greeting, await client.reply())
        offers = (await client.ask("EHLO client.example")).splitlines()
        assert offers == [
            "250-email-smtp.amazonaws.com",
            "250-8BITMIME",
            "250-SIZE 10485760",
            "250-STARTTLS",
            "250 Ok",
        ]
        assert await client.ask("MAIL FROM:<s@sender.example>") == "530 Authentication required"
    async with ses(certificates) as (_, client):
        assert re.fullmatch(r"250 Ok 0100[0-9a-f]{12}(-[0-9a-f]+){5}-000000", await send(client, 1))
        assert await client.ask("QUIT") == "221 Bye"


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"rate": 0.001, "burst": 2}, "454 Throttling failure: Maximum sending rate exceeded"),
        ({"recipients_per_day": 2}, "454 Throttling failure: Daily message quota exceeded"),
    ],
)
async def test_what_exceeds_a_quota_is_refused_after_the_message_and_not_kept(
    certificates: Certificates, limits: dict[str, float], text: str
) -> None:
    async with ses(certificates, **limits) as (fake, client):
        answers = [await send(client, number) for number in range(3)]
        assert [answer[:3] for answer in answers] == ["250", "250", "454"]
        assert answers[-1] == text
        assert [each.result.value for each in fake.receipts] == ["accepted", "accepted", "deferred"]
        assert fake.running.ledger.handed_off == {"primary": 2}


async def test_a_throttle_looks_like_its_own(certificates: Certificates) -> None:
    async with ses(certificates) as (fake, client):
        fake.running.faults.put(ProviderFault(id="f", type="throttle", rate=0.001, burst=1))
        assert (await send(client, 1)).startswith("250")
        assert await send(client, 2) == "454 Throttling failure: Maximum sending rate exceeded"
