"""The reader: what is journalled and when, and between which reads the truth changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from harness.providers.asgi import listen
from harness.testbed.signals.http import HttpSource, PrometheusSource
from harness.testbed.signals.question import AskJson, AskMetrics
from harness.testbed.signals.reader import Reading, SignalReader
from harness.testbed.signals.source import Bounds, Garbage
from tests.testbed.signals.reading import SOON_NS, Journalled, at_work
from tests.waiting import until

QUICK = Bounds(timeout_s=0.3, size_bytes=1000)
DOWN = AskJson("state == 'down'", is_condition=True)


class Answers:
    """A system whose /status is whatever the test says; a web server of our own keeps it real."""

    def __init__(self) -> None:
        self.body: bytes = b'{"state": "up"}'
        self.status = 200
        self.asked = 0
        self.stuck = False

    async def answer(self, _request: object) -> Response:
        self.asked += 1
        if self.stuck:
            await asyncio.Event().wait()
        return Response(self.body, status_code=self.status, media_type="application/json")


@asynccontextmanager
async def answering() -> AsyncIterator[tuple[Answers, str]]:
    answers = Answers()
    server = await listen(Starlette(routes=[Route("/status", answers.answer)]), "127.0.0.1", 0)
    try:
        yield answers, f"http://127.0.0.1:{server.port}"
    finally:
        await server.close()


@asynccontextmanager
async def detecting(
    folder: Path, question: AskJson = DOWN
) -> AsyncIterator[tuple[Answers, SignalReader, Journalled]]:
    async with answering() as (answers, url):
        reading = Reading("detected", HttpSource(url, "/status", QUICK), question, SOON_NS, "primary")
        async with at_work(folder, reading) as (reader, journalled):
            yield answers, reader, journalled


async def test_an_edge_carries_the_time_of_the_read_before_it(tmp_path: Path) -> None:
    async with detecting(tmp_path) as (answers, reader, journalled):
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
        (b"not json", 200, "garbage: not JSON"),
        (b"[" * 1000, 200, "garbage: not JSON"),
        (b'{"state": 5, "x": []}', 500, "garbage: HTTP 500"),
        (b'"' + b"x" * 1000 + b'"', 200, "garbage: an answer of more than 1000 bytes"),
    ],
)
async def test_garbage_is_journalled_as_an_error_without_a_value(
    tmp_path: Path, body: bytes, status: int, complaint: str
) -> None:
    async with detecting(tmp_path) as (answers, reader, journalled):
        answers.body, answers.status = body, status
        await until(lambda: bool(reader.state.errors))
        event = journalled()[-1]
    assert event.value is None
    assert event.error is not None and event.error.startswith(complaint)


async def test_a_source_that_does_not_answer_in_time_is_unreachable(tmp_path: Path) -> None:
    async with detecting(tmp_path) as (answers, reader, journalled):
        answers.stuck = True
        await until(lambda: bool(reader.state.errors))
        assert journalled()[-1].error == "unreachable: no whole answer within 0.3 s"


async def test_a_value_that_makes_sense_again_is_no_error_any_more(tmp_path: Path) -> None:
    async with detecting(tmp_path) as (answers, reader, journalled):
        answers.status = 503
        await until(lambda: bool(reader.state.errors))
        answers.status = 200
        await until(lambda: not reader.state.errors)
        assert journalled()[-1].value is False


async def test_a_condition_that_is_not_true_or_false_is_garbage(tmp_path: Path) -> None:
    async with detecting(tmp_path, AskJson("queue", is_condition=True)) as (answers, reader, _):
        answers.body = b'{"queue": 3}'
        await until(lambda: "neither true nor false" in reader.state.errors.get(("detected", "primary"), ""))


async def test_an_unchanged_value_is_not_journalled_at_every_poll(tmp_path: Path) -> None:
    async with detecting(tmp_path) as (answers, reader, journalled):
        await until(lambda: reader.state.values.get(("detected", "primary")) is False)
        polls = answers.asked
        before = len(journalled())
        await until(lambda: answers.asked >= polls + 5)
        # Five polls take far less than the second after which a value is repeated.
        assert len(journalled()) - before <= 1


async def test_signals_of_one_source_are_one_read(tmp_path: Path) -> None:
    async with answering() as (answers, url):
        source = HttpSource(url, "/status")
        readings = [Reading(f"s{n}", source, DOWN, SOON_NS) for n in range(20)]
        async with at_work(tmp_path, *readings) as (reader, _):
            await until(lambda: len(reader.state.values) == 20)
            assert answers.asked <= 2


async def test_a_source_that_hangs_does_not_delay_another(tmp_path: Path) -> None:
    class Stuck:
        how = "stuck"

        async def read(self) -> Any:
            await asyncio.Event().wait()

        async def close(self) -> None:
            pass

    async with answering() as (answers, url):
        readings = [
            Reading("stuck", Stuck(), DOWN, SOON_NS),
            Reading("detected", HttpSource(url, "/status"), DOWN, SOON_NS),
        ]
        async with at_work(tmp_path, *readings):
            await until(lambda: answers.asked >= 5)


async def test_metrics_are_read_from_prometheus_text(tmp_path: Path) -> None:
    async with answering() as (answers, url):
        answers.body = b'queue{class="x"} 3\nqueue{class="y"} 4\n'
        reading = Reading("depth", PrometheusSource(url, "/status"), AskMetrics("queue", False), SOON_NS)
        async with at_work(tmp_path, reading) as (reader, journalled):
            await until(lambda: reader.state.values.get(("depth", None)) == 7)
            assert journalled()[0].how == "prometheus /status"
            answers.body = b"<html>"
            await until(lambda: bool(reader.state.errors))


async def test_an_answer_without_a_sample_is_garbage() -> None:
    async with answering() as (answers, url):
        answers.body = b""
        source = PrometheusSource(url, "/status")
        with pytest.raises(Garbage, match="no Prometheus sample"):
            await source.read()
        await source.close()
