"""`harness heal`: remove what a run that died has left behind, and say whether it is gone."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.exits import CommandError

if TYPE_CHECKING:
    from harness.testbed.heal import HealReport

EPILOG = """\b
Examples:
  harness heal                      what was left under reports/runs, if anything
  harness heal reports/runs/20260301T101500Z-m365-auth-outage
  harness heal --all                also what --keep has kept, and what is on the Docker engine

\b
Exit codes: 0 nothing is left; 6 something could not be removed, and is named; 2 no such run.
"""


@click.command(epilog=EPILOG)
@click.argument("run", required=False, metavar="[RUN]")
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Every run under --out, what --keep has kept, and what your runs have left on the Docker engine, be "
    "their folders gone. Runs still at work are left alone.",
)
@options.out
def command(run: str | None, every: bool, out: Path) -> int:
    """Remove what a run that died has left behind.

    Every run keeps, on disk and from before the first one is made, a list of the faults, processes and
    containers it makes. A watchdog removes them when the harness dies; this does the same by hand. With no
    RUN it looks at every run under --out whose harness is gone. A RUN that is named is ended even while it is
    at work, and what --keep has kept of it goes too.
    """
    from harness.testbed.heal import find_kept, find_unhealed, heal, owner_is_alive, runs_under

    if run and every:
        raise click.UsageError("Name one RUN, or say --all; not both.")
    if run:
        folders = [next((path for path in (Path(run), out / run) if path.is_dir()), Path(run))]
    elif every:
        folders = [folder for folder in runs_under(out) if not owner_is_alive(folder)]
    else:
        folders = find_unhealed(out)
    if not folders:
        click.echo(f"nothing to heal under {out}")
    left = False
    for folder in folders:
        try:
            report = heal(folder, kept=bool(run or every))
        except FileNotFoundError as error:
            raise CommandError(str(error), do="name a folder that `harness run` printed") from None
        left |= _tell(folder, report)
    if every:
        left |= _heal_engine()
    elif not run:
        for folder in find_kept(out):
            click.echo(f"{folder}: kept, as --keep asked; to remove it: harness heal {folder}")
        _tell_engine()
    return 6 if left else 0


def _tell(folder: Path, report: HealReport) -> bool:
    """What became of one run; whether something is left."""
    done = [f"ended process {name}" for name in report.killed]
    done += [f"removed {name}" for name in report.removed]
    held = "its container" if report.removed else "its process"
    done += [f"fault {name} went with {held}" for name in report.faults]
    click.echo(f"{folder}: {'; '.join(done) if done else 'nothing was left'}")
    return _tell_left(report.left)


def _tell_left(problems: Sequence[str]) -> bool:
    for problem in problems:
        click.echo(f"  LEFT: {problem}", err=True)
    return bool(problems)


def _heal_engine() -> bool:
    """What no run under --out has told of; whether something is left."""
    from harness.testbed.discover import NotAvailable
    from harness.testbed.heal import heal_engine

    try:
        reaped = heal_engine()
    except NotAvailable as error:
        # No failure: had one of the runs had an engine, it would have been told above.
        click.echo(f"no Docker engine was looked at: {error}")
        return False
    left = False
    for leftover, end in reaped.items():
        click.echo(f"{leftover.run} (by its label): {'; '.join(f'removed {name}' for name in end.removed)}")
        left |= _tell_left(end.left)
    return left


def _tell_engine() -> None:
    from harness.testbed.discover import NotAvailable
    from harness.testbed.heal import left_on_engine

    with contextlib.suppress(NotAvailable):
        for leftover in left_on_engine():
            if not leftover.is_kept:
                click.echo(f"on the Docker engine are still {leftover}; to remove them: harness heal --all")
