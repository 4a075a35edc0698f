"""`harness validate`: everything that is wrong with scenario files, without starting anything."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options
from harness.cli.scenarios import load_and_plan

EPILOG = """\b
Examples:
  harness validate scenarios/*.yaml
  harness validate scenarios/m365-auth-outage.yaml --set workload.receipts.rate=20/s
"""


@click.command(epilog=EPILOG)
@options.scenarios
@options.sets
@options.variants
@click.option("-q", "--quiet", is_flag=True, help="Say nothing when all is well.")
def command(
    scenarios: tuple[Path, ...], sets: tuple[str, ...], variants: tuple[str, ...], quiet: bool
) -> None:
    """Check scenario files; nothing is started.

    Shows every mistake with its line and column, what was probably meant, and the valid choices. Expectations
    that a scenario's own limits make impossible are mistakes too. Exit 0, or 2 when there is any.
    """
    for each in load_and_plan(scenarios, sets, None, variants):
        if not quiet:
            click.echo(f"{each.path}: ok ({each.scenario.scenario}: {each.scenario.summary})")
