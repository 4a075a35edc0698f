"""Signals and states out of the system's own database, through SQLAlchemy (extra `sql`).

Nothing is ever written: SQLite is opened read-only, elsewhere every transaction is rolled back. A query runs
in a thread of its own and has a deadline; no transaction outlives it, so a writer waits for one at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.testbed.signals.source import Bounds, Garbage, Unreachable

if TYPE_CHECKING:
    from sqlalchemy import URL, Engine

QUERY = Bounds(timeout_s=2.0)
LOCK_WAIT_S = 0.5
MOST_ROWS = 1_000_000
STEPS_BETWEEN_LOOKS = 10_000
"""SQLite looks at the deadline after this many steps of its virtual machine: some hundred microseconds."""

Row = dict[str, Any]
T = TypeVar("T")


class SqlSource:
    """The first row of a query as a mapping, None where there is none; with `all_rows` a list of all.

    `folder` is what a relative path of SQLite is relative to.
    """

    def __init__(
        self, database: str, query: str, folder: Path, *, all_rows: bool = False, bounds: Bounds = QUERY
    ) -> None:
        self._database = database
        self._query = query
        self._folder = folder
        self._all_rows = all_rows
        self._bounds = bounds
        self._engine: Engine | None = None
        self._busy = False

    @property
    def how(self) -> str:
        return f"sql {' '.join(self._query.split())[:100]}"

    async def read(self) -> Row | list[Row] | None:
        if self._busy:
            raise Unreachable("the query before this one has not come back")
        self._busy = True
        try:
            async with asyncio.timeout(self._bounds.timeout_s):
                return await _in_thread(self._select)
        except TimeoutError as error:
            raise Unreachable(f"no rows within {self._bounds.timeout_s:g} s") from error

    def _select(self) -> Row | list[Row] | None:
        """In the thread. Raises Unreadable."""
        from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

        try:
            if self._engine is None:
                self._engine = _engine(self._database, self._folder, self._bounds.timeout_s)
            with self._engine.connect() as connection:
                # As it stands: a colon or a per cent sign in it is not the place of a parameter.
                result = connection.execution_options(no_parameters=True).exec_driver_sql(self._query)
                rows = result.mappings().fetchmany(MOST_ROWS + 1 if self._all_rows else 1)
                result.close()
                connection.rollback()
        except OperationalError as error:
            raise Unreachable(str(error.orig)) from error
        except DBAPIError as error:
            raise Garbage(str(error.orig)) from error
        except (SQLAlchemyError, ImportError, OSError, ValueError) as error:
            raise Garbage(str(error)) from error
        finally:
            self._busy = False
        if len(rows) > MOST_ROWS:
            raise Garbage(f"more than {MOST_ROWS:,} rows")
        plain = [{str(key): _plain(value) for key, value in row.items()} for row in rows]
        return plain if self._all_rows else next(iter(plain), None)

    async def close(self) -> None:
        if self._engine is not None and not self._busy:
            self._engine.dispose()


def _engine(database: str, folder: Path, timeout_s: float) -> Engine:
    from sqlalchemy import NullPool, create_engine, make_url

    url = make_url(database)
    if url.get_backend_name() == "sqlite":
        return create_engine(
            "sqlite://", creator=lambda: _open_sqlite(url, folder, timeout_s), poolclass=NullPool
        )
    return create_engine(url, pool_size=1, max_overflow=0, pool_pre_ping=True, hide_parameters=True)


def _open_sqlite(url: URL, folder: Path, timeout_s: float) -> sqlite3.Connection:
    """Read-only, and for one query: what it holds open while it is not asked could be in a writer's way."""
    uri = (folder / (url.database or "")).resolve().as_uri()
    connection = sqlite3.connect(
        f"{uri}?mode=ro", uri=True, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False
    )
    deadline_s = time.monotonic() + timeout_s
    connection.set_progress_handler(lambda: time.monotonic() > deadline_s, STEPS_BETWEEN_LOOKS)
    return connection


async def _in_thread(work: Callable[[], T]) -> T:
    """A daemon thread: one that hangs in a driver must not keep the harness from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as caught:  # noqa: BLE001  handed over to whoever waits
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="sql", daemon=True).start()
    return await done


def _plain(value: Any) -> Any:
    """A column's value as JSON has it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date):  # a datetime is one too
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return str(value)
