"""Commands in any order, under any fault: what the client was told and what is recorded agree to the message.

The client believes the replies and nothing else: a recipient counts once it was answered 250, a message once
its end was. The journal must hold exactly that, one receipt for each such recipient.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import AsyncExitStack

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.history.events import Receipt, ReceiptResult
from harness.providers.wire import ProviderFault
from tests.providers.running import Provider, Raw, message, provider, recipient
from tests.waiting import until

BODIES = st.one_of(
    st.just(message()),
    st.binary(max_size=300).map(lambda some: b"Subject: x\r\n\r\n" + some.replace(b"\r\n.", b"") + b"\r\n"),
    st.sampled_from(
        [
            b"",
            b"no header at all",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nunfinished",
            b"X-Harness-Token: \xff\xfe\r\nX-Harness-Class: \x00\r\n\r\n\x00\x00\r\n",
            b"Subject: " + b"y" * 200_000 + b"\r\n\r\n",
            b"\n.\n\r.\r\r\n\n",
        ]
    ).map(lambda body: body + b"\r\n"),
)
STEPS = st.one_of(
    st.tuples(st.just("EHLO x"), st.none()),
    st.tuples(st.just("MAIL FROM:<s@sender.example>"), st.none()),
    st.tuples(st.integers(0, 9).map(lambda number: f"RCPT TO:<{recipient(number)}>"), st.none()),
    st.tuples(st.just("DATA"), BODIES),
    st.tuples(st.sampled_from(["BDAT", "BDAT LAST"]), BODIES),
    st.tuples(
        st.sampled_from(["RSET", "NOOP", "HELO x", "VRFY x", "STARTTLS", "AUTH PLAIN AAAA"]), st.none()
    ),
    st.tuples(st.sampled_from(["RCPT TO:<", "MAIL FROM:<s@s> SIZE=x", "DATA now", "\0", ""]), st.none()),
)
RECIPIENTS = st.integers(0, 9).map(lambda number: (f"RCPT TO:<{recipient(number)}>", None))
MESSAGES = st.tuples(
    st.lists(RECIPIENTS, min_size=1, max_size=4), st.sampled_from(["DATA", "BDAT LAST"]), BODIES
).map(lambda parts: [("MAIL FROM:<s@sender.example>", None), *parts[0], (parts[1], parts[2])])
COMMANDS = st.lists(st.one_of(MESSAGES, STEPS.map(lambda step: [step])), max_size=10).map(
    lambda fragments: [step for fragment in fragments for step in fragment]
)
KINDS = st.one_of(
    st.builds(
        lambda code, stage: {"type": "refuse", "code": code, "stage": stage},
        st.sampled_from([451, 550]),
        st.sampled_from(["mail", "rcpt", "data", "body"]),
    ),
    st.sampled_from(
        [
            {"type": "ack-loss", "code": 451},
            {"type": "silent-drop"},
            {"type": "throttle", "quota": 3},
            {"type": "throttle", "rate": 0.01, "burst": 2},
            {"type": "slow-ack", "delay_s": 0.001},
        ]
    ),
)
FAULTS = st.one_of(st.none(), st.tuples(KINDS, st.integers(1, 3)))


class Believer:
    """A client that keeps count of what it was told."""

    def __init__(self, client: Raw) -> None:
        self._client = client
        self._recipients: list[str] | None = None  # those answered 250; None: no message is under way
        self.handed_over: Counter[str] = Counter()

    async def step(self, command: str, body: bytes | None) -> None:
        if command.startswith("BDAT"):
            assert body is not None
            last = " LAST" if command.endswith("LAST") else ""
            reply = await self._client.ask(f"BDAT {len(body)}{last}\r\n".encode() + body)
            if last:
                self._end(reply)
            return
        reply = await self._client.ask(command)
        if reply.startswith("354"):
            assert body is not None
            self._end(await self._client.ask(body.replace(b"\r\n.", b"\r\n..") + b".\r\n"))
        elif command.startswith("MAIL") and reply.startswith("250"):
            self._recipients = []
        elif command.startswith("RCPT") and reply.startswith("250"):
            assert self._recipients is not None, "a recipient of nothing was taken"
            self._recipients.append(command[9:-1])
        elif command.split(" ")[0] in ("RSET", "EHLO", "HELO") and reply.startswith("250"):
            self._recipients = None

    def _end(self, reply: str) -> None:
        if reply.startswith("250"):
            assert self._recipients, "a message for nobody was taken"
            self.handed_over.update(self._recipients)
            self._recipients = None


async def play(
    fake: Provider, steps: list[tuple[str, bytes | None]], fault: tuple[dict[str, object], int] | None
) -> None:
    before = fake.running.ledger.last_n
    if fault is not None:
        kind, every = fault
        fake.running.faults.put(ProviderFault(id="f", every=every, **kind))  # type: ignore[arg-type]
    client = await Raw.connect(fake.port)
    await client.reply()
    believer = Believer(client)
    for command, body in steps:
        await believer.step(command, body)
    assert (await client.ask("QUIT")).startswith("221")
    await client.close()
    fake.running.faults.delete("f")
    await until(lambda: fake.running.engine.connections() == {"primary": 0})
    receipts = [each for each in fake.records[before:] if isinstance(each, Receipt)]
    accepted = Counter(str(each.recipient) for each in receipts if each.result is ReceiptResult.ACCEPTED)
    assert accepted == believer.handed_over
    for attempt in {each.attempt for each in receipts}:
        of_attempt = [each for each in receipts if each.attempt == attempt]
        assert len({each.body_sha256 for each in of_attempt if each.result is ReceiptResult.ACCEPTED}) <= 1
    lost = [each for each in receipts if each.result is ReceiptResult.ACK_LOST]
    assert not lost or (fault is not None and fault[0]["type"] == "ack-loss")


def test_any_order_of_commands_under_any_fault(caplog: pytest.LogCaptureFixture) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        fake = runner.run(stack.enter_async_context(provider()))

        @settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
        @given(COMMANDS, FAULTS)
        def run(steps: list[tuple[str, bytes | None]], fault: tuple[dict[str, object], int] | None) -> None:
            runner.run(play(fake, [("EHLO x", None), *steps], fault))

        with caplog.at_level(logging.WARNING):
            run()
        runner.run(stack.aclose())
        assert [each.n for each in fake.records] == list(range(1, len(fake.records) + 1))
    assert [record.getMessage() for record in caplog.records] == []


SESSION = "\r\n".join(
    [
        "EHLO x",
        "RCPT TO:<early@customer.example>",
        "MAIL FROM:<s@sender.example>",
        f"RCPT TO:<{recipient(1)}>",
        "DATA",
        message().decode() + "..\r\n.",
        "MAIL FROM:<s@sender.example>",
        f"RCPT TO:<{recipient(2)}>",
        "BDAT 7 LAST",
        "chunk\r\nNOOP",
        "QUIT",
        "",
    ]
).encode()


def test_however_the_bytes_come_the_replies_are_the_same() -> None:
    """A byte at a time, all at once, or cut anywhere: within a line's end, the final dot, a chunk."""

    async def talk(fake: Provider, cuts: list[int]) -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", fake.port)
        for begin, end in zip([0, *cuts], [*cuts, len(SESSION)], strict=True):
            writer.write(SESSION[begin:end])
            await asyncio.sleep(0)
        replies = (await asyncio.wait_for(reader.read(), 20)).splitlines()
        writer.close()
        return [reply[:9] for reply in replies]

    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        fake = runner.run(stack.enter_async_context(provider()))
        whole = runner.run(talk(fake, []))
        assert [reply[:3] for reply in whole if reply[3:4] == b" "][1:] == (
            [b"250", b"503", b"250", b"250", b"354", b"250", b"250", b"250", b"250", b"250", b"221"]
        )

        @settings(max_examples=60, deadline=None)
        @given(st.lists(st.integers(0, len(SESSION)), max_size=40).map(sorted))
        def run(cuts: list[int]) -> None:
            assert runner.run(talk(fake, cuts)) == whole

        run()
        assert runner.run(talk(fake, list(range(len(SESSION))))) == whole
        runner.run(stack.aclose())
