"""Microsoft 365 as its clients know it: greeting, offers, logins, texts, limits."""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiosmtplib
import pytest

from harness.providers.presets import microsoft365_smtp
from harness.providers.wire import ProviderFault
from tests.providers.conftest import Certificates
from tests.providers.running import CANARY, RECIPIENT, ROUTE, Provider, Raw, message, provider, raw, recipient

TAG = r"\[TY1PR01CA\d{4}\.jpnprd01\.prod\.outlook\.com \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [0-9A-F]{16}\]"
MAIL = "MAIL FROM:<sender@sender.example>"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@asynccontextmanager
async def m365(certificates: Certificates, **config: Any) -> AsyncIterator[Provider]:
    async with provider("microsoft365-smtp", **certificates.config, **config) as fake:
        yield fake


@asynccontextmanager
async def encrypted(certificates: Certificates, port: int) -> AsyncIterator[Raw]:
    async with raw(port) as client:
        await client.start_tls(certificates.client_context())
        assert (await client.ask("EHLO client.example")).startswith("250")
        yield client


@asynccontextmanager
async def logged_in(
    certificates: Certificates, fake: Provider, **account: str
) -> AsyncIterator[aiosmtplib.SMTP]:
    credentials = {"username": ROUTE.username, "password": ROUTE.secret, **account}
    client = aiosmtplib.SMTP(
        hostname="localhost",
        port=fake.port,
        start_tls=True,
        tls_context=certificates.client_context(),
        timeout=20,
        **credentials,  # type: ignore[arg-type]
    )
    async with client:
        yield client


async def send(client: aiosmtplib.SMTP, to: str = RECIPIENT) -> str:
    _, answer = await client.sendmail("sender@sender.example", [to], message())
    return answer


async def test_greeting_and_offers_before_and_after_starttls(certificates: Certificates) -> None:
    async with m365(certificates) as fake, raw(fake.port, hello=False) as client:
        assert re.fullmatch(
            r"220 TY1PR01CA\d{4}\.outlook\.office365\.com Microsoft ESMTP MAIL Service ready at "
            r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000 \[08DE[0-9A-F]{12}\]",
            await client.reply(),
        )
        before = (await client.ask("EHLO client.example")).splitlines()
        assert re.fullmatch(r"250-TY1PR01CA\d{4}\.outlook\.office365\.com Hello \[127\.0\.0\.1\]", before[0])
        offers = "SIZE 157286400,PIPELINING,DSN,ENHANCEDSTATUSCODES,STARTTLS,"
        offers += "8BITMIME,BINARYMIME,CHUNKING,SMTPUTF8"
        assert [line[4:] for line in before[1:]] == offers.split(",")
        await client.start_tls(certificates.client_context())
        after = [line[4:] for line in (await client.ask("EHLO client.example")).splitlines()]
        assert after[1:] == offers.replace("STARTTLS", "AUTH LOGIN XOAUTH2").split(",")


async def test_mail_without_a_login_is_refused_at_mail(certificates: Certificates) -> None:
    async with m365(certificates) as fake:
        async with raw(fake.port) as client:
            refusal = rf"530 5\.7\.57 Client not authenticated to send mail\. {TAG}"
            assert re.fullmatch(refusal, await client.ask(MAIL))
            assert (await client.ask("AUTH LOGIN")).startswith("504 5.7.4")
        assert [receipt.code for receipt in fake.receipts] == [530, 504]


async def test_login_with_the_exact_challenges(certificates: Certificates) -> None:
    async with m365(certificates) as fake, encrypted(certificates, fake.port) as client:
        assert await client.ask("AUTH LOGIN") == "334 VXNlcm5hbWU6"
        assert await client.ask(b64(ROUTE.username)) == "334 UGFzc3dvcmQ6"
        assert (await client.ask(b64(ROUTE.secret))).startswith("235 2.7.0")
        assert (await client.ask(MAIL)).startswith("250 2.1.0")


@pytest.mark.parametrize("initial", [True, False])
async def test_xoauth2_takes_the_secret_as_the_token(certificates: Certificates, initial: bool) -> None:
    response = b64(f"user={ROUTE.username}\x01auth=Bearer {ROUTE.secret}\x01\x01")
    async with m365(certificates) as fake, encrypted(certificates, fake.port) as client:
        if initial:
            assert (await client.ask(f"AUTH XOAUTH2 {response}")).startswith("235")
        else:
            assert await client.ask("AUTH XOAUTH2") == "334 "
            assert (await client.ask(response)).startswith("235")


