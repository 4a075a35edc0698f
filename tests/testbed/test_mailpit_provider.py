"""Mail that Mailpit took comes into the history, also what was just being read when the run ended."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec
import pytest

from harness.history.events import AnyEvent, HarnessWarning, Receipt, ReceiptResult
from harness.history.journal import Journal
from harness.providers.mailpit_mail import MailpitUnavailable
from harness.testbed.provider.mailpit_process import MailpitProvider
from harness.testbed.resources import ResourceLedger
from tests.waiting import until


class SlowReader:
    """Hands its one receipt out at the first poll, which lasts until the test lets it go."""

    def __init__(self) -> None:
        self.polling = threading.Event()
        self.go_on = threading.Event()
        self.handed_out = False

    def poll(self) -> list[Receipt]:
        if self.handed_out:
            return []
        self.handed_out = True
        self.polling.set()
        assert self.go_on.wait(10)
        return [receipt()]


class BrokenReader:
    def poll(self) -> list[Receipt]:
        raise MailpitUnavailable("Mailpit's list of messages: ConnectError")


def receipt() -> Receipt:
    return Receipt(
        t_ns=1,
        source="box",
        n=1,
        provider="box",
        route="primary",
        endpoint="smtp",
        result=ReceiptResult.ACCEPTED,
        attempt="a1",
        begin_ns=1,
        end_ns=1,
        observed="after",
    )


@pytest.fixture
def parts(tmp_path) -> Any:
    started_ns = time.monotonic_ns()
    journal = Journal(tmp_path / "h.jsonl", "r", lambda: time.monotonic_ns() - started_ns)
    ledger = ResourceLedger(tmp_path, "mailpit-test")
    yield MailpitProvider("box", "primary", (), tmp_path, ledger, journal), journal
    journal.close()
    ledger.close()


def recorded(journal: Journal) -> list[AnyEvent]:
    return [msgspec.json.decode(line, type=AnyEvent) for line in journal.path.read_bytes().splitlines()]


async def test_a_poll_under_way_at_the_end_is_not_lost(parts):
    provider, journal = parts
    reader = SlowReader()
    provider._reader = reader
    provider.follow()
    await until(reader.polling.is_set)
    threading.Timer(0.05, reader.go_on.set).start()  # while `finish` already waits
    await provider.finish()
    assert [event.n for event in recorded(journal) if isinstance(event, Receipt)] == [1]


async def test_mail_that_could_not_be_read_at_the_end_is_a_gap_in_the_record(parts):
    provider, journal = parts
    provider._reader = BrokenReader()
    provider.follow()
    await until(lambda: journal.seq > 0)
    await provider.finish()
    warnings = [event.warning for event in recorded(journal) if isinstance(event, HarnessWarning)]
    # While the run goes on the next poll makes up for it; at its end nothing does.
    assert warnings == ["mailpit-unreadable", "receipt-gap"]
