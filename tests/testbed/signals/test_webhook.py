"""What the system posts: the instant is the post's, nonsense is answered and told, nothing is swallowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from harness.history.events import Signal
from harness.testbed.signals.question import AskJson
from harness.testbed.signals.reader import Reading, SignalReader
from harness.testbed.signals.source import POLL
from harness.testbed.signals.webhook import LARGEST_POST, Webhooks
from tests.testbed.signals.reading import Journalled, at_work, new_journal
from tests.waiting import until

DETECTED, DEPTH = ("detected", "primary"), ("queue_depth", None)


class Posted:
    """A reader of two signals that come by one webhook, and a client that posts."""

    def __init__(self, url: str, reader: SignalReader, journalled: Journalled) -> None:
        self.url = url
        self.reader = reader
        self._journalled = journalled
        self._client = httpx.AsyncClient(trust_env=False)

    async def post(self, content: str | bytes, status: int = 204) -> httpx.Response:
        answer = await self._client.post(self.url, content=content)
        assert answer.status_code == status, answer.text
        return answer

    def told(self, signal: str = "detected") -> list[Signal]:
        return [event for event in self._journalled() if event.signal == signal]

    async def close(self) -> None:
        await self._client.aclose()


@pytest.fixture
async def posted(tmp_path: Path) -> AsyncIterator[Posted]:
    journal = new_journal(tmp_path)
    webhooks = Webhooks(["alerts"], journal.now_ns)
    await webhooks.open()
    hook = webhooks.hooks["alerts"]
    readings = [
        Reading("detected", hook, AskJson("state == 'down'", is_condition=True), route="primary"),
        Reading("queue_depth", hook, AskJson("depth", is_condition=False)),
    ]
    async with at_work(tmp_path, *readings, journal=journal) as (reader, journalled):
        posted = Posted(webhooks.urls()["alerts"], reader, journalled)
        yield posted
        await posted.close()
    await webhooks.close()


async def test_a_post_is_an_edge_at_its_own_instant(posted: Posted) -> None:
    await until(lambda: posted.reader.state.values.get(DETECTED) is False)
    await posted.post('{"state": "down", "depth": 3}')
    assert posted.reader.state.values == {DETECTED: True, DEPTH: 3}
    edge = posted.told()[-1]
    assert (edge.value, edge.how, edge.route) == (True, "webhook alerts", "primary")
    assert edge.previous_read_ns is not None and edge.t_ns - edge.previous_read_ns < 50_000_000


async def test_every_post_is_journalled_even_one_that_changes_nothing(posted: Posted) -> None:
    for _ in range(5):
        await posted.post('{"state": "down", "depth": 3}')
    assert [event.value for event in posted.told()].count(True) == 5


async def test_before_the_first_post_a_condition_is_false_and_a_value_unknown(posted: Posted) -> None:
    await until(lambda: DEPTH in posted.reader.state.errors)
    assert posted.reader.state.values == {DETECTED: False}
    assert posted.told("queue_depth")[0].error == "unreachable: nothing was posted yet"


@pytest.mark.parametrize(
    ("content", "status", "complaint"),
    [
        ("not json", 400, "garbage: not JSON"),
        ("", 400, "garbage: not JSON"),
        (b"\xff\xfe\xfd", 400, "garbage: not JSON"),
        ("[" * 100_000, 400, "garbage: not JSON"),
        ("x" * (LARGEST_POST + 1), 413, f"garbage: a post of more than {LARGEST_POST} bytes"),
    ],
)
async def test_nonsense_is_answered_and_journalled(
    posted: Posted, content: str | bytes, status: int, complaint: str
) -> None:
    answer = await posted.post(content, status)
    assert complaint in f"garbage: {answer.text}"
    event = posted.told()[-1]
    assert event.value is None and event.error is not None and event.error.startswith(complaint)
    await posted.post('{"state": "up", "depth": 0}')
    assert posted.told()[-1].value is False and not posted.reader.state.errors


async def test_a_post_that_does_not_speak_of_a_signal_makes_no_sense_of_it(posted: Posted) -> None:
    await posted.post('{"state": "down"}')
    assert posted.reader.state.values[DETECTED] is True
    assert "not a value" in posted.reader.state.errors[DEPTH]


async def test_what_was_posted_last_is_told_again_once_a_second(posted: Posted) -> None:
    await posted.post('{"state": "down", "depth": 3}')
    await until(lambda: [event.value for event in posted.told()].count(True) >= 2)
    first, again = [event for event in posted.told() if event.value is True][:2]
    assert again.previous_read_ns == first.t_ns
    assert 900_000_000 < again.t_ns - first.t_ns < 3_000_000_000


async def test_other_names_and_methods_are_refused(posted: Posted) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        other = await client.post(posted.url.replace("alerts", "alarms"), content="{}")
        assert other.status_code == 404 and "there is alerts" in other.text
        assert (await client.get(posted.url)).status_code == 405


async def test_a_post_that_breaks_off_or_trickles_is_told_and_holds_nobody_up(posted: Posted) -> None:
    url = httpx.URL(posted.url)
    head = f"POST {url.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n".encode()
    for goes_away in (True, False):
        before = len(posted.told())
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(head + b'{"state"')
        await writer.drain()
        if goes_away:
            writer.close()
        await posted.post('{"state": "down", "depth": 3}')
        await until(lambda before=before: any(e.error for e in posted.told()[before:]), POLL.timeout_s + 5)
        if not goes_away:
            assert b" 400 " in await reader.readline()
            writer.close()


async def test_posts_are_heard_before_the_reader_polls_and_not_after_its_end(tmp_path: Path) -> None:
    journal = new_journal(tmp_path)
    webhooks = Webhooks(["alerts"], journal.now_ns)
    await webhooks.open()
    question = AskJson("state == 'down'", is_condition=True)
    reader = SignalReader([Reading("detected", webhooks.hooks["alerts"], question)], journal)
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.post(webhooks.urls()["alerts"], json={"state": "down"})
        assert reader.state.values == {("detected", None): True}
        polling = asyncio.create_task(reader.run())
        await asyncio.sleep(0)
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        journal.close()
        answer = await client.post(webhooks.urls()["alerts"], json={"state": "up"})
    assert answer.status_code == 204
    assert reader.state.values == {("detected", None): True}
    await webhooks.close()


async def test_nothing_listens_where_nothing_is_posted() -> None:
    webhooks = Webhooks([], lambda: 0)
    await webhooks.open()
    assert webhooks.port is None and webhooks.urls() == {}
    await webhooks.close()


async def test_the_system_may_know_it_by_another_address() -> None:
    webhooks = Webhooks(["a"], lambda: 0)
    await webhooks.open(base_url="http://gate:8099")
    assert webhooks.urls() == {"a": "http://gate:8099/webhooks/a"}
    await webhooks.close()
