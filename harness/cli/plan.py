"""`harness plan`: what a scenario will do and when, as a table, as lanes, or as the timeline itself.

The timeline that is shown is the one that a run with the same seed follows, byte for byte.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import click

from harness.cli import options
from harness.cli.scenarios import Planned, load_and_plan

EPILOG = """\b
Examples:
  harness plan scenarios/m365-auth-outage.yaml
  harness plan scenarios/m365-auth-outage.yaml --lanes
  harness plan scenarios/m365-auth-outage.yaml --json | jq '.entries | length'
  harness plan scenarios/m365-auth-outage.yaml --set faults.0.for=40s --seed 8
  harness plan scenarios/systems/external.yaml --routes
  harness plan scenarios/systems/external.yaml --routes --json | jq -r .primary.url
"""


@click.command(epilog=EPILOG)
@options.scenario
@options.seed
@options.sets
@options.variants
@click.option("--lanes", is_flag=True, help="Only the diagram: one lane for each stream and fault.")
@click.option("--routes", is_flag=True, help="Address and account of each route, as a run has them.")
@click.option("--all", "every", is_flag=True, help="Every message, not one line for each stream.")
@click.option(
    "--json", "as_json", is_flag=True, help="The timeline itself, as a run stores it; with --routes, those."
)
def command(
    scenario: Path,
    seed: int | None,
    sets: tuple[str, ...],
    variants: tuple[str, ...],
    lanes: bool,
    routes: bool,
    every: bool,
    as_json: bool,
) -> None:
    """Show what a scenario will do, and when, without doing it.

    Times count from the end of the baseline. The same scenario and seed give the same plan, to the byte.
    """
    if lanes + every + (as_json or routes) > 1:
        raise click.UsageError("Say one of --lanes, --all, --routes and --json; --routes --json go together.")
    planned, *others = load_and_plan([scenario], sets, seed, variants)
    if others:
        from harness.scenario.loader import variants_of

        names = ", ".join(variants or variants_of(scenario))
        raise click.UsageError(f"{scenario} has several variants; say --variant with one of: {names}.")
    if routes:
        from harness.cli.plan_routes import show_routes

        show_routes(planned, as_json=as_json)
        return
    if as_json:
        from harness.scenario.plan import timeline_json

        click.echo(timeline_json(planned.timeline), nl=False)
        return
    if not lanes:
        _head(planned)
        _table(planned, every)
        click.echo()
    _lanes(planned)


def _head(planned: Planned) -> None:
    scenario, timeline = planned.scenario, planned.timeline
    click.secho(scenario.scenario, bold=True, nl=False)
    click.echo(f"  {scenario.summary}")
    baseline, storm = _seconds(timeline.baseline_ns), _seconds(timeline.storm_ns)
    drain = _seconds(timeline.drain_deadline_ns)
    click.echo(f"seed {timeline.seed}; baseline {baseline}, storm {storm}, then a drain of at most {drain}\n")


def _table(planned: Planned, every: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("at", justify="right", no_wrap=True)
    table.add_column("until", justify="right", no_wrap=True)
    table.add_column("what", no_wrap=True)
    table.add_column("details", overflow="fold")
    for at, until, what, details in rows(planned, every):
        table.add_row(at, until, what, Text(details))
    console = Console()
    if not console.is_terminal:
        console.width = 140
    console.print(table)


def rows(planned: Planned, every: bool) -> list[tuple[str, str, str, str]]:
    """(at, until, what, details) in order of time; one row a stream, or with `every` one a message."""
    from harness.scenario.timeline import Fault, Marker, Message, Operator

    found: list[tuple[int, tuple[str, str, str, str]]] = []
    messages = [entry for entry in planned.timeline.entries if isinstance(entry, Message)]
    if every:
        for one in messages:
            what = f"message {one.stream}{' (baseline)' if one.baseline else ''}"
            found.append((one.at_ns, (_at(one.at_ns), "", what, f"to {one.recipient}: {one.subject}")))
    else:
        by_stream = sorted(messages, key=lambda one: (not one.baseline, one.stream))
        for (baseline, stream), grouped in groupby(by_stream, lambda one: (one.baseline, one.stream)):
            group = list(grouped)
            what = f"stream {stream}{' (baseline)' if baseline else ''}"
            within = f", each within {_seconds(group[0].within_ns)}" if group[0].within_ns else ""
            details = f"{len(group)} messages, {group[0].class_}{within}"
            found.append((group[0].at_ns, (_at(group[0].at_ns), _at(group[-1].at_ns), what, details)))
    for entry in planned.timeline.entries:
        if isinstance(entry, Marker):
            found.append((entry.at_ns, (_at(entry.at_ns), "", f"— {entry.marker}", "")))
        elif isinstance(entry, Operator):
            what = f"operator {entry.action}" + (f" of {entry.class_}" if entry.class_ else "")
            found.append((entry.at_ns, (_at(entry.at_ns), "", what, entry.detail)))
        elif isinstance(entry, Fault):
            until = "" if entry.until_ns is None else _at(entry.until_ns)
            attributes = ", ".join(f"{key} {value}" for key, value in entry.attributes.items())
            what = f"fault {entry.type}"
            details = f"on {entry.target}" + (f": {attributes}" if attributes else "")
            found.append((entry.at_ns, (_at(entry.at_ns), until, what, details)))
    # At one time the marker comes first: what follows is inside the phase that it begins.
    return [row for _, row in sorted(found, key=lambda pair: (pair[0], not pair[1][2].startswith("—")))]


def _lanes(planned: Planned) -> None:
    from rich.console import Console

    from harness.cli.lanes import diagram

    console = Console()
    width = min(console.width, 110) if console.is_terminal else 100
    unicode = (console.encoding or "").lower().startswith("utf")
    for line in diagram(planned.timeline, width, unicode=unicode):
        click.echo(line)


def _at(ns: int) -> str:
    return f"{ns / 1e9:.3f} s"


def _seconds(ns: int) -> str:
    return f"{ns / 1e9:g} s"
