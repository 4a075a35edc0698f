"""`harness plan --routes`: addresses and accounts of a run's routes, for a system that is configured once.

Accounts follow from the seed. The address is known where the route has a `listen`; else a run chooses a port.
"""

from __future__ import annotations

import json

import click

from harness.cli.scenarios import Planned


def show_routes(planned: Planned, *, as_json: bool) -> None:
    """Each route with all that is known of it, or as JSON: what `{{ routes.NAME.… }}` will be."""
    found = {name: _known(planned, name) for name in planned.scenario.routes}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    for name, known in found.items():
        click.secho(name, bold=True)
        if known["url"] is None:
            click.echo("  where     chosen at each start, unless the route has a `listen`")
        for key, value in known.items():
            if value not in (None, ""):
                click.echo(f"  {key:<9} {value}")


def _known(planned: Planned, name: str) -> dict[str, str | int | None]:
    from harness.testbed.address import route_address

    listen = planned.scenario.routes[name].listen
    host, _, port = (listen or "127.0.0.1:0").rpartition(":")
    known: dict[str, str | int | None] = dict(
        route_address(planned.scenario, planned.timeline.seed, name, host, int(port)).template_context()
    )
    return known if listen else {**known, "url": None, "base_url": None, "host": None, "port": None}