async def test_a_long_access_token_fits(certificates: Certificates) -> None:
    response = b64(f"user={ROUTE.username}\x01auth=Bearer {'t' * 9000}\x01\x01")
    async with m365(certificates) as fake, encrypted(certificates, fake.port) as client:
        assert (await client.ask(f"AUTH XOAUTH2 {response}")).startswith("535 5.7.3")


@pytest.mark.parametrize("mechanism", ["LOGIN", "XOAUTH2"])
async def test_a_wrong_secret_is_an_attempt_refused(certificates: Certificates, mechanism: str) -> None:
    async with m365(certificates) as fake:
        async with encrypted(certificates, fake.port) as client:
            if mechanism == "LOGIN":
                await client.ask(f"AUTH LOGIN {b64(ROUTE.username)}")
                answer = await client.ask(b64("wrong"))
            else:
                token = b64(f"user={ROUTE.username}\x01auth=Bearer wrong\x01\x01")
                answer = await client.ask(f"AUTH XOAUTH2 {token}")
            assert re.fullmatch(rf"535 5\.7\.3 Authentication unsuccessful {TAG}", answer)
        (receipt, *_) = fake.records
        assert (receipt.result, receipt.code, receipt.token) == ("refused", 535, None)
        assert (receipt.endpoint, receipt.account) == ("smtp", ROUTE.username)


async def test_the_rejecting_twin_looks_the_same_and_lets_nobody_in(certificates: Certificates) -> None:
    async with m365(certificates) as fake:
        looks = []
        for port in (fake.port, fake.rejecting_port):
            async with raw(port, hello=False) as client:
                greeting = re.sub(r"at .*", "", await client.reply())
                offers = await client.ask("EHLO client.example")
                await client.start_tls(certificates.client_context())
                looks.append((greeting, offers, await client.ask("EHLO client.example")))
        assert looks[0] == looks[1]
        for account in (ROUTE, CANARY):
            async with encrypted(certificates, fake.rejecting_port) as client:
                await client.ask(f"AUTH LOGIN {b64(account.username)}")
                assert (await client.ask(b64(account.secret))).startswith("535 5.7.3")
        assert [receipt.canary for receipt in fake.receipts] == [None, "harness"]


async def test_the_final_answer_carries_id_and_hostname(certificates: Certificates) -> None:
    async with m365(certificates) as fake, logged_in(certificates, fake) as client:
        assert re.fullmatch(
            r"2\.0\.0 OK <[0-9A-F]{32}@(DM4PR18MB\d{4}\.namprd18\.prod\.outlook\.com)> \[Hostname=\1\]",
            await send(client),
        )


async def test_server_ids_come_from_the_seed(certificates: Certificates) -> None:
    answers = []
    for seed in (1, 1, 2):
        async with m365(certificates, seed=seed) as fake, logged_in(certificates, fake) as client:
            answers.append(await send(client))
    assert answers[0] == answers[1] != answers[2]


async def test_named_answers_fill_in_their_fields(certificates: Certificates) -> None:
    async with m365(certificates) as fake:
        fake.running.faults.put(ProviderFault(id="f", type="refuse", named="server-busy"))
        async with logged_in(certificates, fake) as client:
            with pytest.raises(aiosmtplib.SMTPSenderRefused) as refused:
                await send(client)
        busy = r"4\.7\.500 Server busy\. Please try again later from \[127\.0\.0\.1\]\. \(S77714\) "
        assert refused.value.code == 451
        assert re.fullmatch(busy + TAG, refused.value.message)


HOST = r"\[Hostname=DM4PR18MB\d{4}\.namprd18\.prod\.outlook\.com\]"
TEXTS = {
    "auth-unsuccessful": "535 5.7.3 Authentication unsuccessful TAG",
    "auth-disabled-for-tenant": "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is "
    "disabled for the Tenant. Visit https://aka.ms/smtp_auth_disabled for more information. TAG",
    "basic-auth-disabled": "535 5.7.139 Authentication unsuccessful, basic authentication is disabled. TAG",
    "auth-criteria-unmet": "535 5.7.139 Authentication unsuccessful, the request did not meet the criteria "
    "to be authenticated successfully. TAG",
    "auth-credentials-incorrect": "535 5.7.139 Authentication unsuccessful, the user credentials were "
    "incorrect. TAG",
    "basic-auth-retired": "550 5.7.30 Basic authentication is not supported for Client Submission. TAG",
    "auth-temporary-failure": "454 4.7.0 Temporary authentication failure TAG",
    "concurrent-connections": "432 4.3.2 Concurrent connections limit exceeded. "
    "Visit https://aka.ms/concurrent_sending for more information. HOST",
    "sender-thread-limit": "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded HOST",
    "submission-quota": "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException HOST",
    "mailbox-full": "554 5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceededException."
    "MapiExceptionShutoffQuotaExceeded HOST",
    "send-as-denied": "550 5.7.60 SMTP; Client does not have permissions to send as this sender TAG",
    "temporary-server-error": "451 4.3.2 Temporary server error. Please try again later ATTR1/ATTR2 TAG",
    "too-many-connections": "451 4.7.652 The mail server [127.0.0.1] has exceeded the maximum number of "
    "connections. (S3115) TAG",
    "unauthenticated-domain": "550 5.7.515 Access denied, sending domain sender.example does not meet the "
    "required authentication level. The sender's domain in the 5322.From address doesn't meet the "
    "authentication requirements defined for the sender. TAG",
}


