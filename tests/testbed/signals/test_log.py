"""A log that is followed: which lines count, however they are cut, rotated and truncated."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.testbed.logpump import pump
from harness.testbed.signals import log as log_module
from harness.testbed.signals.log import LONGEST_LINE, MOST_CHANGES, Lines, LogFollower, LogWatch
from harness.testbed.signals.reader import Reading
from harness.testbed.signals.source import Garbage, Unreachable, Value
from tests.testbed.signals.reading import SOON_NS, at_work, new_journal
from tests.waiting import until

DOWN, UP = "primary is down", "primary is up"


class Log:
    """A log file that the test writes, and a follower of it."""

    def __init__(self, folder: Path, *, whole: bool = True) -> None:
        self.path = folder / "app.log"
        self.follower = LogFollower(self.path, whole=whole)
        self.watch = self.follower.watch(DOWN, UP)

    def write(self, text: str | bytes) -> None:
        with self.path.open("ab") as file:
            file.write(text.encode() if isinstance(text, str) else text)

    async def told(self) -> list[Value]:
        await self.follower.read()
        return self.watch.values(None)


@pytest.fixture
async def log(tmp_path: Path):
    log = Log(tmp_path)
    yield log
    await log.follower.close()


async def test_a_line_sets_it_and_another_ends_it(log: Log) -> None:
    log.write("starting\n")
    assert await log.told() == [False]
    log.write(f"10:00 {DOWN}!\n")
    assert await log.told() == [True]
    log.write("nothing of interest\n")
    assert await log.told() == [True]
    log.write(f"10:01 {UP}\n")
    assert await log.told() == [False]


async def test_what_came_and_went_between_two_reads_is_told_in_order(log: Log) -> None:
    log.write(f"{DOWN}\n{UP}\n{UP}\n{DOWN}\n")
    assert await log.told() == [True, False, True]


async def test_of_a_signal_that_flaps_without_end_the_last_is_told(log: Log) -> None:
    log.write(f"{DOWN}\n{UP}\n" * 1000 + f"{DOWN}\n")
    told = await log.told()
    assert len(told) == MOST_CHANGES
    assert told[-1] is True


async def test_a_line_counts_once_it_is_complete(log: Log) -> None:
    log.write(DOWN)
    assert await log.told() == [False]
    log.write(" again")
    assert await log.told() == [False]
    log.write("\n")
    assert await log.told() == [True]


async def test_a_line_that_both_match_ends_it(log: Log) -> None:
    log.write(f"{DOWN}: no, {UP}\n")
    assert await log.told() == [False]


async def test_a_group_called_value_tells_a_number_or_a_text(log: Log) -> None:
    depth = log.follower.watch(r"depth=(?P<value>\d+)")
    route = log.follower.watch(r"sending by (?P<value>\w+)")
    log.write("depth=7\nsending by backup\ndepth=9\n")
    await log.follower.read()
    assert depth.values(None) == [7, 9]
    assert route.values(None) == ["backup"]


async def test_before_the_first_line_that_tells_it_a_value_is_unknown(log: Log) -> None:
    depth = log.follower.watch(r"depth=(?P<value>\d+)")
    log.write("starting\n")
    await log.follower.read()
    with pytest.raises(Unreachable, match="no line has told a value yet"):
        depth.values(None)


async def test_a_rotation_loses_nothing(log: Log) -> None:
    log.write("one\n")
    assert await log.told() == [False]
    log.write(f"{DOWN}\n")
    log.path.rename(log.path.with_name("app.log.1"))
    log.write(f"{UP}\n{DOWN}\n")
    assert await log.told() == [True, False, True]


async def test_a_line_that_a_rotation_cuts_in_two_is_one(log: Log) -> None:
    log.write("primary is")
    assert await log.told() == [False]
    log.path.rename(log.path.with_name("app.log.1"))
    log.write(" down\n")
    assert await log.told() == [True]


async def test_in_the_middle_of_a_rotation_the_old_file_is_read_on(log: Log) -> None:
    log.write("one\n")
    await log.told()
    rotated = log.path.rename(log.path.with_name("app.log.1"))
    with rotated.open("a") as file:
        file.write(f"{DOWN}\n")
    assert await log.told() == [True]
    log.write(f"{UP}\n")
    assert await log.told() == [False]


async def test_a_truncated_file_is_read_from_its_new_beginning(log: Log) -> None:
    log.write("a long line of no interest\n" * 10 + "a half one")
    await log.told()
    os.truncate(log.path, 0)
    assert await log.told() == [False]
    log.write(f"{DOWN}\n")
    assert await log.told() == [True]


async def test_the_harness_s_own_pump_rotates_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "system.log"
    follower = LogFollower(path, whole=True)
    count = follower.watch(r"^line (?P<value>\d+)$")
    monkeypatch.setattr(log_module, "MOST_CHANGES", 10**9)
    told: list[Value] = []
    for block in range(30):
        read_fd, write_fd = os.pipe()
        # 700 bytes are in no relation to a line, so that the pump cuts lines as it rotates.
        os.write(write_fd, b"".join(b"line %d\n" % (block * 50 + n) for n in range(50)))
        os.close(write_fd)
        pump(read_fd, path, limit_bytes=1700)
        os.close(read_fd)
        await follower.read()
        told += count.values(None)
    await follower.close()
    assert told == list(range(1500))


async def test_lines_that_were_rotated_away_unread_are_missed(tmp_path: Path) -> None:
    """A flood between two reads: what the signal was in the meantime nobody knows, and that is told."""
    path = tmp_path / "system.log"
    follower = LogFollower(path, whole=True)
    watch = follower.watch(DOWN, UP)
    reading = Reading("detected", follower, watch, SOON_NS)
    path.write_text(f"{UP}\n")
    await follower.read()
    for text in ("lost", "lost", DOWN):
        path.rename(path.with_name("system.log.1"))
        path.write_text(f"{text}\n")
    async with at_work(tmp_path, reading) as (_, journalled):
        await until(lambda: len(journalled()) >= 2)
        error, value = journalled()[:2]
    assert error.error is not None and "rotated away" in error.error
    assert value.value is True


async def test_a_file_of_an_earlier_time_is_read_from_its_end(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_text(f"{DOWN}\n")
    log = Log(tmp_path, whole=False)
    assert await log.told() == [False]
    log.write(f"{DOWN}\n")
    assert await log.told() == [True]
    await log.follower.close()


async def test_a_file_that_is_made_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = Log(tmp_path, whole=False)
    with pytest.raises(Unreachable, match="No such file"):
        await log.told()
    log.write(f"{DOWN}\n")
    assert await log.told() == [True]
    await log.follower.close()


async def test_a_folder_or_a_pipe_is_no_log(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(Garbage, match="not a plain file"):
            await LogFollower(path, whole=True).read()


async def test_a_line_of_megabytes_and_bytes_that_are_no_text_do_no_harm(log: Log) -> None:
    log.write(b"x" * 3_000_000 + b"\n\xff\xfe\x00 " + DOWN.encode() + b"\xff\n")
    assert await log.told() == [True]


async def test_an_edge_is_journalled_with_the_time_of_the_read_before_it(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text("starting\n")
    follower = LogFollower(path, whole=True)
    reading = Reading("detected", follower, follower.watch(DOWN, UP), SOON_NS, "primary")
    async with at_work(tmp_path, reading) as (reader, journalled):
        await until(lambda: reader.state.values.get(("detected", "primary")) is False)
        with path.open("a") as file:
            file.write(f"{DOWN}\n{UP}\n")
        await until(lambda: [event.value for event in journalled()][-3:] == [False, True, False])
    up, down = journalled()[-2:]
    assert (up.how, up.route) == ("log", "primary")
    assert up.previous_read_ns is not None and up.previous_read_ns < up.t_ns == down.t_ns


async def test_a_line_may_be_older_than_the_read_that_missed_it(tmp_path: Path) -> None:
    """The system's output comes to the log through others, so what a read did not find may have been said."""
    path = tmp_path / "system.log"
    path.write_text("starting\n")
    follower = LogFollower(path, whole=True)
    at_once = Reading("at_once", follower, follower.watch(DOWN), SOON_NS)
    by_pump = Reading("by_pump", follower, follower.watch(DOWN), SOON_NS, lag_ns=5_000_000)
    journal = new_journal(tmp_path)
    async with at_work(tmp_path, at_once, by_pump, journal=journal) as (reader, journalled):
        # Nothing is older than the run.
        await until(lambda: len(reader.state.values) == 2 and journal.now_ns() > 10 * SOON_NS)
        with path.open("a") as file:
            file.write(f"{DOWN}\n")
        await until(lambda: all(reader.state.values.values()))
        since = {event.signal: event.previous_read_ns for event in journalled() if event.value is True}
    assert (since["at_once"] or 0) - (since["by_pump"] or 0) == 5_000_000


