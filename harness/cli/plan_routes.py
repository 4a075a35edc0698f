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
            click.echo(f"  {'where':<10} chosen at each start, unless the route has a `listen`")
        for key, value in known.items():
            if key.endswith("_url") and key != "base_url":
                click.echo(f"  {key:<10} chosen at each start")
            elif value not in (None, ""):
                click.echo(f"  {key:<10} {value}")


def _known(planned: Planned, name: str) -> dict[str, str | int | None]:
    from harness.scenario.templates import endpoint_variable
    from harness.testbed.address import route_address

    listen = planned.scenario.routes[name].listen
    host, _, port = (listen or "127.0.0.1:0").rpartition(":")
    endpoints = planned.scenario.preset(name).endpoints
    beside = dict.fromkeys(endpoints, (host, 0))
    address = route_address(planned.scenario, planned.timeline.seed, name, (host, int(port)), beside)
    known: dict[str, str | int | None] = dict(address.template_context())
    chosen = [endpoint_variable(endpoint) for endpoint in endpoints]
    chosen += [] if listen else ["url", "base_url", "host", "port"]
    return known | dict.fromkeys(chosen)
