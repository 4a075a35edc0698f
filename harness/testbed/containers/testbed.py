"""The containers testbed: real Toxiproxy and Mailpit, each fake in a container, egress closed.

Who connects to whom is in docs/how-it-works.md. The harness reaches everything on 127.0.0.1: the endpoints'
proxies at ports of their own, the rest through the gate. Containers that need not wait for each other start
at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.history.journal import Journal
from harness.providers.wire import BoundListener
from harness.scenario.hosts import hosts_of
from harness.scenario.models import Scenario
from harness.scenario.providers import MAILPIT
from harness.scenario.targets import EVENTS, is_way_back, parts, target_of
from harness.testbed.address import HTTP, scheme_of, usual_port
from harness.testbed.assembled import LOOPBACK, AssembledTestbed
from harness.testbed.base import TestbedError
from harness.testbed.canary import Saw
from harness.testbed.containers.engine import Engine, connect
from harness.testbed.containers.ground import Ground, Net
from harness.testbed.containers.images import Image, Kind
from harness.testbed.containers.mailpit import InboxContainer, MailpitContainer, MailpitProviderContainer
from harness.testbed.containers.names import RunNames
from harness.testbed.containers.prepare import run_images
from harness.testbed.containers.provider import PLACES, ProviderContainer
from harness.testbed.containers.proxy_server import ANY, Gate, ProxyContainer
from harness.testbed.containers.system_host import (
    CA_FILE,
    DKIM_DIR,
    FRONT_NAME,
    STATE_DIR,
    ContainedHost,
    Surface,
)
from harness.testbed.containers.system_plan import contained_host
from harness.testbed.containers.way_back import WayBack
from harness.testbed.discover import NotAvailable
from harness.testbed.inbox import Inbox
from harness.testbed.mail.keys import dkim_variables
from harness.testbed.processes import ProcessError
from harness.testbed.provider import Provider
from harness.testbed.provider.config import config_of, routes_of, wants_an_inbox
from harness.testbed.proxy.endpoint import ProxiedEndpoint
from harness.testbed.proxy.errors import ProxyError
from harness.testbed.resources import ResourceLedger, What
from harness.testbed.signals.webhook import Webhooks
from harness.testbed.system.here import free_port
from harness.testbed.system.host import SystemHost
from harness.testbed.system.plan import Surroundings
from harness.testbed.way import Way

INBOX = "harness.inbox"
"""Among the providers, whose names have no dot."""
WEBHOOK_PORT = 9000
WAYS_BESIDES_PROVIDERS = 4
"""Of the gate: the inbox, the system's port, the system's port through `routes`, one to spare."""


class ContainersTestbed(AssembledTestbed):
    name = "containers"
    refused_as = frozenset({Saw.CONNECT_REFUSED, Saw.CLOSED, Saw.RESET})
    """Docker's forwarder takes the connection on 127.0.0.1 before it knows whether anybody listens."""

    def __init__(
        self,
        scenario: Scenario,
        run_dir: Path,
        seed: int,
        engine: Engine,
        images: dict[Kind, Image],
        *,
        keep: bool = False,
    ) -> None:
        super().__init__(scenario, run_dir, "toxiproxy", seed, keep=keep)
        self._engine = engine
        self._images = images
        self._early: list[asyncio.Task[Any]] = []
        self._servers: dict[str, ProxyContainer] = {}
        self._ledger: ResourceLedger | None = None
        self._ground: Ground | None = None
        self._gate: Gate | None = None
        self._way_back: WayBack | None = None
        self._mailpit: MailpitContainer | None = None
        self._surface: Surface | None = None
        self._contained: ContainedHost | None = None
        self._warn: Callable[[str, str], None] | None = None

    @classmethod
    def on_this_machine(
        cls, scenario: Scenario, run_dir: Path, seed: int, *, keep: bool = False
    ) -> ContainersTestbed:
        """On the engine that answers here, with the images that are on it. Raises TestbedError."""
        try:
            engine = connect()
            return cls(scenario, run_dir, seed, engine, run_images(engine), keep=keep)
        except NotAvailable as error:
            raise TestbedError(f"{error}: {error.do}") from error

    def binaries(self) -> dict[str, Any]:
        toxiproxy = self._images[Kind.TOXIPROXY].as_json()
        proxies = {
            target_of(route, endpoint): {"proxy": self.proxy, **toxiproxy}
            for route in self._scenario.routes
            for endpoint in self._endpoint_names(route)
        }
        return {**proxies, **{kind.value: image.as_json() for kind, image in self._images.items()}}

    @property
    def _is_contained(self) -> bool:
        """Whether the system itself is in a container, and sees the proxies by their names."""
        return self._scenario.system.kind in ("container", "compose")

    async def _start_ground(self, journal: Journal, ledger: ResourceLedger) -> None:
        self._ledger = ledger
        self._warn = self._warner(journal, "system")
        run = RunNames.of_this_process(ledger.marker, self._run_dir.name)
        ledger.making_on_engine(self._engine.host)
        networks = tuple(Net) if self._is_contained else (Net.EDGE, Net.PROVIDERS)
        ground = Ground(self._engine, run, ledger, networks)
        self._ground = ground
        self._way_back = WayBack(ground)
        await ground.open(keep=self._keep)
        toxiproxy = self._images[Kind.TOXIPROXY].reference
        self._gate = Gate(ground, toxiproxy, len(self._scenario.providers) + WAYS_BESIDES_PROVIDERS)
        image = self._images[Kind.MAILPIT].reference
        self._mailpit = MailpitContainer(ground, self._gate, image, INBOX, keep=self._keep)
        for route in self._scenario.routes:
            for endpoint in ("", *self._preset(route).endpoints):
                self._servers[target_of(route, endpoint)] = self._proxy_server(ground, route, endpoint)
        # What fails here fails again where it is awaited.
        for server in self._servers.values():
            self._start_early(server.start())
        if wants_an_inbox(self._scenario):
            self._start_early(self._mailpit.start())

    def _proxy_server(self, ground: Ground, route: str, endpoint: str) -> ProxyContainer:
        """The container that an endpoint's proxy is in; on the routes' network it has every name of that."""
        port = self._listen_port(route)
        fixed = None if endpoint else self._scenario.routes[route].listen
        return ProxyContainer(
            ground,
            target_of(route, endpoint),
            self._images[Kind.TOXIPROXY].reference,
            {Net.PROVIDERS: (), Net.ROUTES: tuple(hosts_of(self._scenario, route, endpoint))},
            (port,),
            {port: int(fixed.rpartition(":")[2])} if fixed else {},
        )

    def _start_early(self, start: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(start)
        task.add_done_callback(lambda each: None if each.cancelled() else each.exception())
        self._early.append(task)

    def _listen_port(self, route: str) -> int:
        return usual_port(self._scheme(route))

    def _scheme(self, route: str) -> str:
        claims_hosts = bool(self._scenario.routes[route].as_)
        return scheme_of(self._preset(route).scheme, claims_hosts=claims_hosts)

    def _make_provider(self, name: str, journal: Journal, ledger: ResourceLedger) -> Provider:
        assert self._ground is not None and self._gate is not None
        if self._scenario.providers[name].fake == MAILPIT:
            route = routes_of(self._scenario, name)[0]
            image = self._images[Kind.MAILPIT].reference
            canaries = self._scenario.system.canaries
            return MailpitProviderContainer(name, route, canaries, self._ground, self._gate, image, journal)
        config = config_of(name, self._scenario, self._seed, PLACES, self._onward)
        image = self._images[Kind.PROVIDER].reference
        return ProviderContainer(config, self._ground, self._gate, image, self._tls, self._run_dir, journal)

    def _make_way(self, bound: BoundListener, journal: Journal, ledger: ResourceLedger) -> Way:
        name = target_of(bound.route, bound.endpoint)
        provider = self._scenario.routes[bound.route].provider
        port = self._listen_port(bound.route)
        upstream = f"{provider}:{bound.port}"
        endpoint = bound.endpoint if bound.endpoint in self._preset(bound.route).endpoints else ""
        server = self._servers[target_of(bound.route, endpoint)]
        proxy = ProxiedEndpoint(
            name,
            server,
            upstream=upstream,
            listen=f"{ANY}:{port}",
            published=lambda: server.published(port),
            on_warning=self._warner(journal, name),
        )
        return Way(
            proxy=proxy,
            upstream=upstream,
            rejecting_upstream=f"{provider}:{bound.rejecting_port}" if bound.rejecting_port else None,
            for_client=(self._host_of(bound.route, endpoint), port) if self._is_contained else None,
        )

    def _make_inbox(self, ledger: ResourceLedger) -> Inbox | None:
        assert self._mailpit is not None, "there is no ground to start on"
        return InboxContainer(self._mailpit)

    async def _make_way_of_events(self, route: str, journal: Journal, ledger: ResourceLedger) -> Way:
        assert self._ground is not None and self._way_back is not None
        name = target_of(route, EVENTS)
        upstream = (
            f"{FRONT_NAME}:{self._scenario.system.inner_port}"
            if self._is_contained
            else await self._way_back.to(*self._address_here(ledger))
        )
        inside = {Net.PROVIDERS: (name,), Net.FRONT: ()}
        toxiproxy = self._images[Kind.TOXIPROXY].reference
        server = ProxyContainer(self._ground, name, toxiproxy, inside, (HTTP,))
        proxy = ProxiedEndpoint(
            name,
            server,
            upstream=upstream,
            listen=f"{ANY}:{HTTP}",
            published=lambda: server.published(HTTP),
            on_warning=self._warner(journal, name),
        )
        return Way(proxy=proxy, upstream=upstream, rejecting_upstream=None, for_client=(name, HTTP))

    def _host_of(self, route: str, endpoint: str) -> str:
        """What a client in the run's networks asks for: the provider's own host where the route claims it."""
        ours, *claimed = hosts_of(self._scenario, route, endpoint)
        return claimed[0] if claimed else ours

    async def _system_address(self, ledger: ResourceLedger) -> tuple[str, int]:
        await self._until_all_are_up()
        if not self._is_contained:
            return await super()._system_address(ledger)
        assert self._gate is not None
        try:
            self._surface = await Surface.through(
                self._gate,
                self._scenario.system.inner_port,
                {server.part: self._listen_port(parts(name)[0]) for name, server in self._servers.items()},
                self._images[Kind.PROVIDER].reference,
                [proxy for name, proxy in self._proxies.items() if is_way_back(name)],
            )
        except ProxyError as error:
            raise TestbedError(str(error)) from error
        return self._surface.address

    async def _make_host(self, here: Surroundings, ledger: ResourceLedger) -> SystemHost:
        if not self._is_contained:
            return await super()._make_host(here, ledger)
        assert self._ground is not None and self._surface is not None
        inside = replace(
            here,
            routes=self._seen_by_system,
            host=FRONT_NAME,
            port=self._scenario.system.inner_port,
            state_dir=STATE_DIR,
            ca_file=CA_FILE,
            dkim=dkim_variables(self._scenario, self._seed, DKIM_DIR),
            python="python3",
        )
        self._contained = contained_host(
            self._scenario, inside, self._ca_path, self._ground, self._surface, ledger
        )
        return self._contained

    async def stop_system(self) -> None:
        await super().stop_system()
        if self._contained is None or self._warn is None:
            return
        calls = await self._contained.guards.calls_outside()
        if calls is None:
            self._warn("egress-uncounted", "whether it tried to reach what is outside of the run is unknown")
        elif calls:
            self._warn(
                "egress-attempted",
                f"it tried {calls} times to reach what is outside of the run, an address or a name server, "
                "and nothing leads there; if it was a provider, claim its host with `as:` on a route",
            )

    async def _open_webhooks(self, webhooks: Webhooks) -> None:
        if not self._is_contained or not webhooks.hooks:
            await webhooks.open()
            return
        assert self._gate is not None and self._way_back is not None
        port = free_port(f"webhooks {self._run_dir.name}")
        back = await self._way_back.to(LOOPBACK, port)
        way = await self._gate.way_out("webhooks", WEBHOOK_PORT, back)
        await webhooks.open(port=port, base_url=f"http://{way}")

    async def _until_all_are_up(self) -> None:
        try:
            await asyncio.gather(*self._early)
        except (ProcessError, ProxyError) as error:
            raise TestbedError(str(error)) from error

    def lost(self) -> str | None:
        return super().lost() or (self._ground.watch.lost() if self._ground else None)

    async def stop(self) -> None:
        for task in self._early:
            task.cancel()
        await asyncio.gather(*self._early, return_exceptions=True)
        if self._ground is None:
            self._engine.close()
            return
        self._ground.watch.expect_all()
        parts = [part for part in (self._gate, self._way_back) if part is not None]
        await asyncio.gather(super().stop(), *(part.stop() for part in parts), return_exceptions=True)
        # Whatever is left, by label: networks, and what was half made.
        reaped = await self._ground.close(keep=self._keep)
        if reaped.ok and self._keep and self._mailpit is not None and self._ledger is not None:
            self._ledger.kept(What.DOCKER, self._engine.host, self._mailpit.base_url)
