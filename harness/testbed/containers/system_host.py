"""A system under test in containers: what one of them and a whole compose file have in common.

All its containers live, end, freeze and are cut off together, as if one machine carried them. They are on the
networks `front` (their callers) and `routes` (the proxies) and nowhere else. A container that is killed or
ended keeps its file system, and is started again with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.testbed.containers.ground import ContainerError, Ground, Net, Started
from harness.testbed.containers.guard import Guards
from harness.testbed.containers.proxy_server import Gate
from harness.testbed.processes import ChildProcess
from harness.testbed.proxy.endpoint import ProxiedEndpoint
from harness.testbed.proxy.errors import ProxyError
from harness.testbed.resources import ResourceLedger
from harness.testbed.system.host import KILL, PARTITION, PAUSE, RESTART, HostError

FRONT_NAME = "system"
CA_FILE = "/harness/ca.pem"
STATE_DIR = "/harness/state"
DKIM_DIR = "/harness/dkim"
LAST_WORDS_S = 2.0
STOP_GRACE_S = 3.0
ENDED_POLL_S = 0.05
KILLED_BY_SIGNAL = 128

T = TypeVar("T")


@dataclass(frozen=True)
class Surface:
    """Where a system in containers meets the run: the way in through the gate, and the proxies that it calls.

    The way leads to an address, not to a name: a name is unknown while its container is down, and the
    question for it would hold up those that follow.
    """

    gate: Gate
    inner_port: int
    address: tuple[str, int]
    """Where the harness reaches the system's port."""
    proxies: Mapping[str, int]
    """The part that each route's proxy is -> the port at which it listens for the system."""
    guards: str
    """The image of those that stand beside its containers; it has Python."""
    followers: Sequence[ProxiedEndpoint] = ()
    """Proxies that lead to the system: the ways by which providers' events come back to it."""

    @classmethod
    async def through(
        cls,
        gate: Gate,
        inner_port: int,
        proxies: Mapping[str, int],
        guards: str,
        followers: Sequence[ProxiedEndpoint],
    ) -> Surface:
        """Raises ProxyError."""
        address = await gate.way_to(FRONT_NAME, f"{FRONT_NAME}:{inner_port}")
        return cls(gate, inner_port, address, proxies, guards, followers)

    async def lead_to(self, host: str) -> None:
        """Raises ProxyError."""
        upstream = f"{host}:{self.inner_port}"
        await self.gate.lead(FRONT_NAME, upstream)
        for proxy in self.followers:
            await proxy.set_upstream(upstream)


@dataclass(frozen=True)
class Member:
    """One container of the system. `part` is what it is labelled; `before`, what stands before its lines."""

    started: Started
    part: str
    takes_mail: bool = True
    """Whether it is the one that the harness speaks to."""
    before: str = ""
    may_end: bool = False
    """Whether its end with code 0 is as it should be: it does one thing, and others wait for that."""


