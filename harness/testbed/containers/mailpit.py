"""Mailpit in a container: the run's inbox, or a route's provider. The gate leads to its API."""

from __future__ import annotations

import httpx

from harness.history.journal import Journal
from harness.providers.mailpit import MOST_RECIPIENTS
from harness.providers.wire import BoundListener, Ready
from harness.testbed.containers.ground import LOOPBACK, Ground, Net, Part, Started
from harness.testbed.containers.proxy_server import ANY, Gate
from harness.testbed.provider.mailpit import MailpitLink

SMTP_PORT, HTTP_PORT = 1025, 8025


class MailpitContainer:
    """Everything is kept (`--max 0`), repeated Message-IDs too: they are the duplicates to be counted."""

    def __init__(self, ground: Ground, gate: Gate, image: str, name: str, *, keep: bool = False) -> None:
        """`name` is its host name among the providers. One to be kept has a way in that needs no gate."""
        self.name = name
        self.base_url = ""
        self._ground = ground
        self._gate = gate
        self._image = image
        self._keep = keep
        self._started: Started | None = None

    @property
    def relay(self) -> str:
        """host:port by which the fakes find it."""
        return f"{self.name}:{SMTP_PORT}"

    async def start(self) -> None:
        """Until its API answers. Raises ProcessError."""
        part = Part(
            name=f"mailpit-{self.name}",
            image=self._image,
            networks={Net.PROVIDERS: (self.name,), **({Net.EDGE: ()} if self._keep else {})},
            command=(
                *("--smtp", f"{ANY}:{SMTP_PORT}"),
                *("--listen", f"{ANY}:{HTTP_PORT}"),
                *("--max", "0"),
                *("--smtp-max-recipients", str(MOST_RECIPIENTS)),
                *("--database", "/tmp/mailpit.db"),
                "--smtp-disable-rdns",
                "--disable-version-check",
            ),
            publish=(HTTP_PORT,) if self._keep else (),
            keep=self._keep,
        )
        self._started = await self._ground.start(part)
        if self._keep:
            host, port = LOOPBACK, self._started.ports[HTTP_PORT]
        else:
            host, port = await self._gate.way_to(f"mailpit-{self.name}", f"{self.name}:{HTTP_PORT}")
        self.base_url = f"http://{host}:{port}"
        async with httpx.AsyncClient(base_url=self.base_url, trust_env=False, verify=False) as client:

            async def answers() -> bool:
                try:
                    return (await client.get("/readyz", timeout=2)).status_code == httpx.codes.OK
                except httpx.TransportError:
                    return False

            await self._ground.until_ready(self._started, answers)

    async def stop(self) -> None:
        if self._started is not None and not self._keep:
            await self._ground.remove(self._started)


class InboxContainer:
    """The run's inbox. Its container is started early, beside the others; what is kept stays by its label."""

    def __init__(self, container: MailpitContainer) -> None:
        self._container = container

    @property
    def base_url(self) -> str:
        return self._container.base_url

    async def start(self) -> str:
        return self._container.relay

    async def stop(self) -> None:
        await self._container.stop()

    def leave(self) -> None:
        return


class MailpitProviderContainer(MailpitLink):
    def __init__(
        self,
        name: str,
        route: str,
        system_canaries: tuple[str, ...],
        ground: Ground,
        gate: Gate,
        image: str,
        journal: Journal,
    ) -> None:
        super().__init__(name, route, system_canaries, journal)
        self._container = MailpitContainer(ground, gate, image, name)
        self._is_up = False

    @property
    def is_running(self) -> bool:
        return self._is_up

    async def start(self) -> Ready:
        await self._container.start()
        self.connect_to(self._container.base_url)
        self._is_up = True
        smtp = BoundListener(route=self._route, endpoint="smtp", port=SMTP_PORT, rejecting_port=0)
        return Ready(provider=self.name, control_port=HTTP_PORT, listeners=[smtp])

    def lost(self) -> str | None:
        return self.unread()  # the end of a container is told by the engine's events

    async def stop(self) -> None:
        self._is_up = False
        self.disconnect()
        await self._container.stop()
