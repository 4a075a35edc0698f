"""One run's ground on a Docker engine: its networks, and containers made with its labels.

`edge` is the only network that publishes ports (on 127.0.0.1, without masquerading) and only proxies are on
it; `providers`, `routes` and `front` are internal, so that what is on them alone has no way out. Files go
into a container and come out by copy: no folder is shared with the engine, whose file system may be another.
Docker's client blocks: its calls run in threads here, and none is left behind by `close`.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import tarfile
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from harness.testbed.containers.container import Membership, RunContainer, create_network
from harness.testbed.containers.engine import Engine, settle_testcontainers
from harness.testbed.containers.events import ContainerWatch
from harness.testbed.containers.names import RunNames
from harness.testbed.containers.reaper import Reaped, clear
from harness.testbed.processes import ProcessError
from harness.testbed.proxy.ports import candidate_ports
from harness.testbed.resources import ResourceLedger

LOOPBACK = "127.0.0.1"
THIS_MACHINE = "host.docker.internal"
"""How Docker calls it; the other names are ours."""
CALLS_AT_ONCE = 8
PORT_TRIES = 20
LAST_LINES = 20
READY_WITHIN_S = 20.0
READY_POLL_S = 0.03
PORT_TAKEN = ("port is already allocated", "address already in use", "failed to bind")
NO_SUBNET = "non-overlapping IPv4 address pool"

T = TypeVar("T")


class ContainerError(ProcessError):
    """A container or network could not be made; the message says which, and shows its last words."""


class Net(StrEnum):
    EDGE = "edge"
    PROVIDERS = "providers"
    ROUTES = "routes"
    FRONT = "front"


@dataclass(frozen=True)
class Part:
    """One container to be."""

    name: str
    image: str
    networks: Mapping[Net, tuple[str, ...]]
    """Network -> its names there. A network that the run does without is left out."""
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Absolute path in the container -> content."""
    folders: tuple[str, ...] = ()
    """Absolute paths of folders that are made there, for whichever user to write."""
    publish: tuple[int, ...] = ()
    """Its ports that are to be reached from here."""
    publish_at: Mapping[int, int] = field(default_factory=dict)
    """Which of these are wanted at a certain port of 127.0.0.1; the others get any."""
    keep: bool = False
    """Whether it outlives a run that was told to keep something."""


@dataclass(frozen=True)
class Started:
    """A container that runs. `ports`: its own port -> the one on 127.0.0.1, the same after each start."""

    id: str
    name: str
    ports: Mapping[int, int]


