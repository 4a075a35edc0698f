"""The status page: what it says comes from faults on a timeline of their own, and is for everybody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from harness.providers import presets
from harness.providers.errors import FaultRefused
from harness.providers.wire import ProviderFault
from tests.providers.proxied import Proxied, proxied

PATHS = ("status", "summary", "components", "incidents", "incidents/unresolved")


class Reader:
    """Somebody who looks at the page."""

    def __init__(self, fake: Proxied, http: httpx.AsyncClient) -> None:
        self.fake = fake
        self.http = http

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(self.fake.url(f"/api/v2/{path}.json"), headers=headers)

    async def read(self, path: str) -> dict[str, Any]:
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("application/json")
        content: dict[str, Any] = answer.json()
        return content


@pytest.fixture
async def page() -> AsyncIterator[Reader]:
    async with proxied("statuspage") as fake, httpx.AsyncClient(trust_env=False, timeout=10) as http:
        yield Reader(fake, http)


class TestWhenAllIsWell:
    async def test_nobody_is_asked_who_they_are(self, page: Reader) -> None:
        for path in PATHS:
            assert list((await page.read(path))["page"]) == ["id", "name", "url", "time_zone", "updated_at"]

    async def test_all_systems_are_operational(self, page: Reader) -> None:
        summary = await page.read("summary")
        assert summary["status"] == {"indicator": "none", "description": "All Systems Operational"}
        assert [each["status"] for each in summary["components"]] == ["operational"]
        assert summary["incidents"] == summary["scheduled_maintenances"] == []

    async def test_the_page_is_where_it_was_asked_for(self, page: Reader) -> None:
        answer = await page.get("status", host="status.contoso.example")
        assert answer.json()["page"]["url"] == "https://status.contoso.example"

    async def test_there_is_nothing_else(self, page: Reader) -> None:
        assert (await page.get("nowhere")).status_code == 404
        wrong = await page.http.post(page.fake.url("/api/v2/status.json"))
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET")


class TestAnIncident:
    @pytest.mark.parametrize(
        ("impact", "description", "component"),
        [
            ("minor", "Partially Degraded Service", "degraded_performance"),
            ("major", "Partial System Outage", "partial_outage"),
            ("critical", "Major Service Outage", "major_outage"),
        ],
    )
    async def test_it_is_told_of_everywhere(
        self, page: Reader, impact: str, description: str, component: str
    ) -> None:
        page.fake.put(type="status", named=impact, text="Delayed mail")
        summary = await page.read("summary")
        assert summary["status"] == {"indicator": impact, "description": description}
        assert (await page.read("status"))["status"] == summary["status"]
        assert (await page.read("components"))["components"] == summary["components"]
        assert summary["components"][0]["status"] == component
        (incident,) = summary["incidents"]
        assert (incident["name"], incident["impact"], incident["status"]) == (
            "Delayed mail",
            impact,
            "investigating",
        )
        assert incident["resolved_at"] is None
        assert (await page.read("incidents/unresolved"))["incidents"] == [incident]

    async def test_its_times_are_those_of_the_page_and_not_of_the_outage(self, page: Reader) -> None:
        page.fake.put(id="outage", type="slow-ack", delay_s=0.01)
        await asyncio.sleep(0.2)  # the longer it takes, the further apart the two are
        before_s = time.time()
        page.fake.put(type="status", named="major")
        after_s = time.time()
        (told,) = (await page.read("incidents/unresolved"))["incidents"]
        started_s = datetime.fromisoformat(told["started_at"]).timestamp()
        assert before_s - 0.05 < started_s < after_s + 0.05

    async def test_the_worst_of_several_gives_the_indicator(self, page: Reader) -> None:
        page.fake.put(id="a", type="status", named="critical")
        page.fake.put(id="b", type="status", named="minor")
        assert (await page.read("status"))["status"]["indicator"] == "critical"
        page.fake.provider.faults.delete("a")
        assert (await page.read("status"))["status"]["indicator"] == "minor"

    async def test_when_it_is_over_it_is_history(self, page: Reader) -> None:
        page.fake.put(type="status", named="major")
        (begun,) = (await page.read("incidents"))["incidents"]
        page.fake.heal()
        assert (await page.read("status"))["status"]["indicator"] == "none"
        assert (await page.read("incidents/unresolved"))["incidents"] == []
        (over,) = (await page.read("incidents"))["incidents"]
        assert (over["id"], over["status"]) == (begun["id"], "resolved")
        assert over["resolved_at"] == over["updated_at"] >= over["started_at"]
        assert [each["status"] for each in over["incident_updates"]] == ["resolved", "investigating"]

    async def test_a_relapse_is_another_incident(self, page: Reader) -> None:
        page.fake.put(type="status", named="major")
        (first,) = (await page.read("incidents"))["incidents"]
        page.fake.heal()
        await asyncio.sleep(0.01)  # incidents of one name are told apart by when they began
        page.fake.put(type="status", named="major")
        (again,) = (await page.read("incidents/unresolved"))["incidents"]
        both = (await page.read("incidents"))["incidents"]
        assert [each["id"] for each in both] == [again["id"], first["id"]]
        assert again["id"] != first["id"]


class TestThePageItselfInTrouble:
    async def test_it_answers_429(self, page: Reader) -> None:
        page.fake.put(id="told", type="status", named="major")
        page.fake.put(type="refuse", code=429, retry_after_s=30)
        answer = await page.get("status")
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "30")
        page.fake.put(type="refuse", named="too-many-requests")
        assert "Retry-After" not in (await page.get("summary")).headers
        page.fake.heal()
        assert (await page.read("status"))["status"]["indicator"] == "major"

    async def test_each_second_request_or_so_many_a_second(self, page: Reader) -> None:
        page.fake.put(type="refuse", code=429, every=2)
        assert [(await page.get("status")).status_code for _ in range(4)] == [200, 429, 200, 429]
        page.fake.put(type="throttle", quota=1)
        assert [(await page.get("status")).status_code for _ in range(2)] == [200, 429]

    async def test_it_is_late_or_says_nothing(self, page: Reader) -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=1) as impatient:
            reader = Reader(page.fake, impatient)
            for fault in ({"type": "slow-ack", "delay_s": 4}, {"type": "hang"}):
                page.fake.put(**fault)
                with pytest.raises(httpx.ReadTimeout):
                    await reader.get("status")
        page.fake.put(type="disconnect")
        with pytest.raises(httpx.TransportError):
            await page.get("status")

    async def test_the_canary_sees_each_fault_and_is_not_counted(self, page: Reader) -> None:
        canary = presets.load("statuspage").canary
        assert canary is not None
        ask = canary.login(page.fake.canary)
        page.fake.put(type="refuse", code=429, nth=2)
        for _ in range(3):
            answer = await page.http.request(ask.method, page.fake.url(ask.path), headers=ask.headers)
            assert answer.status_code == 429
        assert [(await page.get("status")).status_code for _ in range(3)] == [200, 429, 200]

    @pytest.mark.parametrize(
        ("fault", "hint"),
        [
            ({"type": "status"}, "one of: minor, major, critical"),
            ({"type": "status", "named": "none"}, "one of: minor, major, critical"),
            ({"type": "key-rotated"}, "no secret that could be rotated"),
            ({"type": "silent-drop"}, "no messages that could be dropped"),
        ],
    )
    def test_a_fault_that_means_nothing_here_is_refused(self, fault: dict[str, Any], hint: str) -> None:
        with pytest.raises(FaultRefused, match=hint):
            presets.load("statuspage").place_fault(ProviderFault(id="f", **fault))

    def test_a_provider_without_a_page_tells_of_nothing(self) -> None:
        with pytest.raises(FaultRefused, match="cannot play 'status'"):
            presets.load("sendgrid").place_fault(ProviderFault(id="f", type="status", named="major"))


async def test_it_carries_no_mail(page: Reader) -> None:
    assert presets.load("statuspage").carries_mail is False  # type: ignore[attr-defined]
    await page.get("status")
    assert page.fake.receipts() == []