@pytest.mark.parametrize("name", TEXTS)
async def test_its_texts_to_the_letter(certificates: Certificates, name: str) -> None:
    async with m365(certificates) as fake:
        fake.running.faults.put(ProviderFault(id="f", type="refuse", named=name))
        async with encrypted(certificates, fake.port) as client:
            await client.ask(f"AUTH LOGIN {b64(ROUTE.username)}")
            answer = await client.ask(b64(ROUTE.secret))
            for line in (MAIL, f"RCPT TO:<{RECIPIENT}>", "DATA", message() + b".\r\n"):
                if answer[0] in "23":
                    answer = await client.ask(line)
            wanted = re.escape(TEXTS[name]).replace("TAG", TAG).replace("HOST", HOST)
            assert re.fullmatch(wanted, answer), answer


async def test_a_text_about_a_message_can_be_given_before_there_is_one(certificates: Certificates) -> None:
    async with m365(certificates) as fake:
        for stage in ("connect", "auth", "mail", "rcpt", "data", "body"):
            fake.running.faults.put(
                ProviderFault(id="f", type="refuse", named="unauthenticated-domain", stage=stage)
            )
            with pytest.raises((aiosmtplib.SMTPResponseException, aiosmtplib.SMTPRecipientsRefused)):
                async with logged_in(certificates, fake) as client:
                    await send(client)
            assert fake.receipts[-1].code == 550


async def test_a_token_that_is_refused_is_refused_at_once(certificates: Certificates) -> None:
    async with m365(certificates) as fake, encrypted(certificates, fake.port) as client:
        assert await client.ask("AUTH XOAUTH2") == "334 "
        answer = await client.ask(b64(f"user={ROUTE.username}\x01auth=Bearer stale\x01\x01"))
        assert re.fullmatch(rf"535 5\.7\.3 Authentication unsuccessful {TAG}", answer)
        assert (await client.ask("NOOP")).startswith("250")


async def test_every_named_answer_comes_over_the_wire(certificates: Certificates) -> None:
    async with m365(certificates) as fake:
        for name, answer in microsoft365_smtp.PRESET.named.items():
            fake.running.faults.put(ProviderFault(id="f", type="refuse", named=name))
            with pytest.raises((aiosmtplib.SMTPResponseException, aiosmtplib.SMTPServerDisconnected)):
                async with logged_in(certificates, fake) as client:
                    await send(client)
            receipt = fake.receipts[-1]
            assert (receipt.code, receipt.fault) == (answer.code, "f")
            assert "{" not in receipt.text
            fake.running.faults.delete("f")


async def test_a_fourth_connection_hears_of_it_after_its_message(certificates: Certificates) -> None:
    async with m365(certificates) as fake:
        async with (
            logged_in(certificates, fake) as first,
            logged_in(certificates, fake),
            logged_in(certificates, fake),
            logged_in(certificates, fake) as fourth,
        ):
            await send(first)
            with pytest.raises(
                aiosmtplib.SMTPDataError, match="Concurrent connections limit exceeded"
            ) as refused:
                await send(fourth, recipient(4))
            assert refused.value.code == 432
            canary = {"username": CANARY.username, "password": CANARY.secret}
            async with logged_in(certificates, fake, **canary) as client:
                await send(client, "c.canary0001@canary.example")
            await first.quit()
            await send(fourth, recipient(4))
        assert [receipt.result.value for receipt in fake.receipts] == [
            "accepted",
            "deferred",
            "accepted",
            "accepted",
        ]


async def test_recipients_a_day_are_refused_for_good(certificates: Certificates) -> None:
    async with m365(certificates, limits={"recipients_per_day": 2}) as fake:
        async with logged_in(certificates, fake) as client:
            await send(client)
            await send(client)
            with pytest.raises(aiosmtplib.SMTPDataError, match="SubmissionQuotaExceededException"):
                await send(client)
        assert [receipt.code for receipt in fake.receipts] == [250, 250, 554]
