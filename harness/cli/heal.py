"""`harness heal`: remove what a run that died has left behind, and say whether it is gone."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli import options
from harness.cli.exits import CommandError

EPILOG = """\b
Examples:
  harness heal                      what was left under reports/runs, if anything
  harness heal reports/runs/20260301T101500Z-m365-auth-outage
  harness heal --all                also runs that seem to be still at work

\b
Exit codes: 0 nothing is left; 6 something could not be removed, and is named; 2 no such run.
"""


@click.command(epilog=EPILOG)
@click.argument("run", required=False, metavar="[RUN]")
@click.option("--all", "every", is_flag=True, help="Every run under --out, those still at work included.")
@options.out
def command(run: str | None, every: bool, out: Path) -> int:
    """Remove what a run that died has left behind.

    Every run keeps, on disk and from before the first one is made, a list of the faults and processes it
    makes. A watchdog removes them when the harness dies; this does the same by hand. With no RUN it looks
    at every run under --out whose harness is gone.
    """
    from harness.testbed.heal import find_unhealed, heal
    from harness.testbed.resources import LEDGER_NAME

    if run and every:
        raise click.UsageError("Name one RUN, or say --all; not both.")
    if run:
        folders = [next((path for path in (Path(run), out / run) if path.is_dir()), Path(run))]
    elif every:
        folders = sorted(path.parent for path in out.glob(f"*/{LEDGER_NAME}"))
    else:
        folders = find_unhealed(out)
    if not folders:
        click.echo(f"nothing to heal under {out}")
    left = False
    for folder in folders:
        try:
            report = heal(folder)
        except FileNotFoundError as error:
            raise CommandError(str(error), do="name a folder that `harness run` printed") from None
        done = [f"ended process {name}" for name in report.killed]
        done += [f"fault {name} went with its process" for name in report.faults]
        click.echo(f"{folder}: {'; '.join(done) if done else 'nothing was left'}")
        for problem in report.left:
            left = True
            click.echo(f"  LEFT: {problem}", err=True)
    return 6 if left else 0
