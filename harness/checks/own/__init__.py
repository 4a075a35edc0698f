"""Checks that users write themselves: a query in SQL, or a function in Python, named under `expect: own:`.

What a check of one's own says flows in as `Looked`: how many things it looked at, and which of them offend.
The verdict is made from it by the rules that every check has (judged.py). A history holds the text of each,
so that a run can be judged again by what was asked then, wherever the files are now.

    from harness.checks.own import Looked, Offender
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.checks.finding import Offender

__all__ = ["PREFIX", "Looked", "NotUsable", "Offender"]

PREFIX = "own."
"""Before the name that a user gave: no check that comes with the harness has a dot in its name."""


@dataclass(frozen=True)
class Looked:
    """What a check of one's own found.

    `counted` is how many things it looked at: with none, nothing is proved. `offenders` come worst first.
    """

    counted: int
    offenders: list[Offender] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    """Why it cannot be told, in sentences; they make a check without offenders inconclusive."""
    numbers: Mapping[str, float | int | str | None] = field(default_factory=dict)
    """What it computed, units in the names, such as `latest_s`."""
    offending: int | None = None
    """How many offend, where `offenders` does not name them all."""


class NotUsable(Exception):
    """A check of one's own that cannot be asked: what is wrong with its file, and what to do."""

    def __init__(self, what: str, do: str = "", meant: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.do = do
        self.meant = meant
