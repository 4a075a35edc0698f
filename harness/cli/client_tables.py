"""The tables of docs/clients.md, made from what was measured: docs/clients/*.json, one file for each fake.

`make clients` writes those files; a row is one client in one case. The case's words are the tests' own
(tests/providers/clients). Nothing here is part of a run: it needs the documents of a clone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

MEASURED = Path(__file__).parents[2] / "docs" / "clients"
USUAL = {  # what every client is put through, and how a column calls it
    "success": "taken",
    "auth failure": "login refused",
    "throttle": "429 or its like",
    "server error": "5xx or its like",
    "reset": "reset",
    "late reply": "late reply",
}

Table = Callable[[tuple[str, ...], Sequence[tuple[str, ...]]], str]


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    client: str
    version_major: int
    case: str
    outcome: str
    retries: int  # that nobody asked for
    default_timeout: float | None  # seconds; None: it waits for ever
    note: str


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One client against one fake."""

    against: str
    rows: Mapping[str, Row]  # by case

    @property
    def shown(self) -> tuple[str, str]:
        row = next(iter(self.rows.values()))
        return row.client, f"[{self.against}](clients/{self.against}.json)"


def measured() -> list[Measured]:
    found = []
    for path in sorted(MEASURED.glob("*.json")):
        rows = msgspec.json.decode(path.read_bytes(), type=list[Row])
        for client in dict.fromkeys(row.client for row in rows):
            own = {row.case: row for row in rows if row.client == client}
            found.append(Measured(against=path.stem, rows=own))
    return found


def habits(table: Table) -> str:
    """What a client does unasked, and how long it waits."""
    rows = []
    for each in measured():
        row = next(iter(each.rows.values()))
        patience = "for ever" if row.default_timeout is None else f"{row.default_timeout:g} s"
        rows.append((*each.shown, f"{row.version_major}.x", patience, _retries(each)))
    return table(("client", "against", "version", "waits for an answer", "hidden retries"), rows)


def _retries(of: Measured) -> str:
    """`2 (reset; late reply)`: what is usual comes first."""
    cases = [case for case in (*USUAL, *(case for case in of.rows if case not in USUAL)) if case in of.rows]
    by_count: dict[int, list[str]] = {}
    for case in cases:
        if count := of.rows[case].retries:
            by_count.setdefault(count, []).append(case)
    return ", ".join(f"{count} ({'; '.join(found)})" for count, found in by_count.items()) or "none"


def outcomes(table: Table) -> str:
    """What reaches the caller in each of the usual cases."""
    rows = [(*each.shown, *(f"`{each.rows[case].outcome}`" for case in USUAL)) for each in measured()]
    return table(("client", "against", *USUAL.values()), rows)


def particulars(table: Table) -> str:
    """The other cases, and whatever there is to say of the usual ones."""
    rows = [
        (*each.shown, row.case, f"`{row.outcome}`", row.note)
        for each in measured()
        for case, row in each.rows.items()
        if case not in USUAL or row.note
    ]
    return table(("client", "against", "case", "what the caller gets", "and"), rows)
