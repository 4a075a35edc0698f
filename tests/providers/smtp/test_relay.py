"""The inbox gets a copy of what was accepted, each one, and the provider does not wait for it."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from harness.history.events import Receipt, ReceiptResult
from harness.providers.smtp import relay
from harness.providers.wire import ProviderFault
from tests.ports import free_port
from tests.providers.running import Provider, control_client, message, provider, raw, recipient, token
from tests.waiting import until

LABELS = b"X-Tags: fake\r\nX-Harness-Envelope-To: "


async def send(fake: Provider, number: int, *to: str) -> None:
    async with raw(fake.port) as client:
        await client.ask("MAIL FROM:<sender@sender.example>")
        for each in to or (recipient(number),):
            await client.ask(f"RCPT TO:<{each}>")
        await client.ask("DATA")
        client.send(message(token(number)) + b".\r\n")
        try:
            await client.reply()
        except ConnectionResetError:
            return


async def settle(fake: Provider, within_s: float = 5) -> dict[str, Any]:
    async with control_client(fake) as control:
        answer: dict[str, Any] = (await control.post("/settle", params={"within_s": within_s})).json()
        return answer


def accepted(inbox: Provider) -> list[Receipt]:
    return [receipt for receipt in inbox.receipts if receipt.result is ReceiptResult.ACCEPTED]


def content(inbox: Provider) -> bytes:
    return bytes(inbox.running.pack.content)  # type: ignore[attr-defined]


async def test_every_copy_a_customer_got_is_in_the_inbox() -> None:
    async with provider() as inbox, provider(relay=f"127.0.0.1:{inbox.port}") as fake:
        await send(fake, 1)
        fake.running.faults.put(ProviderFault(id="f", type="ack-loss", count=1))
        await send(fake, 2)
        fake.running.faults.delete("f")
        fake.running.faults.put(ProviderFault(id="g", type="refuse", code=550))
        await send(fake, 3)
        fake.running.faults.delete("g")
        assert (await settle(fake))["settled"]
        assert [receipt.recipient for receipt in accepted(inbox)] == [recipient(1), recipient(2)]


async def test_a_copy_says_who_took_it_and_for_whom_and_the_ledger_does_not_know_of_that() -> None:
    async with provider() as inbox, provider(relay=f"127.0.0.1:{inbox.port}") as fake:
        await send(fake, 1, recipient(1), recipient(2))
        assert (await settle(fake))["settled"]
        both = f"<{recipient(1)}>,\r\n <{recipient(2)}>\r\n".encode()
        assert content(inbox) == LABELS + both + message(token(1))
        assert [receipt.recipient for receipt in accepted(inbox)] == [recipient(1), recipient(2)]
        assert content(fake) == message(token(1))
        assert fake.receipts[0].body_sha256 != accepted(inbox)[0].body_sha256


async def test_probes_are_left_out_and_the_customers_beside_them_are_not() -> None:
    probe = "probe@canary.example"
    async with (
        provider() as inbox,
        provider(relay=f"127.0.0.1:{inbox.port}", system_canaries=[probe]) as fake,
    ):
        await send(fake, 1, "c.canary0001@canary.example")
        await send(fake, 2, probe)
        await send(fake, 3, probe, recipient(3))
        assert (await settle(fake))["relay"] == {
            "offered": 1,
            "relayed": 1,
            "failed": 0,
            "dropped": 0,
            "queued": 0,
        }
        assert [receipt.recipient for receipt in accepted(inbox)] == [recipient(3)]


async def test_an_absent_inbox_holds_up_no_mail_and_gets_it_when_it_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    async with provider(relay=f"127.0.0.1:{port}") as fake:
        with caplog.at_level(logging.WARNING):
            await send(fake, 1)
            await send(fake, 2)
            assert [receipt.result for receipt in fake.receipts] == [ReceiptResult.ACCEPTED] * 2
            found = await settle(fake, 0.3)
        assert not found["settled"]
        assert found["relay"] == {"offered": 2, "relayed": 0, "failed": 0, "dropped": 0, "queued": 2}
        assert "cannot be reached" in caplog.text
        from harness.providers.wire import RouteListener
        from tests.providers.running import ROUTE

        async with provider(listeners=[RouteListener(route="inbox", account=ROUTE, port=port)]) as inbox:
            assert (await settle(fake))["relay"]["relayed"] == 2
            assert len(accepted(inbox)) == 2


async def test_a_connection_that_the_inbox_closed_meanwhile_loses_nothing() -> None:
    async with provider() as inbox, provider(relay=f"127.0.0.1:{inbox.port}") as fake:
        await send(fake, 1)
        await settle(fake)
        for connection in list(inbox.running.engine._open):  # type: ignore[attr-defined]
            connection.stop("gone")
        await send(fake, 2)
        assert (await settle(fake))["relay"]["relayed"] == 2
        assert len(accepted(inbox)) == 2


async def test_a_copy_that_the_inbox_refuses_is_counted_and_the_next_one_goes() -> None:
    async with provider() as inbox, provider(relay=f"127.0.0.1:{inbox.port}") as fake:
        inbox.running.faults.put(ProviderFault(id="f", type="refuse", code=552, count=1))
        await send(fake, 1)
        await until(lambda: len(inbox.receipts) == 1)
        await send(fake, 2)
        assert (await settle(fake))["relay"] == {
            "offered": 2,
            "relayed": 1,
            "failed": 1,
            "dropped": 0,
            "queued": 0,
        }


async def test_a_queue_that_is_full_drops_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(relay, "QUEUE_BYTES", len(message(token(1))))
    monkeypatch.setattr(relay, "DRAIN_S", 0.1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with provider(relay=f"127.0.0.1:{unused.getsockname()[1]}") as fake:
            with caplog.at_level(logging.WARNING):
                await send(fake, 1)
                await send(fake, 2)
                found = await settle(fake, 0.05)
            assert (found["relay"]["queued"], found["relay"]["dropped"]) == (1, 1)
            assert "a copy is left out" in caplog.text
        assert "did not take 1 copies by the end" in caplog.text
