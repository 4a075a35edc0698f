"""The tables of docs/clients.md: from rows as tests write them, one line for each client and fake."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli import client_tables
from tests.providers.clients.observations import SENT, Case, Observation, Table


def rows(head: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
    assert all(len(line) == len(head) for line in lines)
    return "\n".join(" | ".join(line) for line in lines)


def seen(case: str, *, outcome: str = SENT, retries: int = 0, note: str = "") -> Observation:
    return Observation(
        client="x",
        version_major=2,
        case=case,
        outcome=outcome,
        retries=retries,
        default_timeout=None,
        note=note,
    )


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(tmp_path / "a-fake.json", write=True)
    retried = {Case.RESET: 2, Case.LATE_REPLY: 2, Case.THROTTLE: 1}
    for case in Case:
        table.record(seen(case, retries=retried.get(case, 0)))
    table.record(seen("a batch, in part", outcome="Odd 7", retries=2, note="looks | like"))
    table.close(whole=True)
    monkeypatch.setattr(client_tables, "MEASURED", tmp_path)


def test_a_column_for_each_case_that_every_client_is_put_through() -> None:
    assert set(client_tables.USUAL) == set(Case)


@pytest.mark.usefixtures("measured")
def test_hidden_retries_are_told_with_their_cases_the_usual_ones_first() -> None:
    (line,) = client_tables.habits(rows).splitlines()
    where = "[a-fake](clients/a-fake.json)"
    retries = "1 (throttle), 2 (reset; late reply; a batch, in part)"
    assert line == f"x | {where} | 2.x | for ever | {retries}"


@pytest.mark.usefixtures("measured")
def test_what_is_usual_and_has_no_note_is_in_the_columns_alone() -> None:
    assert len(client_tables.outcomes(rows).splitlines()) == 1
    (line,) = client_tables.particulars(rows).splitlines()
    assert line.endswith("a batch, in part | `Odd 7` | looks | like")
