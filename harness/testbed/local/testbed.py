"""The local testbed as a whole: one process per provider, one proxy per endpoint, the system, all on
loopback.

Providers and proxies are up, and every proxy leads somewhere, before the SUT starts: no connection ever
bypasses a proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any

import httpx
import psutil

from harness.history.events import HarnessWarning
from harness.history.journal import Journal
from harness.providers import presets
from harness.providers.preset import Preset
from harness.providers.tls import make_ca
from harness.providers.wire import BoundListener
from harness.scenario.hosts import certificate_names
from harness.scenario.models import Scenario
from harness.scenario.timeline import Fault
from harness.testbed.address import RouteAddress, scheme_of
from harness.testbed.base import TestbedError
from harness.testbed.canary import Canary, Saw
from harness.testbed.faults import Endpoint, FaultInjector, injector_for_system, injector_on
from harness.testbed.local.credentials import route_account
from harness.testbed.local.mailpit import MailpitProvider
from harness.testbed.local.provider import ProviderProcess
from harness.testbed.local.providers import provider_for, routes_of
from harness.testbed.local.system_plan import free_port, plan_process, readings_of
from harness.testbed.processes import ProcessError
from harness.testbed.proxy.endpoint import ProxiedEndpoint
from harness.testbed.proxy.errors import ProxyError
from harness.testbed.proxy.server import proxy_program
from harness.testbed.proxy.state import ProxyKind
from harness.testbed.resources import MARKER, ResourceLedger, What
from harness.testbed.signals import SignalReader
from harness.testbed.system.assembly import assemble
from harness.testbed.system.life import SystemUnderTest
from harness.testbed.system.process import ProcessHost

VERIFY_TIMEOUT_S = 3.0


class LocalTestbed:
    name = "local"

    def __init__(self, scenario: Scenario, run_dir: Path, proxy: str, seed: int) -> None:
        self.proxy = proxy
        self._scenario = scenario
        self._run_dir = run_dir
        self._seed = seed
        self._ca_path = run_dir / "tls" / "ca.pem"
        self._providers: dict[str, ProviderProcess | MailpitProvider] = {}
        self._proxies: dict[str, ProxiedEndpoint] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self._system: SystemUnderTest | None = None
        self._signals: SignalReader | None = None
        self._ledger: ResourceLedger | None = None

    @property
    def system(self) -> SystemUnderTest:
        assert self._system is not None, "the testbed is not started"
        return self._system

    @property
    def signals(self) -> SignalReader:
        assert self._signals is not None, "the testbed is not started"
        return self._signals

    def endpoint(self, route: str) -> Endpoint:
        """Where this route's faults act; there once the routes are started."""
        return self._endpoints[route]

    def injector(self, fault: Fault) -> FaultInjector:
        if fault.target == "system":
            return injector_for_system(fault, self.system)
        return injector_on(fault, self.endpoint(fault.target))

    def binaries(self) -> dict[str, Any]:
        path, sha256 = proxy_program(ProxyKind(self.proxy), os.environ)
        return {
            f"{route}.{self._endpoint_name(route)}": {
                "proxy": self.proxy,
                "path": str(path),
                "sha256": sha256,
            }
            for route in self._scenario.routes
        }

    def _preset(self, route: str) -> Preset:
        return presets.load(self._scenario.providers[self._scenario.routes[route].provider].fake)

    def _endpoint_name(self, route: str) -> str:
        return "api" if self._preset(route).engine == "http" else "smtp"

    async def start(self, journal: Journal, ledger: ResourceLedger) -> None:
        addresses = await self.start_routes(journal, ledger)
        port = free_port(f"system {ledger.marker}")
        plan = plan_process(self._scenario, self._run_dir, addresses, self._ca_path, port)
        host = ProcessHost(plan, port, self._run_dir, ledger)
        self._system = assemble(self._scenario, host, journal)
        self._signals = SignalReader(readings_of(self._scenario), self._system.base_url, journal)

    async def start_routes(self, journal: Journal, ledger: ResourceLedger) -> dict[str, RouteAddress]:
        """Providers and proxies alone; where each route is for its clients. Raises TestbedError."""
        self._ledger = ledger
        for folder in ("providers", "bodies", "proxies"):
            (self._run_dir / folder).mkdir(exist_ok=True)
        self._ca_path, cert_path, key_path = make_ca(
            self._run_dir / "tls", certificate_names(self._scenario.routes)
        )
        self._providers = {
            name: provider_for(
                name,
                self._scenario,
                self._run_dir,
                self._seed,
                cert_path=cert_path,
                key_path=key_path,
                ledger=ledger,
                journal=journal,
            )
            for name in self._scenario.providers
            if routes_of(self._scenario, name)
        }
        try:
            started = await asyncio.gather(
                *(provider.start(os.environ) for provider in self._providers.values())
            )
            await asyncio.gather(*(provider.calibrate("start") for provider in self._providers.values()))
            for provider in self._providers.values():
                provider.follow()
            listeners = {bound.route: bound for ready in started for bound in ready.listeners}
            addresses = await asyncio.gather(
                *(self._start_route(bound, journal, ledger) for bound in listeners.values())
            )
        except (ProcessError, ProxyError, httpx.HTTPError) as error:
            raise TestbedError(str(error)) from error
        return {address.route: address for address in addresses}

    async def _start_route(
        self, bound: BoundListener, journal: Journal, ledger: ResourceLedger
    ) -> RouteAddress:
        """The route's proxy, in front of the provider's listener for it."""
        name = f"{bound.route}.{bound.endpoint}"
        upstream = f"127.0.0.1:{bound.port}"

        def record(pid: int) -> None:
            with contextlib.suppress(psutil.NoSuchProcess):
                started_at = psutil.Process(pid).create_time()
                ledger.made(What.PROCESS, f"proxy {name}", pid=pid, started_at=started_at)

        def warn(warning: str, detail: str) -> None:
            journal.append(
                HarnessWarning(t_ns=journal.now_ns(), warning=warning, subject=name, detail=detail)
            )

        ledger.making(What.PROCESS, f"proxy {name}")
        proxy = ProxiedEndpoint(
            name,
            ProxyKind(self.proxy),
            upstream=upstream,
            log_path=self._run_dir / "proxies" / f"{name}.log",
            environ={**os.environ, MARKER: ledger.marker},
            seed=self._seed,
            on_process=record,
            on_warning=warn,
        )
        self._proxies[name] = proxy
        await proxy.start()
        preset = self._preset(bound.route)
        provider = self._providers[self._scenario.routes[bound.route].provider]
        fake = provider if isinstance(provider, ProviderProcess) else None
        account = None if fake is None else route_account(preset.engine, self._seed, bound.route)
        address = RouteAddress(
            route=bound.route,
            scheme=scheme_of(preset.scheme, claims_hosts=bool(self._scenario.routes[bound.route].as_)),
            host="127.0.0.1",
            port=proxy.port,
            username=account.username if account else "",
            password=account.secret if account else "",
        )
        self._endpoints[bound.route] = Endpoint(
            route=bound.route,
            proxy=proxy,
            canary=Canary(
                address, fake.config.canary_account if fake else None, self._ca_path, api=preset.canary
            ),
            upstream=upstream,
            rejecting_upstream=f"127.0.0.1:{bound.rejecting_port}" if bound.rejecting_port else None,
            provider=fake,
        )
        return address

    def lost(self) -> str | None:
        for provider in self._providers.values():
            if (ending := provider.lost()) is not None:
                return ending
        for name, proxy in self._proxies.items():
            if proxy.is_lost:
                return f"the proxy {name} ended by itself; see proxies/{name}.log in the run's folder"
        return None

    async def verify_clean(self) -> list[str]:
        if not self._endpoints:
            return []
        sightings = await asyncio.gather(
            *(endpoint.canary.transport(VERIFY_TIMEOUT_S) for endpoint in self._endpoints.values())
        )
        return [
            f"the canary on route {route} met `{sighting.saw.value}`"
            for route, sighting in zip(self._endpoints, sightings, strict=True)
            if sighting.saw is not Saw.OK
        ]

    async def stop_system(self) -> None:
        if self._system is not None:
            await self._system.stop()

    async def finish(self) -> None:
        ends = await asyncio.gather(
            *(self._finish(provider) for provider in self._providers.values()), return_exceptions=True
        )
        # Each has had its turn; the first that went wrong is told.
        for end in ends:
            if isinstance(end, BaseException):
                raise end

    async def _finish(self, provider: ProviderProcess | MailpitProvider) -> None:
        try:
            if provider.is_running:
                await provider.calibrate("end")
        finally:
            await provider.finish()

    async def stop(self) -> None:
        await asyncio.gather(
            *(self._stop_proxy(name, proxy) for name, proxy in self._proxies.items()),
            *(provider.stop() for provider in self._providers.values()),
            return_exceptions=True,
        )

    async def _stop_proxy(self, name: str, proxy: ProxiedEndpoint) -> None:
        await proxy.stop()
        assert self._ledger is not None
        self._ledger.gone(What.PROCESS, f"proxy {name}")
