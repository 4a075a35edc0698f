"""A database that is read while its owner writes: right values, and never in the owner's way."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from harness.testbed.signals import sql
from harness.testbed.signals.question import AskFirstColumn, AskJson
from harness.testbed.signals.reader import Reading
from harness.testbed.signals.source import Bounds, Garbage, Unreachable
from harness.testbed.signals.sql import SqlSource
from tests.testbed.signals.reading import SOON_NS, at_work
from tests.waiting import until

PENDING = "select count(*) as pending from outbox where state = 'pending'"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "outbox.db"
    change(path, "create table outbox (id text, state text)", "insert into outbox values ('a', 'pending')")
    return path


def change(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def source(path: Path, query: str = PENDING, **more: object) -> SqlSource:
    return SqlSource(f"sqlite:///{path}", query, path.parent, **more)  # type: ignore[arg-type]


async def test_the_first_row_is_a_mapping_and_its_first_column_a_value(database: Path) -> None:
    row = await source(database).read()
    assert row == {"pending": 1}
    assert AskFirstColumn().values(row) == [1]
    assert AskJson("pending > `0`", is_condition=True).values(row) == [True]


async def test_no_row_is_none_and_no_zero(database: Path) -> None:
    row = await source(database, "select id from outbox where state = 'lost'").read()
    assert row is None
    with pytest.raises(Garbage, match="no row"):
        AskFirstColumn().values(row)


async def test_all_rows_are_the_states(database: Path) -> None:
    change(database, "insert into outbox values ('b', 'held')")
    rows = await source(database, "select id as token, state from outbox order by id", all_rows=True).read()
    assert rows == [{"token": "a", "state": "pending"}, {"token": "b", "state": "held"}]


async def test_a_query_is_taken_as_it_stands(database: Path) -> None:
    row = await source(database, "select ':x' as a, '100%' as b, '%(n)s' as c, x'ff' as d, 1.5 as e").read()
    assert row == {"a": ":x", "b": "100%", "c": "%(n)s", "d": "�", "e": 1.5}


async def test_a_relative_path_is_relative_to_the_scenario(database: Path) -> None:
    assert await SqlSource("sqlite:///outbox.db", PENDING, database.parent).read() == {"pending": 1}


async def test_a_path_may_hold_characters_that_mean_something_in_addresses(tmp_path: Path) -> None:
    path = tmp_path / "a b#100%.db"
    change(path, "create table outbox (id text, state text)")
    assert await source(path).read() == {"pending": 0}


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("select count(*) from missing", "no such table"),
        ("select 1; select 2", "one statement"),
        ("select count(", "incomplete input"),
    ],
)
async def test_a_query_that_cannot_be_answered_says_why(database: Path, query: str, complaint: str) -> None:
    with pytest.raises((Unreachable, Garbage), match=complaint):
        await source(database, query).read()


@pytest.mark.parametrize(
    "database", ["sqlite:///x.db?no=such&option", "sqlite://host:port/x", "such://x", "{}"]
)
async def test_an_address_that_turns_out_to_be_none_is_garbage(tmp_path: Path, database: str) -> None:
    """It may come from a template, and then nobody has seen it before."""
    with pytest.raises((Unreachable, Garbage)):
        await SqlSource(database, "select 1", tmp_path).read()


async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="unable to open"):
        await source(tmp_path / "none.db").read()
    assert not (tmp_path / "none.db").exists()


async def test_nothing_can_be_written_through_it(database: Path) -> None:
    with pytest.raises(Unreachable, match="readonly"):
        await source(database, "insert into outbox values ('x', 'pending') returning id").read()
    assert await source(database).read() == {"pending": 1}


async def test_a_query_without_end_is_ended(database: Path) -> None:
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
    slow = source(database, endless, bounds=Bounds(timeout_s=0.3))
    with pytest.raises(Unreachable, match=r"interrupted|no rows within"):
        await slow.read()
    await until(lambda: not any(thread.name == "sql" for thread in threading.enumerate()))
    await slow.close()


async def test_while_a_query_hangs_the_next_one_does_not_pile_up(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()
    monkeypatch.setattr(SqlSource, "_select", lambda self: free.wait() and None)
    stuck = source(database, bounds=Bounds(timeout_s=0.1))
    with pytest.raises(Unreachable, match="no rows within"):
        await stuck.read()
    with pytest.raises(Unreachable, match="has not come back"):
        await stuck.read()
    free.set()


async def test_more_rows_than_any_run_has_messages_are_not_taken_in(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "MOST_ROWS", 3)
    many = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"
    with pytest.raises(Garbage, match="more than 3 rows"):
        await source(database, many, all_rows=True).read()


WRITER = textwrap.dedent("""
    import sqlite3, sys, time
    # No patience at all: whoever is in its way makes it fail.
    connection = sqlite3.connect(sys.argv[1], timeout=float(sys.argv[3]), isolation_level=None)
    assert connection.execute(f"pragma journal_mode={sys.argv[2]}").fetchone()[0] == sys.argv[2]
    print("ready", flush=True)
    until, n = time.monotonic() + 2, 0
    while time.monotonic() < until:
        n += 1
        connection.execute("begin immediate")
        connection.execute("insert into outbox values (?, 'pending')", (n,))
        connection.execute("insert into outbox values (?, 'pending')", (n,))
        connection.execute("commit")
        time.sleep(0.001)
    print(n, flush=True)
""")


@pytest.mark.parametrize(("mode", "patience_s"), [("wal", 0.0), ("delete", 1.0)])
async def test_a_writer_is_not_kept_from_writing_and_never_half_seen(
    tmp_path: Path, database: Path, mode: str, patience_s: float
) -> None:
    """With a write-ahead log a reader is in nobody's way; else a commit waits for a query of milliseconds."""
    writer = Process([sys.executable, "-c", WRITER, str(database), mode, str(patience_s)])
    reading = Reading("queue_depth", source(database), AskFirstColumn(), SOON_NS)
    async with at_work(tmp_path, reading) as (_, journalled):
        assert await writer.line() == "ready"
        written = int(await writer.line())
        await until(lambda: journalled()[-1].value == 2 * written + 1)
        seen = [event.value for event in journalled() if event.error is None]
    assert await writer.code() == 0
    assert len(seen) > 5 and written > 50
    assert all(isinstance(value, int) and value % 2 == 1 for value in seen), "a transaction was half seen"


async def test_a_database_that_its_owner_has_locked_is_unreadable_and_not_empty(
    tmp_path: Path, database: Path
) -> None:
    owner = sqlite3.connect(database, isolation_level=None)
    reading = Reading("queue_depth", source(database), AskFirstColumn(), SOON_NS)
    key = ("queue_depth", None)
    async with at_work(tmp_path, reading) as (reader, _):
        await until(lambda: reader.state.values.get(key) == 1)
        owner.execute("begin exclusive")
        await until(lambda: "locked" in reader.state.errors.get(key, ""))
        owner.execute("commit")
        await until(lambda: key not in reader.state.errors)
    owner.close()


def test_the_harness_starts_without_sqlalchemy() -> None:
    code = "import sys, harness.testbed.local.testbed; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=os.environ).returncode == 0


class Process:
    """A process whose lines are read without holding up the loop."""

    def __init__(self, argv: list[str]) -> None:
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    async def line(self) -> str:
        assert self._process.stdout is not None
        return (await asyncio.to_thread(self._process.stdout.readline)).strip()

    async def code(self) -> int:
        code = await asyncio.to_thread(self._process.wait, 10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code
