"""`harness doctor`: what this machine has, what a run would use, and why."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.testbed.containers.leftovers import Leftover
    from harness.testbed.discover import Choice, Found

EPILOG = """\b
Examples:
  harness doctor
  harness doctor --json | jq -r .choice.why
"""


@click.command(epilog=EPILOG)
@options.on
@options.proxy
@options.out
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def command(on: str, proxy: str, out: Path, as_json: bool) -> int:
    """Say what is here, what would be used, and why.

    A harness without Docker, Go, Toxiproxy and Mailpit still runs: the embedded proxy takes Toxiproxy's
    place, and only scenarios that name Mailpit need it. Where `--on containers` cannot be had, it says why
    and what to do.
    """
    from harness.testbed.discover import NotAvailable, choose, discover
    from harness.testbed.heal import find_unhealed, left_on_engine

    found = discover()
    try:
        choice = choose(on, proxy)
        refusal = None
    except NotAvailable as error:
        choice, refusal = None, error
    unhealed = find_unhealed(out)
    on_engine: list[Leftover] = []
    with contextlib.suppress(NotAvailable):  # the table says that there is none
        on_engine = left_on_engine()
    if as_json:
        document = {
            "found": [
                {
                    "name": f.name,
                    "where": f.where,
                    "version": f.version,
                    "note": f.note,
                }
                for f in found
            ],
            "choice": vars(choice) if choice else None,
            "refusal": f"{refusal}: {refusal.do}" if refusal else None,
            "unhealed": [str(path) for path in unhealed],
            "on_engine": [{"run": each.run, "what": str(each), "kept": each.is_kept} for each in on_engine],
        }
        click.echo(json.dumps(document, indent=2))
        return 0
    _show(found, choice)
    if refusal:
        click.echo(f"\nA run would be refused: {refusal}.\nDo: {refusal.do}.")
    for path in unhealed:
        click.echo(f"\nA run that died has left something behind: harness heal {path}")
    for each in on_engine:
        why = "--keep has kept" if each.is_kept else "a run that died has left"
        click.echo(f"\nOn the Docker engine {why} {each}: harness heal --all")
    return 0


def _show(found: list[Found], choice: Choice | None) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("here")
    table.add_column("version", overflow="fold", max_width=24)
    table.add_column("what for", overflow="fold", ratio=1)
    for one in found:
        mark = "[green]yes[/]" if one.here else "[yellow]no[/]"
        where = f"\n[dim]{escape(one.where)}[/]" if one.where else ""
        table.add_row(one.name, mark, one.version, escape(one.note) + where)
    console.print(table)
    if choice:
        console.print(
            f"\nA run would use the [bold]{choice.testbed}[/] testbed and the [bold]{choice.proxy}[/] proxy: "
            f"{choice.why}.\nWith SMTP fakes: {choice.about_inbox}.",
            soft_wrap=True,
            highlight=False,
        )
