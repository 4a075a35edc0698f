"""The local testbed: one process per provider, one proxy per endpoint, the system, all on loopback."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import psutil

from harness.history.journal import Journal
from harness.providers.wire import BoundListener
from harness.scenario.providers import MAILPIT
from harness.scenario.targets import EVENTS, target_of
from harness.testbed.assembled import LOOPBACK, AssembledTestbed
from harness.testbed.discover import find_tool
from harness.testbed.inbox import Inbox
from harness.testbed.local.inbox import LocalInbox
from harness.testbed.provider import Provider
from harness.testbed.provider.config import Places, config_of, routes_of
from harness.testbed.provider.mailpit_process import MailpitProvider
from harness.testbed.provider.process import ProviderProcess
from harness.testbed.proxy.endpoint import ProxiedEndpoint
from harness.testbed.proxy.process import ProxyProcess, proxy_program
from harness.testbed.proxy.state import ProxyKind
from harness.testbed.resources import MARKER, ResourceLedger, What
from harness.testbed.way import Way


class LocalTestbed(AssembledTestbed):
    name = "local"
    _ledger: ResourceLedger | None = None

    def binaries(self) -> dict[str, Any]:
        path, sha256 = proxy_program(ProxyKind(self.proxy), os.environ)
        return {
            target_of(route, endpoint): {"proxy": self.proxy, "path": str(path), "sha256": sha256}
            for route in self._scenario.routes
            for endpoint in self._endpoint_names(route)
        }

    def _make_provider(self, name: str, journal: Journal, ledger: ResourceLedger) -> Provider:
        if self._scenario.providers[name].fake == MAILPIT:
            route = routes_of(self._scenario, name)[0]
            canaries = self._scenario.system.canaries
            return MailpitProvider(name, route, canaries, self._run_dir, ledger, journal)
        places = Places(
            journal=self._run_dir / "providers" / f"{name}.jsonl",
            pack=self._run_dir / "bodies" / f"{name}.pack",
            cert=self._tls / "server.pem",
            key=self._tls / "server.key",
        )
        config = config_of(name, self._scenario, self._seed, places, self._onward)
        return ProviderProcess(config, self._run_dir, ledger, journal)

    def _make_inbox(self, ledger: ResourceLedger) -> Inbox | None:
        return LocalInbox(self._run_dir, ledger) if find_tool("mailpit") is not None else None

    def _make_way(self, bound: BoundListener, journal: Journal, ledger: ResourceLedger) -> Way:
        upstream = f"{LOOPBACK}:{bound.port}"
        is_main = bound.endpoint not in self._preset(bound.route).endpoints
        fixed = self._scenario.routes[bound.route].listen if is_main else None
        name = target_of(bound.route, bound.endpoint)
        return Way(
            proxy=self._proxied(name, upstream, fixed or f"{LOOPBACK}:0", journal, ledger),
            upstream=upstream,
            rejecting_upstream=f"{LOOPBACK}:{bound.rejecting_port}" if bound.rejecting_port else None,
        )

    async def _make_way_of_events(self, route: str, journal: Journal, ledger: ResourceLedger) -> Way:
        host, port = self._address_here(ledger)
        upstream = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        proxy = self._proxied(target_of(route, EVENTS), upstream, f"{LOOPBACK}:0", journal, ledger)
        return Way(proxy=proxy, upstream=upstream, rejecting_upstream=None)

    def _proxied(
        self, name: str, upstream: str, listen: str, journal: Journal, ledger: ResourceLedger
    ) -> ProxiedEndpoint:
        def record(pid: int) -> None:
            with contextlib.suppress(psutil.NoSuchProcess):
                started_at = psutil.Process(pid).create_time()
                ledger.made(What.PROCESS, f"proxy {name}", pid=pid, started_at=started_at)

        self._ledger = ledger
        ledger.making(What.PROCESS, f"proxy {name}")
        server = ProxyProcess(
            ProxyKind(self.proxy),
            log_path=self._run_dir / "proxies" / f"{name}.log",
            environ={**os.environ, MARKER: ledger.marker},
            seed=self._seed,
            on_process=record,
        )
        return ProxiedEndpoint(
            name, server, upstream=upstream, listen=listen, on_warning=self._warner(journal, name)
        )

    async def _stop_proxy(self, proxy: ProxiedEndpoint) -> None:
        await super()._stop_proxy(proxy)
        assert self._ledger is not None, "a proxy without a ledger"
        self._ledger.gone(What.PROCESS, f"proxy {proxy.name}")
