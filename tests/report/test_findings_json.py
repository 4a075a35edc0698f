"""findings.json: keys that stay, numbers that JSON can hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.history.store import History
from harness.report.findings_json import as_document, as_list, encode, write_findings
from tests.report import samples


def test_the_keys_are_a_contract(sample_of: dict[str, samples.Sample]) -> None:
    document = as_document(sample_of["failing"].judgement)
    assert list(document) == [
        "format",
        "run",
        "run_dir",
        "scenario",
        "summary",
        "seed",
        "outcome",
        "detail",
        "verdict",
        "exit_code",
        "findings",
        "warnings",
        "not_proven",
        "confidence",
    ]
    assert (document["verdict"], document["exit_code"], document["outcome"]) == ("fail", 1, "completed")
    first = document["findings"][0]
    assert (first["check"], first["verdict"], first["decides"]) == ("duplicates", "fail", True)
    assert first["offenders"][0]["cause"] == "cross-route after a lost acknowledgement"


def test_each_offender_has_its_story(sample_of: dict[str, samples.Sample]) -> None:
    document = as_document(sample_of["failing"].judgement)
    findings = {each["check"]: each for each in document["findings"]}
    twice = [each["story"] for each in findings["duplicates"]["offenders"]]
    assert len(twice) == 6 and all(story[-1]["text"].startswith("takes copy 2") for story in twice)
    assert twice[0][-1]["route"] == "backup"
    lost = next(line for line in twice[0] if "acknowledgement is lost" in line["text"])
    assert lost["in_force"] == ["auth-failure on primary"]
    incident = findings["mttd"]["offenders"][0]["story"]
    assert [line["text"] for line in incident][:3] == [
        "auth-failure on primary begins",
        "first impact",
        "signal detected of primary: true",
    ]


def test_infinity_is_null_and_named(sample_of: dict[str, samples.Sample]) -> None:
    read = json.loads(encode(as_document(sample_of["hostile"].judgement)))
    first = read["findings"][0]
    assert first["numbers"]["ratio"] is None and first["not_finite"] == {"ratio": "inf"}


def test_several_runs_have_the_strongest_outcome(sample_of: dict[str, samples.Sample]) -> None:
    kinds = ("passing", "inconclusive", "failing")
    documents = [as_document(sample_of[kind].judgement) for kind in kinds]
    assert as_list(documents)["exit_code"] == 1
    assert as_list(documents[:2])["exit_code"] == 3
    assert as_list(documents[:1])["exit_code"] == 0
    assert [run["verdict"] for run in as_list(documents)["runs"]] == ["pass", "inconclusive", "fail"]


def test_with_the_history_that_it_was_judged_by_it_says_the_same_and_opens_none(
    sample_of: dict[str, samples.Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    judgement = sample_of["failing"].judgement
    opened_again = as_document(judgement)
    with History.open(judgement.run_dir) as history:
        monkeypatch.setattr(History, "open", None)
        assert as_document(judgement, history) == opened_again


def test_the_file_is_written_whole(tmp_path: Path) -> None:
    sample = samples.passing(tmp_path)
    path = write_findings(sample.judgement)
    assert path == sample.judgement.run_dir / "findings.json"
    assert json.loads(path.read_text())["run"] == sample.judgement.run
    assert not list(path.parent.glob("*.partial"))
