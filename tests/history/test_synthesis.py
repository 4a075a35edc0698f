"""Made-up histories: what is planted is there, and nothing else; a fold that knows no view says the same."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from harness.checks.finding import Verdict
from harness.conduct.judge import ExitCode, judging_all
from harness.history.store import History, to_parquet
from harness.history.synthesis import write
from harness.history.synthesis.plan import FEWEST_EVENTS, SynthesisRefused, Wanted
from harness.history.synthesis.write import synthesize


def rows(folder: Path) -> list[tuple[Any, ...]]:
    query = f"select kind, result, token, baseline from read_parquet('{folder}/*.parquet') order by run, seq"
    return duckdb.sql(query).fetchall()


def folded(folder: Path) -> tuple[list[str], list[str]]:
    """Duplicated and lost tokens, by a fold in plain Python that knows no view."""
    offered, copies = set(), Counter[str]()
    for kind, result, token, baseline in rows(folder):
        if kind == "message.submitting" and not baseline:
            offered.add(token)
        elif kind == "receipt" and result in ("accepted", "ack-lost"):
            copies[token] += 1
    return sorted(t for t, n in copies.items() if n > 1), sorted(t for t in offered if not copies[t])


def test_a_plain_fold_and_the_checks_find_exactly_what_is_planted(tmp_path: Path) -> None:
    truth = synthesize(Wanted(20_000, duplicates=7, lost=3), tmp_path / "made")
    assert truth == json.loads((tmp_path / "made" / "truth.json").read_text())
    assert (len(truth["duplicates"]), len(truth["lost"])) == (7, 3)
    assert folded(tmp_path / "made") == (truth["duplicates"], truth["lost"])
    ((judged, _),) = judging_all(tmp_path / "made")
    found = {each.check: each for each in judged.findings}
    assert judged.exit_code is ExitCode.FAIL
    assert sorted(str(each.token) for each in found["duplicates"].offenders) == truth["duplicates"]
    assert sorted(str(each.token) for each in found["delivered"].offenders) == truth["lost"]
    others = {each.check: each.verdict for each in judged.findings if each.decides}
    assert {name for name, verdict in others.items() if verdict is not Verdict.PASS} == {
        "duplicates",
        "delivered",
    }


def test_without_anything_planted_every_expectation_is_met(tmp_path: Path) -> None:
    synthesize(Wanted(FEWEST_EVENTS), tmp_path / "made")
    ((judged, _),) = judging_all(tmp_path / "made")
    assert judged.exit_code is ExitCode.PASS, [each.reason or each.summary for each in judged.findings]


def test_a_large_one_is_several_files_and_one_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write, "_MESSAGES_A_FILE", 700)
    truth = synthesize(Wanted(10_000, duplicates=4, lost=2), tmp_path / "made")
    assert len(list((tmp_path / "made").glob("history-*.parquet"))) == 5
    assert folded(tmp_path / "made") == (truth["duplicates"], truth["lost"])
    with History.open(tmp_path / "made") as history:
        counted = history.con.execute("select count(*), count(distinct seq), max(seq) from events").fetchone()
        assert counted == (10_000, 10_000, 10_000)
        assert history.con.execute("from gaps").fetchall() == []
    ((judged, _),) = judging_all(tmp_path / "made")
    assert judged.exit_code is ExitCode.FAIL


def test_there_are_as_many_events_as_were_asked_for_in_an_order_that_is_whole(tmp_path: Path) -> None:
    synthesize(Wanted(10_007, duplicates=1), tmp_path / "made")
    with History.open(tmp_path / "made") as history:
        assert history.con.execute("select count(*), min(seq), max(seq) from events").fetchone() == (
            10_007, 1, 10_007,
        )  # fmt: skip
        assert history.con.execute("from gaps").fetchall() == []


def test_a_seed_gives_the_same_history_and_another_one_other_tokens(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        synthesize(Wanted(6_000, 2, 2, seed), tmp_path / name)
    assert rows(tmp_path / "one") == rows(tmp_path / "again")
    assert not {row[2] for row in rows(tmp_path / "one")} & {
        row[2] for row in rows(tmp_path / "other") if row[2]
    }


def test_more_than_ten_are_all_to_be_had_from_the_views(tmp_path: Path) -> None:
    truth = synthesize(Wanted(20_000, duplicates=25), tmp_path / "made")
    with History.open(tmp_path / "made") as history:
        listed = history.con.execute("select token from fates where copies > 1 order by token").fetchall()
    assert [token for (token,) in listed] == truth["duplicates"]


def test_several_runs_share_it_and_a_pattern_opens_them(tmp_path: Path) -> None:
    truth = synthesize(Wanted(15_000, duplicates=4, lost=2, runs=3), tmp_path / "made")
    assert sorted(truth["runs"]) == ["synth-0001", "synth-0002", "synth-0003"]
    for where in (
        tmp_path / "made",
        str(tmp_path / "made" / "*"),
        str(tmp_path / "made" / "*" / "*.parquet"),
    ):
        judged = [judgement for judgement, _ in judging_all(where)]
        assert [each.run for each in judged] == sorted(truth["runs"])
        assert [each.run_dir.name for each in judged] == sorted(truth["runs"])
        assert [each.findings[0].numbers["duplicated"] for each in judged] == [2, 1, 1]


def test_lines_become_the_same_history(tmp_path: Path) -> None:
    synthesize(Wanted(6_000, 2, 1), tmp_path / "parquet")
    synthesize(Wanted(6_000, 2, 1), tmp_path / "lines", lines=True)
    to_parquet(tmp_path / "lines")
    assert rows(tmp_path / "lines") == rows(tmp_path / "parquet")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted(100), "too few for a run"),
        (Wanted(6_000, runs=2), "too few for a run"),
        (Wanted(6_000, duplicates=5_000), "has room for"),
        (Wanted(6_000, lost=1_000), "has room for"),
    ],
)
def test_what_cannot_be_made_is_refused(tmp_path: Path, wanted: Wanted, says: str) -> None:
    with pytest.raises(SynthesisRefused, match=says):
        synthesize(wanted, tmp_path / "made")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(SynthesisRefused, match="not an empty folder"):
        synthesize(Wanted(6_000), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
