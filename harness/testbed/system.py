"""The system under test as a process: its life, its front door, its signals, its word on each message.

Started, killed and stopped by the harness; when it exits unbidden that is a result of the run. Submission is
HTTP with the message's token as Idempotency-Key. Nothing here judges.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jmespath
import msgspec

from harness.history.events import HarnessWarning, Submitted, SystemProcess, SystemState
from harness.history.journal import Journal
from harness.scenario.templates import render_body
from harness.scenario.timeline import Message
from harness.testbed.front_door import FrontDoor, NoAnswer, NotOffered
from harness.testbed.processes import ChildProcess, ProcessError, how_it_ended, log_tail, retrieved
from harness.testbed.resources import ResourceLedger

SUBMIT_TIMEOUT_S = 5.0
READY_TIMEOUT_S = 15.0
READY_POLL_S = 0.05
ANSWER_TIMEOUT_S = 10.0
"""For a whole answer; one that trickles for ever would never meet the time-out of a single read."""
LAST_WORDS_S = 1.0
"""How long the last lines of a log may take from the system's end to the file."""
SENDER = "no-reply@shop.example"


class SystemNotReady(Exception):
    """The SUT did not start or never became healthy; the message holds its last log lines."""


@dataclass(frozen=True)
class SystemPlan:
    """Everything about the SUT with its templates filled in."""

    argv: list[str]
    env: dict[str, str]
    cwd: Path
    port: int
    submit_method: str
    submit_path: str
    submit_body: dict[str, Any] | None
    ready_path: str | None
    states_path: str | None = None
    states_items: str | None = None


@dataclass(frozen=True)
class Submission:
    """The answer to one offer. `accepted` only on a 2xx; a broken exchange may have been taken."""

    result: Submitted
    code: int | None = None
    text: str = ""


