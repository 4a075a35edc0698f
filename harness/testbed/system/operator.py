"""What an operator does to the system, done by the harness: a request on its port, or a command here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

import httpx

from harness.scenario.operator import OperatorAction
from harness.scenario.templates import render_body, render_words
from harness.testbed.commands import CommandNotRun, Surround, run_command
from harness.testbed.system.reach import ANSWER_TIMEOUT_S, whole_answer

LONGEST_TEXT = 200


class ActionFailed(Exception):
    """An action was not done, or nobody knows whether it was; the message says how that showed."""


class Operator:
    def __init__(
        self, actions: Mapping[str, OperatorAction], context: Mapping[str, Any], surround: Surround
    ) -> None:
        """`context` is what the actions' templates may name."""
        self._actions = actions
        self._context = context
        self._surround = surround

    async def act(self, name: str, client: httpx.AsyncClient) -> str:
        """Do it; what was done and what was answered, in a line. Raises ActionFailed."""
        action = self._actions[name]
        if action.request is not None:
            return await self._request(*action.request, action.body, client)
        return await self._command(render_words(action.command or (), self._context))

    async def _request(
        self, method: str, path: str, body: dict[str, Any] | None, client: httpx.AsyncClient
    ) -> str:
        content = None if body is None else render_body(body, self._context)
        try:
            answer = await whole_answer(client, path, method=method, json=content)
        except (httpx.HTTPError, TimeoutError) as error:
            raise ActionFailed(f"{method} {path}: {type(error).__name__}: {error}".rstrip(": ")) from error
        said = f"{method} {path}: {answer.status_code} {answer.text[:LONGEST_TEXT]}".rstrip()
        if not answer.is_success:
            raise ActionFailed(said)
        return said

    async def _command(self, argv: list[str]) -> str:
        try:
            ended = await run_command(argv, self._surround, timeout_s=ANSWER_TIMEOUT_S)
        except CommandNotRun as error:
            raise ActionFailed(str(error)) from error
        if ended.code != 0:
            raise ActionFailed(f"`{shlex.join(argv)}` {ended.words()}")
        return f"`{shlex.join(argv)}` {ended.words()}"
