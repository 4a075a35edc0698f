"""A testbed made of providers, a proxy for each endpoint, and the system; where they run, a subclass says.

Providers and proxies are up, and every proxy leads somewhere, before the SUT starts: no connection ever
bypasses a proxy.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from harness.history.events import HarnessWarning
from harness.history.journal import Journal
from harness.providers.errors import ConfigError
from harness.providers.preset import ApiCanary, Ask, Preset
from harness.providers.tls import make_ca
from harness.providers.wire import BoundListener
from harness.scenario.hosts import certificate_names
from harness.scenario.models import Scenario
from harness.scenario.targets import EVENTS, target_of
from harness.scenario.timeline import Fault
from harness.testbed.address import RouteAddress, route_address
from harness.testbed.base import TestbedError
from harness.testbed.canary import Canary, Saw
from harness.testbed.faults import Endpoint, FaultInjector, injector_for_system, injector_on
from harness.testbed.inbox import Inbox
from harness.testbed.mail.keys import write_keys
from harness.testbed.mail.zone import write_zone
from harness.testbed.processes import ProcessError
from harness.testbed.provider import Provider
from harness.testbed.provider.config import Onward, main_endpoint, routes_of, wants_an_inbox
from harness.testbed.provider.link import ProviderLink
from harness.testbed.proxy.endpoint import ProxiedEndpoint
from harness.testbed.proxy.errors import ProxyError
from harness.testbed.resources import ResourceLedger
from harness.testbed.signals.reader import SignalReader
from harness.testbed.signals.readings import readings_of, webhook_names
from harness.testbed.signals.webhook import Webhooks
from harness.testbed.system.assembly import assemble, reach_of
from harness.testbed.system.external import ExternalHost
from harness.testbed.system.here import free_port, plan_process, surroundings_of
from harness.testbed.system.host import SystemHost
from harness.testbed.system.life import SystemUnderTest
from harness.testbed.system.plan import Surroundings
from harness.testbed.system.process import ProcessHost
from harness.testbed.way import Way, complaint, way_back
from harness.testbed.witness import Witness

LOOPBACK = "127.0.0.1"


class AssembledTestbed(ABC):
    name: str
    refused_as = frozenset({Saw.CONNECT_REFUSED})

    def __init__(
        self, scenario: Scenario, run_dir: Path, proxy: str, seed: int, *, keep: bool = False
    ) -> None:
        """`keep`: the inbox stays when the run is over."""
        self.proxy = proxy
        self._keep = keep
        self._scenario = scenario
        self._run_dir = run_dir
        self._seed = seed
        self._tls = run_dir / "tls"
        self._ca_path = self._tls / "ca.pem"
        self._providers: dict[str, Provider] = {}
        self._proxies: dict[str, ProxiedEndpoint] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._seen_by_system: dict[str, RouteAddress] = {}
        self._webhooks: Webhooks | None = None
        self._inbox: Inbox | None = None
        self._witness: Witness | None = None
        self._onward = Onward()
        self._at: tuple[str, int] | None = None
        self._system: SystemUnderTest | None = None
        self._signals: SignalReader | None = None

    @property
    def system(self) -> SystemUnderTest:
        assert self._system is not None, "the testbed is not started"
        return self._system

    @property
    def signals(self) -> SignalReader:
        assert self._signals is not None, "the testbed is not started"
        return self._signals

    @abstractmethod
    def binaries(self) -> dict[str, Any]: ...

    @abstractmethod
    def _make_provider(self, name: str, journal: Journal, ledger: ResourceLedger) -> Provider:
        """The provider of that name, not yet started."""

    @abstractmethod
    def _make_way(self, bound: BoundListener, journal: Journal, ledger: ResourceLedger) -> Way:
        """The proxy in front of that listener, not yet started."""

    def _make_inbox(self, ledger: ResourceLedger) -> Inbox | None:
        """The inbox, not yet started; None where there can be none."""
        return None

    @abstractmethod
    async def _make_way_of_events(self, route: str, journal: Journal, ledger: ResourceLedger) -> Way:
        """The proxy `<route>.events` in front of the SUT's port, not yet started; nor is the SUT."""

    def endpoint(self, target: str) -> Endpoint:
        """Where faults on a route, or on an endpoint beside it, act; there once the routes are started."""
        return self._endpoints[target]

    def injector(self, fault: Fault) -> FaultInjector:
        if fault.target == "system":
            return injector_for_system(fault, self.system)
        return injector_on(fault, self.endpoint(fault.target))

    def _preset(self, route: str) -> Preset:
        return self._scenario.preset(route)

    def _endpoint_names(self, route: str) -> tuple[str, ...]:
        """As the provider's listeners have them, the one that mail goes through first."""
        preset = self._preset(route)
        return (main_endpoint(preset), *preset.endpoints)

    async def start(self, journal: Journal, ledger: ResourceLedger) -> None:
        addresses = await self.start_routes(journal, ledger)
        at = await self._system_address(ledger)
        self._webhooks = Webhooks(webhook_names(self._scenario), journal.now_ns)
        try:
            await self._open_webhooks(self._webhooks)
        except ConfigError as error:
            raise TestbedError(f"webhooks: {error}") from error
        here = surroundings_of(
            self._scenario, self._run_dir, addresses, self._ca_path, at, self._webhooks.urls(), self._seed
        )
        host = await self._make_host(here, ledger)
        reach = reach_of(self._scenario, host, here, ledger)
        self._system = assemble(self._scenario, host, here, reach, journal, ledger)
        self._signals = SignalReader(readings_of(self._scenario, reach, self._webhooks.hooks), journal)

    async def _system_address(self, ledger: ResourceLedger) -> tuple[str, int]:
        """Where this machine reaches the system, or will, once it runs."""
        return self._address_here(ledger)

    def _address_here(self, ledger: ResourceLedger) -> tuple[str, int]:
        """Of a system that runs on this machine, or elsewhere by itself."""
        if self._at is None:
            external = self._scenario.system.external
            port = free_port(f"system {ledger.marker}") if external is None else external.port
            self._at = (LOOPBACK if external is None else external.host, port)
        return self._at

    async def _open_webhooks(self, webhooks: Webhooks) -> None:
        await webhooks.open()

    async def _make_host(self, here: Surroundings, ledger: ResourceLedger) -> SystemHost:
        """What runs the system, which is not started by it."""
        at = here.host, here.port
        if self._scenario.system.external is not None:
            return ExternalHost(at, self._run_dir)
        return ProcessHost(plan_process(self._scenario, here), here.port, self._run_dir, ledger)

    async def start_routes(self, journal: Journal, ledger: ResourceLedger) -> dict[str, RouteAddress]:
        """Providers and proxies alone; where each route is for clients here. Raises TestbedError."""
        for folder in ("providers", "bodies", "proxies"):
            (self._run_dir / folder).mkdir(exist_ok=True)
        make_ca(self._tls, certificate_names(self._scenario))
        write_zone(self._run_dir, self._scenario, self._seed)
        write_keys(self._run_dir, self._scenario, self._seed)
        try:
            await self._start_ground(journal, ledger)
            self._onward = Onward(
                relay=await self._start_inbox(journal, ledger),
                events=await self._start_ways_of_events(journal, ledger),
            )
            self._providers = {
                name: self._make_provider(name, journal, ledger)
                for name in self._scenario.providers
                if routes_of(self._scenario, name)
            }
            started = await asyncio.gather(*(provider.start() for provider in self._providers.values()))
            await asyncio.gather(*(provider.calibrate("start") for provider in self._providers.values()))
            for provider in self._providers.values():
                provider.follow()
            bound: dict[str, list[BoundListener]] = {}
            for listener in (each for ready in started for each in ready.listeners):
                bound.setdefault(listener.route, []).append(listener)
            addresses = await asyncio.gather(
                *(self._start_route(route, listeners, journal, ledger) for route, listeners in bound.items())
            )
        except (ProcessError, ProxyError, httpx.HTTPError) as error:
            raise TestbedError(str(error)) from error
        return {address.route: address for address in addresses}

    async def _start_ground(self, journal: Journal, ledger: ResourceLedger) -> None:
        """What must be there before the first provider."""
        return

    async def _start_inbox(self, journal: Journal, ledger: ResourceLedger) -> str | None:
        """Where the fakes that relay find it; None if nobody would, or it is not to be had."""
        inbox = self._make_inbox(ledger) if wants_an_inbox(self._scenario) else None
        if inbox is None:
            return None
        try:
            relay = await inbox.start()
        except ProcessError as error:
            self._warner(journal, "inbox")("inbox-missing", f"the run goes on without its inbox: {error}")
            return None
        self._inbox = inbox
        self._witness = Witness(inbox, journal)
        return relay

    async def _start_ways_of_events(self, journal: Journal, ledger: ResourceLedger) -> dict[str, str]:
        """The URL that each route's provider posts its events to. The SUT need not listen there yet."""
        paths = {
            route: post.split(" ", 1)[1]
            for provider, post in self._scenario.system.events.items()
            for route in routes_of(self._scenario, provider)
        }
        at = await asyncio.gather(*(self._start_way_of_events(route, journal, ledger) for route in paths))
        return {
            route: f"http://{host}:{port}{path}"
            for (route, path), (host, port) in zip(paths.items(), at, strict=True)
        }

    async def _start_way_of_events(
        self, route: str, journal: Journal, ledger: ResourceLedger
    ) -> tuple[str, int]:
        """Where the provider finds it."""
        way = await self._make_way_of_events(route, journal, ledger)
        self._proxies[way.proxy.name] = way.proxy
        await way.proxy.start()
        self._endpoints[target_of(route, EVENTS)] = way_back(route, way, self.refused_as)
        return way.for_client or (way.proxy.host, way.proxy.port)

    async def _start_route(
        self, route: str, listeners: list[BoundListener], journal: Journal, ledger: ResourceLedger
    ) -> RouteAddress:
        """The route's proxies, each in front of one of the provider's listeners for it."""
        ways = await asyncio.gather(*(self._start_way(bound, journal, ledger) for bound in listeners))
        main, *beside = zip(listeners, ways, strict=True)

        def at(place: Callable[[Way], tuple[str, int]]) -> RouteAddress:
            others = {bound.endpoint: place(way) for bound, way in beside}
            return route_address(self._scenario, self._seed, route, place(main[1]), others)

        for_harness = at(lambda way: (way.proxy.host, way.proxy.port))
        self._seen_by_system[route] = at(lambda way: way.for_client or (way.proxy.host, way.proxy.port))
        preset = self._preset(route)
        asked = preset.canary is not None and not preset.carries_mail
        self._endpoints[route] = self._endpoint_of(
            route,
            "",
            main[1],
            for_harness,
            api=None if asked else preset.canary,
            ask=preset.canary.login if preset.canary is not None and asked else None,
        )
        for bound, way in beside:
            name = bound.endpoint
            self._endpoints[target_of(route, name)] = self._endpoint_of(
                route, name, way, for_harness.endpoint(name), ask=preset.endpoint_canaries[name]
            )
        return for_harness

    async def _start_way(self, bound: BoundListener, journal: Journal, ledger: ResourceLedger) -> Way:
        way = self._make_way(bound, journal, ledger)
        self._proxies[way.proxy.name] = way.proxy
        await way.proxy.start()
        return way

    def _endpoint_of(
        self,
        route: str,
        beside: str,
        way: Way,
        address: RouteAddress,
        *,
        api: ApiCanary | None = None,
        ask: Ask | None = None,
    ) -> Endpoint:
        provider = self._providers[self._scenario.routes[route].provider]
        fake = provider if isinstance(provider, ProviderLink) else None
        account = fake.config.canary_account if fake else None
        return Endpoint(
            route=route,
            beside=beside,
            proxy=way.proxy,
            canary=Canary(address, account, self._ca_path, api=api, ask=ask),
            upstream=way.upstream,
            rejecting_upstream=way.rejecting_upstream,
            provider=fake,
            refused_as=self.refused_as,
        )

    @staticmethod
    def _warner(journal: Journal, subject: str) -> Callable[[str, str], None]:
        def warn(warning: str, detail: str) -> None:
            journal.append(
                HarnessWarning(t_ns=journal.now_ns(), warning=warning, subject=subject, detail=detail)
            )

        return warn

    def lost(self) -> str | None:
        for provider in self._providers.values():
            if (ending := provider.lost()) is not None:
                return ending
        for name, proxy in self._proxies.items():
            if proxy.is_lost:
                return f"the proxy {name} ended by itself; see proxies/{name}.log in the run's folder"
        return None

    async def verify_clean(self) -> list[str]:
        is_up = self._system is not None and self._system.is_running
        found = await asyncio.gather(
            *(complaint(name, endpoint, is_up=is_up) for name, endpoint in self._endpoints.items())
        )
        return [each for each in found if each is not None]

    async def settle(self, within_s: float) -> None:
        await asyncio.gather(
            *(each.settle(within_s) for each in self._providers.values() if isinstance(each, ProviderLink))
        )

    async def stop_system(self) -> None:
        if self._system is not None:
            await self._system.stop()

    async def finish(self) -> None:
        ends = await asyncio.gather(
            *(self._finish(provider) for provider in self._providers.values()), return_exceptions=True
        )
        if self._witness is not None:
            links = [each for each in self._providers.values() if isinstance(each, ProviderLink)]
            await self._witness.testify([each for each in links if each.config.relay is not None])
        # Each has had its turn; the first that went wrong is told.
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _finish(self, provider: Provider) -> None:
        try:
            if provider.is_running:
                await provider.calibrate("end")
        finally:
            await provider.finish()

    async def stop(self) -> None:
        if self._webhooks is not None:
            await self._webhooks.close()
        await asyncio.gather(
            *(self._stop_proxy(proxy) for proxy in self._proxies.values()),
            *(provider.stop() for provider in self._providers.values()),
            return_exceptions=True,
        )
        if self._inbox is not None and self._keep:
            self._inbox.leave()
        elif self._inbox is not None:
            await self._inbox.stop()

    async def _stop_proxy(self, proxy: ProxiedEndpoint) -> None:
        await proxy.stop()
