"""The mail server behind an MX record: anybody's mail, no login, and the ways mail queues or vanishes."""

from __future__ import annotations

import re

import aiosmtplib
import pytest

from harness.history.events import ProviderEvent, ReceiptResult
from harness.providers import presets
from harness.providers.errors import FaultRefused
from harness.providers.wire import Account, ProviderFault, RouteListener
from harness.testbed.address import RouteAddress
from harness.testbed.canary import Canary, Saw
from tests.providers.conftest import Certificates
from tests.providers.running import RECIPIENT, Raw, message, provider, raw, recipient

NOBODY = Account(username="", secret="")
MX = [RouteListener(route="mx10", account=NOBODY), RouteListener(route="mx20", account=NOBODY)]
TAG = r"\[DB5EUR01FT\d{3}\.eop-EUR01\.prod\.protection\.outlook\.com \S+Z [0-9A-F]{16}\]"


async def deliver(client: Raw, to: str = RECIPIENT) -> str:
    for line in ("MAIL FROM:<someone@elsewhere.example>", f"RCPT TO:<{to}>", "DATA"):
        answer = await client.ask(line)
        if answer[0] not in "23":
            await client.ask("RSET")
            return answer
    return await client.ask(message() + b".\r\n")


async def test_it_looks_like_the_front_door_of_exchange_online(certificates: Certificates) -> None:
    async with provider("inbound-mx", listeners=MX, **certificates.config) as fake:
        async with raw(fake.port, hello=False) as client:
            assert re.fullmatch(
                r"220 DB5EUR01FT\d{3}\.mail\.protection\.outlook\.com Microsoft ESMTP MAIL Service ready "
                r"at .* \[08DE[0-9A-F]{12}\]",
                await client.reply(),
            )
            offers = await client.ask("EHLO client.example")
            assert "STARTTLS" in offers and "AUTH" not in offers
            assert (await client.ask("AUTH LOGIN")).startswith("504")
            assert re.fullmatch(
                r"250 2\.6\.0 <[0-9A-F]{32}@(AM0PR02MB\d{4}\.eurprd02\.prod\.outlook\.com)> "
                r"\[InternalId=\d+, Hostname=\1\] Queued mail for delivery",
                await deliver(client),
            )
        assert [each.account for each in fake.receipts if each.result is ReceiptResult.ACCEPTED] == [""]


async def test_starttls_is_for_those_who_want_it(certificates: Certificates) -> None:
    async with provider("inbound-mx", listeners=MX, **certificates.config) as fake, raw(fake.port) as client:
        await client.start_tls(certificates.client_context())
        assert "STARTTLS" not in await client.ask("EHLO client.example")
        assert (await deliver(client)).startswith("250")


async def test_mail_that_the_first_mx_defers_goes_to_the_second(certificates: Certificates) -> None:
    async with provider("inbound-mx", listeners=MX, **certificates.config) as fake:
        fake.running.faults.put(ProviderFault(id="f", type="refuse", named="server-busy", route="mx10"))
        answers = []
        for bound in fake.running.ready.listeners:
            async with raw(bound.port) as client:
                answers.append(await deliver(client))
        busy = rf"451 4\.7\.500 Server busy\. Please try again later from \[127\.0\.0\.1\]\. \(S77714\) {TAG}"
        assert re.fullmatch(busy, answers[0])
        assert answers[1].startswith("250")
        assert [(each.route, each.result.value) for each in fake.receipts] == [
            ("mx10", "deferred"),
            ("mx20", "accepted"),
        ]


async def test_inbound_mail_can_vanish(certificates: Certificates) -> None:
    async with provider("inbound-mx", listeners=MX, **certificates.config) as fake:
        fake.running.faults.put(ProviderFault(id="f", type="silent-drop", count=1))
        async with raw(fake.port) as client:
            assert (await deliver(client)).startswith("250")
            assert (await deliver(client, recipient(1))).startswith("250")
        lost = [each for each in fake.records if isinstance(each, ProviderEvent)]
        assert [(each.event, each.recipient) for each in lost] == [("dropped", RECIPIENT)]


async def test_the_twin_relays_for_nobody(certificates: Certificates) -> None:
    async with (
        provider("inbound-mx", listeners=MX, **certificates.config) as fake,
        raw(fake.rejecting_port) as client,
    ):
        denied = rf"550 5\.7\.64 TenantAttribution; Relay Access Denied {TAG}"
        assert re.fullmatch(denied, await deliver(client))


async def test_strangers_can_be_greylisted(certificates: Certificates) -> None:
    limits = {"greylist_s": 60}
    async with (
        provider("inbound-mx", listeners=MX, limits=limits, **certificates.config) as fake,
        raw(fake.port) as client,
    ):
        assert (await deliver(client)).startswith("451 4.7.1 Greylisting in action")


async def test_a_client_that_wants_to_log_in_is_told_that_it_cannot(certificates: Certificates) -> None:
    async with provider("inbound-mx", listeners=MX, **certificates.config) as fake:
        with pytest.raises(aiosmtplib.SMTPException, match="AUTH"):
            await aiosmtplib.send(
                message(),
                sender="s@elsewhere.example",
                recipients=[RECIPIENT],
                hostname="localhost",
                port=fake.port,
                start_tls=True,
                tls_context=certificates.client_context(),
                username="u",
                password="p",
            )


async def test_the_canary_needs_no_account(certificates: Certificates) -> None:
    account = presets.load("inbound-mx").credential.account(7, "mx10")
    assert (account.username, account.secret) == ("", "")
    async with provider("inbound-mx", listeners=MX, **certificates.config) as fake:
        address = RouteAddress(route="mx10", scheme="smtp+starttls", host="localhost", port=fake.port)
        assert address.url == f"smtp+starttls://localhost:{fake.port}"
        assert (await Canary(address, account, certificates.ca).send(10)).saw is Saw.OK
        assert [each.canary for each in fake.receipts] == ["harness"]


@pytest.mark.parametrize("fault", [{"type": "key-rotated"}, {"type": "refuse", "code": 535, "stage": "auth"}])
async def test_faults_of_logins_make_no_sense_here(fault: dict[str, str]) -> None:
    with pytest.raises(FaultRefused, match="takes no logins"):
        presets.load("inbound-mx").place_fault(ProviderFault(id="f", **fault))
