"""A query's answer, as a table where it fits, as records where it does not."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli.query import command
from harness.history.events import HarnessWarning, Phase, PhaseEntered, RunStarted
from harness.history.journal import write_events


@pytest.fixture
def run(tmp_path: Path) -> str:
    write_events(
        tmp_path / "history.jsonl",
        "r1",
        [
            RunStarted(
                t_ns=0,
                wall_start="2026-01-01T00:00:00Z",
                scenario="s",
                resolved={},
                seed=1,
                testbed="local",
                proxy="embedded",
            ),
            PhaseEntered(t_ns=1, phase=Phase.STORM),
            HarnessWarning(t_ns=2, warning="late-driver", detail="by 90 ms"),
        ],
    )
    return str(tmp_path)


def ask(run: str, *arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "80"}).invoke(command, [run, *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_narrow_answer_is_a_table(run):
    assert ask(run, "select kind, t_ns from events where t_ns = 1").splitlines() == [
        "kind           t_ns",
        "phase.entered     1",
        "1 row",
    ]


def test_a_wide_answer_is_records_without_empty_fields(run):
    lines = ask(run, "from events where t_ns = 2").splitlines()
    assert lines[0] == "row 1"
    assert lines[-1] == "1 row"
    fields = dict(line.split(maxsplit=1) for line in lines[1:-1])
    assert fields["warning"] == "late-driver"
    assert "token" not in fields


def test_programs_get_json_and_csv(run):
    query = "select seq, kind from events order by seq"
    assert json.loads(ask(run, query, "--json"))[1] == {"seq": 2, "kind": "phase.entered"}
    assert next(csv.reader(ask(run, query, "--csv").splitlines())) == ["seq", "kind"]


def test_without_a_query_tables_and_columns_are_listed(run):
    listed = ask(run)
    for name in ("events", "copies", "attempts", "incidents"):
        assert any(line.startswith(f"{name} ") for line in listed.splitlines()), listed
