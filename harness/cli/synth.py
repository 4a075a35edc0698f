"""`harness synth`: a history of any size with planted violations, to see that the checks find just these.

It writes Parquet and `truth.json`, and nothing else; `harness check` then judges it like any other run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from harness.cli.exits import CommandError

EPILOG = """\b
Examples:
  harness synth --events 10000000 --duplicates 7 --lost 3 --out big
  harness check big                             exit code 1, and the tokens in big/truth.json
  harness synth --events 5000000 --runs 1000 --out many
  harness synth --events 100000 --lines --out small
"""


@click.command(epilog=EPILOG)
@click.option("--events", type=click.IntRange(min=1), required=True, metavar="N", help="How many, in all.")
@click.option(
    "--duplicates", type=click.IntRange(min=0), default=0, metavar="D", help="Messages that arrive twice."
)
@click.option(
    "--lost", type=click.IntRange(min=0), default=0, metavar="L", help="Messages that never arrive."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Another, other tokens."
)
@click.option(
    "--runs", type=click.IntRange(min=1), default=1, show_default=True, help="Share all of it among so many."
)
@click.option("--lines", is_flag=True, help="As a journal writes them (history.jsonl); slower than Parquet.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    help="A folder that is new or empty.",
)
def command(events: int, duplicates: int, lost: int, seed: int, runs: int, lines: bool, out: Path) -> None:
    """Make up a history with planted violations.

    Three outages of the primary route, a switch to the backup, a backlog that leaves in waves: all that a
    run has, and all in order but for what is planted. DIR/truth.json names the tokens.
    """
    from harness.history.errors import HistoryError
    from harness.history.synthesis.plan import Wanted
    from harness.history.synthesis.write import synthesize

    try:
        with _progress(events) as progress:
            truth = synthesize(
                Wanted(events, duplicates, lost, seed, runs), out, lines=lines, progress=progress
            )
    except HistoryError as error:
        raise CommandError(f"such a history cannot be made: {error}") from error
    except OSError as error:
        raise CommandError(f"cannot write to {out}: {error.strerror}", do="name another folder") from error
    click.echo(
        f"{truth['events']:,} events in {out}: {duplicates:,} duplicates and {lost:,} lost are planted, "
        f"{out / 'truth.json'} names them"
    )


@contextmanager
def _progress(events: int) -> Iterator[Callable[[int], None]]:
    """On a terminal, how far it has got."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("making up events", total=events)
        yield lambda done: shown.update(task, completed=done)
