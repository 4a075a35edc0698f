"""An operator's actions: done when the system or the command says so, in one line for the history."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import httpx
import pytest

from harness.scenario.operator import OperatorAction
from harness.testbed.commands import Surround
from harness.testbed.system.operator import ActionFailed, Operator

ACTIONS = {
    "approve": {"http": "POST /operator/approve"},
    "switch": {"http": "PUT /switch", "body": {"route": "backup", "port": "{{ system.port }}"}},
    "pause": {"command": ["python", "-c", "print('paused', {{ system.port }})"]},
    "stumble": {"command": ["python", "-c", "raise SystemExit('not today')"]},
    "nothing": {"command": ["no-such-program"]},
}


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    actions = {name: OperatorAction.model_validate(action) for name, action in ACTIONS.items()}
    context = {"system": {"port": 8080}, "python": sys.executable}
    return Operator(actions, context, Surround(dict(os.environ), tmp_path, "operator"))


def system(answer: httpx.Response | Exception, seen: list[httpx.Request]) -> httpx.AsyncClient:
    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return httpx.AsyncClient(transport=httpx.MockTransport(respond), base_url="http://system")


async def test_a_request_is_done_when_a_2xx_answers(operator: Operator):
    seen: list[httpx.Request] = []
    told = await operator.act("approve", system(httpx.Response(202, text='{"ok": true}'), seen))
    assert told == 'POST /operator/approve: 202 {"ok": true}'
    assert (seen[0].method, seen[0].url.path, seen[0].content) == ("POST", "/operator/approve", b"")


async def test_a_body_is_a_template_that_keeps_its_shape(operator: Operator):
    seen: list[httpx.Request] = []
    await operator.act("switch", system(httpx.Response(200), seen))
    assert json.loads(seen[0].content) == {"route": "backup", "port": "8080"}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(409, text="nothing waits"), "POST /operator/approve: 409 nothing waits"),
        (httpx.Response(302), "POST /operator/approve: 302"),
        (httpx.ConnectError("refused"), "POST /operator/approve: ConnectError: refused"),
        (httpx.ReadTimeout(""), "POST /operator/approve: ReadTimeout"),
    ],
)
async def test_anything_else_means_that_it_was_not_done(operator: Operator, answer, said):
    with pytest.raises(ActionFailed) as failed:
        await operator.act("approve", system(answer, []))
    assert str(failed.value) == said


async def test_a_command_is_done_when_it_ends_with_0(operator: Operator):
    async with httpx.AsyncClient() as nobody:
        assert (await operator.act("pause", nobody)).endswith("exited with code 0: paused 8080")
        with pytest.raises(ActionFailed, match="exited with code 1: not today"):
            await operator.act("stumble", nobody)
        with pytest.raises(ActionFailed, match="no-such-program"):
            await operator.act("nothing", nobody)