LINES = st.lists(
    st.sampled_from([b"", b"\r", DOWN.encode(), UP.encode(), b"depth=3", b"depth=4", b"\xff\xc3", b"x" * 50]),
    max_size=12,
)


@given(lines=LINES, cuts=st.lists(st.integers(0, 400), max_size=8), ends=st.sampled_from([b"\n", b"\r\n"]))
def test_however_the_bytes_are_cut_the_edges_are_the_same(
    lines: list[bytes], cuts: list[int], ends: bytes
) -> None:
    written = b"".join(line + ends for line in lines) + b"depth=5 and no end"
    assert edges([written]) == edges(cut(written, cuts))


@given(length=st.integers(0, 3 * LONGEST_LINE), cuts=st.lists(st.integers(0, 4 * LONGEST_LINE), max_size=5))
@settings(max_examples=30)
def test_of_a_long_line_the_same_beginning_is_seen_however_it_is_cut(length: int, cuts: list[int]) -> None:
    written = b"a" * length + b"b\nnext\n"
    lines, whole = Lines(), Lines()
    pieces = [line for piece in cut(written, cuts) for line in lines.feed(piece)]
    assert pieces == whole.feed(written)
    assert pieces[1] == "next"


@given(
    st.lists(st.tuples(st.binary(max_size=20), st.sampled_from(["read", "rotate", "write on"])), max_size=15)
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_writes_reads_and_rotations_fall_every_line_is_seen_once(
    tmp_path: Path, steps: list[tuple[bytes, str]]
) -> None:
    """Rotations come no oftener than reads: what is rotated twice in between is gone for any reader."""
    path = tmp_path / "any.log"
    seen: list[str] = []

    async def follow() -> None:
        path.write_bytes(b"")
        follower = LogFollower(path, whole=True)
        follower.watch(".").take = seen.append  # type: ignore[method-assign]
        for number, (piece, then) in enumerate(steps):
            with path.open("ab") as file:
                file.write(piece)
            if then != "write on":
                await follower.read()
            if then == "rotate":
                path.rename(tmp_path / f"rotated.{number}")
                path.write_bytes(b"")
        await follower.read()
        await follower.close()

    asyncio.run(follow())
    assert seen == Lines().feed(b"".join(piece for piece, _ in steps))


def cut(written: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(place for place in cuts if place <= len(written)), len(written)]
    return [written[a:b] for a, b in pairwise(places)]


def edges(pieces: list[bytes]) -> tuple[list[Value], list[Value]]:
    """What a condition, false at first, and a value become: the changes."""
    lines, condition, value = Lines(), LogWatch(DOWN, UP), LogWatch(r"depth=(?P<value>\d+)$")
    seen: tuple[list[Value], list[Value]] = ([False], [])
    for piece in pieces:
        for line in lines.feed(piece):
            condition.take(line)
            value.take(line)
        for watch, values in zip((condition, value), seen, strict=True):
            try:
                told = watch.values(None)
            except Unreachable:
                continue
            for each in told:
                if values[-1:] != [each]:
                    values.append(each)
    return seen
