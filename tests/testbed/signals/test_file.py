"""A file that the system rewrites: read as it is, and never believed when it is half there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from harness.testbed.signals.file import FileSource
from harness.testbed.signals.question import AskJson, AskText
from harness.testbed.signals.reader import Reading
from harness.testbed.signals.source import Bounds, Garbage, Unreachable
from tests.testbed.signals.reading import SOON_NS, at_work
from tests.waiting import until

DEPTH = AskJson("pending", is_condition=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "status.json"


def put(file: Path, content: str | bytes | None) -> None:
    """As a system does that does not rename: the file is empty for a moment. None: it is gone."""
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content.encode() if isinstance(content, str) else content)


async def test_json_is_a_document_and_a_text_a_text(file: Path) -> None:
    put(file, '{"pending": 3}')
    assert await FileSource(file, is_json=True).read() == {"pending": 3}
    assert await FileSource(file, is_json=False).read() == '{"pending": 3}'
    put(file, b"caf\xe9 paused\n")
    assert AskText("paused", is_condition=True).values(await FileSource(file, is_json=False).read()) == [True]


@pytest.mark.parametrize("content", ["", '{"pending": 3', "[" * 5000, '{"pending": 3}{'])
async def test_half_a_document_is_unreadable_now(file: Path, content: str) -> None:
    put(file, content)
    with pytest.raises(Garbage, match="not JSON"):
        await FileSource(file, is_json=True).read()


async def test_a_document_that_is_being_written_gets_a_second_look(file: Path) -> None:
    put(file, '{"pending": ')
    reading = asyncio.create_task(FileSource(file, is_json=True).read())
    await asyncio.sleep(0)
    with file.open("a") as writing:
        writing.write("3}")
    assert await reading == {"pending": 3}


async def test_a_file_that_is_not_there_or_not_ours_says_so(tmp_path: Path, file: Path) -> None:
    with pytest.raises(Unreachable, match="No such file"):
        await FileSource(file, is_json=True).read()
    with pytest.raises(Unreachable, match="Not a directory"):
        put(file, "{}")
        await FileSource(file / "x", is_json=True).read()


async def test_a_pipe_a_folder_and_a_device_hold_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(Garbage, match="not a plain file"):
            await FileSource(path, is_json=True).read()


async def test_a_file_that_is_larger_than_any_answer_is_not_taken_in(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(10**12)
    with pytest.raises(Garbage, match="more than 1000 bytes"):
        await FileSource(file, is_json=True, bounds=Bounds(1.0, 1000)).read()


async def test_a_queue_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, file: Path) -> None:
    put(file, '{"pending": 0}')
    reading = Reading("queue_depth", FileSource(file, is_json=True), DEPTH, SOON_NS)
    key = ("queue_depth", None)
    async with at_work(tmp_path, reading) as (reader, journalled):
        await until(lambda: reader.state.values.get(key) == 0)
        put(file, None)
        await until(lambda: key in reader.state.errors)
        assert journalled()[-1].value is None
        put(file, '{"pending": 4}')
        await until(lambda: key not in reader.state.errors)
        assert reader.state.values[key] == 4


async def test_who_writes_in_place_all_the_time_is_read_right(tmp_path: Path, file: Path) -> None:
    """Every value that is journalled is one that was written whole."""
    reading = Reading("queue_depth", FileSource(file, is_json=True), DEPTH, SOON_NS)
    async with at_work(tmp_path, reading) as (_, journalled):
        for number in range(60):
            put(file, '{"pad": "' + "x" * 50_000 + f'", "pending": {1000 + number}}}')
            await asyncio.sleep(0.005)
        values = [event.value for event in journalled() if event.error is None]
    assert len(values) > 5
    assert all(isinstance(value, int) and 1000 <= value < 1060 for value in values)
