"""Our own status page: everybody is told there that no mail goes out, and that it does again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest
from mailrouter.config import Config
from mailrouter.defects import Defect

from tests.providers.proxied import Proxied, proxied
from tests.systems.running import Client, running
from tests.systems.stubs import Mood, SendGridStub, SmtpStub
from tests.systems.test_fallback import break_mail


@pytest.fixture
async def page() -> AsyncIterator[Proxied]:
    async with proxied("statuspage") as fake:
        yield fake


def with_page(config: Config, page: Proxied, **changes: Any) -> Config:
    told = {"announce_url": page.url("/v1/pages/ours", "manage"), "announce_key": page.account.secret}
    return replace(config, **{**told, "announce_after_s": 0.2, **changes})


async def shown(page: Proxied) -> list[dict[str, Any]]:
    """What customers see, the latest first."""
    async with httpx.AsyncClient(trust_env=False) as http:
        incidents: list[dict[str, Any]] = (await http.get(page.url("/api/v2/incidents.json"))).json()[
            "incidents"
        ]
    return incidents


async def until_shown(client: Client, page: Proxied, *statuses: str) -> None:
    async def reached() -> bool:
        return [each["status"] for each in await shown(page)] == list(statuses)

    await client.until(reached)


async def test_an_outage_is_announced_once_and_called_over_when_mail_goes_out_again(
    config: Config, smtp: SmtpStub, api: SendGridStub, page: Proxied
) -> None:
    async with running(with_page(config, page)) as client:
        await break_mail(client, smtp, api)
        await until_shown(client, page, "investigating")
        await api.become(Mood.WELL)
        await client.until_state("c.trigger", "sent")
        await until_shown(client, page, "resolved")
    calls = [msgspec.json.decode(line) for line in page.sink.records]
    assert [call["announced"] for call in calls if call.get("announced") is not None] == [True, False]


async def test_nothing_is_announced_while_one_route_takes_mail(
    config: Config, smtp: SmtpStub, api: SendGridStub, page: Proxied
) -> None:
    async with running(with_page(config, page, announce_after_s=0.0)) as client:
        await smtp.become(Mood.REFUSES_LOGIN)
        await client.submit("c.one")
        await client.until_state("c.one", "sent")
        await client.until_route("primary", "down")
        assert await shown(page) == []
        await break_mail(client, smtp, api)
        await until_shown(client, page, "investigating")
    told = client.log.getvalue()
    assert told.index("route in doubt route=backup") < told.index("announced told=")


async def test_what_an_earlier_process_announced_is_called_over(
    config: Config, smtp: SmtpStub, api: SendGridStub, page: Proxied
) -> None:
    config = with_page(config, page)
    async with running(config) as client:
        await break_mail(client, smtp, api)
        await until_shown(client, page, "investigating")
    await smtp.become(Mood.WELL)
    await api.become(Mood.WELL)
    async with running(config) as client:
        await until_shown(client, page, "resolved")


async def test_a_page_that_does_not_answer_is_told_later(
    config: Config, smtp: SmtpStub, api: SendGridStub, page: Proxied
) -> None:
    page.put(type="refuse", endpoint="manage", code=503)
    async with running(with_page(config, page)) as client:
        await break_mail(client, smtp, api)

        async def complained() -> bool:
            return "cannot be announced" in client.log.getvalue()

        await client.until(complained)
        assert await shown(page) == []
        page.heal()
        await until_shown(client, page, "investigating")


async def test_what_the_page_took_without_an_answer_is_not_told_again(
    config: Config, smtp: SmtpStub, api: SendGridStub, page: Proxied
) -> None:
    async with running(with_page(config, page)) as client:
        await client.until(lambda: _asked(page))
        page.put(type="ack-loss", endpoint="manage")
        await break_mail(client, smtp, api)
        await until_shown(client, page, "investigating")
        page.heal()
        await client.until(lambda: _tried_often(client))
        await api.become(Mood.WELL)
        await until_shown(client, page, "resolved")
    assert [each["status"] for each in await shown(page)] == ["resolved"]


async def test_never_announces(config: Config, smtp: SmtpStub, api: SendGridStub, page: Proxied) -> None:
    never = frozenset({Defect.NEVER_ANNOUNCES})
    async with running(with_page(config, page, announce_after_s=0.0, defects=never)) as client:
        await break_mail(client, smtp, api)
        await client.until(lambda: _tried_often(client))
    assert await shown(page) == []


async def _tried_often(client: Client) -> bool:
    return client.log.getvalue().count("key=c.trigger") >= 5


async def _asked(page: Proxied) -> bool:
    return bool(page.sink.records)
