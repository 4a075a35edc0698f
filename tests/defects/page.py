"""The part of docs/defects.md that the matrix writes: its table, and why some checks fail besides.

The same runs give the same text: nothing in it depends on the day or on how long anything took.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.checks import CHECKS
from tests.defects.judged import Cell, Judged
from tests.ran import ROOT

PAGE = ROOT / "docs" / "defects.md"
BEGIN, END = "<!-- made by `make defects` -->\n", "<!-- the end of what `make defects` makes -->\n"


def table(judged: Sequence[Judged]) -> str:
    """A row for each claim, then one for the right system, over all its runs."""
    planted = [each for each in judged if each.row.claim]
    right = [each for each in judged if not each.row.claim]
    lines = [_line(["defect", "scenario", *CHECKS]), "|---|---|" + ":-:|" * len(CHECKS)]
    for each in planted:
        assert each.row.claim is not None
        cells = [each.cells.get(check, Cell.NOT_JUDGED) for check in CHECKS]
        lines.append(_line([f"`{each.row.claim.defect}`", str(each.row.place), *cells]))
    if right:
        runs = f"{len({each.row.seed for each in right})} seeds, {len(right)} runs"
        cells = [_of_all([each.cells.get(check, Cell.NOT_JUDGED) for each in right]) for check in CHECKS]
        lines.append(_line(["none", runs, *cells]))
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _of_all(cells: Sequence[Cell]) -> Cell:
    worst = (Cell.ALARM, Cell.PASSES, Cell.UNDECIDED)
    return next((cell for cell in worst if cell in cells), Cell.NOT_JUDGED)


def reasons(judged: Sequence[Judged]) -> str:
    """Of each check that failed as stated, the reason."""
    lines = {
        f"- `{each.row.claim.defect}`, {check}: {each.row.claim.entry.also[check]}.": None
        for each in judged
        if each.row.claim
        for check, cell in each.cells.items()
        if cell is Cell.STATED
    }
    return "".join(f"{line}\n" for line in lines)


def written(text: str, judged: Sequence[Judged]) -> str:
    """The page's text with what these runs gave. Raises ValueError where the page has lost its marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{PAGE.name} needs the lines {BEGIN.strip()!r} and {END.strip()!r}")
    why = reasons(judged)
    stated = f"\nWhat fails besides, and why:\n\n{why}" if why else ""
    return f"{before}{BEGIN}\n{table(judged)}{stated}\n{END}{after}"


def write(judged: Sequence[Judged], page: Path = PAGE) -> None:
    page.write_text(written(page.read_text(encoding="utf-8"), judged), encoding="utf-8")