class SystemUnderTest:
    def __init__(self, plan: SystemPlan, run_dir: Path, ledger: ResourceLedger, journal: Journal) -> None:
        self.plan = plan
        self.log_path = run_dir / "system.log"
        self.exited = asyncio.Event()
        self.exit_code: int | None = None
        self._ledger = ledger
        self._journal = journal
        self._child: ChildProcess | None = None
        self._pump: ChildProcess | None = None
        self._watch: asyncio.Task[None] | None = None
        self._expected_to_run = False
        self._client = httpx.AsyncClient(
            base_url=self.base_url,
            timeout=SUBMIT_TIMEOUT_S,
            trust_env=False,
            verify=False,  # plain HTTP: no CA bundle to load for nothing
        )
        self._front_door = FrontDoor("127.0.0.1", plan.port, SUBMIT_TIMEOUT_S)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.plan.port}"

    @property
    def is_running(self) -> bool:
        return self._child is not None and self._child.is_running

    async def start(self) -> None:
        """Start the process and wait until it is ready. Raises SystemNotReady."""
        read_fd, write_fd = os.pipe()
        try:
            pump = ChildProcess(self._ledger, "system log", self.log_path.with_name("system.logpump.log"))
            pump_argv = [sys.executable, "-m", "harness.testbed.logpump", str(self.log_path)]
            await pump.start(pump_argv, env=os.environ, stdin=read_fd)
            child = ChildProcess(self._ledger, "system", self.log_path)
            try:
                await child.start(self.plan.argv, env=self.plan.env, cwd=self.plan.cwd, output=write_fd)
            except ProcessError as error:
                raise SystemNotReady(str(error)) from error
        finally:
            os.close(read_fd)
            os.close(write_fd)
        self._child, self._pump = child, pump
        self._expected_to_run = True
        self._note("started", pid=child.pid)
        self._watch = asyncio.create_task(self._watch_exit(child), name="the system's life")
        self._watch.add_done_callback(retrieved)
        await self._until_ready(child)

    async def _until_ready(self, child: ChildProcess) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_TIMEOUT_S
        last = "it did not listen"
        while loop.time() < deadline:
            if not child.is_running:
                await self._last_words()
                raise SystemNotReady(
                    f"the system {how_it_ended(child.returncode)} before it was ready{self._shown_tail()}"
                )
            try:
                async with asyncio.timeout(ANSWER_TIMEOUT_S):
                    answer = await self._client.get(self.plan.ready_path or "/")
                if self.plan.ready_path is None or answer.status_code == 200:
                    return
                last = f"GET {self.plan.ready_path} answered {answer.status_code}"
            except (httpx.HTTPError, TimeoutError) as error:
                last = f"GET {self.plan.ready_path or '/'}: {type(error).__name__}"
            await asyncio.sleep(READY_POLL_S)
        raise SystemNotReady(
            f"the system was not ready within {READY_TIMEOUT_S:g} s: {last}{self._shown_tail()}"
        )

    def _shown_tail(self) -> str:
        tail = log_tail(self.log_path)
        return "; its last lines:\n  " + "\n  ".join(tail) if tail else "; it logged nothing"

    async def _watch_exit(self, child: ChildProcess) -> None:
        code = await child.wait()
        await self._last_words()
        if self._expected_to_run and child is self._child:
            self.exit_code = code
            self.exited.set()
            self._note("exited", pid=child.pid, code=code, tail=log_tail(self.log_path))

    async def _last_words(self) -> None:
        """Wait until what it wrote last is in its log; the pump ends when nobody is left to write."""
        if self._pump is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._pump.wait(), LAST_WORDS_S)

    def _note(
        self, change: str, *, pid: int | None, code: int | None = None, tail: list[str] | None = None
    ) -> None:
        self._journal.append(
            SystemProcess(t_ns=self._journal.now_ns(), change=change, pid=pid, code=code, log_tail=tail or [])
        )

    async def kill(self) -> None:
        """SIGKILL, as a power cut would; only `start` brings it back."""
        assert self._child is not None
        self._expected_to_run = False
        pid = self._child.pid
        code = await self._child.kill()
        self._note("killed", pid=pid, code=code)

    async def stop(self) -> None:
        """SIGTERM, then SIGKILL; the log pump ends by itself when the last writer is gone."""
        self._expected_to_run = False
        was_running = self.is_running
        if self._child is not None:
            await self._child.stop()
        if self._pump is not None:
            await self._pump.stop()
        if self._watch is not None:
            self._watch.cancel()
        self._front_door.close()
        await self._client.aclose()
        if self._child is not None and was_running:
            self._note("stopped", pid=self._child.pid, code=self._child.returncode)

    async def submit(self, message: Message) -> Submission:
        """Offer one message once. Never raises for what the SUT does."""
        try:
            answer = await self._front_door.exchange(
                self.plan.submit_method,
                self.plan.submit_path,
                {"Content-Type": "application/json", "Idempotency-Key": message.token},
                msgspec.json.encode(submission_body(message, self.plan.submit_body)),
            )
        except NotOffered as error:
            return Submission(Submitted.REFUSED, text=str(error))
        except NoAnswer as error:
            return Submission(Submitted.INDETERMINATE, text=str(error))
        if 200 <= answer.status < 300:
            return Submission(Submitted.ACCEPTED, answer.status)
        # A gateway's time-out says nothing of what happened behind it.
        unsure = answer.status in (502, 504)
        result = Submitted.INDETERMINATE if unsure else Submitted.REFUSED
        return Submission(result, answer.status, answer.body.decode("utf-8", "replace")[:200])

    async def read_states(self) -> None:
        """Journal what the SUT says of each message it will speak of; a warning where it makes no sense."""
        if self.plan.states_path is None or self.plan.states_items is None or not self.is_running:
            return
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                answer = await self._client.get(self.plan.states_path)
            answer.raise_for_status()
            items = jmespath.search(self.plan.states_items, answer.json())
            states = [_state_of(item) for item in items or []]
        except (httpx.HTTPError, TimeoutError, ValueError, TypeError, KeyError, RecursionError) as error:
            self._journal.append(
                HarnessWarning(
                    t_ns=self._journal.now_ns(),
                    warning="states-unreadable",
                    subject="system",
                    detail=f"{self.plan.states_path}: {error!r}",
                )
            )
            return
        now_ns = self._journal.now_ns()
        for token, recipient, state in states:
            self._journal.append(SystemState(t_ns=now_ns, token=token, recipient=recipient, state=state))


def submission_body(message: Message, template: dict[str, Any] | None) -> Any:
    """The JSON that a message is submitted as: the scenario's own form, or all there is."""
    expires_in_ms = max(0, message.expires_ns - message.at_ns) // 1_000_000 if message.expires_ns else None
    body: dict[str, Any] = {
        "to": message.recipient,
        "from": SENDER,
        "subject": message.subject,
        "text": message.body,
        "class": message.class_,
        "headers": message.headers,
    }
    if template is not None:
        extra = {"token": message.token, "stream": message.stream, "expires_in_ms": expires_in_ms}
        return render_body(template, {**body, **extra})
    return body if expires_in_ms is None else {**body, "expires_in_ms": expires_in_ms}


def _state_of(item: Any) -> tuple[str, str | None, str]:
    """(token, recipient, state) of one item. Raises KeyError or TypeError when it is not one."""
    if not isinstance(item, dict):
        raise TypeError(f"an item of states is {item!r:.200}, not an object")
    recipient = item.get("recipient")
    token = item.get("token")
    if token is None and recipient is not None:
        token = str(recipient).partition("@")[0].removeprefix("c.")
    if token is None:
        raise KeyError("neither `token` nor `recipient` in an item of states")
    return str(token), None if recipient is None else str(recipient), str(item["state"])


def base_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The harness's own environment, with what the scenario gives the SUT on top."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", **extra}
