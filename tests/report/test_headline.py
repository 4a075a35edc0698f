"""The sentence and the numbers for people who read nothing else, as the real checks fill them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.conduct.judge import ExitCode, judge
from harness.report.facts import read_facts
from harness.report.headline import Headline, headline_of
from tests.report import samples

EXPECT: list[dict[str, Any]] = [
    {"check": "duplicates", "params": "none"},
    {"check": "waves", "params": {"class": "marketing", "share": "10%", "every": "2s"}},
    {"check": "mttd", "params": "5s"},
    {"check": "mttr", "params": "15s"},
]


def told(sample: samples.Sample) -> tuple[ExitCode, Headline]:
    judgement = judge(sample.judgement.run_dir, EXPECT)
    with read_facts(judgement) as facts:
        return judgement.exit_code, headline_of(judgement, facts)


def test_a_pass(tmp_path: Path) -> None:
    code, headline = told(samples.passing(tmp_path))
    assert code is ExitCode.PASS
    assert headline.sentence.startswith("0 of 325 messages arrived twice; detected in 2.")
    assert headline.sentence.endswith("; receipts 2.2 s late at worst")
    tiles = {tile.label: (tile.value, tile.note) for tile in headline.tiles}
    assert tiles["arrived twice"] == ("0", "of 325")
    assert tiles["lost"] == ("0", "of 325")
    assert tiles["largest wave"] == ("10", "of 100 waiting, 10 allowed")
    assert tiles["to detect"][1] == "target 5.0 s"
    assert tiles["to recover"][0] == "2.8 s"
    assert tiles["latest of receipts"] == ("2.2 s", "due within 1.0 s")


def test_a_failure_names_what_broke(tmp_path: Path) -> None:
    code, headline = told(samples.failing(tmp_path))
    assert code is ExitCode.FAIL
    assert headline.sentence.startswith("6 of 325 messages arrived twice; detected in 8.")
    assert [tile.tone for tile in headline.tiles if tile.label == "arrived twice"] == ["bad"]


@pytest.mark.parametrize("kind", ["inconclusive", "baseline_unmet"])
def test_nothing_is_claimed_that_is_not_known(sample_of: dict[str, samples.Sample], kind: str) -> None:
    judgement = sample_of[kind].judgement
    with read_facts(judgement) as facts:
        sentence = headline_of(judgement, facts).sentence
    assert "arrived twice" not in sentence and "detected in" not in sentence
