"""`harness init DIR`: a starter scenario and a tiny system under test, which run and pass as they are."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from harness.cli.exits import CommandError

FILES = ("scenario.yaml", "mailer.py", "Dockerfile")

EPILOG = """\b
Examples:
  harness init demo && cd demo && harness run scenario.yaml
  harness init .                    in an empty folder
"""


@click.command(epilog=EPILOG)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def command(folder: Path) -> None:
    """Write a starter scenario and a tiny system that passes it.

    scenario.yaml says in comments what to change to test your own system; mailer.py is a mailer with two SMTP
    routes in 90 lines of standard library, Dockerfile makes an image of it. DIR is made; one that holds
    anything already is refused.
    """
    if folder.exists() and not folder.is_dir():
        raise CommandError(f"{folder} is a file", do="name a folder that does not exist yet")
    if folder.is_dir() and any(folder.iterdir()):
        raise CommandError(
            f"{folder} is not empty",
            where=str(folder.resolve()),
            do="name a folder that does not exist yet, for example `harness init demo`; nothing was written",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            text = files("harness.cli").joinpath("starter", name).read_text(encoding="utf-8")
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(
            f"cannot write the starter: {error}", do="name a folder that you may write to"
        ) from error
    here = folder.resolve() == Path.cwd()
    click.echo(
        f"wrote {folder / 'scenario.yaml'}, the scenario, and {folder / 'mailer.py'}, the system it tests"
    )
    click.echo(f"next:  {'' if here else f'cd {folder} && '}harness run scenario.yaml      (about 20 s)")
