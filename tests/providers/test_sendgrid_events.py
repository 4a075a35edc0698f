"""SendGrid's event webhook, as its documentation describes it, from the request to the POST."""

from __future__ import annotations

import base64
import time
from typing import Any

import httpx
import msgspec
import pytest
from sendgrid.helpers.eventwebhook import EventWebhook, EventWebhookHeader
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.history.events import ProviderEvent
from harness.providers import webhooks
from harness.providers.asgi import listen
from harness.providers.credentials import fill
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


@pytest.mark.parametrize(
    ("fault", "events_told"),
    [
        (
            {"event": "bounced"},
            [
                {"event": "processed"},
                {
                    "event": "bounce",
                    "reason": "550 5.1.1 The email account that you tried to reach does not exist.",
                    "status": "5.1.1",
                    "type": "bounce",
                    "bounce_classification": "Invalid Address",
                },
            ],
        ),
        (
            {"event": "bounced", "code": 452, "text": "Mailbox full"},
            [
                {"event": "processed"},
                {
                    "event": "bounce",
                    "reason": "452 Mailbox full",
                    "status": "5.0.0",
                    "type": "blocked",
                    "bounce_classification": "Mailbox Unavailable",
                },
            ],
        ),
        (
            {"event": "deferred", "code": 421, "text": "4.7.0 Try again later"},
            [
                {"event": "processed"},
                {"event": "deferred", "response": "421 4.7.0 Try again later", "attempt": "1"},
                {"event": "delivered", "response": "250 2.0.0 OK"},
            ],
        ),
        (
            {"event": "complained"},
            [
                {"event": "processed"},
                {"event": "delivered", "response": "250 2.0.0 OK"},
                {"event": "spamreport"},
            ],
        ),
        (
            {"event": "dropped", "text": "Spam Content"},
            [{"event": "dropped", "reason": "Spam Content", "status": "5.0.0"}],
        ),
    ],
    ids=lambda each: each.get("event") if isinstance(each, dict) else "",
)
async def test_each_fate_in_the_documented_words_and_fields(
    fault: dict[str, Any], events_told: list[dict[str, Any]]
) -> None:
    common = {"email", "timestamp", "smtp-id", "sg_event_id", "sg_message_id"}
    async with receiver() as told, sendgrid(events_url=told.url) as fake, httpx.AsyncClient() as client:
        fake.put(type="bounce", **fault)
        assert (await post(client, fake.url(), mail())).status_code == 202
        assert (await settle(fake))["settled"]
    own = [{key: value for key, value in each.items() if key not in common} for each in told.bodies]
    assert sorted(own, key=str) == sorted(events_told, key=str)
    assert all(common <= each.keys() for each in told.bodies)
    assert len({each["sg_event_id"] for each in told.bodies}) == len(events_told)
    journalled = {"bounce": "bounced", "spamreport": "complained"}
    assert sorted(each.event for each in events(fake)) == sorted(
        journalled.get(each["event"], each["event"]) for each in events_told
    )


@pytest.mark.parametrize(
    ("fate", "reason"), [("bounced", "Bounced Address"), ("complained", "Spam Reporting Address")]
)
async def test_a_suppressed_recipient_is_taken_with_202_and_dropped(fate: str, reason: str) -> None:
    recipient = f"c.{TOKEN}@customer.example"
    async with receiver() as told, sendgrid(events_url=told.url) as fake, httpx.AsyncClient() as client:
        fake.put(type="bounce", event=fate, count=1)
        await post(client, fake.url(), mail(recipient))
        assert (await settle(fake))["settled"]
        told.bodies.clear()
        both = mail(recipient, f"c.{OTHER}@customer.example")
        assert (await post(client, fake.url(), both)).status_code == 202
        assert (await settle(fake))["settled"]
    assert sorted((each["email"], each["event"], each.get("reason")) for each in told.bodies) == sorted(
        [
            (recipient, "dropped", reason),
            (f"c.{OTHER}@customer.example", "delivered", None),
            (f"c.{OTHER}@customer.example", "processed", None),
        ],
        key=str,
    )
    assert [receipt.result for receipt in fake.receipts()] == ["accepted"] * 3
    assert "dropped" in {each.event for each in events(fake) if each.token == TOKEN}


async def test_the_provider_s_own_library_verifies_the_signature() -> None:
    taken: list[tuple[bytes, str, str]] = []

    async def endpoint(request: Request) -> Response:
        head = request.headers
        taken.append(
            (await request.body(), head[EventWebhookHeader.SIGNATURE], head[EventWebhookHeader.TIMESTAMP])
        )
        return Response(status_code=200)

    listener = await listen(Starlette(routes=[Route("/", endpoint, methods=["POST"])]), "127.0.0.1", 0)
    secret = fill(_sendgrid_events.SendGridEvents.secret, "7", "events", "backup")
    url = f"http://127.0.0.1:{listener.port}/"
    async with sendgrid(events_url=url, events_secret=secret) as fake, httpx.AsyncClient() as client:
        await post(client, fake.url(), mail())
        assert (await settle(fake))["settled"]
    await listener.close()
    public = _sendgrid_events.SendGridEvents().verifies_with(secret)
    verifier = EventWebhook(public_key=public)
    assert taken
    for body, signature, timestamp in taken:
        assert verifier.verify_signature(body.decode(), signature, timestamp)
        assert not verifier.verify_signature(body.decode() + " ", signature, timestamp)
        assert not verifier.verify_signature(body.decode(), signature, str(int(timestamp) + 1))


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