class Ground:
    def __init__(
        self, engine: Engine, run: RunNames, ledger: ResourceLedger, networks: Sequence[Net] = tuple(Net)
    ) -> None:
        """`networks`: those that this run needs."""
        self.engine = engine
        self.run = run
        self._kept = replace(run, keep=True)
        self.watch = ContainerWatch(engine, run.marker)
        self._client = engine.client
        self._ledger = ledger
        self._nets = networks
        self._pool = ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="docker")

    async def open(self, *, keep: bool = False) -> None:
        """Make the networks. Raises ContainerError. Ryuk would take what is to be kept, too."""
        await self.call("testcontainers", partial(settle_testcontainers, self.engine, ryuk=not keep))
        await self.call("the engine's events", self.watch.start)
        await asyncio.gather(*(self.call(f"the network {net}", self._make, net) for net in self._nets))

    def network_name(self, net: Net) -> str:
        return self.run.object_name(net)

    async def gateway(self, net: Net) -> str:
        """The address of this machine on the network, where the engine runs on this machine itself."""
        facts = await self.call(
            f"the network {net}", self._client.api.inspect_network, self.network_name(net)
        )
        return str(facts["IPAM"]["Config"][0]["Gateway"])

    async def start(self, part: Part) -> Started:
        """Make the container and start it. Raises ContainerError."""
        return await self.call(f"{part.name} ({part.image})", self._start, part)

    async def start_again(self, started: Started) -> None:
        """One that was killed or stopped, with its file system, ports and networks as they were."""
        await self.call(started.name, lambda: self._client.containers.get(started.id).start())

    async def kill(self, started: Started) -> None:
        """At once; what it wrote stays."""

        def kill() -> None:
            try:
                self._client.api.kill(started.id)
            except APIError as error:
                self.watch.withdraw(started.id)
                if not isinstance(error, NotFound) and "is not running" not in str(error):
                    raise

        self.watch.announce(started.id)
        await self.call(started.name, kill)

    async def remove(self, started: Started) -> None:
        """The container and its anonymous volumes. One that is gone is no error."""

        def remove() -> None:
            try:
                self._client.api.remove_container(started.id, force=True, v=True)
            except APIError as error:
                if not isinstance(error, NotFound) and "already in progress" not in str(error):
                    raise

        self.watch.announce(started.id)
        await self.call(started.name, remove)

    async def fetch(self, started: Started, path: str, into: Path) -> None:
        """A file out of the container, which may have ended. Raises ContainerError where it is not there."""

        def fetch() -> None:
            chunks, _ = self._client.api.get_archive(started.id, path)
            with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
                member = archive.next()
                source = archive.extractfile(member) if member is not None else None
                into.write_bytes(source.read() if source is not None else b"")

        await self.call(f"{path} of {started.name}", fetch)

    async def until_ready(self, started: Started, answers: Callable[[], Awaitable[bool]]) -> None:
        """Ask until it answers. Raises ContainerError with its last words when it ends or takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_WITHIN_S
        while not await answers():
            state = await self.call(started.name, self._client.api.inspect_container, started.id)
            if not state["State"]["Running"]:
                how = f"ended with code {state['State']['ExitCode']} before it was ready"
            elif loop.time() > deadline:
                how = f"did not get ready within {READY_WITHIN_S:g} s"
            else:
                await asyncio.sleep(READY_POLL_S)
                continue
            raise ContainerError(f"{started.name} {how}{await self.last_words(started)}")

    async def last_words(self, started: Started) -> str:
        """The end of what it wrote, to stand behind a sentence."""
        text = await self.call(started.name, lambda: self._client.api.logs(started.id, tail=LAST_LINES))
        lines = [line[:500] for line in text.decode("utf-8", "replace").splitlines()]
        return ":\n  " + "\n  ".join(lines) if lines else "; it wrote nothing"

    async def close(self, *, keep: bool = False) -> Reaped:
        """Remove whatever of the run is still there, but what is labelled to be kept if `keep`."""
        self.watch.expect_all()
        # A call under way may still make something.
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)
        reaped = await asyncio.to_thread(clear, self.engine, self._ledger, keep=keep)
        await asyncio.to_thread(self.watch.stop)
        await asyncio.to_thread(self.engine.close)
        return reaped

    async def call(self, what: str, function: Callable[..., T], *arguments: Any) -> T:
        """A blocking call of Docker's client in a thread. Raises ContainerError that names `what`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        except (DockerException, RequestException, OSError, RuntimeError) as error:
            raise ContainerError(f"{what}: {_reason(error)}") from error

    def _make(self, net: Net) -> None:
        edge = net is Net.EDGE
        # What is kept is reached through the edge; without anything kept this label says nothing.
        run = self._kept if edge else self.run
        create_network(self.engine, run, net, internal=not edge, masquerade=not edge)

    def _start(self, part: Part) -> Started:
        ports = candidate_ports(f"{self.run.marker} {part.name}")
        for attempt in range(1, PORT_TRIES + 1):
            published = {inside: part.publish_at.get(inside) or next(ports) for inside in part.publish}
            container = self._container(part, published)
            try:
                with _empty_folders(part.folders) as folders:
                    for path, folder in folders.items():
                        container.with_copy_into_container(folder, str(PurePosixPath(path).parent))
                    container.start()
            except APIError as error:
                self._forget(part)
                if attempt == PORT_TRIES or not any(words in str(error) for words in PORT_TAKEN):
                    raise
                continue
            return Started(container.get_container_id(), self.run.object_name(part.name), published)
        raise AssertionError("the last attempt raised")

    def _forget(self, part: Part) -> None:
        """One that was made and could not be started holds its name."""
        with contextlib.suppress(NotFound):
            self._client.api.remove_container(self.run.object_name(part.name), force=True, v=True)

    def _container(self, part: Part, published: Mapping[int, int]) -> RunContainer:
        container = RunContainer(
            self._kept if part.keep else self.run,
            part.name,
            part.image,
            networks=[
                Membership(self.network_name(net), aliases)
                for net, aliases in part.networks.items()
                if net in self._nets
            ],
            command=list(part.command) or None,
            env=part.env,
            publish=published,
            extra_hosts={THIS_MACHINE: "host-gateway"} if Net.EDGE in part.networks else {},
        )
        for path, content in part.files.items():
            container.with_copy_into_container(content, path)
        return container


@contextlib.contextmanager
def _empty_folders(paths: Sequence[str]) -> Iterator[dict[str, Path]]:
    """For each path a folder here that is copied to it: a file alone would make it for its owner only."""
    with tempfile.TemporaryDirectory() as scratch:
        made = {
            path: Path(scratch) / str(number) / PurePosixPath(path).name for number, path in enumerate(paths)
        }
        for folder in made.values():
            folder.mkdir(parents=True)
            folder.chmod(0o777)
        yield made


def _reason(error: BaseException) -> str:
    """The engine's own words, without the address of the request."""
    explanation = getattr(error, "explanation", None)
    words = str(explanation or error)
    if NO_SUBNET in words:
        return f"{words}; Docker has no address range left: `docker network prune` frees unused networks"
    return words
