"""The Twilio preset: its answers to the letter, its numbers, its resource, its callbacks."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from twilio.request_validator import RequestValidator

from harness.history.events import ProviderEvent, ReceiptResult
from harness.providers import presets, webhooks
from harness.providers.asgi import listen
from harness.providers.errors import ConfigError
from harness.providers.presets._twilio_errors import NAMED
from harness.providers.presets._twilio_events import TwilioEvents
from harness.providers.presets._twilio_message import segments
from harness.providers.serve import check_limits
from tests.providers.running import CANARY, TOKEN, Provider
from tests.providers.twilio import ACCOUNT, AUTH_TOKEN, FROM, SID, TO, Client, put, twilio
from tests.waiting import until


@pytest.fixture
async def running() -> AsyncIterator[tuple[Provider, Client]]:
    async with twilio() as running:
        yield running


def said(answer: httpx.Response) -> tuple[int, int, str]:
    body = answer.json()
    assert list(body) == ["code", "message", "more_info", "status"]
    assert body["status"] == answer.status_code
    assert body["more_info"] == f"https://www.twilio.com/docs/errors/{body['code']}"
    return answer.status_code, body["code"], body["message"]


class TestAnswers:
    async def test_taken_is_201_and_a_queued_message(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        answer = await client.send()
        message = answer.json()
        assert answer.status_code == 201 and re.fullmatch(r"SM[0-9a-f]{32}", message["sid"])
        assert (message["status"], message["error_code"], message["error_message"]) == ("queued", None, None)
        assert (message["to"], message["from"], message["account_sid"]) == (TO, FROM, SID)
        assert message["uri"] == f"/2010-04-01/Accounts/{SID}/Messages/{message['sid']}.json"
        assert message["date_created"].endswith(" +0000") and message["date_sent"] is None
        assert (message["num_segments"], message["direction"]) == ("1", "outbound-api")
        assert re.fullmatch(r"RQ[0-9a-f]{32}", answer.headers["Twilio-Request-Id"])
        (receipt,) = fake.receipts
        assert (receipt.result, receipt.code, receipt.text) == (ReceiptResult.ACCEPTED, 201, message["sid"])

    async def test_the_nonce_in_the_text_names_the_message(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        await client.send()
        await client.send(Body="no nonce")
        named = [(each.recipient, each.token, each.carriers) for each in fake.receipts]
        assert named == [(TO, TOKEN, ["nonce"]), (TO, None, [])]

    async def test_with_a_messaging_service_the_sender_is_still_to_be_chosen(
        self, running: tuple[Provider, Client]
    ) -> None:
        _, client = running
        message = (await client.send(From=None, MessagingServiceSid="MG" + "0" * 32)).json()
        assert (message["status"], message["from"], message["num_segments"]) == ("accepted", None, "0")

    @pytest.mark.parametrize(
        ("auth", "sid", "message"),
        [
            (None, SID, "Authenticate"),
            ((SID, "wrong"), SID, "Authenticate"),
            (("AC" + "f" * 32, AUTH_TOKEN), SID, "Authentication Error - invalid username"),
            ((SID, AUTH_TOKEN), "AC" + "f" * 32, "Authenticate"),
        ],
        ids=["none", "wrong token", "unknown account", "another's account"],
    )
    async def test_a_credential_that_opens_nothing_is_20003(
        self, running: tuple[Provider, Client], auth: tuple[str, str] | None, sid: str, message: str
    ) -> None:
        fake, client = running
        answer = await client.send(auth=auth, sid=sid)
        assert said(answer) == (401, 20003, message)
        assert fake.receipts[0].result is ReceiptResult.DEFERRED

    async def test_the_rejecting_listener_and_a_rotated_token_refuse(
        self, running: tuple[Provider, Client]
    ) -> None:
        fake, client = running
        assert said(await client.send(base_url=client.rejecting_url))[:2] == (401, 20003)
        put(fake, type="key-rotated")
        assert said(await client.send())[:2] == (401, 20003)
        assert (await client.send(auth=(SID, ACCOUNT.next_secret or ""))).status_code == 201

    async def test_too_many_requests_is_20429(self) -> None:
        async with twilio(rate=0.001, burst=1) as (fake, client):
            assert (await client.send()).status_code == 201
            assert said(await client.send()) == (429, 20429, "Too Many Requests")
        assert [each.result for each in fake.receipts] == [ReceiptResult.ACCEPTED, ReceiptResult.DEFERRED]

    async def test_every_named_answer_can_be_played(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        for name, expected in NAMED.items():
            put(fake, type="refuse", named=name)
            status, code, message = said(await client.send())
            assert (status, str(code)) == (expected.status, expected.text.partition(":")[0])
            if "+15005550" not in expected.text:
                assert message == expected.text.partition(": ")[2]
            else:
                assert TO in message  # it names whom it refuses

    @pytest.mark.parametrize(("code", "error"), [(500, 20500), (503, 20503), (429, 20429), (418, 20418)])
    async def test_a_status_has_the_code_that_twilio_gives_it(
        self, running: tuple[Provider, Client], code: int, error: int
    ) -> None:
        fake, client = running
        put(fake, type="refuse", code=code)
        assert said(await client.send())[:2] == (code, error)

    async def test_what_is_not_there_is_20404(self, running: tuple[Provider, Client]) -> None:
        _, client = running
        path = f"/{SID}/Calls.json"
        message = f"The requested resource /2010-04-01/Accounts{path} was not found"
        assert said(await client.get(path)) == (404, 20404, message)
        assert said(await client.get(f"/{SID}/Messages.json"))[:2] == (405, 20004)


class TestNumbers:
    @pytest.mark.parametrize(
        ("fields", "code", "message"),
        [
            ({"To": None}, 21604, "A 'To' phone number is required."),
            ({"From": None}, 21603, "A 'From' phone number is required."),
            ({"Body": None}, 21602, "Message body is required."),
            ({"Body": "x" * 1601}, 21617, "exceeds the 1600 character limit"),
            ({"To": "12"}, 21211, "The 'To' number 12 is not a valid phone number."),
            ({"To": "+15005550001"}, 21211, "+15005550001 is not a valid phone number."),
            ({"To": "+15005550002"}, 21612, "is not currently reachable"),
            ({"To": "+15005550003"}, 21408, "Permission to send an SMS has not been enabled"),
            ({"To": "+15005550004"}, 21610, "Attempt to send to unsubscribed recipient"),
            ({"To": "+15005550009"}, 21614, "is not a valid mobile number"),
            ({"From": "+15005550001"}, 21212, "The 'From' number +15005550001 is not a valid"),
            ({"From": "+15005550007"}, 21606, "not a valid, SMS-capable inbound phone number"),
            ({"From": "+15005550008"}, 21611, "exceeded the maximum number of queued messages"),
            ({"From": "much too long a name"}, 21212, "is not a valid phone number, shortcode"),
        ],
    )
    async def test_what_is_wrong_has_the_documented_code(
        self, running: tuple[Provider, Client], fields: dict[str, str | None], code: int, message: str
    ) -> None:
        fake, client = running
        answer = await client.send(**fields)
        assert said(answer)[:2] == (400, code) and message in answer.json()["message"]
        assert len(fake.receipts) == 1 and fake.receipts[0].code == 400

    @pytest.mark.parametrize("number", ["+12025550100", "+19175550199", "+15005550006", "+15005551234"])
    async def test_a_number_of_nobody_is_taken(self, running: tuple[Provider, Client], number: str) -> None:
        _, client = running
        assert (await client.send(To=number)).status_code == 201

    @pytest.mark.parametrize("number", ["+12025550200", "+12025551234", "+447911123456", "+4915112345678"])
    async def test_a_number_that_somebody_may_have_is_refused(
        self, running: tuple[Provider, Client], number: str
    ) -> None:
        fake, client = running
        answer = await client.send(To=number)
        assert said(answer)[:2] == (400, 21608)
        assert f"The number {number} is unverified." in answer.json()["message"]
        assert fake.receipts[0].result is ReceiptResult.DEFERRED

    @pytest.mark.parametrize("sender", ["+12025550111", "12345", "Shop"])
    async def test_a_sender_is_a_number_a_short_code_or_a_name(
        self, running: tuple[Provider, Client], sender: str
    ) -> None:
        _, client = running
        assert (await client.send(From=sender)).status_code == 201

    def test_a_segment_is_160_characters_of_gsm_or_70_of_unicode(self) -> None:
        assert [segments("x" * n) for n in (1, 160, 161, 306, 307)] == [1, 1, 2, 2, 3]
        assert [segments("ж" * n) for n in (70, 71, 134, 135)] == [1, 2, 2, 3]


class TestResource:
    async def test_a_message_is_found_and_delivered_by_and_by(self, running: tuple[Provider, Client]) -> None:
        _, client = running
        sent = (await client.send()).json()
        path = f"/{SID}/Messages/{sent['sid']}.json"
        found = (await client.get(path)).json()
        assert found["status"] in ("sent", "delivered") and found["date_sent"] is not None
        same = ("sid", "to", "from", "body", "date_created", "account_sid", "uri")
        assert {key: found[key] for key in same} == {key: sent[key] for key in same}

        async with asyncio.timeout(10):
            while (await client.get(path)).json()["status"] != "delivered":
                await asyncio.sleep(0.01)

    @pytest.mark.parametrize(
        ("fault", "status", "code"),
        [
            ({"type": "bounce"}, "undelivered", 30005),
            ({"type": "bounce", "code": 450}, "undelivered", 30003),
            ({"type": "bounce", "event": "dropped"}, "failed", 30001),
            ({"type": "silent-drop"}, "sent", None),
        ],
    )
    async def test_it_says_what_became_of_it(
        self, fault: dict[str, Any], status: str, code: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(webhooks, "DELIVERY_S", 0.0)
        async with twilio() as (fake, client):
            put(fake, **fault)
            sid = (await client.send()).json()["sid"]
            found = (await client.get(f"/{SID}/Messages/{sid}.json")).json()
        assert (found["status"], found["error_code"]) == (status, code)

    async def test_one_whose_acknowledgement_was_lost_is_there_as_well(
        self, running: tuple[Provider, Client]
    ) -> None:
        fake, client = running
        put(fake, type="ack-loss")
        with pytest.raises(httpx.HTTPError):
            await client.send()
        path = f"/{SID}/Messages/{fake.receipts[0].text}.json"
        assert (await client.get(path)).json()["to"] == TO

    async def test_an_unknown_one_and_a_refused_one_are_not(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        put(fake, type="refuse", code=500)
        await client.send()
        for sid in ("SM" + "0" * 32, fake.receipts[0].text):
            assert said(await client.get(f"/{SID}/Messages/{sid}.json"))[:2] == (404, 20404)

    async def test_the_account_answers_a_probe(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        answer = await client.get(f"/{SID}.json")
        assert (answer.status_code, answer.json()["status"]) == (200, "active")
        assert said(await client.get(f"/{SID}.json", (SID, "wrong")))[:2] == (401, 20003)
        assert not fake.sink.records


class Endpoint:
    """The sender's end of the callbacks."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.forms: list[dict[str, str]] = []
        self.signatures: list[str] = []

    async def __call__(self, request: Request) -> Response:
        self.signatures.append(request.headers.get("X-Twilio-Signature", ""))
        self.forms.append(dict(parse_qsl((await request.body()).decode(), keep_blank_values=True)))
        return Response(status_code=self.status)

    def statuses(self) -> list[str]:
        return sorted(each["MessageStatus"] for each in self.forms)


@asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    there = Endpoint()
    listener = await listen(
        Starlette(routes=[Route("/sms", there.__call__, methods=["POST"])]), "127.0.0.1", 0
    )
    there.url = f"http://127.0.0.1:{listener.port}/sms?shop=1"
    try:
        yield there
    finally:
        await listener.close()


def journalled(fake: Provider) -> list[tuple[str, str]]:
    return [(each.event, each.webhook) for each in fake.records if isinstance(each, ProviderEvent)]


class TestCallbacks:
    @pytest.fixture(autouse=True)
    def hurried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(TwilioEvents, "every_s", 0.02)
        monkeypatch.setattr(webhooks, "DELIVERY_S", 0.01)

    async def test_each_status_is_told_in_a_form_that_twilios_own_validator_takes(self) -> None:
        async with endpoint() as there, twilio(events_url=there.url, events_secret=AUTH_TOKEN) as running:
            fake, client = running
            sid = (await client.send()).json()["sid"]
            await until(lambda: journalled(fake) == [("queued", "delivered"), ("delivered", "delivered")])
            await until(lambda: len(there.forms) == 3)
        assert there.statuses() == ["delivered", "queued", "sent"]
        validator, other = RequestValidator(AUTH_TOKEN), RequestValidator("another")
        for form, signature in zip(there.forms, there.signatures, strict=True):
            assert form["MessageSid"] == form["SmsSid"] == sid
            assert form["MessageStatus"] == form["SmsStatus"]
            assert (form["To"], form["From"], form["AccountSid"]) == (TO, FROM, SID)
            assert "ErrorCode" not in form
            assert validator.validate(there.url, form, signature)
            assert not other.validate(there.url, form, signature)
            assert not validator.validate(there.url, form | {"MessageStatus": "failed"}, signature)

    @pytest.mark.parametrize(
        ("fault", "status", "code", "event"),
        [
            ({}, "undelivered", "30005", "bounced"),
            ({"code": 450}, "undelivered", "30003", "bounced"),
            ({"event": "dropped"}, "failed", "30001", "dropped"),
        ],
    )
    async def test_what_did_not_get_there_has_an_error_code(
        self, fault: Mapping[str, Any], status: str, code: str, event: str
    ) -> None:
        async with endpoint() as there, twilio(events_url=there.url) as (fake, client):
            put(fake, type="bounce", **fault)
            await client.send()
            await until(lambda: (event, "delivered") in journalled(fake))
        last = next(each for each in there.forms if each["MessageStatus"] == status)
        assert last["ErrorCode"] == code

    async def test_whoever_answered_stop_is_refused_from_then_on(self) -> None:
        async with endpoint() as there, twilio(events_url=there.url) as (fake, client):
            put(fake, type="bounce", event="complained", count=1)
            await client.send()
            await until(lambda: ("complained", "none") in journalled(fake))
            answer = await client.send()
        assert said(answer) == (400, 21610, "Attempt to send to unsubscribed recipient")
        assert fake.receipts[-1].result is ReceiptResult.REFUSED
        assert "complained" not in there.statuses()

    async def test_no_answer_is_tried_again(self) -> None:
        async with endpoint() as there, twilio(events_url=there.url) as (fake, client):
            there.status = 503
            await client.send()
            await until(lambda: journalled(fake) == [("queued", "lost"), ("delivered", "lost")])
        assert len(there.forms) == 3

    async def test_an_endpoint_that_cannot_be_reached_is_tried_once_more(self) -> None:
        async with endpoint() as gone:
            url = gone.url
        async with twilio(events_url=url) as (fake, client):
            await client.send()
            await until(lambda: journalled(fake) == [("queued", "lost"), ("delivered", "lost")])

    async def test_its_secret_is_the_accounts_own(self) -> None:
        assert TwilioEvents().verifies_with(AUTH_TOKEN) == AUTH_TOKEN


