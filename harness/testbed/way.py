"""One endpoint's way through its proxy, what faults on the way of events act on, and whether a way is clean.

In: a proxy and what it may lead to. Out: the endpoint that fault injectors work on, or a complaint.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.scenario.targets import EVENTS, is_way_back, target_of
from harness.testbed.address import RouteAddress
from harness.testbed.canary import Canary, Saw
from harness.testbed.faults import Endpoint
from harness.testbed.proxy.endpoint import ProxiedEndpoint
from harness.testbed.proxy.errors import ProxyError

VERIFY_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Way:
    """One endpoint's proxy, and what it may lead to. Upstreams are `host:port` as the proxy sees them."""

    proxy: ProxiedEndpoint
    upstream: str
    rejecting_upstream: str | None
    for_client: tuple[str, int] | None = None
    """(host, port) where those whose way it is find the proxy, if not where the harness does: the SUT, and on
    the way of events the provider."""


def way_back(route: str, way: Way, refused_as: frozenset[Saw]) -> Endpoint:
    """The endpoint `<route>.events`: nobody logs in there, and no provider listens."""
    address = RouteAddress(
        route=target_of(route, EVENTS), scheme="events+http", host=way.proxy.host, port=way.proxy.port
    )
    return Endpoint(
        route=route,
        beside=EVENTS,
        proxy=way.proxy,
        canary=Canary(address, None, None),
        upstream=way.upstream,
        rejecting_upstream=None,
        provider=None,
        refused_as=refused_as,
    )


async def complaint(name: str, endpoint: Endpoint, *, is_up: bool) -> str | None:
    """What is still wrong with the way to an endpoint; None: it is clean. `is_up`: the system runs."""
    if is_way_back(name) and not is_up:
        # Nobody is there to answer; that the proxy is as it was is all that can be known.
        try:
            await endpoint.proxy.confirm()
        except ProxyError as error:
            return f"the proxy of {name}: {error}"
        return None
    sighting = await endpoint.canary.transport(VERIFY_TIMEOUT_S)
    return None if sighting.saw is Saw.OK else f"the canary on route {name} met `{sighting.saw.value}`"
