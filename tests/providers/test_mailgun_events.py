"""Mailgun's webhooks, from the request to the POST: signed beside the event, which names its message."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness.providers import webhooks
from harness.providers.presets._mailgun_events import MailgunEvents
from tests.providers.api_fake import ApiFake, Told, api_fake, event_inbox
from tests.providers.running import RECIPIENT
from tests.providers.test_mailgun import AUTH, DOMAIN, MESSAGES, message
from tests.waiting import until

KEY = "0123456789abcdef"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MailgunEvents, "every_s", 0.02)
    monkeypatch.setattr(webhooks, "DELIVERY_S", 0.005)
    monkeypatch.setattr(webhooks, "LONGEST_WAIT_S", 0.02)


@asynccontextmanager
async def told(*answers: int) -> AsyncIterator[tuple[ApiFake, Told]]:
    async with (
        event_inbox(answers) as inbox,
        api_fake("mailgun", events_url=inbox.url, events_secret=KEY) as fake,
    ):
        yield fake, inbox


async def send(fake: ApiFake, **changes: Any) -> str:
    answer = await fake.http.post(MESSAGES, data=message(**changes), auth=AUTH)
    assert answer.status_code == 200
    return str(answer.json()["id"])


def happened(inbox: Told, event: str) -> list[dict[str, Any]]:
    return [each["event-data"] for each in inbox.objects if each["event-data"]["event"] == event]


async def test_accepted_and_delivered_give_back_the_senders_variables() -> None:
    async with told() as (fake, inbox):
        message_id = await send(fake, **{"v:order": "17", "o:tag": ["receipts", "b"]})
        await fake.until_events("accepted", "delivered")
    for event in (*happened(inbox, "accepted"), *happened(inbox, "delivered")):
        assert event["message"]["headers"]["message-id"] == message_id.strip("<>")
        assert (event["recipient"], event["recipient-domain"]) == (RECIPIENT, "customer.example")
        assert (event["user-variables"], event["tags"]) == ({"order": "17"}, ["receipts", "b"])
        assert event["domain"] == {"name": DOMAIN}
        assert abs(event["timestamp"] - time.time()) < 60
    assert happened(inbox, "delivered")[0]["delivery-status"]["code"] == 250
    assert len({each["event-data"]["id"] for each in inbox.objects}) == 2


async def test_the_signature_is_that_of_timestamp_and_token() -> None:
    async with told() as (fake, inbox):
        await send(fake)
        await fake.until_events("accepted", "delivered")
    for each in inbox.objects:
        signed = each["signature"]
        expected = hmac.new(
            MailgunEvents().verifies_with(KEY).encode(),
            f"{signed['timestamp']}{signed['token']}".encode(),
            hashlib.sha256,
        )
        assert hmac.compare_digest(expected.hexdigest(), signed["signature"])
        assert len(signed["token"]) == 50
        assert each["event-data"]["user-variables"] == []  # and no object, where there are none


@pytest.mark.parametrize(
    ("fault", "event", "severity", "reason", "code"),
    [
        ({"event": "bounced"}, "failed", "permanent", "bounce", 550),
        ({"event": "bounced", "code": 452}, "failed", "temporary", "generic", 452),
        ({"event": "deferred"}, "failed", "temporary", "generic", 450),
        ({"event": "dropped"}, "failed", "permanent", "suppress-unsubscribe", 606),
        ({"event": "complained"}, "complained", None, None, None),
    ],
)
async def test_what_goes_wrong_later_is_told_apart_by_severity_and_reason(
    fault: dict[str, Any], event: str, severity: str | None, reason: str | None, code: int | None
) -> None:
    async with told() as (fake, inbox):
        fake.put(type="bounce", **fault)
        await send(fake)
        await until(lambda: bool(happened(inbox, event)))
    (found,) = happened(inbox, event)
    assert (found.get("severity"), found.get("reason")) == (severity, reason)
    assert found.get("delivery-status", {}).get("code") == code


@pytest.mark.parametrize(
    ("first", "reason", "code"),
    [("bounced", "suppress-bounce", 605), ("complained", "suppress-complaint", 607)],
)
async def test_later_mail_to_the_same_address_is_accepted_and_fails(
    first: str, reason: str, code: int
) -> None:
    async with told() as (fake, inbox):
        fake.put(type="bounce", event=first)
        await send(fake)
        await until(lambda: first in [each.event for each in fake.events])
        fake.clear()
        await send(fake)
        await until(lambda: reason in [each.get("reason") for each in happened(inbox, "failed")])
    found = next(each for each in happened(inbox, "failed") if each["reason"] == reason)
    assert (found["severity"], found["delivery-status"]["code"]) == ("permanent", code)
    assert [each.result.value for each in fake.receipts] == ["accepted", "accepted"]


async def test_it_is_tried_again_until_it_is_taken_and_406_stops_it() -> None:
    async with told(500, 200) as (fake, inbox):
        await send(fake)
        await fake.until_events("accepted", "delivered")
        assert len(inbox.bodies) == 3
    async with told(406, 406) as (fake, inbox):
        await send(fake)
        await fake.until_events("accepted", "delivered")
        assert [each.webhook for each in fake.events] == ["lost", "lost"]
        assert len(inbox.bodies) == 2


def test_the_schedule_is_that_of_the_documentation() -> None:
    assert [wait / 60 for wait in MailgunEvents.waits_s] == [10, 10, 15, 30, 60, 120, 240]
