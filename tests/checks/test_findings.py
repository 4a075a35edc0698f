"""Findings on random histories, word for word: verdicts, numbers, sentences, who offends and in which order.

The model (test_against_model.py) says what is right; this says that nothing changed unmeant, in what no model
speaks of either: ties, limits, wording. UPDATE_SNAPSHOTS=1 writes `findings/` anew; read the difference
before committing it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.checks import CHECKS, parse_params
from harness.checks.finding import Finding
from harness.history.store import History
from tests.checks.generated import history
from tests.checks.histories import opened
from tests.checks.test_metamorphic import PARAMS

FOLDER = Path(__file__).parent / "findings"
SEEDS = range(40_000, 40_024)
# `authentication` asks kept mail, of which random histories have none.
ASKED: dict[str, list[Any]] = {
    check: [params] for check, params in PARAMS.items() if check != "authentication"
}
ASKED["duplicates"] += [{"at_most": "5%"}]
ASKED["delivered"] += [{"held_at_most": "20%"}]
ASKED["flapping"] += ["none", {"at_most": 1}]
ASKED["waves"] += [{"share": "50%", "every": "1s"}]
ASKED["throttle"] += [{"primary": {"rate": "1/s", "burst": 1}}]
ASKED["cost"] += [1]
ASKED["pause"] += [{"class": "marketing", "from": "detection", "grace": "500ms"}]
ASKED["approval"] += [{"class": "transactional", "at_most": 1}]
ASKED["priority"] += [{"first": "transactional", "then": "marketing", "ratio": 0.5}]
ASKED["fallback"] += [{"after": "1s", "within": "3s"}]
ASKED["mttd"] += ["1s"]
ASKED["mttm"] += ["1s"]
ASKED["mttr"] += ["1s", {"target": "10s", "measure": "drained", "min_overdue": 1}]


@pytest.fixture(scope="module")
def histories() -> Iterator[History]:
    with opened(*(history(f"seed {seed}", random.Random(seed)) for seed in SEEDS)) as told:
        yield told


@pytest.mark.parametrize("check", ASKED)
def test_what_is_found_is_what_was_found_before(check: str, histories: History) -> None:
    found = ""
    for raw in ASKED[check]:
        found += f"# {check}: {raw}\n"
        for seed in SEEDS:
            finding = CHECKS[check].evaluate(histories, f"seed {seed}", parse_params(check, raw))
            found += f"seed {seed}: {_told(finding)}"
    path = FOLDER / f"{check}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


def test_every_file_has_its_check() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == set(ASKED)


def _told(finding: Finding) -> str:
    numbers = ", ".join(f"{name} {value}" for name, value in finding.numbers.items())
    lines = [f"{finding.verdict}: {finding.summary}", f"  {finding.counted} counted; {numbers}"]
    lines += [f"  {text}" for text in (finding.reason, finding.error) if text]
    lines += [
        f"  - {each.token or each.subject} {each.recipient or ''}: {each.why} ({each.cause})"
        for each in finding.offenders
    ]
    return "\n".join(lines) + "\n"