class TestCanary:
    async def test_it_gets_in_and_a_wrong_token_does_not(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        message = EmailMessage()
        message["To"] = "c.canary1@canary.example"
        message.set_content("ref: hn-canary1-nh\n")
        canary = presets.load("twilio-sms").canary
        assert canary is not None
        wrong = type(CANARY)(username=CANARY.username, secret="else", canary=True)
        async with httpx.AsyncClient(base_url=client.base_url.removesuffix("/2010-04-01/Accounts")) as http:
            codes = [
                (
                    await http.request(each.method, each.path, headers=dict(each.headers), content=each.body)
                ).status_code
                for account in (CANARY, wrong)
                for each in (canary.login(account), canary.message(account, message))
            ]
        assert codes == [200, 201, 401, 401]
        (taken, _) = fake.receipts
        assert (taken.canary, taken.token) == ("harness", "canary1")


class TestPreset:
    def test_credentials_have_the_form_of_twilio(self) -> None:
        account = presets.load("twilio-sms").credential.account(7, "app-sms")
        assert re.fullmatch(r"AC[0-9a-f]{32}", account.username)
        assert re.fullmatch(r"[0-9a-f]{32}", account.secret)

    @pytest.mark.parametrize("limits", [{"rate": 0}, {"burst": 5}, {"rat": 1}])
    def test_limits_that_mean_nothing_are_refused(self, limits: dict[str, float]) -> None:
        with pytest.raises(ConfigError, match="Valid limits: rate, burst"):
            check_limits(presets.load("twilio-sms"), limits)


async def test_basic_credentials_that_are_none_are_refused(running: tuple[Provider, Client]) -> None:
    _, client = running
    async with httpx.AsyncClient() as http:
        for given in ("Basic", "Basic ?", "Basic " + base64.b64encode(b"\xff\xfe").decode(), "Bearer x"):
            url = f"{client.base_url}/{SID}/Messages.json"
            answer = await http.post(url, data={"To": TO}, headers={"Authorization": given})
            assert said(answer) == (401, 20003, "Authenticate")
