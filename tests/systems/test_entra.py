"""Microsoft Graph with its token from elsewhere: kept while it lives, renewed beside the mail, missed only
when it has run out.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from mailrouter.config import Config, endpoint
from mailrouter.fate import Outcome, Result
from mailrouter.route import Route

from harness.history.events import ReceiptResult
from harness.providers.tls import make_ca
from tests.providers.running import TOKEN
from tests.systems.fakes import Fake, fake, message, real_clock, route_to
from tests.systems.running import running


@dataclass(frozen=True)
class Tls:
    ca: str
    config: dict[str, str]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    ca, cert, key = make_ca(tmp_path_factory.mktemp("tls"), [])
    return Tls(str(ca), {"tls_cert_path": str(cert), "tls_key_path": str(key)})


@asynccontextmanager
async def graph(tls: Tls, **limits: float) -> AsyncIterator[Fake]:
    async with fake("microsoft-graph", https=True, limits=limits, **tls.config) as provider:
        (beside,) = (each for each in provider.provider.running.ready.listeners if each.endpoint == "token")
        provider.query = f"?token_url=https://127.0.0.1:{beside.port}/contoso.example/oauth2/v2.0/token"
        yield provider


@asynccontextmanager
async def route(tls: Tls, provider: Fake) -> AsyncIterator[Route]:
    async with route_to(provider.url, tls=ssl.create_default_context(cafile=tls.ca)) as opened:
        yield opened


async def send(route: Route, **changes: Any) -> Result:
    return await route.send(message(**changes), lambda: None)


async def test_a_message_gets_there_with_a_token(tls: Tls) -> None:
    async with graph(tls) as provider, route(tls, provider) as opened:
        assert (await opened.check_login()).outcome is Outcome.ACCEPTED
        assert (await send(opened)).outcome is Outcome.ACCEPTED
        assert [(each.token, each.result) for each in provider.receipts if each.endpoint != "token"] == [
            (TOKEN, ReceiptResult.ACCEPTED)
        ]
        assert (await send(opened, headers={})).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize(
    "fault",
    [
        {"named": "entra-secret-wrong"},
        {"named": "entra-secret-expired"},
        {"code": 429, "retry_after_s": 60.0},
    ],
    ids=str,
)
async def test_without_a_token_nothing_is_handed_over_and_it_is_the_route_s_trouble(
    tls: Tls, fault: dict[str, Any]
) -> None:
    crossed: list[bool] = []
    async with graph(tls) as provider, route(tls, provider) as opened:
        provider.put(type="refuse", endpoint="token", **fault)
        result = await opened.send(message(), lambda: crossed.append(True))
        again = await opened.check_login()
    assert (result.outcome, crossed, again.outcome) == (Outcome.TROUBLE, [], Outcome.TROUBLE)
    assert result.retry_after_s == fault.get("retry_after_s")


async def test_a_live_token_outlives_the_service_that_gave_it(tls: Tls) -> None:
    async with graph(tls, token_lifetime_s=12) as provider, route(tls, provider) as opened:
        assert (await send(opened)).outcome is Outcome.ACCEPTED
        provider.put(type="refuse", endpoint="token", code=503)
        loop, ended = asyncio.get_running_loop(), Outcome.ACCEPTED
        began = loop.time()
        while ended is Outcome.ACCEPTED:
            ended = (await send(opened)).outcome
            took = loop.time() - began
            assert took < 20
            await asyncio.sleep(0.1)
        # It was shown until shortly before its end, although asking for the next one failed all the while.
        assert (ended, took > 6) == (Outcome.TROUBLE, True)
        provider.clear()
        await until_accepted(opened)


async def until_accepted(opened: Route) -> None:
    async with asyncio.timeout(20):
        while (await send(opened)).outcome is not Outcome.ACCEPTED:
            await asyncio.sleep(0.1)


async def test_a_token_is_renewed_before_it_runs_out_and_no_message_waits_for_it(tls: Tls) -> None:
    async with graph(tls, token_lifetime_s=12) as provider, route(tls, provider) as opened:
        await send(opened)
        provider.put(type="slow-ack", endpoint="token", delay_s=2.0)
        loop = asyncio.get_running_loop()
        deadline, slowest = loop.time() + 14, 0.0
        while loop.time() < deadline:
            began = loop.time()
            assert (await send(opened)).outcome is Outcome.ACCEPTED
            slowest = max(slowest, loop.time() - began)
            await asyncio.sleep(0.1)
    assert slowest < 1.5


async def test_a_gateway_that_gives_up_is_held_and_what_came_is_not_sent_again(
    tls: Tls, config: Config
) -> None:
    async with graph(tls) as provider:
        provider.put(type="ack-loss", named="gateway-timeout", class_="transactional")
        changes: dict[str, Any] = {
            "primary": endpoint(provider.url),
            "ca_file": tls.ca,
            "send_timeout_s": 10.0,
        }
        async with running(config, real_clock(), **changes) as client:
            await client.submit(TOKEN, headers={"X-Harness-Class": "transactional", "X-Harness-Token": TOKEN})
            await client.until_state(TOKEN, "held", deadline_s=20)
            provider.clear()
            await client.submit("c.two")
            await client.until_state("c.two", "sent", deadline_s=20)
            assert await client.state_of(TOKEN) == "held"
        sent = [each for each in provider.receipts if each.token == TOKEN]
    assert [each.result for each in sent] == [ReceiptResult.ACK_LOST]
