"""`harness report RUN…`: write a run's reports again, from its history."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options
from harness.cli.check import judging_stored
from harness.cli.exits import CommandError

EPILOG = """\b
Examples:
  harness report last
  harness report last --junit reports/junit.xml
"""


@click.command(epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option(
    "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JUnit XML."
)
@options.out
def command(runs: tuple[str, ...], junit: Path | None, out: Path) -> None:
    """Write a run's reports again.

    Judges the run anew and writes findings.json and report.html into its folder. RUN is a run's folder, its
    name under --out, or `last`. The exit code says whether the reports were written, not what they say.
    """
    from harness.report.findings_json import write_findings
    from harness.report.html import write_html
    from harness.report.junit import write_junit

    judgements = []
    try:
        for run in runs:
            with judging_stored(run, out) as (judgement, history):
                judgements.append(judgement)
                click.echo(write_findings(judgement, history))
                click.echo(write_html(judgement, history))
        if junit is not None:
            click.echo(write_junit(judgements, junit))
    except OSError as error:
        raise CommandError(
            f"cannot write a report: {error}", do="make room, or write rights, and repeat"
        ) from error
