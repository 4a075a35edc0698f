"""The Postmark preset: its answers to the letter, and how emails and batches become receipts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.presets.postmark import MAX_EMAIL_BYTES, NAMED
from tests.providers.api_fake import ApiFake, api_fake
from tests.providers.running import CANARY, RECIPIENT, ROUTE, TOKEN, recipient, token

INACTIVE = (
    "You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: {}."
    " Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a manual"
    " suppression."
)
TOKEN_HEADER = {"X-Postmark-Server-Token": ROUTE.secret}
NOBODY = "gone@customer.example"


def email(*to: str, **changes: Any) -> dict[str, Any]:
    return {
        "From": "Shop <shop@shop.example>",
        "To": ", ".join(to or (RECIPIENT,)),
        "Subject": "Your order",
        "TextBody": f"Thank you.\nref: hn-{TOKEN}-nh\n",
        "Headers": [
            {"Name": "X-Harness-Token", "Value": TOKEN},
            {"Name": "X-Harness-Class", "Value": "marketing"},
        ],
        **changes,
    }


class Client:
    def __init__(self, fake: ApiFake) -> None:
        self.fake = fake

    async def post(
        self, content: Any, path: str = "/email", secret: str | None = ROUTE.secret
    ) -> httpx.Response:
        headers = {} if secret is None else {"X-Postmark-Server-Token": secret}
        return await self.fake.http.post(path, json=content, headers=headers)

    async def hard_bounce(self, address: str) -> None:
        """Make this address one that Postmark sends nothing to any more."""
        self.fake.put(type="bounce", recipient=address)
        assert (await self.post(email(address))).status_code == 200
        self.fake.clear()
        await self.fake.until_events("bounced")


@asynccontextmanager
async def postmark(**config: Any) -> AsyncIterator[Client]:
    async with api_fake("postmark", **config) as fake:
        yield Client(fake)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with postmark() as client:
        yield client


class TestAnswers:
    async def test_an_email_that_was_taken(self, client: Client) -> None:
        answer = await client.post(email(f"Somebody <{RECIPIENT}>"))
        body = answer.json()
        assert answer.status_code == 200
        assert list(body) == ["To", "SubmittedAt", "MessageID", "ErrorCode", "Message"]
        assert (body["To"], body["ErrorCode"], body["Message"]) == (f"Somebody <{RECIPIENT}>", 0, "OK")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z", body["SubmittedAt"])
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", body["MessageID"])
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        (receipt,) = client.fake.receipts
        assert (receipt.text, receipt.recipient, receipt.token) == (body["MessageID"], RECIPIENT, TOKEN)
        assert receipt.carriers == ["recipient", "header", "nonce"]

    @pytest.mark.parametrize("secret", [None, "", "other"])
    async def test_a_token_that_opens_nothing(self, client: Client, secret: str | None) -> None:
        answer = await client.post(email(), secret=secret)
        assert answer.status_code == 401
        assert answer.text == '{"ErrorCode":10,"Message":"Request does not contain a valid Server token."}'
        assert [each.result for each in client.fake.receipts] == [ReceiptResult.DEFERRED]

    @pytest.mark.parametrize(
        ("change", "code", "message"),
        [
            ({"To": "nobody"}, 300, "Invalid 'To' address: 'nobody'."),
            ({"Cc": "a@b.example, x@"}, 300, "Invalid 'Cc' address: 'x@'."),
            ({"From": ""}, 300, "Invalid 'From' address: ''."),
            ({"To": ""}, 300, "Zero recipients specified"),
            ({"TextBody": None}, 300, "Provide either email TextBody or HtmlBody or both."),
            ({"Subject": 5}, 403, "Invalid request field(s): 'Subject'."),
            (
                {"Bcc": ",".join(f"a{n}@customer.example" for n in range(50))},
                300,
                "Exceeded the maximum of 50 recipients per message.",
            ),
        ],
    )
    async def test_what_is_wrong_with_an_email_is_422(
        self, client: Client, change: dict[str, Any], code: int, message: str
    ) -> None:
        answer = await client.post(email() | change)
        assert (answer.status_code, answer.json()) == (422, {"ErrorCode": code, "Message": message})
        assert {each.result for each in client.fake.receipts} == {ReceiptResult.REFUSED}

    async def test_html_alone_is_a_body(self, client: Client) -> None:
        assert (await client.post(email(TextBody=None, HtmlBody="<p>x</p>"))).status_code == 200

    async def test_what_is_not_json_and_what_does_not_say_so(self, client: Client) -> None:
        answer = await client.fake.http.post(
            "/email", content=b"{", headers=TOKEN_HEADER | {"Content-Type": "application/json"}
        )
        assert (answer.status_code, answer.json()["ErrorCode"]) == (422, 402)
        answer = await client.fake.http.post("/email", data={"To": RECIPIENT}, headers=TOKEN_HEADER)
        assert (answer.status_code, answer.json()["ErrorCode"]) == (415, 409)

    async def test_too_large_for_one_email_is_not_too_large_for_a_batch(self, client: Client) -> None:
        large = email(HtmlBody="x" * MAX_EMAIL_BYTES)
        assert (await client.post(large)).status_code == 413
        assert (await client.post([large], "/email/batch")).status_code == 200
        assert [each.result for each in client.fake.receipts] == [
            ReceiptResult.REFUSED,
            ReceiptResult.ACCEPTED,
        ]

    async def test_the_probe_needs_the_token_and_leaves_no_record(self, client: Client) -> None:
        answer = await client.fake.http.get("/server", headers=TOKEN_HEADER)
        assert (answer.status_code, answer.json()["DeliveryType"]) == (200, "Live")
        assert (await client.fake.http.get("/server")).json()["ErrorCode"] == 10
        assert client.fake.receipts == []

    async def test_another_path_and_another_method_are_answered_by_the_edge(self, client: Client) -> None:
        for method, path, status in (("GET", "/v1/email", 404), ("GET", "/email", 405)):
            answer = await client.fake.http.request(method, path, headers=TOKEN_HEADER)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html")

    async def test_too_many_requests(self) -> None:
        async with postmark(limits={"rate": 0.01, "burst": 1}) as client:
            await client.post(email())
            answer = await client.post(email())
            assert (answer.status_code, answer.json()["ErrorCode"]) == (429, 429)
            assert "retry-after" not in answer.headers
            assert client.fake.receipts[-1].result is ReceiptResult.DEFERRED


class TestReceipts:
    async def test_one_for_each_recipient_of_to_cc_and_bcc(self, client: Client) -> None:
        content = email(recipient(1), f'"Smith, J." <{recipient(2)}>', Cc=recipient(3), Bcc=recipient(4))
        answer = await client.post(content)
        receipts = client.fake.receipts
        assert [each.token for each in receipts] == [token(n) for n in (1, 2, 3, 4)]
        assert {each.text for each in receipts} == {answer.json()["MessageID"]}
        assert len({each.attempt for each in receipts}) == 1

    async def test_a_batch_is_answered_200_and_each_email_for_itself(self, client: Client) -> None:
        emails = [
            email(recipient(1)),
            email("nobody"),
            email(recipient(2), Cc=recipient(3)),
            email(recipient(4), TextBody=""),
        ]
        answer = await client.post(emails, "/email/batch")
        assert answer.status_code == 200
        assert [each["ErrorCode"] for each in answer.json()] == [0, 300, 0, 300]
        assert [list(each) for each in answer.json()][1] == ["ErrorCode", "Message"]
        first, third = answer.json()[0]["MessageID"], answer.json()[2]["MessageID"]
        assert first != third
        assert [(each.recipient, each.result.value, each.text) for each in client.fake.receipts] == [
            (recipient(1), "accepted", first),
            ("nobody", "refused", "Invalid 'To' address: 'nobody'."),
            (recipient(2), "accepted", third),
            (recipient(3), "accepted", third),
            (recipient(4), "refused", "Provide either email TextBody or HtmlBody or both."),
        ]

    async def test_five_hundred_emails_are_the_most(self, client: Client) -> None:
        assert len((await client.post([email()] * 500, "/email/batch")).json()) == 500
        answer = await client.post([email()] * 501, "/email/batch")
        assert (answer.status_code, answer.json()["ErrorCode"]) == (422, 410)
        assert len(client.fake.receipts) == 1001

    @pytest.mark.parametrize("content", [[], {}, 5, [None], [[]], [{"To": [1]}], {"Headers": [1, {}]}, "x"])
    @pytest.mark.parametrize("path", ["/email", "/email/batch"])
    async def test_whatever_comes_is_answered_and_recorded(
        self, client: Client, content: Any, path: str
    ) -> None:
        answer = await client.post(content, path)
        assert answer.status_code in (200, 422)
        assert len(client.fake.receipts) == 1
        assert client.fake.receipts[0].result is ReceiptResult.REFUSED

    async def test_an_acknowledgement_that_is_lost_hands_over_what_was_not_declined(
        self, client: Client
    ) -> None:
        client.fake.put(type="ack-loss")
        with pytest.raises(httpx.HTTPError):
            await client.post([email(recipient(1)), email("nobody")], "/email/batch")
        assert [each.result.value for each in client.fake.receipts] == ["ack-lost", "refused"]


class TestInactiveRecipients:
    async def test_who_bounced_is_refused_with_the_whole_sentence(self, client: Client) -> None:
        await client.hard_bounce(NOBODY)
        answer = await client.post(email("Gone <Gone@customer.example>"))
        assert (answer.status_code, answer.json()) == (
            422,
            {"ErrorCode": 406, "Message": INACTIVE.format(NOBODY)},
        )
        assert (client.fake.receipts[-1].result, client.fake.receipts[-1].code) == (
            ReceiptResult.REFUSED,
            422,
        )

    async def test_the_others_get_their_email(self, client: Client) -> None:
        await client.hard_bounce(NOBODY)
        answer = await client.post(email(RECIPIENT, NOBODY))
        assert answer.status_code == 200
        assert answer.json()["ErrorCode"] == 0
        message = f"Message OK, but will not deliver to these inactive addresses: {NOBODY}"
        assert answer.json()["Message"] == message
        results = {each.recipient: each.result for each in client.fake.receipts[-2:]}
        assert results == {RECIPIENT: ReceiptResult.ACCEPTED, NOBODY: ReceiptResult.REFUSED}

    async def test_in_a_batch_it_is_one_item(self, client: Client) -> None:
        await client.hard_bounce(NOBODY)
        answer = await client.post([email(NOBODY), email(RECIPIENT)], "/email/batch")
        assert [each["ErrorCode"] for each in answer.json()] == [406, 0]

    async def test_a_lost_answer_to_a_refusal_is_no_hand_over(self, client: Client) -> None:
        await client.hard_bounce(NOBODY)
        client.fake.put(type="ack-loss")
        assert (await client.post(email(NOBODY))).status_code == 422
        assert client.fake.receipts[-1].result is ReceiptResult.REFUSED

    async def test_the_named_answer_names_whom_it_refuses(self, client: Client) -> None:
        client.fake.put(type="refuse", named="inactive-recipient")
        answer = await client.post(email(RECIPIENT, '"Smith, J." <second@customer.example>'))
        assert answer.json()["Message"] == INACTIVE.format(f"{RECIPIENT}, second@customer.example")
        assert {each.text for each in client.fake.receipts} == {answer.json()["Message"]}


class TestPreset:
    async def test_every_named_answer_can_be_played(self, client: Client) -> None:
        for name, expected in NAMED.items():
            client.fake.put(type="refuse", named=name)
            answer = await client.post(email())
            assert answer.status_code == expected.status
            assert dict(expected.headers)["Content-Type"] == answer.headers["content-type"]
            assert "{" not in client.fake.receipts[-1].text
            assert presets.load("postmark").answers[name].startswith(str(expected.status))

    async def test_the_canary_gets_in_and_its_mail_is_marked(self, client: Client) -> None:
        canary = presets.load("postmark").canary
        assert canary is not None
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "a@b.example", RECIPIENT, "canary"
        message.set_content("ref\n")
        for request in (canary.login(CANARY), canary.message(CANARY, message)):
            answer = await client.fake.http.request(
                request.method, request.path, content=request.body, headers=dict(request.headers)
            )
            assert answer.status_code == 200
        assert [each.canary for each in client.fake.receipts] == ["harness"]
