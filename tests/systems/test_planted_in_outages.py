"""Planted bugs that show in an outage, or in the decisions around one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mailrouter.config import Config, Waves
from mailrouter.defects import SHORT_TEXT, Defect

from tests.systems.running import Client, running
from tests.systems.stubs import Mood, SendGridStub, SmtpStub, TwilioStub
from tests.systems.test_fallback import PHONE, break_mail, with_sms
from tests.systems.test_planted import planted
from tests.systems.test_router import WIDE, fail_over, most_in_a_window, submit_many, times_of


@asynccontextmanager
async def status_page(port: int = 0) -> AsyncIterator[tuple[str, list[str]]]:
    """A page's address, and what it says: the last of a list of indicators; `garbage` is no JSON."""
    says = ["none"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = (
            b"<html>" if says[-1] == "garbage" else json.dumps({"status": {"indicator": says[-1]}}).encode()
        )
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", says


async def until_page(client: Client, outage: bool) -> None:
    async def shown() -> bool:
        return bool((await client.status())["status_page"] == {"outage": outage})

    await client.until(shown)


@pytest.mark.parametrize(
    ("defect", "state"),
    [
        (Defect.MARKS_SENT_EARLY, "sent"),
        (Defect.HOLDS_EVERYTHING, "held"),
        (Defect.FAILS_FAST, "failed"),
    ],
)
async def test_what_was_not_taken_is_not_tried_again(
    config: Config, smtp: SmtpStub, api: SendGridStub, defect: Defect, state: str
) -> None:
    smtp.mood = Mood.NO_TRANSACTIONS
    async with running(config, **planted(defect), detect_after_s=60.0) as client:
        await client.submit("c.one")
        await client.until_state("c.one", state)
    assert not smtp.copies() and not api.copies()


async def test_retries_refusals(config: Config, smtp: SmtpStub) -> None:
    smtp.mood = Mood.REJECTS
    async with running(config, **planted(Defect.RETRIES_REFUSALS)) as client:
        await client.submit("c.one")
        await client.until(lambda: _true(len(smtp.attempts) > 3))


async def _true(condition: bool) -> bool:
    return condition


async def test_no_backoff(config: Config, smtp: SmtpStub) -> None:
    """The right router makes two attempts in this time; the throttle would allow dozens."""
    tries = {"detect_after_s": 60.0, "max_retry_s": 60.0}
    async with running(config, **planted(Defect.NO_BACKOFF), **tries) as client:
        await smtp.become(Mood.NO_TRANSACTIONS)
        await client.submit("c.one")
        await client.until(lambda: _true(client.log.getvalue().count("key=c.one") >= 8))
        assert "again_in_s=0.0" in client.log.getvalue()


async def test_switches_late(config: Config, smtp: SmtpStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailrouter.router.SWITCHES_LATE_S", 60.0)
    async with running(config, **planted(Defect.SWITCHES_LATE)) as client:
        await fail_over(client, smtp)
        assert (await client.status())["active"] == "primary"


async def test_never_fails_back(config: Config, smtp: SmtpStub) -> None:
    async with running(config, **planted(Defect.NEVER_FAILS_BACK)) as client:
        await fail_over(client, smtp)
        await smtp.become(Mood.WELL)
        before = len(smtp.taken)
        await client.until(lambda: _true(len(smtp.taken) > before + 12))  # canaries, for longer than it takes
        assert (await client.status())["routes"]["primary"]["state"] == "down"


async def test_backup_only(config: Config, smtp: SmtpStub, api: SendGridStub) -> None:
    async with running(config, **planted(Defect.BACKUP_ONLY)) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "sent")
        assert (await client.status())["routes"]["primary"]["state"] == "up"
    assert api.copies() and not smtp.copies()


async def test_a_status_page_is_shown_and_decides_nothing(config: Config, smtp: SmtpStub) -> None:
    async with status_page() as (url, says), running(config, status_url=url) as client:
        assert (await client.status())["active"] == "primary"
        says.append("major")
        await until_page(client, True)
        assert (await client.status())["routes"]["primary"]["state"] == "up"
        says.append("garbage")
        await client.until(lambda: _true("status page cannot be read" in client.log.getvalue()))
        await until_page(client, True)
        says.append("none")
        await until_page(client, False)
        await fail_over(client, smtp)


async def test_believes_the_status_page_and_nothing_else(config: Config, smtp: SmtpStub) -> None:
    believes = planted(Defect.BELIEVES_STATUS_PAGE)
    async with status_page() as (url, says), running(config, **believes, status_url=url) as client:
        says.append("minor")
        await client.until_route("primary", "down")
        says.append("none")
        await client.until_route("primary", "up")
        await smtp.become(Mood.NO_TRANSACTIONS)
        await client.submit("c.one")
        # A probe that was cut in the middle lets nothing else go by that route: then it is probes that fail.
        await client.until(lambda: _troubles(client, 6))
        assert (await client.status())["routes"]["primary"]["state"] == "up"


async def _troubles(client: Client, count: int) -> bool:
    told = (await client.http.get("/metrics")).text
    counted = re.search(r'mailrouter_attempts_total\{result="trouble",route="primary"\} (\S+)', told)
    return counted is not None and float(counted[1]) >= count


async def test_silence_is_taken_for_an_outage(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailrouter.probe.SILENCE_S", 0.2)
    async with running(config, **planted(Defect.SILENCE_IS_OUTAGE)) as client:
        await client.submit("c.one")
        await client.until_state("c.one", "sent")
        await client.until_route("primary", "down")


async def test_a_wave_is_twice_its_size(config: Config, smtp: SmtpStub) -> None:
    waves = {"waves": Waves(0.25, 60.0), "throttle": WIDE}
    async with running(config, **planted(Defect.OVERSIZED_WAVES), **waves) as client:
        await fail_over(client, smtp)
        await submit_many(client, 20)
        await smtp.become(Mood.WELL)
        await client.until(lambda: _true(len(times_of(smtp, "m.")) == 10))
    assert most_in_a_window(times_of(smtp, "m."), 60.0) == 10


@pytest.mark.parametrize(("defects", "goes"), [([Defect.FORGETS_PAUSE], True), ([], False)])
async def test_a_restart_ends_a_pause_only_by_the_defect(
    config: Config, defects: list[Defect], goes: bool
) -> None:
    async with running(config, **planted(*defects)) as client:
        await client.http.post("/operator/pause")
    async with running(config, **planted(*defects)) as client:
        assert (await client.status())["marketing"]["paused"] is not goes


async def test_resumes_without_approval(config: Config, smtp: SmtpStub) -> None:
    async with running(config, **planted(Defect.RESUMES_WITHOUT_APPROVAL), approval=True) as client:
        await fail_over(client, smtp)
        await submit_many(client, 2)
        await smtp.become(Mood.WELL)
        await client.until_quiet()
    assert len(times_of(smtp, "m.")) == 2


@pytest.mark.parametrize(("defects", "state"), [([Defect.SENDS_EXPIRED], "sent"), ([], "expired")])
async def test_a_code_that_has_expired_is_sent_only_by_the_defect(
    config: Config, smtp: SmtpStub, api: SendGridStub, defects: list[Defect], state: str
) -> None:
    async with running(config, **planted(*defects)) as client:
        await break_mail(client, smtp, api)
        await client.submit("c.code", expires_in_ms=1)
        await client.submit("c.later", expires_in_ms=60_000)
        await smtp.become(Mood.WELL)
        await client.until_state("c.later", "sent")
        await client.until_state("c.code", state)


async def test_never_texts(config: Config, smtp: SmtpStub, api: SendGridStub, sms: TwilioStub) -> None:
    never = {**planted(Defect.NEVER_TEXTS), "fallback_after_s": 0.0}
    async with running(with_sms(config, sms, **never)) as client:
        await break_mail(client, smtp, api)
        await client.submit("c.one", phone=PHONE)
        await client.until(lambda: _true(client.log.getvalue().count("key=c.one") >= 3))
    assert not sms.attempts


async def test_the_backup_is_given_the_beginning_of_a_text(
    config: Config, smtp: SmtpStub, api: SendGridStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[bytes] = []
    recipient_in = api._recipient_in
    monkeypatch.setattr(api, "_recipient_in", lambda body: (bodies.append(body), recipient_in(body))[1])
    async with running(config, **planted(Defect.TRUNCATES_TEXT)) as client:
        await client.http.post("/operator/switch", json={"route": "backup"})
        await client.submit("c.one", text="x" * 100)
        await client.until_state("c.one", "sent")
    assert json.loads(bodies[0])["content"][0]["value"] == "x" * SHORT_TEXT
