"""The inbox gets a copy of what was accepted, and the provider does not wait for it."""

from __future__ import annotations

import logging
import socket

import pytest

from harness.history.events import ReceiptResult
from harness.providers.wire import ProviderFault
from tests.providers.running import Provider, control_client, message, provider, raw, recipient, token
from tests.waiting import until


async def send(fake: Provider, number: int, to: str | None = None) -> None:
    async with raw(fake.port) as client:
        await client.ask("MAIL FROM:<sender@sender.example>")
        await client.ask(f"RCPT TO:<{to or recipient(number)}>")
        await client.ask("DATA")
        client.send(message(token(number)) + b".\r\n")
        try:
            await client.reply()
        except ConnectionResetError:
            return


async def test_every_copy_a_customer_got_is_in_the_inbox() -> None:
    async with provider() as inbox:
        async with provider(relay=f"127.0.0.1:{inbox.port}") as fake:
            await send(fake, 1)
            fake.running.faults.put(ProviderFault(id="f", type="ack-loss", count=1))
            await send(fake, 2)
            fake.running.faults.delete("f")
            fake.running.faults.put(ProviderFault(id="g", type="refuse", code=550))
            await send(fake, 3)
            fake.running.faults.delete("g")
            await send(fake, 4, "c.canary0001@canary.example")
        # Stopping has sent what was queued.
        accepted = [receipt for receipt in inbox.receipts if receipt.result is ReceiptResult.ACCEPTED]
        assert [receipt.recipient for receipt in accepted] == [recipient(1), recipient(2)]
        assert bytes(inbox.running.pack.content) == message(token(1)) + message(token(2))  # type: ignore[attr-defined]


async def test_an_absent_inbox_fails_the_copy_and_not_the_mail(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with provider(relay=f"127.0.0.1:{unused.getsockname()[1]}") as fake:
            with caplog.at_level(logging.WARNING):
                await send(fake, 1)
                async with control_client(fake) as control:

                    async def counts() -> dict[str, int]:
                        relay: dict[str, int] = (await control.get("/stats")).json()["relay"]
                        return relay

                    await until(lambda: bool(caplog.records))
                    assert await counts() == {"relayed": 0, "failed": 1, "dropped": 0}
            assert fake.receipts[0].result is ReceiptResult.ACCEPTED
