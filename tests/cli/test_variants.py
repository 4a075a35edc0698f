"""Files with variants at the command line: which one is meant, and what is said where that is not clear."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Harness
from tests.scenario.writing import VALID


def file(folder: Path) -> Path:
    path = folder / "drill.yaml"
    path.write_text(VALID + "variants:\n  refused: {faults.0.fault: outage}\n  slow: {seed: 9}\n")
    return path


def test_a_plan_is_of_one_variant(harness: Harness, tmp_path: Path) -> None:
    ended = harness("plan", file(tmp_path))
    assert ended.code == 2
    assert "say --variant with one of: refused, slow." in " ".join(ended.err.split())
    ended = harness("plan", file(tmp_path), "--variant", "refused")
    assert ended.code == 0
    assert "drill-refused" in ended.out


def test_validate_takes_all_of_them_or_those_that_are_named(harness: Harness, tmp_path: Path) -> None:
    ended = harness("validate", file(tmp_path))
    assert [name in ended.out for name in ("drill-refused", "drill-slow")] == [True, True]
    ended = harness("validate", file(tmp_path), "--variant", "slow")
    assert [name in ended.out for name in ("drill-refused", "drill-slow")] == [False, True]


def test_a_misspelt_variant_starts_nothing(harness: Harness, tmp_path: Path) -> None:
    ended = harness("run", file(tmp_path), "--variant", "refusd", "--out", tmp_path / "runs")
    assert ended.code == 2
    assert "did you mean `refused`?" in ended.err
    assert not (tmp_path / "runs").exists()
