"""Postmark's webhooks, from the email to the POST: one record each, told apart by RecordType."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from harness.providers import webhooks
from harness.providers.presets._postmark_events import PostmarkEvents
from tests.providers.api_fake import ApiFake, Told, api_fake, event_inbox
from tests.providers.running import RECIPIENT, ROUTE
from tests.providers.test_postmark import email
from tests.waiting import until

HEADERS = {"X-Postmark-Server-Token": ROUTE.secret}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostmarkEvents, "every_s", 0.02)
    monkeypatch.setattr(webhooks, "DELIVERY_S", 0.005)
    monkeypatch.setattr(webhooks, "LONGEST_WAIT_S", 0.02)


@asynccontextmanager
async def told(*answers: int) -> AsyncIterator[tuple[ApiFake, Told]]:
    async with event_inbox(answers) as inbox, api_fake("postmark", events_url=inbox.url) as fake:
        yield fake, inbox


async def send(fake: ApiFake, **changes: Any) -> str:
    answer = await fake.http.post("/email", json=email(**changes), headers=HEADERS)
    assert answer.status_code == 200
    return str(answer.json()["MessageID"])


async def test_a_delivery_names_the_message_and_gives_back_tag_and_metadata() -> None:
    async with told() as (fake, inbox):
        metadata = {"order": "17", "number": 5}
        message_id = await send(fake, Tag="receipts", Metadata=metadata, MessageStream="bulk")
        await fake.until_events("delivered")
    (event,) = inbox.objects
    assert event["RecordType"] == "Delivery"
    assert (event["MessageID"], event["Recipient"]) == (message_id, RECIPIENT)
    assert (event["Tag"], event["MessageStream"]) == ("receipts", "bulk")
    assert event["Metadata"] == {"order": "17", "number": "5"}
    assert event["DeliveredAt"].endswith("Z")


@pytest.mark.parametrize(
    ("fault", "record", "type_", "code", "inactive"),
    [
        ({"event": "bounced"}, "Bounce", "HardBounce", 1, True),
        ({"event": "bounced", "code": 452}, "Bounce", "SoftBounce", 4096, False),
        ({"event": "deferred"}, "Bounce", "Transient", 2, False),
        ({"event": "complained"}, "SpamComplaint", "SpamComplaint", 100001, True),
    ],
)
async def test_what_goes_wrong_later_has_a_type_and_its_number(
    fault: dict[str, Any], record: str, type_: str, code: int, inactive: bool
) -> None:
    async with told() as (fake, inbox):
        fake.put(type="bounce", **fault)
        message_id = await send(fake)
        await until(lambda: len(fake.events) >= 1 + (fault["event"] in ("deferred", "complained")))
        await until(lambda: len(inbox.objects) == len(fake.events) + inactive)
    event = next(each for each in inbox.objects if each["RecordType"] == record)
    assert (event["Type"], event["TypeCode"], event["Inactive"]) == (type_, code, inactive)
    assert (event["Email"], event["MessageID"]) == (RECIPIENT, message_id)
    assert (event["From"], event["Subject"]) == ("Shop <shop@shop.example>", "Your order")
    if record == "Bounce":
        assert event["Details"].startswith("smtp;4" if code != 1 else "smtp;550 5.1.1")
    changes = [each for each in inbox.objects if each["RecordType"] == "SubscriptionChange"]
    assert [each["SuppressionReason"] for each in changes] == ([type_] if inactive else [])


async def test_nothing_is_signed_and_the_url_may_hold_a_password() -> None:
    assert PostmarkEvents().secret == ""
    async with event_inbox() as inbox:
        url = inbox.url.replace("http://", "http://hook:secret@")
        async with api_fake("postmark", events_url=url) as fake:
            await send(fake)
            await fake.until_events("delivered")
    (headers,) = inbox.headers
    assert headers["authorization"] == "Basic " + base64.b64encode(b"hook:secret").decode()
    assert not [name for name in headers if "signature" in name]


async def test_it_is_tried_again_until_it_is_taken_and_403_stops_it() -> None:
    async with told(500, 404, 200) as (fake, inbox):
        await send(fake)
        await fake.until_events("delivered")
        assert (len(inbox.bodies), fake.events[0].webhook) == (3, "late")
    async with told(403) as (fake, inbox):
        await send(fake)
        await fake.until_events("delivered")
        assert (len(inbox.bodies), fake.events[0].webhook) == (1, "lost")


def test_the_schedule_is_that_of_the_documentation() -> None:
    assert [wait / 60 for wait in PostmarkEvents.waits_s] == [1, 5, 10, 10, 10, 15, 30, 60, 120, 360]
