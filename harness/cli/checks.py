"""`harness checks`: what a run can be judged by, how each is written, and what it can and cannot prove."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from harness.cli.exits import CommandError

if TYPE_CHECKING:
    from harness.scenario.check_catalogue import CheckEntry, Parameter

EPILOG = """\b
Examples:
  harness checks
  harness checks duplicates
  harness checks --json | jq -r '.[].name'
"""


@click.command(epilog=EPILOG)
@click.argument("name", metavar="[CHECK]", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of text.")
def command(name: str | None, as_json: bool) -> None:
    """List the checks that a run is judged by.

    Each with what it proves, how it stands under `expect:`, and its parameters. With CHECK, that one in full:
    also what it cannot prove, and when it is inconclusive. Checks of your own are in docs/own-checks.md.
    """
    from dataclasses import asdict

    from harness.checks import CHECKS
    from harness.scenario.check_catalogue import check_catalogue
    from harness.scenario.errors import nearest

    entries = [entry for entry in check_catalogue() if name in (None, entry.name)]
    if not entries:
        meant = nearest(name, CHECKS)
        raise CommandError(
            f"there is no check {name!r}",
            do=f"did you mean `harness checks {meant}`?" if meant else "`harness checks` lists them",
        )
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries], indent=2, ensure_ascii=False))
        return
    for entry in entries:
        _tell(entry, whole=name is not None)


def _tell(entry: CheckEntry, *, whole: bool) -> None:
    from harness.cli.columns import headline, paragraph, table, width

    click.echo(headline(entry.name, entry.summary))
    click.echo(paragraph(entry.written, "    "))
    if entry.for_each:
        click.echo(f"    for each {entry.for_each}:")
    for line in table(map(_row, entry.parameters)):
        click.echo(line)
    if not entry.by_default:
        click.echo("    only where it is expected")
    if whole:
        click.echo()
        click.echo(click.wrap_text(entry.about, width(), "    ", "    ", preserve_paragraphs=True))
    click.echo()


def _row(parameter: Parameter) -> tuple[str, str]:
    default = (
        "needed" if parameter.required else f"by default {parameter.default}" if parameter.default else ""
    )
    told = "; ".join(each for each in (parameter.takes.replace("`", ""), default) if each)
    return parameter.name, f"{told}. {parameter.meaning}".rstrip()
