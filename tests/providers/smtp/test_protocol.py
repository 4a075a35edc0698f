"""The corners of the protocol: arguments, chunks, long lines, odd orders, half-closed connections."""

from __future__ import annotations

import asyncio
import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history.events import ReceiptResult
from harness.providers.smtp.paths import BadAddress, BadSyntax, parse_path
from tests.providers.running import RECIPIENT, ROUTE, TOKEN, Raw, message, provider, raw

MAIL = "MAIL FROM:<sender@sender.example>"
RCPT = f"RCPT TO:<{RECIPIENT}>"


@pytest.mark.parametrize(
    ("argument", "keyword", "address"),
    [
        ("FROM:<a@b.example>", "FROM", "a@b.example"),
        ("from: <a@b.example> SIZE=10 BODY=8BITMIME", "FROM", "a@b.example"),
        ("FROM:a@b.example", "FROM", "a@b.example"),
        ("FROM:<>", "FROM", ""),
        ("TO:<@relay.example:a@b.example>", "TO", "a@b.example"),
        ('TO:<"odd > local"@b.example>', "TO", '"odd > local"@b.example'),
        ("TO:<Postmaster>", "TO", "Postmaster"),
        ("TO:<a@b.example> NOTIFY=NEVER ORCPT=rfc822;a@b.example", "TO", "a@b.example"),
    ],
)
def test_addresses_that_are_taken(argument: str, keyword: str, address: str) -> None:
    assert parse_path(argument, keyword).address == address


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        ("<a@b.example>", BadSyntax),
        ("TO:<a@b.example>", BadSyntax),
        ("FROM:<a@b.example", BadAddress),
        ("FROM:<@b.example>", BadAddress),
        ("FROM:<a@>", BadAddress),
        ("FROM:<nobody>", BadAddress),
        ("FROM:", BadAddress),
        ("FROM:<a@b.example> =10", BadSyntax),
    ],
)
def test_addresses_that_are_not(argument: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_path(argument, "FROM")


@given(st.text(max_size=120))
def test_an_argument_is_parsed_or_refused(argument: str) -> None:
    for candidate in (argument, f"FROM:{argument}", f"FROM:<{argument}>"):
        try:
            parse_path(candidate, "FROM")
        except (BadAddress, BadSyntax):
            continue


async def test_a_message_in_chunks_is_the_message() -> None:
    body = message(text="a line\r\n.\r\n..with dots")
    async with provider() as fake, raw(fake.port) as client:
        assert "CHUNKING" in await client.ask("EHLO client.example")
        client.send("\r\n".join([MAIL, RCPT, "BDAT 20", ""]).encode() + body[:20])
        assert [(await client.reply())[:3] for _ in range(3)] == ["250"] * 3
        assert (await client.ask(f"BDAT {len(body) - 20}\r\n".encode() + body[20:])).startswith("250")
        assert (await client.ask("BDAT 0 LAST")).startswith("250 2.0.0 OK queued")
        (receipt,) = fake.receipts
        assert (receipt.token, receipt.body_bytes) == (TOKEN, len(body))
        assert bytes(fake.running.pack.content) == body  # type: ignore[attr-defined]


async def test_a_chunk_that_nobody_asked_for_is_read_past() -> None:
    async with provider() as fake, raw(fake.port) as client:
        client.send(b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
        assert (await client.reply()).startswith("503")
        assert (await client.reply()).startswith("250")
        assert (await client.ask("BDAT x")).startswith("501")


async def test_chunks_and_data_do_not_mix() -> None:
    async with provider() as fake, raw(fake.port) as client:
        for line in (MAIL, RCPT):
            await client.ask(line)
        assert (await client.ask(b"BDAT 3\r\nabc")).startswith("250")
        assert (await client.ask("DATA")).startswith("503")
        assert (await client.ask(RCPT)).startswith("503")


async def test_pipelined_chunks_are_answered_one_by_one() -> None:
    body = message()
    async with provider() as fake, raw(fake.port) as client:
        lines = [MAIL.encode(), RCPT.encode(), b"BDAT 10", body[:10] + b"BDAT %d LAST" % (len(body) - 10)]
        client.send(b"\r\n".join(lines) + b"\r\n" + body[10:] + b"NOOP\r\n")
        assert [(await client.reply())[:3] for _ in range(5)] == ["250"] * 5
        assert bytes(fake.running.pack.content) == body  # type: ignore[attr-defined]


async def test_chunks_behind_a_refused_envelope_are_read_past_and_refused_in_order() -> None:
    async with provider() as fake, raw(fake.port) as client:
        client.send(
            f"{MAIL} SIZE=99999999\r\n{RCPT}\r\nBDAT 6\r\nQUIT\r\nBDAT 2 LAST\r\n".encode() + b"\r\nNOOP\r\n"
        )
        codes = [(await client.reply())[:3] for _ in range(5)]
        assert codes == ["552", "503", "503", "503", "250"]
        assert len(fake.receipts) == 1


async def test_a_chunk_after_a_message_belongs_to_none() -> None:
    async with provider() as fake, raw(fake.port) as client:
        for line in (MAIL, RCPT, "DATA"):
            await client.ask(line)
        assert (await client.ask(message() + b".\r\n")).startswith("250")
        assert (await client.ask(b"BDAT 3 LAST\r\nabc")).startswith("503")
        assert len(fake.receipts) == 1


async def test_chunks_that_are_too_many_are_refused_once() -> None:
    async with provider(limits={"message_bytes": 1000}) as fake, raw(fake.port) as client:
        for line in (MAIL, RCPT):
            await client.ask(line)
        assert (await client.ask(b"BDAT 600\r\n" + b"x" * 600)).startswith("250")
        assert (await client.ask(b"BDAT 401\r\n" + b"x" * 401)).startswith("552")
        assert (await client.ask(b"BDAT 5 LAST\r\n" + b"x" * 5)).startswith("503")
        assert [each.code for each in fake.receipts] == [552]


async def test_nobody_offers_what_is_not_there() -> None:
    async with provider() as fake, raw(fake.port) as client:
        offers = await client.ask("EHLO client.example")
        assert "STARTTLS" not in offers and "BINARYMIME" not in offers
        assert (await client.ask("STARTTLS")).startswith("500")


async def test_lines_of_any_length_in_the_body_and_too_long_ones_outside() -> None:
    body = message(text="." + "x" * 300_000)
    async with provider() as fake, raw(fake.port) as client:
        assert (await client.ask("NOOP " + "y" * 200_000)).startswith("500")
        for line in (MAIL, RCPT, "DATA"):
            await client.ask(line)
        assert (await client.ask(body.replace(b"\r\n.x", b"\r\n..x") + b".\r\n")).startswith("250")
        assert bytes(fake.running.pack.content) == body  # type: ignore[attr-defined]


async def test_a_bare_newline_ends_no_message() -> None:
    async with provider() as fake, raw(fake.port) as client:
        for line in (MAIL, RCPT, "DATA"):
            await client.ask(line)
        smuggled = b"first\r\n\n.\nMAIL FROM:<evil@sender.example>\r\n.\r\n"
        assert (await client.ask(smuggled)).startswith("250")
        assert len(fake.receipts) == 1


async def test_the_order_of_commands_is_kept() -> None:
    async with provider() as fake, raw(fake.port, hello=False) as client:
        await client.reply()
        for line in (MAIL, RCPT, "DATA", "AUTH PLAIN"):
            assert (await client.ask(line)).startswith("503"), line
        assert (await client.ask("HELO")).startswith("501")
        assert (await client.ask("HELO client.example")).startswith("250 smtp.provider.example")
        assert (await client.ask("STARTTLS")).startswith("500")
        assert (await client.ask("TURN")).startswith("500")
        assert (await client.ask(MAIL + " SMTPUTF9")).startswith("555")
        assert (await client.ask(MAIL + " SIZE=x")).startswith("501")
        assert (await client.ask(MAIL)).startswith("250")
        assert (await client.ask(MAIL)).startswith("503")
        assert (await client.ask("DATA")).startswith("554")
        assert (await client.ask("VRFY x")).startswith("252")
        assert (await client.ask("HELP")).startswith("214")


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (f"\0{ROUTE.username}\0{ROUTE.secret}", "235"),
        (f"\0{ROUTE.username}\0wrong", "535"),
        ("not three parts", "501"),
    ],
)
async def test_plain_logins(response: str, code: str) -> None:
    encoded = base64.b64encode(response.encode()).decode()
    async with provider() as fake:
        async with raw(fake.port) as client:
            assert (await client.ask(f"AUTH PLAIN {encoded}")).startswith(code)
        async with raw(fake.port) as client:
            assert await client.ask("AUTH PLAIN") == "334 "
            assert (await client.ask(encoded)).startswith(code)


