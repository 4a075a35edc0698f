"""Was a run of the matrix as intended? One run's findings in, one row's cells and the reasons against it out.

With a defect, each check that the scenario's claim names fails, and no other does but those for which the
catalogue states a reason. Without one, the run passes, and no check at all fails. A run in which the harness
could not do its part has neither caught nor missed anything: it is trouble, and is reported as that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from harness.conduct.judge import ExitCode
from tests.defects.claims import Claim, Place

NEVER_FAILS = "exposure"
"""What the system never met proves nothing, for it or against it: this check says so by not deciding."""
JUDGED = (ExitCode.PASS, ExitCode.FAIL, ExitCode.INCONCLUSIVE)


class Cell(StrEnum):
    """What one check said in one run, as the table shows it."""

    INTENDED = "●"
    STATED = "○"
    PASSES = "✓"
    UNDECIDED = "?"
    NOT_JUDGED = ""
    ALARM = "ALARM"


@dataclass(frozen=True)
class Row:
    """One run: a planted defect, or the right system in one seed."""

    place: Place
    claim: Claim | None = None
    seed: int | None = None

    def __str__(self) -> str:
        what = self.claim.defect if self.claim else f"right, seed {self.seed}"
        return f"{what:29} {self.place}"


@dataclass(frozen=True)
class Judged:
    row: Row
    cells: Mapping[str, Cell]
    wrong: Sequence[str] = ()
    """Why it is not as intended; empty: it is."""
    trouble: str = ""
    """Why nothing can be said of it."""

    @property
    def as_intended(self) -> bool:
        return not (self.wrong or self.trouble)


def judge(row: Row, exit_code: int, run: Mapping[str, Any] | None) -> Judged:
    """`run` is what `harness run --json` printed of it; None: nothing."""
    if run is None or exit_code not in JUDGED:
        return Judged(row, {}, trouble=f"exit {exit_code}: {run['detail'] if run else 'it printed no run'}")
    findings = {str(each["check"]): each for each in run["findings"]}
    crashed = [name for name, each in findings.items() if each.get("traceback")]
    cells = {name: cell_of(row, name, str(each["verdict"])) for name, each in findings.items()}
    wrong = [f"the check {name} crashed" for name in crashed]
    wrong += [
        f"{name} fails: {findings[name]['summary']}" for name, cell in cells.items() if cell is Cell.ALARM
    ]
    if row.claim is None:
        wrong += [
            f"{name} is not decided: {each['reason']}"
            for name, each in findings.items()
            if each["decides"] and each["verdict"] == "inconclusive"
        ]
        if exit_code != ExitCode.PASS and not wrong:
            wrong.append(f"exit {exit_code}: {run['detail']}")
    for name in row.claim.checks if row.claim else ():
        if cells.get(name) is not Cell.INTENDED:
            said = findings[name]["summary"] if name in findings else "it was not asked"
            wrong.append(f"{name} does not catch it: {said}")
    return Judged(row, cells, wrong)


def cell_of(row: Row, check: str, verdict: str) -> Cell:
    intended = row.claim is not None and check in row.claim.checks
    if verdict == "pass":
        return Cell.PASSES
    if verdict == "inconclusive":
        return Cell.INTENDED if intended and check == NEVER_FAILS else Cell.UNDECIDED
    if intended:
        return Cell.INTENDED
    return Cell.STATED if row.claim is not None and check in row.claim.entry.also else Cell.ALARM
