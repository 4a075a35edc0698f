"""The way in by a command for each message, as a script hands mail to `sendmail`.

The message, or the scenario's JSON, is on its standard input. It ends with 0 when the message was taken; with
anything else it was not. One that has to be killed, or that a signal ended, may have handed it on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from harness.history.events import Submitted
from harness.scenario.templates import render_words
from harness.scenario.timeline import Message
from harness.testbed.commands import CommandNotRun, Surround, run_command
from harness.testbed.system.doors.base import (
    Submission,
    indeterminate,
    refused,
    submission_body,
    variables,
)
from harness.testbed.system.doors.letter import letter

MAX_COMMANDS = 16


class CommandDoor:
    def __init__(
        self,
        command: Sequence[str],
        context: Mapping[str, Any],
        surround: Surround,
        sender: str,
        body: dict[str, Any] | None,
        timeout_s: float,
    ) -> None:
        """`command` is a template that knows `context` and the message; with `body` it is given that JSON."""
        self._command = command
        self._context = context
        self._surround = surround
        self._sender = sender
        self._body = body
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(MAX_COMMANDS)

    async def open(self) -> None:
        return

    async def submit(self, message: Message) -> Submission:
        known = variables(message, self._sender)
        argv = render_words(self._command, {**self._context, **known})
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._free.acquire()
        except TimeoutError:
            return refused(f"{MAX_COMMANDS} commands are still at work")
        try:
            ended = await run_command(
                argv, self._surround, timeout_s=self._timeout_s, stdin=self._given(message)
            )
        except CommandNotRun as error:
            return refused(str(error))
        finally:
            self._free.release()
        if ended.code == 0:
            return Submission(Submitted.ACCEPTED, 0)
        if ended.code is None or ended.code < 0:
            return indeterminate(ended.words(), ended.code)
        return refused(ended.words(), ended.code)

    def _given(self, message: Message) -> bytes:
        if self._body is not None:
            return msgspec.json.encode(submission_body(message, self._sender, self._body)) + b"\n"
        return letter(message, self._sender, time.time()).replace(b"\r\n", b"\n")

    async def close(self) -> None:
        return
