"""The page that the matrix writes: what it says of runs, and that it is not stale."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.checks import CHECKS
from tests.defects import page
from tests.defects.claims import SCENARIOS, Claim, Defect, Place, all_claims
from tests.defects.judged import Cell, Judged, Row

PLACE = Place(SCENARIOS / "a.yaml", "busy")
CAUGHT = Judged(
    Row(PLACE, Claim(PLACE, Defect.SLOW_DETECT, ("mttd",))),
    {"mttd": Cell.INTENDED, "mttr": Cell.STATED, "duplicates": Cell.PASSES},
)
RIGHT = [
    Judged(Row(PLACE, seed=1), {"mttd": Cell.PASSES, "throttle": Cell.UNDECIDED}),
    Judged(Row(PLACE, seed=2), {"mttd": Cell.UNDECIDED}),
]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_says_of_every_check_what_it_said() -> None:
    head, _, row, right = (cells(line) for line in page.table([CAUGHT, *RIGHT]).splitlines())
    assert head == ["defect", "scenario", *CHECKS]
    said = dict(zip(head, row, strict=True))
    assert (said["defect"], said["scenario"]) == ("`slow-detect`", "a busy")
    assert (said["mttd"], said["mttr"], said["duplicates"], said["waves"]) == ("●", "○", "✓", "")
    said = dict(zip(head, right, strict=True))
    assert (said["defect"], said["scenario"]) == ("none", "2 seeds, 2 runs")
    assert (said["mttd"], said["throttle"], said["waves"]) == ("✓", "?", "")


def test_the_same_runs_give_the_same_text_and_what_stands_around_it_stays() -> None:
    text = f"Before.\n\n{page.BEGIN}old\n{page.END}\nAfter.\n"
    once = page.written(text, [CAUGHT, *RIGHT])
    assert once.startswith("Before.") and once.endswith("After.\n") and "old" not in once
    assert "- `slow-detect`, mttr: until the outage is noticed, receipts wait." in once
    assert page.written(once, [CAUGHT, *RIGHT]) == once
    with pytest.raises(ValueError, match="needs the lines"):
        page.written("no marks", [CAUGHT])


def test_the_page_has_a_row_for_each_claim_in_which_its_checks_fail_and_a_column_for_each_check() -> None:
    text = Path(page.PAGE).read_text(encoding="utf-8").partition(page.BEGIN)[2].partition(page.END)[0]
    head, _, *rows = (cells(line) for line in text.splitlines() if line.startswith("|"))
    stale = "docs/defects.md is stale: run `make defects`"
    assert head == ["defect", "scenario", *CHECKS], stale
    shown = {
        (row[0].strip("`"), row[1], *(check for check in CHECKS if row[head.index(check)] == Cell.INTENDED))
        for row in rows[:-1]
    }
    said = {
        (claim.defect, str(claim.place), *(check for check in CHECKS if check in claim.checks))
        for claim in all_claims()
    }
    assert shown == said, stale
    assert rows[-1][0] == "none" and re.fullmatch(r"\d+ seeds, \d+ runs", rows[-1][1]), stale
    assert Cell.ALARM not in text
