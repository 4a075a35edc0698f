"""What several runs of one scenario say together: the outcomes, and the mean times to detect and to recover.

A mean over repeats of one scenario is worth comparing with itself, and with nothing else. A run without
impact has no time to recover: it is left out of the mean, and how many were not is said.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from harness.conduct.judge import Judgement


@dataclass(frozen=True)
class Repeats:
    """Runs of one scenario with one seed. Times in seconds; None: no run measured one."""

    scenario: str
    seed: int
    runs: int
    outcomes: dict[str, int]
    mttd_s_mean: float | None
    mttd_measured: int
    mttr_s_mean: float | None
    mttr_measured: int


def repeats_of(judgements: Sequence[Judgement]) -> list[Repeats]:
    """One entry for each scenario and seed that ran more than once, in the order of their first run."""
    groups: dict[tuple[str, int], list[Judgement]] = {}
    for judgement in judgements:
        groups.setdefault((judgement.scenario, judgement.seed), []).append(judgement)
    return [_together(group) for group in groups.values() if len(group) > 1]


def _together(group: list[Judgement]) -> Repeats:
    mttd, mttr = (_times(group, check) for check in ("mttd", "mttr"))
    return Repeats(
        scenario=group[0].scenario,
        seed=group[0].seed,
        runs=len(group),
        outcomes=dict(Counter(each.exit_code.name.lower().replace("_", "-") for each in group)),
        mttd_s_mean=sum(mttd) / len(mttd) if mttd else None,
        mttd_measured=len(mttd),
        mttr_s_mean=sum(mttr) / len(mttr) if mttr else None,
        mttr_measured=len(mttr),
    )


def _times(group: list[Judgement], check: str) -> list[float]:
    found = (f.numbers.get(f"{check}_s_mean") for each in group for f in each.findings if f.check == check)
    return [float(value) for value in found if isinstance(value, int | float) and math.isfinite(value)]


def say_repeats(repeats: Sequence[Repeats], console: Console) -> None:
    for each in repeats:
        outcomes = ", ".join(f"{count} {name}" for name, count in each.outcomes.items())
        times = "; ".join(
            f"mean {name} {mean:.2f} s over {measured} of {each.runs}"
            for name, mean, measured in (
                ("MTTD", each.mttd_s_mean, each.mttd_measured),
                ("MTTR", each.mttr_s_mean, each.mttr_measured),
            )
            if mean is not None
        )
        line = f"{each.scenario}, seed {each.seed}, {each.runs} runs: {outcomes}"
        console.print(f"{line}; {times}" if times else line, soft_wrap=True, highlight=False, markup=False)