class ContainedHost(ABC):
    is_ours = True
    pid: int | None = None
    faults = frozenset({KILL, RESTART, PAUSE, PARTITION})

    def __init__(self, ground: Ground, surface: Surface, run_dir: Path, ledger: ResourceLedger) -> None:
        self.log_path = run_dir / "system.log"
        self.exit_code: int | None = None
        self.members: Sequence[Member] = ()
        self._ground = ground
        self._surface = surface
        self._ledger = ledger
        self._is_up = False
        self._look = asyncio.Event()
        self._log: ChildProcess | None = None
        self.guards = Guards(ground, surface.guards)

    @abstractmethod
    def _parts(self) -> Sequence[str]:
        """What its containers will be labelled as."""

    @abstractmethod
    async def _make(self) -> Sequence[Member]:
        """Its containers, made and started. Raises ContainerError or HostError."""

    @property
    def address(self) -> tuple[str, int]:
        return self._surface.address

    @property
    def is_running(self) -> bool:
        return self._is_up

    async def start(self) -> None:
        began_s = time.time()
        try:
            if self.members:
                for member in self._lasting():  # those that others depend on come first
                    await self._ground.start_again(member.started)
            else:
                loop = asyncio.get_running_loop()

                def told(_: int) -> None:
                    loop.call_soon_threadsafe(self._look.set)

                for part in self._parts():
                    self._ground.watch.leave(part, told)
                self.members = await self._make()
            await self._open_the_way()
        except (ContainerError, ProxyError) as error:
            raise HostError(str(error)) from error
        self.exit_code, self._is_up = None, True
        self._look.set()  # one may have ended before anybody looked
        self.guards.set([member.started for member in self._lasting()])
        await self._follow_log(began_s)

    def _lasting(self) -> Sequence[Member]:
        """All but those that did one thing at the first start."""
        return [member for member in self.members if not member.may_end]

    async def _open_the_way(self) -> None:
        """To where it is now: each start may give it another address."""
        target = next(member for member in self.members if member.takes_mail)
        networks = (await self._facts(target))["NetworkSettings"]["Networks"]
        # It has none where it has ended already; whoever waits for it finds that out.
        if address := networks[self._ground.network_name(Net.FRONT)]["IPAddress"]:
            await self._surface.lead_to(address)

    async def _shut_the_way(self) -> None:
        """Before its end: a call to where nobody is any more would hang, and hold up the others."""
        try:
            await self._surface.gate.shut(FRONT_NAME)
        except ProxyError as error:
            raise HostError(str(error)) from error

    async def _follow_log(self, since_s: float) -> None:
        self._log = ChildProcess(self._ledger, "system log", self.log_path.with_name("system.logpump.log"))
        members = [f"{member.started.id}={member.before}" for member in self.members]
        argv = [sys.executable, "-m", "harness.testbed.containers.system_log", self._ground.engine.host]
        await self._log.start([*argv, str(self.log_path), repr(since_s), *members], env=os.environ)

    async def wait(self) -> None:
        while self._is_up:
            await self._look.wait()
            self._look.clear()
            for member in self.members:
                state = await self._state(member)
                code = int(state["ExitCode"])
                if not state["Running"] and not (member.may_end and code == 0):
                    self._is_up = False
                    self.exit_code = _as_python_has_it(code)
                    break
        if self._log is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._log.wait(), LAST_WORDS_S)

    async def _told(self, step: Awaitable[T]) -> T:
        """What went wrong with a container is the host's to tell."""
        try:
            return await step
        except ContainerError as error:
            raise HostError(str(error)) from error

    async def _state(self, member: Member) -> Mapping[str, Any]:
        facts = await self._facts(member)
        state: Mapping[str, Any] = facts["State"]
        return state

    async def _facts(self, member: Member) -> Mapping[str, Any]:
        started = member.started
        facts: Mapping[str, Any] = await self._ground.call(
            started.name, self._ground.engine.client.api.inspect_container, started.id
        )
        return facts

    async def kill(self) -> None:
        self._is_up = False
        await self._shut_the_way()
        await asyncio.gather(*(self._ground.kill(member.started) for member in self.members))
        self.exit_code = -signal.SIGKILL
        self.guards.take()

    async def end(self, grace_s: float) -> bool:
        self._is_up = False
        await self._shut_the_way()
        complied = await asyncio.gather(*(self._end(member, grace_s) for member in self.members))
        self.guards.take()
        codes = [int((await self._state(member))["ExitCode"]) for member in self.members]
        self.exit_code = _as_python_has_it(next(iter(filter(None, codes)), 0))
        return all(complied)

    async def _end(self, member: Member, grace_s: float) -> bool:
        """Its image's own signal for that, which is SIGTERM where the image does not say."""
        api, started = self._ground.engine.client.api, member.started
        facts = await self._facts(member)
        if not facts["State"]["Running"]:
            return True
        number = facts["Config"].get("StopSignal") or "SIGTERM"
        await self._ground.call(started.name, lambda: api.kill(started.id, signal=number))
        deadline = asyncio.get_running_loop().time() + grace_s
        while (await self._state(member))["Running"]:
            if asyncio.get_running_loop().time() >= deadline:
                await self._ground.kill(started)
                return False
            await asyncio.sleep(ENDED_POLL_S)
        return True

    async def stop(self) -> None:
        """What is left of it goes with the rest of the run's containers, by its label."""
        if self._is_up:
            with contextlib.suppress(ContainerError, HostError):
                if await self.is_paused():
                    await self._each("unpause")
                await self.end(STOP_GRACE_S)
        self._is_up = False
        self.guards.take()
        if self._log is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._log.wait(), LAST_WORDS_S)
            await self._log.stop()

    async def pause(self) -> None:
        await self._each("pause")

    async def resume(self) -> None:
        await self._each("unpause")

    async def _each(self, verb: str) -> None:
        """`verb` is a method of Docker's client that takes a container."""
        do = getattr(self._ground.engine.client.api, verb)
        for member in self._lasting():
            await self._told(self._ground.call(member.started.name, do, member.started.id))

    async def is_paused(self) -> bool:
        states = [await self._told(self._state(member)) for member in self._lasting()]
        return all(state["Paused"] for state in states)

    async def cut_off(self) -> None:
        await self._told(self.guards.excuse())
        client, network = self._ground.engine.client, self._ground.network_name(Net.ROUTES)
        await self._join_or_leave(
            lambda member: client.api.disconnect_container_from_network(member.started.id, network)
        )

    async def rejoin(self) -> None:
        client, network = self._ground.engine.client, self._ground.network_name(Net.ROUTES)
        await self._join_or_leave(
            lambda member: client.api.connect_container_to_network(member.started.id, network)
        )
        # What it called in vain while it was cut off was no way out, but its proxies.
        await self._told(self.guards.count_again())

    async def _join_or_leave(self, do: Any) -> None:
        calls = (self._ground.call(member.started.name, do, member) for member in self._lasting())
        await self._told(asyncio.gather(*calls))

    async def is_cut_off(self) -> bool:
        network = self._ground.network_name(Net.ROUTES)
        facts = [await self._told(self._facts(member)) for member in self._lasting()]
        return not any(network in each["NetworkSettings"]["Networks"] for each in facts)

    async def is_heard_on_routes(self) -> bool:
        """Whether any of its containers reaches any of the proxies, tried from within its own network."""
        return await self._told(self.guards.reach_any(await self._told(self._proxies())))

    async def _proxies(self) -> list[str]:
        """Where they are now, `address:port`, on the routes' network."""
        network = self._ground.network_name(Net.ROUTES)
        facts = await self._ground.call(network, self._ground.engine.client.api.inspect_network, network)
        ports = {self._ground.run.object_name(part): port for part, port in self._surface.proxies.items()}
        return [
            f"{each['IPv4Address'].partition('/')[0]}:{ports[each['Name']]}"
            for each in facts["Containers"].values()
            if each["Name"] in ports
        ]


def _as_python_has_it(code: int) -> int:
    """Of a process that a signal ended, a shell says 128 and its number; Python says minus that number."""
    return KILLED_BY_SIGNAL - code if code > KILLED_BY_SIGNAL else code
