"""SES's events by SNS, as documented, from the request to a signature that verifies."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.history.events import ProviderEvent
from harness.providers import webhooks
from harness.providers.asgi import listen
from harness.providers.credentials import fill
from harness.providers.presets._ses_events import SesEvents
from tests.providers.running import RECIPIENT, Provider
from tests.providers.ses import email, put, ses
from tests.waiting import until

SECRET = "ab" * 32


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SesEvents, "every_s", 0.02)
    monkeypatch.setattr(webhooks, "DELIVERY_S", 0.01)
    monkeypatch.setattr(webhooks, "LONGEST_WAIT_S", 0.1)


class Endpoint:
    """The sender's end of a subscription; answers `status`."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.envelopes: list[dict[str, str]] = []
        self.headers: list[Mapping[str, str]] = []

    async def __call__(self, request: Request) -> Response:
        self.headers.append(request.headers)
        self.envelopes.append(msgspec.json.decode(await request.body()))
        return Response(status_code=self.status)

    def events(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(each["Message"]) for each in self.envelopes]


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    there = Endpoint()
    listener = await listen(
        Starlette(routes=[Route("/sns", there.__call__, methods=["POST"])]), "127.0.0.1", 0
    )
    there.url = f"http://127.0.0.1:{listener.port}/sns"
    try:
        yield there
    finally:
        await listener.close()


def journalled(fake: Provider) -> list[tuple[str, str]]:
    return [(each.event, each.webhook) for each in fake.records if isinstance(each, ProviderEvent)]


async def told(fake: Provider, there: Endpoint, count: int) -> list[dict[str, Any]]:
    await until(lambda: len(there.envelopes) >= count and len(journalled(fake)) >= count)
    return there.events()


async def test_a_message_is_sent_and_delivered_each_in_a_notification_of_its_own() -> None:
    async with endpoint() as there, ses(events_url=there.url, events_secret=SECRET) as (fake, client):
        tags = [{"Name": "campaign", "Value": "spring"}]
        answer = await client.ask(content=email(EmailTags=tags))
        sent, delivered = await told(fake, there, 2)
    message_id = answer.json()["MessageId"]
    assert (sent["eventType"], sent["send"]) == ("Send", {})
    assert delivered["eventType"] == "Delivery"
    assert delivered["delivery"]["recipients"] == [RECIPIENT]
    assert delivered["delivery"]["smtpResponse"].startswith("250 ")
    for mail in (sent["mail"], delivered["mail"]):
        assert (mail["messageId"], mail["destination"]) == (message_id, [RECIPIENT])
        assert mail["source"] == "Shop <shop@shop.example>"
        assert mail["commonHeaders"]["subject"] == "Your order"
        assert mail["tags"]["campaign"] == ["spring"]
        assert mail["tags"]["ses:from-domain"] == ["shop.example"]
    assert journalled(fake) == [("send", "delivered"), ("delivered", "delivered")]
    (first, _), (envelope, _) = there.headers, there.envelopes
    assert first["x-amz-sns-message-type"] == envelope["Type"] == "Notification"
    assert first["x-amz-sns-message-id"] == envelope["MessageId"]
    assert (
        first["x-amz-sns-topic-arn"]
        == envelope["TopicArn"]
        == "arn:aws:sns:eu-west-1:123456789012:ses-events"
    )
    assert first["content-type"] == "text/plain; charset=UTF-8"
    assert envelope["SigningCertURL"].startswith("https://sns.eu-west-1.amazonaws.com/")


@pytest.mark.parametrize(
    ("fault", "kind", "event"),
    [
        ({}, "Bounce", "bounced"),
        ({"code": 452}, "Bounce", "bounced"),
        ({"event": "complained"}, "Complaint", "complained"),
        ({"event": "deferred"}, "DeliveryDelay", "deferred"),
        ({"event": "dropped"}, "Reject", "dropped"),
    ],
)
async def test_each_fate_has_its_own_event(fault: dict[str, Any], kind: str, event: str) -> None:
    async with endpoint() as there, ses(events_url=there.url) as (fake, client):
        put(fake, type="bounce", **fault)
        assert (await client.ask(content=email())).status_code == 200
        await until(lambda: (event, "delivered") in journalled(fake))
    (found,) = [each for each in there.events() if each["eventType"] == kind]
    if kind == "Bounce":
        hard = not fault
        bounce = found["bounce"]
        assert bounce["bounceType"] == ("Permanent" if hard else "Transient")
        assert bounce["bounceSubType"] == ("General" if hard else "MailboxFull")
        (bounced,) = bounce["bouncedRecipients"]
        assert (bounced["emailAddress"], bounced["action"]) == (RECIPIENT, "failed")
        assert bounced["status"] == ("5.1.1" if hard else "4.2.2")
        assert bounced["diagnosticCode"].startswith("smtp; 550 5.1.1 " if hard else "smtp; 452 4.2.2 ")
        assert {"timestamp", "feedbackId", "reportingMTA"} <= bounce.keys()
    if kind == "Complaint":
        assert found["complaint"]["complainedRecipients"] == [{"emailAddress": RECIPIENT}]
    if kind == "DeliveryDelay":
        (delayed,) = found["deliveryDelay"]["delayedRecipients"]
        assert delayed["status"].startswith("4.") and delayed["diagnosticCode"].startswith("smtp; 4")
    if kind == "Reject":
        assert found["reject"] == {"reason": "Bad content"}


