"""Signals: what a value is, what garbage is, and between which reads the truth changed."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from harness.history.events import Signal
from harness.history.journal import Journal
from harness.testbed.prometheus import parse_query, parse_samples
from harness.testbed.signals import Format, Reading, SignalReader
from tests.waiting import until

METRICS = """# TYPE route_up gauge
route_up{route="primary",zone="a"} 0
route_up{route="backup",zone="a"} 1
# TYPE queue gauge
queue{class="x"} 3
queue{class="y"} 4
"""


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("queue", 7),
        ('queue{class="x"}', 3),
        ('route_up{route="primary"} == 0', True),
        ('route_up{route="backup",zone="a"} < 1', False),
        ("absent", None),
        ('queue{class="z"} == 0', None),
    ],
)
def test_a_selector_answers_from_one_scrape(query, value):
    assert parse_query(query).evaluate(parse_samples(METRICS)) == value


@pytest.mark.parametrize("text", ["", "a b", "queue{", "queue{class=x}", 'queue{class="x"} ~ 1'])
def test_what_is_no_selector_is_refused_with_the_form_expected(text):
    with pytest.raises(ValueError, match="write"):
        parse_query(text)


class Answers:
    """A system whose /status is whatever the test says; a web server of our own keeps it real."""

    def __init__(self) -> None:
        self.body: bytes = b"{}"
        self.status = 200
        self.asked = 0

    async def answer(self, _request):
        self.asked += 1
        return Response(self.body, status_code=self.status, media_type="application/json")


@asynccontextmanager
async def reading(tmp_path, *readings: Reading):
    from harness.providers.asgi import listen

    answers = Answers()
    server = await listen(Starlette(routes=[Route("/status", answers.answer)]), "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    started = loop.time()
    journal = Journal(tmp_path / "history.jsonl", "r", lambda: int((loop.time() - started) * 1e9))
    reader = SignalReader(readings, f"http://127.0.0.1:{server.port}", journal)
    polling = asyncio.create_task(reader.run())
    try:
        yield answers, reader, lambda: events(tmp_path)
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        journal.close()
        await server.close()


def events(tmp_path) -> list[Signal]:
    import msgspec

    lines = (tmp_path / "history.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Signal) for line in lines]


DETECTED = Reading(
    signal="detected",
    path="/status",
    format=Format.JSON,
    expression="state == 'down'",
    is_condition=True,
    every_ns=10_000_000,
    route="primary",
)


async def test_an_edge_carries_the_time_of_the_read_before_it(tmp_path):
    async with reading(tmp_path, DETECTED) as (answers, reader, journalled):
        answers.body = json.dumps({"state": "up"}).encode()
        await until(lambda: reader.state.values.get(("detected", "primary")) is False)
        answers.body = json.dumps({"state": "down"}).encode()
        await until(lambda: reader.state.values.get(("detected", "primary")) is True)
        edge = next(event for event in journalled() if event.value is True)
    assert edge.previous_read_ns is not None
    assert edge.previous_read_ns < edge.t_ns
    assert edge.route == "primary"
    assert edge.how == "http /status"


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        (b"not json", 200, "garbage"),
        (b'{"state": 5, "x": []}', 500, "garbage: HTTP 500"),
    ],
)
async def test_garbage_is_journalled_as_an_error_without_a_value(tmp_path, body, status, complaint):
    async with reading(tmp_path, DETECTED) as (answers, reader, journalled):
        answers.body, answers.status = body, status
        await until(lambda: bool(reader.state.errors))
        event = journalled()[-1]
    assert event.value is None
    assert event.error.startswith(complaint)


async def test_a_condition_that_is_not_true_or_false_is_garbage(tmp_path):
    odd = Reading("depth", "/status", Format.JSON, "queue", True, 10_000_000)
    async with reading(tmp_path, odd) as (answers, reader, journalled):
        answers.body = b'{"queue": 3}'
        await until(lambda: bool(reader.state.errors))
        assert "neither true nor false" in journalled()[-1].error


async def test_an_unchanged_value_is_not_journalled_at_every_poll(tmp_path):
    async with reading(tmp_path, DETECTED) as (answers, reader, journalled):
        answers.body = b'{"state": "up"}'
        await until(lambda: reader.state.values.get(("detected", "primary")) is False)
        polls = answers.asked
        before = len(journalled())
        await until(lambda: answers.asked >= polls + 5)
        # Five polls take far less than the second after which a value is repeated.
        assert len(journalled()) - before <= 1
