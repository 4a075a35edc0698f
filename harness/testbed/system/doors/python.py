"""The way in by a Python function: an application's own code, called with each message.

It runs in a process of its own (python_worker.py): what it computes does not delay the driver, one that hangs
or crashes takes nobody along. Returning means taken, raising means refused; TimeoutError, and no return in
time, mean that nobody knows.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.history.events import Submitted
from harness.scenario.timeline import Message
from harness.testbed.processes import ChildProcess, ProcessError, retrieved
from harness.testbed.resources import ResourceLedger
from harness.testbed.system.doors.base import (
    DoorError,
    Submission,
    indeterminate,
    refused,
    submission_body,
    variables,
)

START_TIMEOUT_S = 15.0
WORKER = "harness.testbed.system.doors.python_worker"


def worker_command(file: Path, function: str, *, check: bool = False) -> list[str]:
    # -P: what lies in the working folder must not stand in for the harness's own modules.
    return [sys.executable, "-P", "-m", WORKER, *(["--check"] if check else []), str(file), function]


@dataclass(frozen=True)
class Callee:
    """The function, and where it is called."""

    file: Path
    function: str
    env: Mapping[str, str]
    cwd: Path
    log_path: Path


class PythonDoor:
    def __init__(
        self,
        callee: Callee,
        ledger: ResourceLedger,
        sender: str,
        body: dict[str, Any] | None,
        timeout_s: float,
    ) -> None:
        """The function is given the scenario's `body`, or a dict of all that is known of a message."""
        self._callee = callee
        self._ledger = ledger
        self._sender = sender
        self._body = body
        self._timeout_s = timeout_s
        self._worker: ChildProcess | None = None
        self._listening: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[_Answer]] = {}
        self._offers = 0
        self._starting = asyncio.Lock()

    async def open(self) -> None:
        worker = ChildProcess(self._ledger, "submission", self._callee.log_path)
        try:
            await worker.start(
                worker_command(self._callee.file, self._callee.function),
                env=self._callee.env,
                cwd=self._callee.cwd,
                stdin=asyncio.subprocess.PIPE,
                pipe_stdout=True,
            )
            said = msgspec.json.decode(await worker.first_line(START_TIMEOUT_S), type=_Ready)
        except (ProcessError, msgspec.DecodeError) as error:
            await worker.stop()
            raise DoorError(f"{self._callee.file}: {error}") from error
        if said.error is not None:
            await worker.stop()
            raise DoorError(f"{self._callee.file} cannot be imported: {said.error}")
        self._worker = worker
        self._waiting = {}
        self._listening = asyncio.create_task(
            self._listen(worker, self._waiting), name="the submission's answers"
        )
        self._listening.add_done_callback(retrieved)

    async def _listen(self, worker: ChildProcess, waiting: dict[int, asyncio.Future[_Answer]]) -> None:
        """Answers until the worker ends; calls that were under way then may have done their work."""
        _, answers = worker.pipes
        try:
            while line := await answers.readline():
                answer = msgspec.json.decode(line, type=_Answer)
                if (future := waiting.pop(answer.id, None)) is not None and not future.done():
                    future.set_result(answer)
        finally:
            await worker.stop()
            ended = f"the process of {self._callee.file.name} ended under way"
            for number, future in waiting.items():
                if not future.done():
                    future.set_result(_Answer(id=number, error=ended, unsure=True))
            waiting.clear()

    async def submit(self, message: Message) -> Submission:
        if (problem := await self._ready()) is not None:
            return refused(problem)
        assert self._worker is not None
        given = (
            variables(message, self._sender)
            if self._body is None
            else submission_body(message, self._sender, self._body)
        )
        self._offers += 1
        number = self._offers
        waiting = self._waiting
        future = waiting[number] = asyncio.get_running_loop().create_future()
        try:
            requests, _ = self._worker.pipes
            requests.write(msgspec.json.encode({"id": number, "message": given}) + b"\n")
            async with asyncio.timeout(self._timeout_s):
                answer = await future
        except TimeoutError:
            return indeterminate(f"it did not return within {self._timeout_s:g} s")
        finally:
            waiting.pop(number, None)
        if answer.error is None:
            return Submission(Submitted.ACCEPTED)
        return indeterminate(answer.error) if answer.unsure else refused(answer.error)

    async def _ready(self) -> str | None:
        """A worker that ended is started again; in words, why there is none."""
        async with self._starting:
            if self._worker is None or not self._worker.is_running:
                try:
                    await self.open()
                except DoorError as error:
                    return str(error)
        return None

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listening
        if self._worker is not None:
            await self._worker.stop()


class _Ready(msgspec.Struct, frozen=True):
    error: str | None


class _Answer(msgspec.Struct, frozen=True):
    id: int
    error: str | None
    unsure: bool = False
