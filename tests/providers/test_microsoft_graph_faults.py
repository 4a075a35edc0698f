"""What Microsoft Graph refuses: its limits, its named answers, and what its health feed tells of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.errors import ConfigError, FaultRefused
from harness.providers.presets.microsoft_graph import NAMED
from harness.providers.serve import check_limits
from harness.providers.wire import ProviderFault
from tests.providers.conftest import Certificates
from tests.providers.graph_provider import (
    ISSUES,
    TENANT,
    Client,
    bearer,
    graph,
    mail,
)
from tests.waiting import until


@pytest.fixture
async def client(certificates: Certificates) -> AsyncIterator[Client]:
    async with graph(certificates) as client:
        yield client


async def within_one_window(span_s: float) -> None:
    """Windows end at whole multiples of their length: where one is about to, wait for the next."""
    left_s = span_s - asyncio.get_running_loop().time() % span_s
    if left_s < 30:
        await asyncio.sleep(left_s)


class TestLimits:
    async def test_the_fifth_request_at_a_time_is_refused_and_the_four_go_through(
        self, client: Client
    ) -> None:
        token = await client.token()
        client.fake.put(type="slow-ack", delay_s=3)
        four = [asyncio.create_task(client.send(mail(), token)) for _ in range(4)]
        await until(lambda: client.fake.acted() == 4)
        fifth = await client.send(mail(), token)
        assert (fifth.status_code, fifth.headers["Retry-After"]) == (429, "1")
        assert fifth.content == (
            b'{"error":{"code":"ApplicationThrottled",'
            b'"message":"Application is over its MailboxConcurrency limit."}}'
        )
        assert [(await each).status_code for each in four] == [202] * 4
        (throttled,) = (each for each in client.fake.receipts() if each.code == 429)
        assert (throttled.result, throttled.retry_after_ns) == (ReceiptResult.DEFERRED, 10**9)

    async def test_throttled_requests_use_up_the_ten_minutes_as_well(
        self, certificates: Certificates
    ) -> None:
        await within_one_window(600)
        async with graph(certificates, requests_per_10_minutes=3, concurrent_requests=1) as client:
            token = await client.token()
            client.fake.put(type="slow-ack", delay_s=2, count=1)
            slow = asyncio.create_task(client.send(mail(), token))
            await until(lambda: client.fake.acted() == 1)
            messages = [(await client.send(mail(), token)).json()["error"]["message"] for _ in range(2)]
            assert (await slow).status_code == 202
            last = await client.send(mail(), token)
        assert messages == ["Application is over its MailboxConcurrency limit."] * 2
        assert last.json()["error"]["message"] == "Application is over its RequestCount limit."
        assert 1 <= int(last.headers["Retry-After"]) <= 600

    async def test_megabytes_count_over_five_minutes(self, certificates: Certificates) -> None:
        await within_one_window(300)
        async with graph(certificates, upload_mb_per_5_minutes=1) as client:
            token = await client.token()
            big = mail(body={"content": "x" * 700_000})
            assert (await client.send(big, token)).status_code == 202
            refused = await client.send(big, token)
        assert refused.json()["error"]["message"] == "Application is over its IncomingBytes limit."

    async def test_the_health_feed_has_a_limit_of_its_own(self, certificates: Certificates) -> None:
        async with graph(certificates, requests_per_10_minutes=2) as client:
            headers = bearer(await client.token())
            codes: list[int] = []
            while not codes or codes[-1] == 200:  # for more than a minute's worth, should one end in between
                codes.append((await client.http.get(client.fake.url(ISSUES), headers=headers)).status_code)
                assert len(codes) < 2_000
            sent = await client.send(mail(), headers["Authorization"].split()[1])
        assert codes[-1] == 429 and len(codes) > 240
        assert sent.status_code == 202

    def test_limits_that_mean_nothing_are_refused(self) -> None:
        for limits in ({"concurrent_requests": 0}, {"token_lifetime_s": 0}, {"rate": 1}):
            with pytest.raises(ConfigError, match="Valid limits: concurrent_requests, requests_per_10"):
                check_limits(presets.load("microsoft-graph"), limits)


class TestFaults:
    async def test_every_named_answer_can_be_played_where_it_belongs(self, client: Client) -> None:
        token = await client.token()
        for name, expected in NAMED.items():
            endpoint = "token" if name.startswith("entra-") else ""
            client.fake.put(type="refuse", named=name, endpoint=endpoint)
            answer = await (client.ask() if endpoint else client.send(mail(), token))
            assert answer.status_code == expected.status, name
            assert answer.headers.get("Retry-After") == dict(expected.headers).get("Retry-After"), name
            assert b"{app}" not in answer.content and b"-id}" not in answer.content, name
            client.fake.heal()
        assert {name for name in NAMED if "retry-after" in name} == {"throttled-without-retry-after"}

    async def test_504_and_sent_all_the_same(self, client: Client) -> None:
        client.fake.put(type="ack-loss", code=504)
        answer = await client.send(mail())
        assert answer.status_code == 504
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == ("UnknownError", "")
        assert list(error["innerError"]) == ["request-id", "date"]
        (receipt,) = client.fake.receipts()
        assert receipt.result is ReceiptResult.ACK_LOST

    async def test_one_tenants_trouble_is_not_anothers(self, client: Client) -> None:
        client.fake.put(type="refuse", code=503, tenant="fabrikam.example")
        assert (await client.send(mail())).status_code == 202
        client.fake.put(type="refuse", code=503, tenant=TENANT)
        assert (await client.send(mail())).status_code == 503

    @pytest.mark.parametrize(
        ("fault", "hint"),
        [
            ({"type": "refuse", "named": "entra-secret"}, "entra-secret-expired"),
            ({"type": "key-rotated"}, "takes no secret that could be rotated: endpoint 'token' does"),
            ({"type": "silent-drop", "endpoint": "token"}, "takes no messages that could be dropped"),
            ({"type": "status"}, "serviceDegradation"),
            ({"type": "status", "named": "major"}, "serviceDegradation"),
            ({"type": "status", "named": "investigating", "code": 500}, "no use for code"),
        ],
    )
    def test_a_fault_it_cannot_play_is_refused_with_the_choices(
        self, fault: dict[str, Any], hint: str
    ) -> None:
        with pytest.raises(FaultRefused, match=hint):
            presets.load("microsoft-graph").place_fault(ProviderFault(id="f", **fault))


class TestHealthFeed:
    async def issues(self, client: Client, query: str = "") -> list[dict[str, Any]]:
        headers = bearer(await client.token())
        answer = await client.http.get(client.fake.url(ISSUES + query), headers=headers)
        assert answer.status_code == 200
        value: list[dict[str, Any]] = answer.json()["value"]
        return value

    async def test_it_is_for_those_who_have_a_token(self, client: Client) -> None:
        assert (await client.http.get(client.fake.url(ISSUES))).status_code == 401
        assert await self.issues(client) == []

    async def test_it_tells_of_an_incident_and_of_its_end(self, client: Client) -> None:
        client.fake.put(type="status", named="serviceDegradation", text="Email delays")
        (issue,) = await self.issues(client)
        assert (issue["title"], issue["status"], issue["isResolved"]) == (
            "Email delays",
            "serviceDegradation",
            False,
        )
        assert (issue["service"], issue["classification"]) == ("Exchange Online", "incident")
        assert re.fullmatch(r"EX\d{7}", issue["id"])
        client.fake.heal()
        (restored,) = await self.issues(client)
        assert (restored["id"], restored["status"]) == (issue["id"], "serviceRestored")
        assert restored["isResolved"] and restored["endDateTime"] >= restored["startDateTime"]

    async def test_it_can_call_an_outage_over_too_early(self, client: Client) -> None:
        client.fake.put(id="outage", type="refuse", named="service-unavailable")
        client.fake.put(type="status", named="serviceInterruption")
        client.fake.put(type="status", named="serviceRestored")
        (issue,) = await self.issues(client)
        assert issue["isResolved"] and issue["status"] == "serviceRestored"
        assert (await client.send(mail())).status_code == 503

    async def test_monitors_ask_for_what_is_not_resolved(self, client: Client) -> None:
        client.fake.put(type="status", named="investigating")
        client.fake.heal()
        client.fake.put(id="g", type="status", named="investigating")
        assert len(await self.issues(client)) == 2
        (active,) = await self.issues(client, "?$filter=isResolved%20eq%20false")
        assert not active["isResolved"]
        (over,) = await self.issues(client, "?$filter=isResolved+eq+true")
        assert over["isResolved"]
