"""Load and plan the scenarios that a command was given; a mistake in any of them ends the command (2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import INVALID

if TYPE_CHECKING:
    from harness.scenario.models import Scenario
    from harness.scenario.timeline import Timeline


class ScenariosInvalid(click.ClickException):
    """One or more scenario files cannot be used; the message is the loader's own, for all of them."""

    exit_code = INVALID

    def show(self, file: Any = None) -> None:
        click.echo(self.message, file=file, err=True)


@dataclass(frozen=True)
class Planned:
    """A scenario and what it will do."""

    path: Path
    scenario: Scenario
    timeline: Timeline


def load_and_plan(
    paths: Sequence[Path], sets: Sequence[str], seed: int | None, variants: Sequence[str] = ()
) -> list[Planned]:
    """All of them, a file with variants once for each of `variants` or of all it has.

    Raises ScenariosInvalid with every problem in every file; nothing is started either way.
    """
    from harness.scenario.errors import ScenarioError
    from harness.scenario.loader import load, variants_of
    from harness.scenario.plan import plan

    planned, wrong = [], []
    for path in paths:
        try:
            named: Sequence[str | None] = variants or variants_of(path) or [None]
        except ScenarioError as error:
            wrong.append(str(error))
            continue
        for variant in named:
            try:
                scenario = load(path, sets, variant=variant)
                planned.append(Planned(path, scenario, plan(scenario, seed)))
            except ScenarioError as error:
                wrong.append(str(error))
    if wrong:
        raise ScenariosInvalid("\n\n".join(wrong))
    return planned