async def test_whoever_bounced_is_on_the_accounts_suppression_list() -> None:
    """Such mail is taken, never tried, and bounces as SES says it does."""
    async with endpoint() as there, ses(events_url=there.url) as (fake, client):
        put(fake, type="bounce", count=1)
        await client.ask(content=email())
        await until(lambda: ("bounced", "delivered") in journalled(fake))
        assert (await client.ask(content=email())).status_code == 200
        await until(lambda: ("dropped", "delivered") in journalled(fake))
        last = there.events()[-1]
    assert (last["eventType"], last["bounce"]["bounceSubType"]) == ("Bounce", "OnAccountSuppressionList")
    assert "suppression list for your account" in last["bounce"]["bouncedRecipients"][0]["diagnosticCode"]


class TestSignature:
    async def test_it_verifies_with_the_certificate_over_the_documented_string(self) -> None:
        async with endpoint() as there, ses(events_url=there.url, events_secret=SECRET) as (fake, client):
            await client.ask(content=email())
            await told(fake, there, 2)
        for envelope in there.envelopes:
            assert envelope["SignatureVersion"] == "1"
            verify(SECRET, envelope)
            with pytest.raises(InvalidSignature):
                verify(SECRET, envelope | {"Message": envelope["Message"].replace("Send", "Bounce") + " "})
            with pytest.raises(InvalidSignature):
                verify("cd" * 32, envelope)

    async def test_without_a_secret_there_is_none(self) -> None:
        async with endpoint() as there, ses(events_url=there.url) as (fake, client):
            await client.ask(content=email())
            await told(fake, there, 2)
        assert "Signature" not in there.envelopes[0]

    def test_a_secret_has_one_certificate_and_another_has_another(self) -> None:
        shape = SesEvents()
        secrets = [fill(shape.secret, "7", "events", route) for route in ("primary", "backup")]
        certificates = [shape.verifies_with(secret) for secret in secrets]
        assert certificates == [shape.verifies_with(secret) for secret in secrets]
        assert certificates[0] != certificates[1]


def verify(secret: str, envelope: Mapping[str, str]) -> None:
    """As SNS's documentation tells a receiver to; raises InvalidSignature."""
    keys = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
    signed = "".join(f"{key}\n{envelope[key]}\n" for key in keys if key in envelope)
    certificate = x509.load_pem_x509_certificate(SesEvents().verifies_with(secret).encode())
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey) and key.key_size == 1024
    key.verify(base64.b64decode(envelope["Signature"]), signed.encode(), PKCS1v15(), SHA1())


async def test_an_endpoint_that_refuses_is_not_asked_again_and_one_that_fails_is() -> None:
    async with endpoint() as there, ses(events_url=there.url) as (fake, client):
        there.status = 404
        await client.ask(content=email())
        await until(lambda: journalled(fake) == [("send", "lost"), ("delivered", "lost")])
        there.status = 500
        await client.ask(content=email())
        await until(lambda: len(there.envelopes) == 4)
        there.status = 200
        await until(lambda: journalled(fake)[2:] == [("send", "late"), ("delivered", "late")], 30)


async def test_the_retries_are_three_and_twenty_seconds_apart() -> None:
    shape = SesEvents()
    assert (tuple(shape.waits_s), shape.gives_up_after_s) == ((20.0,), 60.0)
    assert 404 in shape.stops_at and 500 not in shape.stops_at


async def test_nobody_is_told_of_what_was_refused() -> None:
    async with endpoint() as there, ses(events_url=there.url) as (fake, client):
        await client.ask(content=email(Destination={}))
        await client.ask(content=email(), secret="x" * 40)
        async with httpx.AsyncClient(trust_env=False) as control:
            url = f"{fake.control}/settle"
            assert (await asyncio.wait_for(control.post(url), 10)).json()["settled"]
    assert not there.envelopes
