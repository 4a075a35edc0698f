"""The catalogue of faults over SMTP: what the client gets, what is recorded, what becomes of the message."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from harness.history.events import ProviderEvent, ReceiptResult
from harness.providers.errors import FaultRefused
from harness.providers.wire import Account, ProviderFault, RouteListener
from tests.providers.conftest import Certificates
from tests.providers.running import (
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


def put(fake: Provider, kind: str, **attributes: Any) -> None:
    fake.running.faults.put(ProviderFault(id="f1", type=kind, **attributes))


async def up_to(client: Raw, stage: str) -> None:
    """Everything before this stage, answered as usual."""
    for each, line in (("mail", MAIL), ("rcpt", RCPT), ("data", "DATA")):
        if each == stage:
            return
        assert (await client.ask(line))[:1] in "23"


async def send(client: Raw, number: int = 0, class_: str = "transactional", to: str | None = None) -> str:
    """One message; the answer after the dot, or the first refusal."""
    for line in (MAIL, f"RCPT TO:<{to or recipient(number)}>", "DATA"):
        answer = await client.ask(line)
        if answer[0] not in "23":
            await client.ask("RSET")
            return answer
    return await client.ask(message(token(number), class_) + b".\r\n")


NEXT = {"mail": MAIL, "rcpt": RCPT, "data": "DATA", "body": message() + b".\r\n"}


@pytest.mark.parametrize("stage", ["connect", "auth", "mail", "rcpt", "data", "body"])
async def test_a_hang_says_nothing_and_takes_nothing_until_the_client_gives_up(stage: str) -> None:
    async with provider() as fake:
        put(fake, "hang", stage=stage)
        async with raw(fake.port, hello=stage != "connect") as client:
            if stage == "auth":
                client.send(f"AUTH PLAIN {base64.b64encode(b'x').decode()}")
                assert (await client.reply()).startswith("501")  # malformed: nobody's login
                plain = f"\0{ROUTE.username}\0{ROUTE.secret}"
                client.send(f"AUTH PLAIN {base64.b64encode(plain.encode()).decode()}")
            elif stage != "connect":
                await up_to(client, stage)
                client.send(NEXT[stage])
            await until(lambda: any(each.fault == "f1" for each in fake.receipts))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.reader.readline(), 0.2)
            assert fake.running.engine.connections() == {"primary": 1}
        receipt = next(each for each in fake.receipts if each.fault == "f1")
        known = RECIPIENT if stage in ("rcpt", "data", "body") else None
        assert (receipt.result, receipt.recipient, receipt.code) == (ReceiptResult.ABORTED, known, None)
        assert receipt.text == "no answer was given"
        await until(lambda: bool(fake.closed))
        assert fake.closed[0].reason == "fault f1"
        assert fake.running.ledger.handed_off == {}


async def test_a_hang_ends_by_the_engines_own_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.providers.smtp.wire.IDLE_S", 0.3)
    async with provider() as fake:
        put(fake, "hang", stage="mail")
        async with raw(fake.port) as client:
            client.send(MAIL)
            assert await client.reader.read() == b""


@pytest.mark.parametrize("stage", ["connect", "mail", "rcpt", "data", "body"])
async def test_a_disconnect_resets_in_place_of_the_answer(stage: str) -> None:
    async with provider() as fake:
        put(fake, "disconnect", stage=stage)
        client = await Raw.connect(fake.port)
        if stage != "connect":
            await client.reply()
            await client.ask("EHLO client.example")
            await up_to(client, stage)
            client.send(NEXT[stage])
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
            await client.reader.read()
        await client.close()
        await until(lambda: bool(fake.closed))
        (receipt,) = fake.receipts
        assert (receipt.result, receipt.fault) == (ReceiptResult.ABORTED, "f1")
        assert receipt.text == "the connection was reset in place of an answer"
        assert fake.running.ledger.handed_off == {}


async def test_hang_and_disconnect_come_after_the_dot_unless_said_otherwise() -> None:
    async with provider() as fake:
        put(fake, "disconnect")
        async with raw(fake.port) as client:
            await up_to(client, "body")
            client.send(NEXT["body"])
            with pytest.raises(ConnectionResetError):
                await client.reply()
        assert fake.receipts[0].token == TOKEN


async def test_a_slow_acknowledgement_comes_late_and_is_of_a_message_taken_in_time() -> None:
    async with provider() as fake:
        put(fake, "slow-ack", delay_s=0.5, count=1)
        async with raw(fake.port) as client:
            await up_to(client, "body")
            began = asyncio.get_running_loop().time()
            assert (await client.ask(NEXT["body"])).startswith("250 2.0.0 OK")
            assert asyncio.get_running_loop().time() - began >= 0.5
            assert (await send(client, 1)).startswith("250")
        first, second = fake.receipts
        assert (first.result, first.fault) == (ReceiptResult.ACCEPTED, "f1")
        assert (second.result, second.fault) == (ReceiptResult.ACCEPTED, None)
        assert second.begin_ns - first.end_ns >= 0.49e9


async def test_a_client_that_does_not_wait_for_a_slow_acknowledgement_has_handed_over() -> None:
    async with provider() as fake:
        put(fake, "slow-ack", delay_s=60)
        async with raw(fake.port) as client:
            await up_to(client, "body")
            client.send(NEXT["body"])
        await until(lambda: fake.running.engine.connections() == {"primary": 0})
        (receipt,) = fake.receipts
        assert (receipt.result, receipt.fault) == (ReceiptResult.ACK_LOST, "f1")
        assert fake.running.ledger.handed_off == {"primary": 1}


@pytest.mark.parametrize(
    ("answer", "said"), [({"code": 451}, "451 Refused"), ({"named": "busy"}, "451 4.3.2 System busy")]
)
async def test_taken_and_an_error_answered(answer: dict[str, Any], said: str) -> None:
    async with provider() as fake:
        put(fake, "ack-loss", count=1, **answer)
        async with raw(fake.port) as client:
            assert (await send(client)).startswith(said)
            assert (await send(client, 1)).startswith("250")
        first, second = fake.receipts
        assert (first.result, first.code, first.fault) == (ReceiptResult.ACK_LOST, 250, "f1")
        assert (first.body_offset, second.result) == (0, ReceiptResult.ACCEPTED)


async def test_half_of_an_acknowledgement_is_none() -> None:
    async with provider() as fake:
        put(fake, "ack-loss", stage="mid-reply")
        async with raw(fake.port) as client:
            await up_to(client, "body")
            client.send(NEXT["body"])
            said = await client.reader.read()
            assert said.startswith(b"250 2.0.0") and not said.endswith(b"\n")
        assert fake.receipts[0].result is ReceiptResult.ACK_LOST


async def test_an_error_after_the_body_with_nothing_taken_is_a_plain_refusal() -> None:
    async with provider() as fake:
        put(fake, "refuse", code=454, text="Throttling failure: Maximum sending rate exceeded", stage="body")
        async with raw(fake.port) as client:
            assert await send(client) == "454 Throttling failure: Maximum sending rate exceeded"
        assert fake.receipts[0].result is ReceiptResult.DEFERRED
        assert fake.running.ledger.handed_off == {}


async def test_what_is_dropped_in_silence_looks_taken_and_is_told_in_the_journal_alone() -> None:
    async with provider() as fake:
        put(fake, "silent-drop", every=2)
        async with raw(fake.port) as client:
            for number in range(4):
                assert (await send(client, number)).startswith("250")
        assert [each.result.value for each in fake.receipts] == ["accepted"] * 4
        dropped = [record for record in fake.records if isinstance(record, ProviderEvent)]
        assert [(each.event, each.token) for each in dropped] == [
            ("dropped", token(1)),
            ("dropped", token(3)),
        ]


async def test_a_throttle_by_rate_refuses_what_is_too_fast() -> None:
    async with provider() as fake:
        put(fake, "throttle", rate=0.001, burst=3)
        async with raw(fake.port) as client:
            answers = [await send(client, number) for number in range(5)]
        assert [answer[:3] for answer in answers] == ["250"] * 3 + ["450"] * 2
        assert answers[-1] == "450 4.7.1 Error: too much mail from 127.0.0.1"
        assert [each.fault for each in fake.receipts] == [None] * 3 + ["f1"] * 2


async def test_a_quota_counts_recipients_and_lets_through_what_fits() -> None:
    async with provider() as fake:
        put(fake, "throttle", quota=3)
        async with raw(fake.port) as client:
            for line in (MAIL, f"RCPT TO:<{recipient(1)}>", f"RCPT TO:<{recipient(2)}>", "DATA"):
                await client.ask(line)
            assert (await client.ask(message() + b".\r\n")).startswith("250")
            for line in (MAIL, f"RCPT TO:<{recipient(3)}>", f"RCPT TO:<{recipient(4)}>", "DATA"):
                await client.ask(line)
            assert (await client.ask(message() + b".\r\n")).startswith("554 5.2.0")
            assert (await send(client, 5)).startswith("250")
            assert (await send(client, 6)).startswith("554")


async def test_where_the_provider_holds_a_throttle_holds(certificates: Certificates) -> None:
    async with provider("microsoft365-smtp", **certificates.config) as fake, raw(fake.port) as client:
        put(fake, "throttle", rate=4, burst=1)
        await client.start_tls(certificates.client_context())
        await client.ask("EHLO client.example")
        await log_in(client, ROUTE)
        began = asyncio.get_running_loop().time()
        for number in range(3):
            assert (await send(client, number)).startswith("250")
        assert asyncio.get_running_loop().time() - began >= 0.49
        assert {each.result for each in fake.receipts} == {ReceiptResult.ACCEPTED}
        assert [each.fault for each in fake.receipts] == [None, "f1", "f1"]


async def log_in(client: Raw, account: Account, *, secret: str | None = None) -> str:
    await client.ask("AUTH LOGIN " + base64.b64encode(account.username.encode()).decode())
    return await client.ask(base64.b64encode((secret or account.secret).encode()).decode())


ROTATING = Account(
    username="route@sender.example", secret="old-secret", next_secret="new-secret", tenant="contoso"
)
LISTENER = RouteListener(route="primary", account=ROTATING)


async def test_a_rotated_key_opens_and_the_old_one_does_not_from_a_moment_on() -> None:
    async with provider(listeners=[LISTENER]) as fake:

        async def try_(secret: str) -> str:
            async with raw(fake.port) as client:
                return (await log_in(client, ROTATING, secret=secret))[:3]

        assert [await try_("old-secret"), await try_("new-secret")] == ["235", "535"]
        put(fake, "key-rotated")
        assert [await try_("old-secret"), await try_("new-secret")] == ["535", "235"]
        refused = [each for each in fake.receipts if each.code == 535]
        assert [each.fault for each in refused] == [None, "f1"]
        fake.running.faults.delete("f1")
        assert await try_("old-secret") == "235"


async def test_a_session_that_was_open_survives_the_rotation() -> None:
    async with provider(listeners=[LISTENER]) as fake, raw(fake.port) as client:
        assert (await log_in(client, ROTATING)).startswith("235")
        put(fake, "key-rotated")
        assert (await send(client)).startswith("250")


async def test_one_tenants_trouble_is_not_the_others() -> None:
    other = Account(username="other@fabrikam.example", secret="s", tenant="fabrikam")
    listeners = [LISTENER, RouteListener(route="second", account=other)]
    async with provider(listeners=listeners) as fake:
        put(fake, "refuse", code=451, stage="mail", tenant="contoso")
        ports = [bound.port for bound in fake.running.ready.listeners]
        for port, account, code in zip(ports, (ROTATING, other), ("451", "250"), strict=True):
            async with raw(port) as client:
                assert (await log_in(client, account)).startswith("235")
                assert (await send(client)).startswith(code)
        assert [each.tenant for each in fake.receipts] == ["contoso", "fabrikam"]
        assert {each.account for each in fake.receipts} == {ROTATING.username, other.username}


async def test_a_recipient_pattern_hits_its_recipients_alone() -> None:
    async with provider() as fake:
        put(fake, "refuse", named="mailbox-unavailable", recipient="*@example.net")
        async with raw(fake.port) as client:
            assert (await send(client, 1, to=f"c.{token(1)}@example.net")).startswith("550")
            assert (await send(client, 2)).startswith("250")
        put(fake, "ack-loss", code=451, recipient="*@example.net")
        async with raw(fake.port) as client:
            assert (await send(client, 3, to=f"c.{token(3)}@example.net")).startswith("451")
            assert (await send(client, 4)).startswith("250")


async def test_a_message_is_hit_whole_if_any_of_its_recipients_is_the_one() -> None:
    async with provider() as fake:
        put(fake, "ack-loss", code=451, recipient="*@example.net")
        async with raw(fake.port) as client:
            for line in (MAIL, RCPT, f"RCPT TO:<c.{token(1)}@example.net>", "DATA"):
                assert (await client.ask(line))[:1] in "23"
            assert (await client.ask(message() + b".\r\n")).startswith("451")
        assert [(each.result, each.fault) for each in fake.receipts] == [(ReceiptResult.ACK_LOST, "f1")] * 2
        assert fake.running.faults.list()[0].acted == 1


async def test_a_class_can_be_throttled_alone() -> None:
    async with provider() as fake:
        put(fake, "throttle", quota=0, class_="marketing")
        async with raw(fake.port) as client:
            assert (await send(client, 1, "marketing")).startswith("554")
            assert (await send(client, 2, "transactional")).startswith("250")


async def test_an_answer_about_passwords_does_not_meet_a_token(certificates: Certificates) -> None:
    async with provider("microsoft365-smtp", **certificates.config) as fake:
        put(fake, "refuse", named="basic-auth-retired")
        token_ = base64.b64encode(f"user={ROUTE.username}\x01auth=Bearer {ROUTE.secret}\x01\x01".encode())
        async with raw(fake.port) as client:
            await client.start_tls(certificates.client_context())
            await client.ask("EHLO client.example")
            assert (await log_in(client, ROUTE)).startswith(
                "550 5.7.30 Basic authentication is not supported"
            )
            assert (await client.ask(b"AUTH XOAUTH2 " + token_ + b"\r\n")).startswith("235")


@pytest.mark.parametrize(
    ("kind", "attributes", "complaint"),
    [
        ("bounce", {}, "tells nobody what became of a message"),
        ("events-lost", {}, "tells nobody what became of a message"),
        ("hang", {"code": 451}, "hang has no use for code"),
        ("hang", {"stage": "ack"}, "none of connect, auth"),
        ("hang", {"stage": "connect", "tenant": "x"}, "no tenant is known"),
        ("hang", {"stage": "mail", "recipient": "*"}, "use stage rcpt"),
        ("slow-ack", {}, "needs delay_s"),
        ("throttle", {}, "needs a rate"),
        ("throttle", {"rate": 1, "retry_after_s": 3}, "no use for retry_after_s"),
        ("key-rotated", {"class_": "marketing"}, "before there is a message"),
        ("certificate", {"named": "expired"}, "shows no certificate"),
        ("refuse", {"code": 451, "endpoint": "token"}, "no endpoint 'token'"),
        ("melt", {}, "cannot play 'melt'; it can: ack-loss, certificate"),
    ],
)
async def test_what_a_fault_cannot_be_is_said(kind: str, attributes: dict[str, Any], complaint: str) -> None:
    async with provider() as fake:
        with pytest.raises(FaultRefused, match=complaint):
            put(fake, kind, **attributes)


@pytest.mark.parametrize("type_", ["hang", "disconnect"])
async def test_the_other_recipients_of_a_cut_attempt_are_aborted_once_each(type_: str) -> None:
    async with provider() as fake:
        put(fake, type_, stage="rcpt", nth=2)
        async with raw(fake.port) as client:
            await client.ask(MAIL)
            await client.ask(f"RCPT TO:<{recipient(1)}>")
            client.send(f"RCPT TO:<{recipient(2)}>")
            await until(lambda: bool(fake.receipts))
        await until(lambda: len(fake.receipts) == 2)
        assert [(each.token, each.fault) for each in fake.receipts] == [(token(2), "f1"), (token(1), None)]
        assert {each.result for each in fake.receipts} == {ReceiptResult.ABORTED}