async def test_a_login_that_goes_nowhere_is_an_attempt_refused() -> None:
    async with provider() as fake, raw(fake.port) as client:
        await client.ask("AUTH LOGIN")
        assert (await client.ask("*")).startswith("501")
        await client.ask("AUTH LOGIN")
        assert (await client.ask("!!!")).startswith("501")
        assert (await client.ask("AUTH CRAM-MD5")).startswith("504")
        assert [receipt.result for receipt in fake.receipts] == [ReceiptResult.REFUSED] * 3


async def test_without_a_login_the_rejecting_twin_takes_no_mail_either() -> None:
    async with provider() as fake, raw(fake.rejecting_port) as client:
        assert (await client.ask(MAIL)).startswith("530")


async def test_an_idle_client_is_told_and_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.providers.smtp.wire.IDLE_S", 0.3)
    async with provider() as fake, raw(fake.port) as client:
        begun = asyncio.get_running_loop().time()
        for _ in range(4):
            await asyncio.sleep(0.1)
            assert (await client.ask("NOOP")).startswith("250")
        assert (await client.reply()).startswith("421 4.4.2")
        assert asyncio.get_running_loop().time() - begun > 0.65
        (closed,) = await fake.until_records(1)
        assert closed.reason == "idle"


@pytest.mark.parametrize("half", [True, False])
async def test_a_message_that_has_arrived_counts_though_its_client_is_gone(half: bool) -> None:
    async with provider() as fake:
        client = await Raw.connect(fake.port)
        lines = ["EHLO x", MAIL, RCPT, f"BDAT {len(message())} LAST", ""]
        client.send("\r\n".join(lines).encode() + message())
        if half:
            client.writer.write_eof()
        else:
            client.writer.close()
        receipt, closed = await fake.until_records(2)
        assert receipt.result in (ReceiptResult.ACK_LOST, ReceiptResult.ACCEPTED)
        assert (receipt.token, closed.connections) == (TOKEN, [receipt.connection])
        await client.close()
