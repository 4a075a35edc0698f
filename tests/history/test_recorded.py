"""Runs recorded by earlier versions are judged as they were then: `recorded/README.md` says what they are.

Checks may be added and may say more; what a check said then it says now. Where that is meant to change, the
change stands in `MEANT`, with its reason.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from harness.conduct.judge import Judgement, judge
from harness.history.store import History, to_parquet

RECORDED = Path(__file__).parent / "recorded"
RUNS = sorted(path.parent for path in RECORDED.glob("*/*/history.jsonl.gz"))
MEANT: dict[tuple[str, str], str] = {
    ("mttr", "mttr_s_max"): "where mail was offered late the clock's error widens the lower end",
    ("mttr", "mttr_s_mean"): "where mail was offered late the clock's error widens the lower end",
}
"""(check, number or `verdict`) -> why it is another one today."""


def unpacked(recorded: Path, folder: Path) -> Path:
    (folder / "history.jsonl").write_bytes(gzip.decompress((recorded / "history.jsonl.gz").read_bytes()))
    return folder


def then(recorded: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress((recorded / "findings.json.gz").read_bytes()))
    return found


def told(recorded: Path) -> dict[tuple[str, str], Any]:
    return {
        (finding["check"], name): value
        for finding in then(recorded)["findings"]
        for name, value in {"verdict": finding["verdict"], **finding["numbers"]}.items()
    }


def tells(judgement: Judgement) -> dict[tuple[str, str], Any]:
    return {
        (finding.check, name): value
        for finding in judgement.findings
        for name, value in {"verdict": str(finding.verdict), **finding.numbers}.items()
    }


@pytest.mark.parametrize("recorded", RUNS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_recorded_run_is_judged_as_it_was_then(recorded: Path, tmp_path: Path) -> None:
    judgement = judge(unpacked(recorded, tmp_path))
    assert judgement.exit_code == then(recorded)["exit_code"]
    assert judgement.warnings == then(recorded)["warnings"]
    today = tells(judgement)
    changed = {
        key: (value, today.get(key)) for key, value in told(recorded).items() if today.get(key) != value
    }
    assert {key: change for key, change in changed.items() if key not in MEANT} == {}


@pytest.mark.parametrize("recorded", RUNS[::4], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_as_parquet_it_is_judged_alike(recorded: Path, tmp_path: Path) -> None:
    from_lines = judge(unpacked(recorded, tmp_path))
    to_parquet(tmp_path)
    (tmp_path / "history.jsonl").unlink()
    assert judge(tmp_path).findings == from_lines.findings


def test_runs_of_several_versions_are_read_together(tmp_path: Path) -> None:
    folders = []
    for recorded in RUNS:
        folders.append(tmp_path / f"{recorded.parent.name}-{recorded.name}")
        folders[-1].mkdir()
        unpacked(recorded, folders[-1])
    with History.open(folders) as history:
        assert len(history.runs()) == len(RUNS)


def test_there_are_right_runs_and_wrong_ones_of_several_versions() -> None:
    assert len({recorded.parent.name for recorded in RUNS}) >= 3
    assert {then(recorded)["exit_code"] for recorded in RUNS} == {0, 1}


def test_the_recordings_name_no_machine_and_stay_small() -> None:
    packed = list(RECORDED.rglob("*.gz"))
    assert sum(path.stat().st_size for path in packed) < 300_000
    for path in packed:
        text = gzip.decompress(path.read_bytes()).decode()
        assert [place for place in ("/home/", "/root/", "/tmp/", "/work/") if place in text] == []
