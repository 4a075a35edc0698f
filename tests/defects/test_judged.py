"""What counts as intended: the named checks fail, no other does without a reason, and trouble is neither."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.defects import claims
from tests.defects.claims import CATALOGUE, Claim, Defect, Place
from tests.defects.judged import Cell, Judged, Row, judge

PLACE = Place(claims.SCENARIOS / "a.yaml", "busy")
RIGHT = Row(PLACE, seed=3)


def planted(*checks: str, defect: Defect = Defect.SLOW_DETECT) -> Row:
    return Row(PLACE, Claim(PLACE, defect, checks))


def run(**verdicts: str) -> dict[str, Any]:
    """A run whose checks said this, each of them deciding."""
    return {
        "detail": "so it ended",
        "findings": [
            {
                "check": check, "verdict": verdict, "summary": f"{check} said {verdict}", "reason": "because",
                "decides": True,
            }
            for check, verdict in verdicts.items()
        ],
    }  # fmt: skip


def test_a_defect_that_its_check_catches_is_as_intended() -> None:
    judged = judge(planted("mttd"), 1, run(mttd="fail", duplicates="pass", throttle="inconclusive"))
    assert judged.as_intended
    assert judged.cells == {
        "mttd": Cell.INTENDED, "duplicates": Cell.PASSES, "throttle": Cell.UNDECIDED,
    }  # fmt: skip


@pytest.mark.parametrize("verdict", ["pass", "inconclusive"])
def test_a_check_that_does_not_fail_has_not_caught_it(verdict: str) -> None:
    judged = judge(planted("mttd", "duplicates"), 1, run(mttd=verdict, duplicates="fail"))
    assert judged.wrong == [f"mttd does not catch it: mttd said {verdict}"]


def test_a_check_that_was_not_asked_has_caught_nothing() -> None:
    assert judge(planted("mttd"), 0, run(duplicates="pass")).wrong == [
        "mttd does not catch it: it was not asked"
    ]


def test_another_check_may_fail_for_a_reason_that_the_catalogue_states(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = replace(CATALOGUE[Defect.SLOW_DETECT], also={"mttr": "receipts wait"})
    monkeypatch.setattr(claims, "CATALOGUE", {Defect.SLOW_DETECT: entry})
    judged = judge(planted("mttd"), 1, run(mttd="fail", mttr="fail"))
    assert judged.as_intended and judged.cells["mttr"] is Cell.STATED
    judged = judge(planted("mttd"), 1, run(mttd="fail", duplicates="fail"))
    assert judged.wrong == ["duplicates fails: duplicates said fail"]
    assert judged.cells["duplicates"] is Cell.ALARM


def test_exposure_catches_by_not_deciding() -> None:
    row = planted("exposure", defect=Defect.BACKUP_ONLY)
    assert judge(row, 3, run(exposure="inconclusive")).as_intended
    assert not judge(row, 0, run(exposure="pass")).as_intended


def test_the_right_system_passes_and_no_check_fails_not_even_one_that_decides_nothing() -> None:
    assert judge(RIGHT, 0, run(mttd="pass")).as_intended
    beside = run(mttd="pass", unexpected="fail")
    beside["findings"][1]["decides"] = False
    assert judge(RIGHT, 0, beside).wrong == ["unexpected fails: unexpected said fail"]


def test_a_run_of_the_right_system_that_proves_nothing_is_not_as_intended() -> None:
    assert judge(RIGHT, 3, run(mttd="inconclusive")).wrong == ["mttd is not decided: because"]


def test_a_run_of_the_right_system_that_fails_beside_the_checks_is_not_as_intended() -> None:
    assert judge(RIGHT, 1, run(mttd="pass")).wrong == ["exit 1: so it ended"]


def test_a_check_that_crashes_is_said_to() -> None:
    crashed = run(mttd="fail", throttle="inconclusive")
    crashed["findings"][1]["traceback"] = "Traceback …"
    assert judge(planted("mttd"), 1, crashed).wrong == ["the check throttle crashed"]


@pytest.mark.parametrize("exit_code", [2, 4, 5, 6, 70, 130])
def test_a_run_that_the_harness_could_not_carry_out_is_trouble_and_neither_caught_nor_missed(
    exit_code: int,
) -> None:
    for row in (RIGHT, planted("mttd")):
        judged = judge(row, exit_code, run(mttd="fail"))
        assert judged == Judged(row, {}, trouble=f"exit {exit_code}: so it ended")
        assert not judged.as_intended
    assert judge(RIGHT, exit_code, None).trouble == f"exit {exit_code}: it printed no run"
