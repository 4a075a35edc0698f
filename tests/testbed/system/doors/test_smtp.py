"""The way in by SMTP: what certainly was not taken is refused, what may have been is a doubt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from harness.history.events import Submitted
from harness.providers.tls import make_ca, server_context
from harness.testbed.system.doors.base import DoorError
from harness.testbed.system.doors.smtp import Relay, SmtpDoor
from tests.testbed.system.doors.offering import SENDER, message

HELLO = [b"220 relay", b"250 relay"]
TO_THE_DOT = [*HELLO, b"250 ok", b"250 ok", b"354 go on"]


class Scripted:
    """A server that gives these answers, one for the connection and one for each command or message.

    `None` closes the connection in place of an answer; after the last one it is silent.
    """

    def __init__(self, *sessions: list[bytes | None]) -> None:
        self.sessions = list(sessions)
        self.connections = 0
        self.received: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        answers = self.sessions.pop(0) if self.sessions else []
        in_message = False
        try:
            for position, answer in enumerate(answers):
                if position:
                    line = await reader.readuntil(b"\r\n.\r\n" if in_message else b"\r\n")
                    self.received.append(line)
                if answer is None:
                    return
                in_message = answer.startswith(b"354")
                writer.write(answer + b"\r\n")
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


@asynccontextmanager
async def door(scripted: Scripted, *, keeps: bool = False, timeout_s: float = 1.0) -> AsyncIterator[SmtpDoor]:
    server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    opened = SmtpDoor(Relay("127.0.0.1", port, keeps_connections=keeps), SENDER, timeout_s)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()
        server.close()


@pytest.mark.parametrize(
    ("answers", "result", "code"),
    [
        ([*TO_THE_DOT, b"250 kept"], Submitted.ACCEPTED, 250),
        ([*TO_THE_DOT, b"451 later"], Submitted.REFUSED, 451),
        ([*TO_THE_DOT, b"554 no"], Submitted.REFUSED, 554),
        ([*TO_THE_DOT, None], Submitted.INDETERMINATE, None),
        ([*TO_THE_DOT], Submitted.INDETERMINATE, None),
        ([*TO_THE_DOT, b"nonsense"], Submitted.INDETERMINATE, None),
        ([*TO_THE_DOT, b"354 go on"], Submitted.INDETERMINATE, None),
        ([b"421 busy"], Submitted.REFUSED, 421),
        ([None], Submitted.REFUSED, None),
        ([], Submitted.REFUSED, None),
        ([b"nonsense"], Submitted.REFUSED, None),
        ([*HELLO, b"452 full"], Submitted.REFUSED, 452),
        ([*HELLO, b"250 ok", b"550 nobody"], Submitted.REFUSED, 550),
        ([*HELLO, b"250 ok", b"250 ok", b"451 not now"], Submitted.REFUSED, 451),
        ([*HELLO, b"250 ok", b"250 ok", None], Submitted.REFUSED, None),
        ([*HELLO, b"250 ok", b"250 ok"], Submitted.REFUSED, None),
    ],
)
async def test_the_final_dot_divides_refusals_from_doubts(answers, result, code):
    async with door(Scripted(answers)) as opened:
        answer = await opened.submit(message())
    assert answer.result is result
    if code is not None:
        assert answer.code == code
    if result is not Submitted.ACCEPTED:
        assert answer.text


async def test_a_port_on_which_nobody_listens_is_a_refusal():
    opened = SmtpDoor(Relay("127.0.0.1", 1), SENDER, 1.0)
    assert (await opened.submit(message())).result is Submitted.REFUSED


async def test_a_server_that_dawdles_is_not_waited_for_longer_than_said():
    async with door(Scripted([]), timeout_s=0.3) as opened:
        began = time.monotonic()
        await opened.submit(message())
        assert time.monotonic() - began < 1.5


async def test_each_message_has_a_connection_of_its_own_or_shares_one_that_is_kept():
    session = [*TO_THE_DOT, b"250 kept"]
    one_each = Scripted(session, session)
    async with door(one_each) as opened:
        for _ in range(2):
            assert (await opened.submit(message())).result is Submitted.ACCEPTED
    assert one_each.connections == 2
    kept = Scripted([*TO_THE_DOT, b"250 kept", b"250 ok", b"250 ok", b"354 go on", b"250 kept"])
    async with door(kept, keeps=True) as opened:
        for _ in range(2):
            assert (await opened.submit(message())).result is Submitted.ACCEPTED
    assert kept.connections == 1


@pytest.mark.parametrize("end", [None, b"421 you were idle too long"])
async def test_a_kept_connection_that_was_closed_says_nothing_of_the_system(end):
    session = [*TO_THE_DOT, b"250 kept"]
    server = Scripted([*session, end], session)
    async with door(server, keeps=True) as opened:
        assert (await opened.submit(message())).result is Submitted.ACCEPTED
        assert (await opened.submit(message())).result is Submitted.ACCEPTED
    assert server.connections == 2


async def test_a_line_that_begins_with_a_dot_arrives_as_it_was():
    server = Scripted([*TO_THE_DOT, b"250 kept"])
    async with door(server) as opened:
        await opened.submit(message())
    (sent,) = [each for each in server.received if each.endswith(b"\r\n.\r\n")]
    assert b"\r\n..a line that begins with a dot\r\n" in sent


class Inbox:
    def __init__(self) -> None:
        self.kept: list[Envelope] = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.kept.append(envelope)
        return "250 kept"


@asynccontextmanager
async def real_server(tmp_path: Path) -> AsyncIterator[tuple[Inbox, int, Path]]:
    """STARTTLS with the run's own kind of certificate, and logins of `shop` with `secret`."""
    make_ca(tmp_path, [])
    inbox = Inbox()

    def authenticate(server, session, envelope, mechanism, login) -> AuthResult:
        return AuthResult(success=(login.login, login.password) == (b"shop", b"secret"), handled=False)

    loop = asyncio.get_running_loop()
    tls = server_context(tmp_path / "server.pem", tmp_path / "server.key")
    server = await loop.create_server(
        lambda: SMTP(
            inbox, tls_context=tls, require_starttls=True, auth_required=True, authenticator=authenticate
        ),
        "127.0.0.1",
        0,
    )
    try:
        yield inbox, server.sockets[0].getsockname()[1], tmp_path / "ca.pem"
    finally:
        server.close()


