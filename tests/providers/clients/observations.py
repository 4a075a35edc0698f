"""What a client library makes of a provider: measured by a test, compared with a table that is committed.

One module of tests has one table, `docs/clients/<name>.json`, named by its constant `TABLE`. A test measures,
and calls `observed.record(...)`: that fails where the committed row says something else, or where there is
none. A row that no test of the module has measured fails as well, once the whole module has run. `make
clients` writes the tables anew.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

TABLES = Path(__file__).parents[3] / "docs" / "clients"
SENT = "sent"  # the outcome where the client says that all went well


class Case(StrEnum):
    """What every client is put through. A table may have more, in words of its own."""

    SUCCESS = "success"
    AUTH_FAILURE = "auth failure"
    THROTTLE = "throttle"
    SERVER_ERROR = "server error"
    RESET = "reset"  # taken, and the connection reset in place of the answer
    LATE_REPLY = "late reply"  # taken, and the answer comes later than the client was told to wait


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One row. `retries` are attempts that the provider saw beyond the one that the caller asked for."""

    client: str  # as it is installed: aiosmtplib, boto3; a client that Python brings is called as it is there
    version_major: int
    case: str
    outcome: str  # SENT, or `outcome_of` what was raised
    retries: int
    default_timeout: float | None  # seconds that it waits for an answer unless told otherwise; None: for ever
    note: str = ""  # what the columns cannot say, in a few words

    @property
    def key(self) -> tuple[str, str]:
        return self.client, self.case


def version_major(distribution: str) -> int:
    """The major version of an installed library, or of Python for what Python brings (`python`)."""
    return sys.version_info.major if distribution == "python" else int(version(distribution).split(".")[0])


def outcome_of(error: BaseException, code: int | str | None = None) -> str:
    """`SMTPSenderRefused 451`: the type as a caller would catch it, and the code that it tells, if any."""
    return type(error).__name__ if code is None else f"{type(error).__name__} {code}"


class Table:
    """The observations of one module of tests, beside what is committed."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self._path = path
        self._write = write
        self._seen: dict[tuple[str, str], Observation] = {}

    def record(self, observation: Observation) -> None:
        """Raises AssertionError where this is not what the committed table says."""
        assert observation.key not in self._seen, f"{observation.key} is measured twice"
        self._seen[observation.key] = observation
        if not self._write:
            committed = {row.key: row for row in self._committed()}
            assert committed.get(observation.key) == observation, self._stale(observation.key)

    def close(self, *, whole: bool) -> None:
        """At the end of the module; `whole`: each of its tests ran and passed."""
        if self._write:
            kept = [] if whole else [row for row in self._committed() if row.key not in self._seen]
            rows = [asdict(row) for row in sorted([*self._seen.values(), *kept], key=lambda row: row.key)]
            lines = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
        elif whole:
            unmeasured = [row.key for row in self._committed() if row.key not in self._seen]
            assert not unmeasured, f"nothing measures these any more: {unmeasured}. {self._stale()}"

    def _committed(self) -> list[Observation]:
        if not self._path.exists():
            return []
        return [Observation(**row) for row in json.loads(self._path.read_text(encoding="utf-8"))]

    def _stale(self, key: tuple[str, str] | None = None) -> str:
        return f"{self._path.name} says otherwise{f' of {key}' if key else ''}; if it is stale: make clients"
