"""A fake in a container of the project's own image, reached through the gate."""

from __future__ import annotations

import contextlib
import itertools
from pathlib import Path

import httpx
import msgspec

from harness.history.journal import Journal
from harness.providers import presets
from harness.providers.wire import BoundListener, ProviderConfig, Ready
from harness.testbed.containers.ground import ContainerError, Ground, Net, Part, Started
from harness.testbed.containers.proxy_server import ANY, Gate
from harness.testbed.provider.config import Places, main_endpoint
from harness.testbed.provider.link import ProviderLink

CONFIG = "/harness/config.json"
PLACES = Places(
    journal=Path("/tmp/journal.jsonl"),
    pack=Path("/tmp/bodies.pack"),
    cert=Path("/harness/server.pem"),
    key=Path("/harness/server.key"),
)
CONTROL_PORT = 8000
FIRST_PORT = 10_000


class ProviderContainer(ProviderLink):
    def __init__(
        self,
        config: ProviderConfig,
        ground: Ground,
        gate: Gate,
        image: str,
        tls: Path,
        run_dir: Path,
        journal: Journal,
    ) -> None:
        """`config` has its files at PLACES; `tls` holds the run's certificate and key."""
        super().__init__(_listening(config), journal)
        self._ground = ground
        self._gate = gate
        self._image = image
        self._tls = tls
        self._run_dir = run_dir
        self._started: Started | None = None
        self._is_up = False

    async def start(self) -> Ready:
        part = Part(
            name=f"provider-{self.name}",
            image=self._image,
            networks={Net.PROVIDERS: (self.name,)},
            files={
                CONFIG: msgspec.json.encode(self.config),
                str(PLACES.cert): (self._tls / "server.pem").read_bytes(),
                str(PLACES.key): (self._tls / "server.key").read_bytes(),
            },
        )
        self._started = await self._ground.start(part)
        self.connect_to(
            *await self._gate.way_to(f"control-{self.name}", f"{self.name}:{self.config.control_port}")
        )
        await self._ground.until_ready(self._started, self._answers)
        self._is_up = True
        return Ready(provider=self.name, control_port=self.config.control_port, listeners=_bound(self.config))

    async def _answers(self) -> bool:
        try:
            return (await self.client.get("/health")).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    @property
    def is_running(self) -> bool:
        return self._is_up

    def lost(self) -> str | None:
        return self.unfollowed()  # the end of a container is told by the engine's events

    async def finish(self) -> None:
        """Take the last receipts, and the provider's own records out of its container."""
        try:
            await super().finish()
        finally:
            if self._started is not None:
                for source, target in (
                    (PLACES.journal, self._run_dir / "providers" / f"{self.name}.jsonl"),
                    (PLACES.pack, self._run_dir / "bodies" / f"{self.name}.pack"),
                ):
                    # One that never took a message has no records; what it did take has been merged.
                    with contextlib.suppress(ContainerError):
                        await self._ground.fetch(self._started, str(source), target)

    async def stop(self) -> None:
        self._is_up = False
        await self.disconnect()
        if self._started is not None:
            await self._ground.remove(self._started)


def _listening(config: ProviderConfig) -> ProviderConfig:
    """The same on every address of its container and on ports that are known beforehand."""
    numbers = itertools.count(FIRST_PORT)
    listeners = [
        msgspec.structs.replace(
            listener,
            host=ANY,
            port=next(numbers),
            rejecting_port=next(numbers),
            beside={
                endpoint: (next(numbers), next(numbers)) for endpoint in presets.load(config.preset).endpoints
            },
        )
        for listener in config.listeners
    ]
    return msgspec.structs.replace(config, listeners=listeners, control_host=ANY, control_port=CONTROL_PORT)


def _bound(config: ProviderConfig) -> list[BoundListener]:
    """What it then listens at, of each route the endpoint first that mail goes through."""
    main = main_endpoint(presets.load(config.preset))
    return [
        BoundListener(route=listener.route, endpoint=endpoint, port=port, rejecting_port=rejecting)
        for listener in config.listeners
        for endpoint, (port, rejecting) in {
            main: (listener.port, listener.rejecting_port),
            **listener.beside,
        }.items()
    ]
