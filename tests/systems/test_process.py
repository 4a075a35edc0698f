"""`python -m mailrouter` as a process: kill -9 around the point of no return, SIGTERM, bad input."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import mailrouter
import pytest
from mailrouter.defects import Defect

from tests.ports import free_port
from tests.systems.running import Client
from tests.systems.stubs import Mood, SendGridStub, SmtpStub
from tests.waiting import until

SYSTEMS = Path(mailrouter.__file__).resolve().parent.parent


@asynccontextmanager
async def process(
    smtp: SmtpStub, api: SendGridStub, state: Path, defects: str = ""
) -> AsyncIterator[tuple[Client, asyncio.subprocess.Process]]:
    port = free_port()
    environment = os.environ | {
        "PYTHONPATH": str(SYSTEMS), "PRIMARY_URL": smtp.url, "BACKUP_URL": api.url, "PORT": str(port),
        "STATE_DIR": str(state), "DETECT_AFTER": "300ms", "SEND_TIMEOUT": "5s", "DEFECTS": defects,
    }  # fmt: skip
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mailrouter", env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
            client = Client(http, io.StringIO())

            async def answers() -> bool:
                assert running.returncode is None
                try:
                    return (await http.get("/status")).status_code == 200
                except httpx.ConnectError:
                    return False

            await client.until(answers)
            yield client, running
    finally:
        if running.returncode is None:
            running.terminate()
            await running.wait()


@pytest.mark.parametrize(
    ("mood", "defects", "after", "copies"),
    [
        (Mood.HANGS_BEFORE, "", "sent", 1),  # nothing was handed over: sent again
        (Mood.HANGS_AFTER, "", "held", 1),  # it may have been: held
        (Mood.HANGS_AFTER, "blind-resend", "sent", 2),
        (Mood.HANGS_BEFORE, "forgets-on-restart", None, 0),
    ],
)
async def test_kill_9_in_the_middle_of_an_attempt(
    smtp: SmtpStub,
    api: SendGridStub,
    tmp_path: Path,
    mood: Mood,
    defects: str,
    after: str | None,
    copies: int,
) -> None:
    smtp.mood = mood
    async with process(smtp, api, tmp_path, defects) as (client, router):
        assert (await client.submit("c.one")).status_code == 202
        await until(lambda: bool(smtp.attempts) and (mood is Mood.HANGS_BEFORE or bool(smtp.taken)))
        router.send_signal(signal.SIGKILL)
        await router.wait()
    await smtp.become(Mood.WELL)
    async with process(smtp, api, tmp_path, defects) as (client, _):
        await client.until_quiet()
        listed = (await client.http.get("/messages")).json()["messages"]
    assert [message["state"] for message in listed] == ([after] if after else [])
    assert (smtp.copies() + api.copies()).total() == copies


async def test_sigterm_is_a_clean_stop(smtp: SmtpStub, api: SendGridStub, tmp_path: Path) -> None:
    async with process(smtp, api, tmp_path) as (client, router):
        await client.submit("c.one")
        router.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(router.wait(), 5) == 0


async def test_a_wrong_configuration_is_exit_2_and_a_sentence(tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(SYSTEMS), "DEFECTS": "no-such", "PRIMARY_URL": "smtp://a:1",
                   "BACKUP_URL": "smtp://a:1", "STATE_DIR": str(tmp_path), "PORT": "1"}  # fmt: skip
    refused = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mailrouter", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, told = await refused.communicate()
    assert refused.returncode == 2
    assert told.decode() == (
        f"mailrouter: DEFECTS: unknown defect 'no-such'; there are: {', '.join(Defect)}\n"
    )
