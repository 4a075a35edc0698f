"""The system under test: its life from start to stop, and the way in for mail, whatever runs it.

Started, killed and stopped by the harness; when it exits unbidden that is a result of the run. Everything
that happens to it is journalled here, once. Nothing here judges.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from harness.history.events import HarnessWarning, SystemProcess, SystemState
from harness.history.journal import Journal
from harness.scenario.timeline import Message
from harness.testbed.processes import how_it_ended, log_tail, retrieved
from harness.testbed.system.doors.base import Door, DoorError, Submission
from harness.testbed.system.hooks import HookFailed, Hooks
from harness.testbed.system.host import HostError, SystemHost
from harness.testbed.system.operator import ActionFailed, Operator
from harness.testbed.system.reach import base_url, has_a_word, says_anything
from harness.testbed.system.readiness import PortAnswers, Readiness
from harness.testbed.system.states import States, StatesUnreadable

READY_TIMEOUT_S = 15.0


class SystemNotReady(Exception):
    """The SUT did not start or never became healthy; the message holds its last log lines."""


class SystemUnderTest:
    def __init__(
        self,
        host: SystemHost,
        door: Door,
        journal: Journal,
        *,
        ready: Readiness | None = None,
        states: States | None = None,
        operator: Operator | None = None,
        hooks: Hooks | None = None,
    ) -> None:
        self.host = host
        self.door = door
        self.ready = ready or PortAnswers(host.address)
        self.states = states
        self._operator = operator
        self._hooks = hooks
        self._prepared = False
        self.exited = asyncio.Event()
        self.exit_code: int | None = None
        self._journal = journal
        self._watch: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()  # one change of its life at a time: no kill while it is starting
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            trust_env=False,
            verify=False,  # plain HTTP: no CA bundle to load for nothing
        )

    @property
    def base_url(self) -> str:
        return base_url(self.host.address)

    @property
    def log_path(self) -> Path:
        return self.host.log_path

    @property
    def is_running(self) -> bool:
        return self.host.is_running

    async def start(self) -> None:
        """Start it and wait until it is ready; before the first time, set up. Raises SystemNotReady."""
        async with self._changing:
            await self._start()

    async def _start(self) -> None:
        try:
            if not self._prepared:
                await self._prepare()
            await self.host.start()
        except (HostError, HookFailed, DoorError) as error:
            raise SystemNotReady(str(error)) from error
        self._note("started" if self.host.is_ours else "found")
        self._watch = asyncio.create_task(self._watch_exit(), name="the system's life")
        self._watch.add_done_callback(retrieved)
        await self._until_ready()

    async def _prepare(self) -> None:
        if self._hooks is not None:
            await self._hooks.set_up()
        await self.door.open()
        self._prepared = True

    async def _until_ready(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_TIMEOUT_S
        last = ""
        while loop.time() < deadline:
            if not self.is_running:
                await self.host.wait()
                raise SystemNotReady(
                    f"the system {how_it_ended(self.host.exit_code)} before it was ready{self.last_words()}"
                )
            if (complaint := await self.ready.complaint(self._client)) is None:
                return
            last = complaint
            await asyncio.sleep(self.ready.every_s)
        raise SystemNotReady(
            f"the system was not ready within {READY_TIMEOUT_S:g} s: {last}{self.last_words()}"
        )

    def last_words(self) -> str:
        """What to say after what went wrong: the last lines of its log, and where that is."""
        if not self.log_path.exists():
            return ""
        tail = log_tail(self.log_path)
        if not tail:
            return f"; it logged nothing ({self.log_path.name} is empty)"
        return f"; the last lines of {self.log_path.name}:\n  " + "\n  ".join(tail)

    async def _watch_exit(self) -> None:
        await self.host.wait()
        self.exit_code = self.host.exit_code
        self.exited.set()
        self._note("exited", code=self.exit_code, tail=log_tail(self.log_path))

    def _note(self, change: str, *, code: int | None = None, tail: list[str] | None = None) -> None:
        self._journal.append(
            SystemProcess(
                t_ns=self._journal.now_ns(), change=change, pid=self.host.pid, code=code, log_tail=tail or []
            )
        )

    def _warn(self, warning: str, detail: str) -> None:
        self._journal.append(
            HarnessWarning(t_ns=self._journal.now_ns(), warning=warning, subject="system", detail=detail)
        )

    def _expect_its_end(self) -> None:
        """From now on its end is the harness's own doing."""
        if self._watch is not None:
            self._watch.cancel()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would; only `start` brings it back."""
        async with self._changing:
            self._expect_its_end()
            await self.host.kill()
            self._note("killed", code=self.host.exit_code)

    async def end(self, grace_s: float) -> None:
        """Ask it to end; it is killed where it takes longer. Only `start` brings it back."""
        async with self._changing:
            self._expect_its_end()
            complied = await self.host.end(grace_s)
            self._note("stopped" if complied else "killed", code=self.host.exit_code)

    async def pause(self) -> None:
        """Freeze it. Raises HostError."""
        async with self._changing:
            await self.host.pause()
            self._note("paused")

    async def resume(self) -> None:
        """Let it go on, and wait until it is ready again. Raises HostError or SystemNotReady."""
        async with self._changing:
            await self.host.resume()
            self._note("resumed")
            await self._until_ready()

    async def answers_within(self, wait_s: float) -> bool:
        """Whether a word on its port has any effect: an answer, or a goodbye."""
        return await has_a_word(self.host.address, wait_s)

    async def settled(self) -> bool:
        """Whether it runs, once the change of its life that is under way is over."""
        async with self._changing:
            return self.is_running

    async def says_anything_within(self, wait_s: float) -> bool:
        """Whether a word comes from its port."""
        return await says_anything(self.host.address, wait_s)

    async def stop(self) -> None:
        """End it in good order, or by force; the ways in and out are closed."""
        self._expect_its_end()
        was_running = self.is_running
        try:
            await self.host.stop()
            await self.door.close()
            if self.states is not None:
                await self.states.close()
            await self._client.aclose()
            if was_running and self.host.is_ours:
                self._note("stopped", code=self.host.exit_code)
        finally:
            complaints = await self._hooks.tear_down() if self._hooks is not None else []
        for complaint in complaints:
            self._warn("teardown-failed", complaint)

    async def submit(self, message: Message) -> Submission:
        """Offer one message once. Never raises for what the SUT does."""
        return await self.door.submit(message)

    async def operate(self, action: str) -> str:
        """Do what an operator would; what was answered, in a line. Raises ActionFailed."""
        if self._operator is None:
            raise ActionFailed(f"nobody said how `{action}` is done")
        return await self._operator.act(action, self._client)

    async def read_states(self) -> None:
        """Journal what the SUT says of each message it will speak of; a warning where it makes no sense."""
        if self.states is None or not self.is_running:
            return
        try:
            told = await self.states.read()
        except StatesUnreadable as error:
            self._warn("states-unreadable", str(error))
            return
        now_ns = self._journal.now_ns()
        for each in told:
            self._journal.append(
                SystemState(
                    t_ns=now_ns,
                    token=each.token,
                    recipient=each.recipient,
                    state=each.state,
                    events_known=each.events,
                )
            )
