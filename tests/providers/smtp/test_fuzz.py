"""Whatever bytes come: no crash, no connection left behind, no gap in the journal."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.history.events import Receipt
from harness.providers.ledger import HAND_OFFS
from tests.providers.running import RECIPIENT, Provider, Raw, message, provider, raw
from tests.waiting import until

PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            b"EHLO x\r\n",
            b"MAIL FROM:<sender@sender.example>\r\n",
            b"MAIL FROM:<>\r\n",
            f"RCPT TO:<{RECIPIENT}>\r\n".encode(),
            b"RCPT TO:<\xc3\xbc@customer.example>\r\n",
            b"DATA\r\n",
            message(),
            b".\r\n",
            b"BDAT 5\r\n",
            b"BDAT 0 LAST\r\n",
            b"RSET\r\n",
            b"AUTH PLAIN\r\n",
            b"AUTH LOGIN AAAA\r\n",
            b"AUTH PLAIN /////w==\r\n",
            b"\r\n",
            b"\n",
            b"\x00\r\n",
            b"x" * 70_000,
            b"QUIT\r\n",
        ]
    ),
)


async def play(fake: Provider, pieces: list[bytes], at_once: bool) -> None:
    before = fake.running.ledger.last_n
    reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
    try:
        for piece in [b"".join(pieces)] if at_once else pieces:
            writer.write(piece)
            await writer.drain()
    except ConnectionError:
        pass  # the provider has hung up, which it may
    finally:
        await Raw(reader, writer).close()
    # One more connection, answered: by then the first one has been accepted, and then it has to end.
    async with raw(fake.port) as probe:
        assert (await probe.ask("QUIT")).startswith("221")
    await until(lambda: fake.running.engine.connections() == {"primary": 0})

    records = fake.records[before:]
    receipts = [record for record in records if isinstance(record, Receipt)]
    assert [record.n for record in records] == list(range(before + 1, before + len(records) + 1))
    handed = [receipt for receipt in receipts if receipt.result in HAND_OFFS]
    assert len(handed) <= b"".join(pieces).count(b"RCPT TO:")
    assert len(records) - len(receipts) <= 1  # the connection, if it ended without a goodbye
    assert len(receipts) <= len(pieces)


@pytest.mark.parametrize("at_once", [True, False])
def test_any_bytes(at_once: bool, caplog: pytest.LogCaptureFixture) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        fake = runner.run(stack.enter_async_context(provider()))

        @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(PIECES, max_size=14))
        def run(pieces: list[bytes]) -> None:
            runner.run(play(fake, pieces, at_once))

        with caplog.at_level(logging.WARNING):
            run()
        runner.run(stack.aclose())
        assert [msgspec.json.decode(line)["n"] for line in fake.sink.records] == list(
            range(1, fake.running.ledger.last_n + 1)
        )
    assert [record.getMessage() for record in caplog.records] == []
