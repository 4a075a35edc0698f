"""`harness images build|pull|list`: the container images of a run, made ready ahead and looked at."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from harness.cli.exits import CommandError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.testbed.containers.engine import Engine

EPILOG = """\b
Examples:
  harness images list
  harness images pull && harness images build    # a CI runner, made ready ahead
  HARNESS_IMAGE_MAILPIT=registry.example/mailpit:v1.27.11 harness images list --json
"""

BUILD_EPILOG = """\b
Examples:
  harness images build
  HARNESS_IMAGE_PYTHON=python:3.13-slim harness images build
"""

PULL_EPILOG = """\b
Examples:
  harness images pull
  HARNESS_IMAGE_TOXIPROXY=registry.example/toxiproxy:2.12.0 harness images pull
"""

LIST_EPILOG = """\b
Examples:
  harness images list
  harness images list --json | jq -r '.images[] | select(.here | not) | .image'
"""


@click.group(epilog=EPILOG)
def command() -> None:
    """Make the images of `--on containers` ready, and list them.

    A run pulls and builds what is absent by itself; that takes a while, and a network. Each image can be
    replaced by an environment variable, which `list` names.
    """


@command.command(epilog=BUILD_EPILOG)
def build() -> None:
    """Build the provider image.

    It holds the fake providers, the packages that they import at the versions that are installed here, and
    the Python base. pip fetches the wheels, once; the build itself has no network. The same content is never
    built twice.
    """
    from harness.testbed.containers.prepare import ensure_provider

    with _engine() as (engine, console):
        click.echo(ensure_provider(engine, console).reference)


@command.command(epilog=PULL_EPILOG)
def pull() -> None:
    """Pull the images of other projects: Toxiproxy, Mailpit, the Python base. Those that are here stay."""
    from harness.testbed.containers import images, prepare

    with _engine() as (engine, console):
        for kind in images.PINNED:
            reference = images.pinned(kind)
            if images.find(engine, kind, reference) is None:
                prepare.pull(engine, kind, console)
            else:
                console.print(f"{reference} is here", highlight=False, markup=False, soft_wrap=True)


@command.command("list", epilog=LIST_EPILOG)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of a table.")
def list_images(as_json: bool) -> None:
    """Say of each image whether it is here, what it is exactly, and how to have another one."""
    from harness.testbed.containers import images, prepare

    with _engine() as (engine, _):
        found = prepare.find_images(engine, images.Kind)
    rows: list[dict[str, Any]] = [
        {
            "name": kind.value,
            "image": image.reference if image else images.configured(kind),
            "here": image is not None,
            "id": image.id if image else None,
            "digests": list(image.digests) if image else [],
            "size_bytes": image.size_bytes if image else None,
            "variable": kind.variable,
            "purpose": kind.purpose,
        }
        for kind, image in found.items()
    ]
    if as_json:
        click.echo(json.dumps({"images": rows}, indent=2))
        return
    for row in rows:
        size = f"{row['size_bytes'] / 1e6:.0f} MB" if row["here"] else "not here"
        click.secho(f"{row['name']:10}", bold=True, nl=False)
        click.echo(f"{size:>8}  {row['image'] or 'not built: `harness images build`'}")
        click.echo(f"{'':20}{row['purpose']}; {row['variable']} names another one")
        for known_as in [row["id"], *row["digests"]] if row["here"] else []:
            click.echo(f"{'':20}{known_as}")


@contextlib.contextmanager
def _engine() -> Iterator[tuple[Engine, Console]]:
    """The engine, closed afterwards, and a console on standard error; what is missing is exit 2."""
    from rich.console import Console

    from harness.testbed.containers.engine import connect
    from harness.testbed.discover import NotAvailable

    try:
        with contextlib.closing(connect()) as engine:
            yield engine, Console(stderr=True)
    except NotAvailable as error:
        raise CommandError(str(error), do=error.do) from error
