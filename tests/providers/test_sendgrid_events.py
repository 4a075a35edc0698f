"""SendGrid's event webhook, as its documentation describes it, from the request to the POST."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import msgspec
import pytest

from harness.history.events import ProviderEvent
from harness.providers import webhooks
from harness.providers.errors import ConfigError
from harness.providers.presets import _sendgrid_events
from tests.providers.http_provider import CANARY_KEY, TOKEN, Fake, mail, post, sendgrid
from tests.providers.running import provider
from tests.providers.test_webhooks import receiver

OTHER = "ponmlkjihgfedcba"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sendgrid_events.SendGridEvents, "every_s", 0.02)
    monkeypatch.setattr(webhooks, "DELIVERY_S", 0.005)


async def settle(fake: Fake, **query: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{fake.provider.ready.control_port}/settle"
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        answer = await client.post(url, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def events(fake: Fake) -> list[ProviderEvent]:
    lines = [line for line in fake.sink.records if msgspec.json.decode(line)["kind"] == "provider.event"]
    return [msgspec.json.decode(line, type=ProviderEvent) for line in lines]


async def test_each_recipient_is_processed_and_delivered_in_the_documented_shape() -> None:
    bodies: list[dict[str, Any]] = []
    async with receiver() as told, sendgrid(events_url=told.url) as fake, httpx.AsyncClient() as client:
        told.bodies = bodies
        content = mail(f"c.{TOKEN}@customer.example", custom_args={"order": "17", "number": 5})
        content["personalizations"][0]["custom_args"] = {"key": "k1"}
        answer = await post(client, fake.url(), content)
        assert (await settle(fake))["settled"]
    assert [each["event"] for each in bodies] == ["processed", "delivered"]
    for each in bodies:
        assert each["email"] == f"c.{TOKEN}@customer.example"
        assert abs(each["timestamp"] - time.time()) < 5 and isinstance(each["timestamp"], int)
        assert each["sg_message_id"].startswith(answer.headers["X-Message-Id"] + ".")
        assert answer.headers["X-Message-Id"] in each["smtp-id"]
        assert len(base64.urlsafe_b64decode(each["sg_event_id"] + "==")) == 16
        assert (each["order"], each["key"]) == ("17", "k1") and "number" not in each
    assert len({each["sg_event_id"] for each in bodies}) == 2
    assert [each.get("response") for each in bodies] == [None, "250 2.0.0 OK"]
    assert [(each.token, each.event, each.webhook) for each in events(fake)] == [
        (TOKEN, "processed", "delivered"),
        (TOKEN, "delivered", "delivered"),
    ]


async def test_an_acknowledgement_that_was_lost_has_events_and_a_refusal_or_a_canary_has_none() -> None:
    async with receiver() as told, sendgrid(events_url=told.url) as fake, httpx.AsyncClient() as client:
        fake.put(type="refuse", code=500)
        await post(client, fake.url(), mail(f"c.{OTHER}@customer.example"))
        fake.put(type="ack-loss")
        with pytest.raises(httpx.HTTPError):
            await post(client, fake.url(), mail())
        fake.provider.faults.delete("f")
        await post(client, fake.url(), mail("c.canary0001@canary.example"), key=CANARY_KEY)
        await post(client, fake.url(), mail(mail_settings={"sandbox_mode": {"enable": True}}))
        found = await settle(fake)
    assert found["events"] == {"pending": 0, "delivered": 2, "late": 0, "lost": 0}
    assert {each.token for each in events(fake) if each.canary is None} == {TOKEN}
    canary = [each for each in events(fake) if each.canary == "harness"]
    assert {(each.token, each.webhook) for each in canary} == {("canary0001", "none")}


async def test_an_answer_does_not_wait_for_a_sender_that_does_not_listen() -> None:
    async with receiver(None) as told, sendgrid(events_url=told.url) as fake, httpx.AsyncClient() as client:
        await post(client, fake.url(), mail())
        begun = time.perf_counter()
        for _ in range(20):
            assert (await post(client, fake.url(), mail())).status_code == 202
        assert time.perf_counter() - begun < 2
        assert (await settle(fake, within_s="0.1"))["settled"] is False
        found = await settle(fake, within_s="0.1", last="1")
        assert found["settled"] and found["events"]["pending"] == 0
        assert found["last_n"] == len(fake.sink.records) == 21 + 42


async def test_a_preset_without_events_is_not_asked_for_them() -> None:
    from harness.providers.wire import Account, RouteListener

    listener = RouteListener(
        route="primary", account=Account(username="u", secret="s"), events_url="http://127.0.0.1:1/"
    )
    with pytest.raises(ConfigError, match="preset smtp posts no events"):
        async with provider(listeners=[listener]):
            pass


@pytest.mark.parametrize("within_s", ["soon", "-1", "61", "nan"])
async def test_a_wait_without_a_bound_is_refused(within_s: str) -> None:
    async with sendgrid() as fake, httpx.AsyncClient() as client:
        url = f"http://127.0.0.1:{fake.provider.ready.control_port}/settle"
        assert (await client.post(url, params={"within_s": within_s})).status_code == 400
