"""`harness schema`: the scenario format for editors and other programs."""

from __future__ import annotations

import json
from pathlib import Path

import click

from harness.cli.exits import CommandError

EPILOG = """\b
Examples:
  harness schema > scenario.schema.json
  harness schema --out scenario.schema.json

\b
In an editor with a YAML language server, the first line of a scenario file can name it:
  # yaml-language-server: $schema=scenario.schema.json
"""


@click.command(epilog=EPILOG)
@click.option(
    "--out", "target", type=click.Path(path_type=Path, dir_okay=False), help="A file, instead of printing it."
)
def command(target: Path | None) -> None:
    """Print the scenario format's JSON Schema."""
    from harness.scenario.schema import json_schema

    text = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    if target is None:
        click.echo(text, nl=False)
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"cannot write {target}: {error}", do="name a file that you may write to"
        ) from error
    click.echo(f"wrote {target}")
