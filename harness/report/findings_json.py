"""findings.json: what was judged, for programs. One run is an object; several are a list with the strongest
exit code.

The keys are a contract with whoever reads them in a pipeline: they are only ever added to, and `format`
grows when the meaning of one changes. Numbers that JSON cannot hold (an infinite MTTR) are written as null,
and named in `not_finite`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from harness.checks.finding import Finding, Offender, Verdict
from harness.conduct.judge import ExitCode, strongest
from harness.history.store import History
from harness.report.confidence import confidence_of
from harness.report.facts import read_facts
from harness.report.story import Story, key_of, stories_of, story_data

if TYPE_CHECKING:
    from harness.conduct.judge import Judgement

FORMAT = 1
FILE_NAME = "findings.json"


def as_document(judgement: Judgement, history: History | None = None) -> dict[str, Any]:
    """One run as plain data, ready for JSON. Raises HistoryError when its history cannot be read."""
    with read_facts(judgement, history) as facts:
        against = [f for f in judgement.findings if f.verdict is not Verdict.PASS]
        stories = stories_of(facts, [offender for finding in against for offender in finding.offenders])
        confidence = confidence_of(facts, judgement.findings)
    return {
        "format": FORMAT,
        "run": judgement.run,
        "run_dir": str(judgement.run_dir),
        "scenario": judgement.scenario,
        "summary": judgement.summary,
        "seed": judgement.seed,
        "outcome": str(judgement.outcome),
        "detail": judgement.detail,
        "verdict": judgement.exit_code.name.lower().replace("_", "-"),
        "exit_code": int(judgement.exit_code),
        "findings": [_finding(finding, stories) for finding in judgement.findings],
        "warnings": list(judgement.warnings),
        "not_proven": list(judgement.not_proven),
        "confidence": [
            {"topic": str(each.topic), "text": each.text, "lowers": each.lowers, "numbers": each.numbers}
            for each in confidence
        ],
    }


def as_list(documents: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several runs, as `run --json` and `check --json` print them."""
    return {
        "format": FORMAT,
        "exit_code": int(strongest(ExitCode(each["exit_code"]) for each in documents)),
        "runs": list(documents),
    }


def encode(document: Mapping[str, Any]) -> str:
    """Indented JSON with the keys in their given order, a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def write_findings(judgement: Judgement, history: History | None = None) -> Path:
    """Write `findings.json` into the run's folder, whole or not at all, and return its path."""
    path = judgement.run_dir / FILE_NAME
    partial = path.with_suffix(".json.partial")
    partial.write_text(encode(as_document(judgement, history)), encoding="utf-8")
    partial.replace(path)
    return path


def _finding(finding: Finding, stories: Mapping[str, Story]) -> dict[str, Any]:
    return {
        "check": finding.check,
        "verdict": str(finding.verdict),
        "decides": finding.decides,
        "summary": finding.summary,
        "reason": finding.reason,
        "counted": finding.counted,
        "numbers": {name: _finite(value) for name, value in finding.numbers.items()},
        "not_finite": {
            name: str(value) for name, value in finding.numbers.items() if _finite(value) is not value
        },
        "formula": finding.formula,
        "error": finding.error,
        "params": finding.params,
        "offenders": [_offender(offender, stories) for offender in finding.offenders],
        "traceback": finding.traceback,
    }


def _offender(offender: Offender, stories: Mapping[str, Story]) -> dict[str, Any]:
    story = stories.get(key_of(offender))
    return {**msgspec.to_builtins(offender), "story": story_data(story) if story is not None else []}


def _finite(value: float | int | str | None) -> float | int | str | None:
    return None if isinstance(value, float) and not math.isfinite(value) else value
