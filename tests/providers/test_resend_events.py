"""Resend's webhooks, from the email to the POST; what was signed is checked by Svix's own library."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from svix.webhooks import Webhook, WebhookVerificationError

from harness.providers import webhooks
from harness.providers.credentials import fill
from harness.providers.presets._resend_events import ResendEvents
from tests.providers.api_fake import ApiFake, Told, api_fake, event_inbox
from tests.providers.running import RECIPIENT, ROUTE
from tests.providers.test_resend import email
from tests.waiting import until

HEADERS = {"Authorization": f"Bearer {ROUTE.secret}"}
SECRET = fill(ResendEvents.secret, "7", "events", "primary")


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResendEvents, "every_s", 0.02)
    monkeypatch.setattr(webhooks, "DELIVERY_S", 0.005)
    monkeypatch.setattr(webhooks, "LONGEST_WAIT_S", 0.02)


@asynccontextmanager
async def told(*answers: int) -> AsyncIterator[tuple[ApiFake, Told]]:
    async with (
        event_inbox(answers) as inbox,
        api_fake("resend", events_url=inbox.url, events_secret=SECRET, limits={"rate": 1000}) as fake,
    ):
        yield fake, inbox


async def send(fake: ApiFake, **changes: Any) -> str:
    answer = await fake.http.post("/emails", json=email(**changes), headers=HEADERS)
    assert answer.status_code == 200
    return str(answer.json()["id"])


async def test_sent_and_delivered_in_the_documented_shape() -> None:
    async with told() as (fake, inbox):
        email_id = await send(fake, tags=[{"name": "category", "value": "order"}])
        await fake.until_events("sent", "delivered")
    assert sorted(each["type"] for each in inbox.objects) == ["email.delivered", "email.sent"]
    for event in inbox.objects:
        assert list(event) == ["type", "created_at", "data"]
        data = event["data"]
        assert (data["email_id"], data["to"], data["subject"]) == (email_id, [RECIPIENT], "Your order")
        assert (data["from"], data["tags"]) == ("Shop <shop@shop.example>", {"category": "order"})
        created, happened = (datetime.fromisoformat(each["created_at"]) for each in (data, event))
        assert created <= happened + timedelta(milliseconds=1)  # the latter has no microseconds


async def test_svix_finds_the_signature_right_and_a_changed_body_wrong() -> None:
    async with told() as (fake, inbox):
        await send(fake)
        await fake.until_events("sent", "delivered")
    receiver = Webhook(ResendEvents().verifies_with(SECRET))
    for headers, body in zip(inbox.headers, inbox.bodies, strict=True):
        receiver.verify(body, headers)
        with pytest.raises(WebhookVerificationError):
            receiver.verify(body.replace(b"Your order", b"My order"), headers)
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_" + "A" * 32).verify(body, headers)
    assert len({headers["svix-id"] for headers in inbox.headers}) == 2


async def test_an_event_that_comes_again_has_the_same_id_and_a_new_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "LONGEST_WAIT_S", 1.5)
    async with told(500, 500) as (fake, inbox):
        await send(fake)
        await fake.until_events("sent", "delivered")
    assert len(inbox.bodies) == 4
    signed: dict[str, list[int]] = {}
    for headers, body in zip(inbox.headers, inbox.bodies, strict=True):
        Webhook(SECRET).verify(body, headers)
        signed.setdefault(headers["svix-id"], []).append(int(headers["svix-timestamp"]))
    assert len(signed) == 2
    assert all(times == sorted(set(times)) for times in signed.values())


@pytest.mark.parametrize(
    ("fault", "type_", "bounce"),
    [
        ({"event": "bounced"}, "email.bounced", "Permanent"),
        ({"event": "bounced", "code": 452}, "email.bounced", "Transient"),
        ({"event": "complained"}, "email.complained", None),
        ({"event": "deferred"}, "email.delivery_delayed", None),
        ({"event": "dropped"}, "email.suppressed", None),
    ],
)
async def test_what_goes_wrong_later(fault: dict[str, Any], type_: str, bounce: str | None) -> None:
    async with told() as (fake, inbox):
        fake.put(type="bounce", **fault)
        await send(fake)
        await until(lambda: type_ in [each["type"] for each in inbox.objects])
    (event,) = [each for each in inbox.objects if each["type"] == type_]
    assert event["data"].get("bounce", {}).get("type") == bounce
    assert ("suppressed" in event["data"]) == (type_ == "email.suppressed")


async def test_after_a_hard_bounce_mail_is_taken_and_suppressed() -> None:
    async with told() as (fake, inbox):
        fake.put(type="bounce")
        await send(fake)
        await fake.until_events("sent", "bounced")
        fake.clear()
        await send(fake)
        await fake.until_events("sent", "bounced", "dropped")
        await until(lambda: len(inbox.bodies) == 3)
    assert inbox.objects[-1]["type"] == "email.suppressed"
    assert inbox.objects[-1]["data"]["suppressed"]["type"] == "OnAccountSuppressionList"
    assert [each.result.value for each in fake.receipts] == ["accepted", "accepted"]


def test_the_schedule_is_that_of_the_documentation() -> None:
    minutes = [wait / 60 for wait in ResendEvents.waits_s]
    assert minutes == [5 / 60, 5, 30, 120, 300, 600, 600]
