"""Mailpit beside the ledger: what a provider took is in the inbox, as often, and nothing else is."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiosmtplib
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history.events import AnyEvent, HarnessWarning, WitnessCompared
from harness.history.journal import Journal
from harness.providers.smtp import relay
from harness.providers.wire import ProviderConfig, ProviderFault
from harness.testbed import witness
from harness.testbed.local.inbox import LocalInbox
from harness.testbed.provider.link import ProviderLink
from harness.testbed.resources import ResourceLedger
from harness.testbed.witness import Witness, compare
from tests.providers.running import CANARY, Provider, message, provider, recipient, token
from tests.requires import require_tool

PROBE = "probe@canary.example"


@dataclass
class Stand:
    """A fake that relays into a real Mailpit, and the harness's end of it."""

    fake: Provider
    inbox: LocalInbox
    link: ProviderLink
    journal: Journal

    async def send(self, number: int, *to: str, header_to: str = "") -> None:
        content = message(token(number))
        if header_to:
            content = content.replace(b"someone@customer.example", header_to.encode())
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=self.fake.port, start_tls=False) as client:
            try:
                await client.sendmail("sender@sender.example", list(to) or [recipient(number)], content)
            except aiosmtplib.SMTPServerDisconnected:
                return

    async def testify(self) -> list[WitnessCompared | HarnessWarning]:
        await self.link.finish()
        await Witness(self.inbox, self.journal).testify([self.link])
        events = [
            msgspec.json.decode(line, type=AnyEvent) for line in self.journal.path.read_bytes().splitlines()
        ]
        return [event for event in events if isinstance(event, WitnessCompared | HarnessWarning)]


@pytest.fixture
async def stand(tmp_path: Path) -> AsyncIterator[Stand]:
    async with standing(tmp_path) as stand:
        yield stand


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[Stand]:
    require_tool("mailpit")
    started_ns = time.monotonic_ns()
    journal = Journal(folder / "history.jsonl", "run", lambda: time.monotonic_ns() - started_ns)
    ledger = ResourceLedger(folder, uuid.uuid4().hex)
    inbox = LocalInbox(folder, ledger)
    address = await inbox.start()
    try:
        async with provider(relay=address, system_canaries=[PROBE]) as fake:
            config = ProviderConfig(
                name="fake", preset="smtp", listeners=[], canary_account=CANARY, relay=address
            )
            link = ProviderLink(config, journal)
            link.connect_to("127.0.0.1", fake.running.ready.control_port)
            await link.calibrate("start")
            link.follow()
            try:
                yield Stand(fake, inbox, link, journal)
            finally:
                await link.disconnect()
    finally:
        await inbox.stop()
        journal.close()
        ledger.close()


async def test_every_message_that_was_taken_is_in_the_inbox(stand: Stand) -> None:
    await stand.send(1)
    await stand.send(2)
    await stand.send(2)  # twice, with one Message-ID at most: two copies
    await stand.send(3, recipient(3), recipient(4))
    await stand.send(5, recipient(5), header_to=f"{recipient(5)}, {recipient(6)}")  # named, and not sent to
    await stand.send(7, "ann@customer.example", header_to="ann@customer.example")  # of a pool: by its header
    await stand.send(8, PROBE)
    stand.fake.running.faults.put(ProviderFault(id="f", type="ack-loss"))
    await stand.send(9)
    stand.fake.running.faults.put(ProviderFault(id="f", type="refuse", code=550))
    with pytest.raises(aiosmtplib.SMTPSenderRefused):
        await stand.send(10)
    (compared,) = await stand.testify()
    assert isinstance(compared, WitnessCompared)
    assert (compared.provider, compared.taken, compared.held, compared.surplus) == ("fake", 8, 8, 0)


async def test_a_list_of_many_pages_is_read_to_its_end(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "PAGE", 3)
    for number in range(10):
        await stand.send(number)
    (compared,) = await stand.testify()
    assert isinstance(compared, WitnessCompared) and (compared.held, compared.surplus) == (10, 0)


async def test_a_message_that_never_reached_the_inbox_is_missed(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.send(1)
    monkeypatch.setattr(relay, "QUEUE_BYTES", 0)
    await stand.send(2)
    compared, warning = await stand.testify()
    assert isinstance(compared, WitnessCompared) and (compared.taken, compared.held) == (2, 1)
    assert isinstance(warning, HarnessWarning)
    assert (warning.warning, warning.subject) == ("witness-disagrees", "fake")
    assert warning.detail == (
        f"Mailpit holds 1 of the 2 messages that fake took; missing are {token(2)} to {recipient(2)}; "
        "of the copies on their way to it 1 dropped"
    )


async def test_a_copy_too_many_and_mail_of_nobody_are_told(stand: Stand) -> None:
    await stand.send(1)
    copy = b"X-Tags: fake\r\nX-Harness-Envelope-To: <%s>\r\n" % recipient(1).encode() + message(token(1))
    host, _, port = (stand.link.config.relay or "").rpartition(":")
    async with aiosmtplib.SMTP(hostname=host, port=int(port), start_tls=False) as client:
        await client.sendmail("sender@sender.example", [recipient(1)], copy)
        await client.sendmail("sender@sender.example", ["stranger@customer.example"], message(token(9)))
    compared, surplus, stranger = await stand.testify()
    assert isinstance(compared, WitnessCompared) and (compared.held, compared.surplus) == (1, 1)
    assert isinstance(surplus, HarnessWarning) and isinstance(stranger, HarnessWarning)
    assert f"it holds 1 message more than were taken: {token(1)} to {recipient(1)}" in surplus.detail
    assert stranger.subject == "mailpit"
    assert f"1 message that no provider relayed: {token(9)} to someone" in stranger.detail


async def test_an_inbox_that_cannot_be_read_is_no_agreement(stand: Stand) -> None:
    await stand.send(1)
    await stand.link.settle(5)
    await stand.inbox.stop()
    (warning,) = await stand.testify()
    assert isinstance(warning, HarnessWarning)
    assert (warning.warning, warning.subject) == ("witness-unreadable", "mailpit")


keys = st.tuples(st.sampled_from(["t1", "t2", None]), st.sampled_from(["a@x.example", "b@x.example"]))


@given(taken=st.lists(keys), held=st.lists(keys))
def test_a_comparison_accounts_for_every_message(
    taken: list[tuple[str | None, str]], held: list[tuple[str | None, str]]
) -> None:
    found = compare(Counter(taken), Counter(held))
    assert found.taken == len(taken)
    assert found.held + found.surplus.total() == len(held)
    assert found.held + found.missing.total() == len(taken)
    assert found.agrees == (Counter(taken) == Counter(held))
