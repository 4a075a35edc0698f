"""Options that several commands share, so that each means and says the same everywhere."""

from __future__ import annotations

from pathlib import Path

import click

RUNS = Path("reports/runs")

scenarios = click.argument(
    "scenarios", nargs=-1, required=True, metavar="SCENARIO...", type=click.Path(path_type=Path)
)
scenario = click.argument("scenario", metavar="SCENARIO", type=click.Path(path_type=Path))
on = click.option(
    "--on",
    type=click.Choice(["auto", "local", "containers"]),
    default="auto",
    show_default=True,
    help="Where the pieces run.",
)
proxy = click.option(
    "--proxy",
    type=click.Choice(["auto", "toxiproxy", "embedded"]),
    default="auto",
    show_default=True,
    help="Toxiproxy itself, or the embedded server that speaks its protocol.",
)
seed = click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Instead of the scenario's own seed."
)
sets = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="PATH=VALUE",
    help="Change one value of the scenario, e.g. workload.receipts.for=5s. May be repeated.",
)
variants = click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    help="Of a file with variants, only this one. May be repeated.",
)
out = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=RUNS,
    show_default=True,
    metavar="DIR",
    help="The folder that holds the run folders.",
)