@pytest.mark.parametrize("verifies", [True, False])
async def test_it_logs_in_behind_tls_as_an_application_does(tmp_path: Path, verifies: bool):
    async with real_server(tmp_path) as (inbox, port, ca_path):
        relay = Relay(
            "127.0.0.1", port, "shop", "secret", starttls=True, ca_path=ca_path if verifies else None
        )
        opened = SmtpDoor(relay, SENDER, 5.0)
        await opened.open()
        assert (await opened.submit(message())).result is Submitted.ACCEPTED
        await opened.close()
    assert inbox.kept[0].mail_from == SENDER
    assert inbox.kept[0].rcpt_tos == ["c.tokenaaaaaaaaaaa@customer.example"]


async def test_a_wrong_password_and_a_certificate_nobody_signed_are_refusals(tmp_path: Path):
    async with real_server(tmp_path) as (inbox, port, ca_path):
        wrong = Relay("127.0.0.1", port, "shop", "guess", starttls=True, ca_path=ca_path)
        (tmp_path / "other").mkdir()
        make_ca(tmp_path / "other", [])
        stranger = Relay(
            "127.0.0.1", port, "shop", "secret", starttls=True, ca_path=tmp_path / "other" / "ca.pem"
        )
        for relay in (wrong, stranger):
            opened = SmtpDoor(relay, SENDER, 5.0)
            await opened.open()
            answer = await opened.submit(message())
            assert answer.result is Submitted.REFUSED and answer.text
    assert inbox.kept == []


async def test_certificates_that_are_none_are_told_before_the_first_message(tmp_path: Path):
    (tmp_path / "ca.pem").write_text("not a certificate")
    opened = SmtpDoor(Relay("127.0.0.1", 1, starttls=True, ca_path=tmp_path / "ca.pem"), SENDER, 1.0)
    with pytest.raises(DoorError, match="cannot be used"):
        await opened.open()
