"""The Resend preset: its answers to the letter, idempotency keys, and what is left of the rate limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import httpx
import pytest

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.http.idempotency import Memory
from harness.providers.http.messages import HttpRequest
from harness.providers.presets.resend import NAMED, ResendApi, ResendLimits
from tests.providers.api_fake import ApiFake, api_fake
from tests.providers.running import CANARY, RECIPIENT, ROUTE, TOKEN, recipient, token
from tests.waiting import until

ADDRESS_FORM = (
    "The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."
)
FAST = {"rate": 1000}


def email(*to: str, **changes: Any) -> dict[str, Any]:
    return {
        "from": "Shop <shop@shop.example>",
        "to": list(to or (RECIPIENT,)),
        "subject": "Your order",
        "text": f"Thank you.\nref: hn-{TOKEN}-nh\n",
        "headers": {"X-Harness-Token": TOKEN},
        **changes,
    }


class Client:
    def __init__(self, fake: ApiFake) -> None:
        self.fake = fake

    async def post(
        self, content: Any, path: str = "/emails", secret: str | None = ROUTE.secret, **headers: str
    ) -> httpx.Response:
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        if secret is not None:
            own["Authorization"] = f"Bearer {secret}"
        return await self.fake.http.post(path, json=content, headers=own)


@asynccontextmanager
async def resend(**config: Any) -> AsyncIterator[Client]:
    config.setdefault("limits", FAST)
    async with api_fake("resend", **config) as fake:
        yield Client(fake)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with resend() as client:
        yield client


def error(status: int, message: str, name: str) -> dict[str, Any]:
    return {"statusCode": status, "message": message, "name": name}


class TestAnswers:
    async def test_an_email_that_was_taken(self, client: Client) -> None:
        answer = await client.post(email())
        assert (answer.status_code, list(answer.json())) == (200, ["id"])
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", answer.json()["id"])
        (receipt,) = client.fake.receipts
        assert (receipt.text, receipt.recipient, receipt.token) == (answer.json()["id"], RECIPIENT, TOKEN)
        assert receipt.carriers == ["recipient", "header", "nonce"]

    async def test_a_missing_and_a_wrong_key_read_differently(self, client: Client) -> None:
        answer = await client.post(email(), secret=None)
        assert answer.text == '{"statusCode":401,"message":"Missing API Key","name":"missing_api_key"}'
        answer = await client.post(email(), secret="re_other")
        assert answer.json() == error(403, "API key is invalid", "invalid_api_key")
        assert {each.result for each in client.fake.receipts} == {ReceiptResult.DEFERRED}

    @pytest.mark.parametrize(
        ("change", "name", "message"),
        [
            ({"from": None}, "missing_required_field", "Missing `from` field."),
            ({"to": []}, "missing_required_field", "Missing `to` field."),
            ({"subject": ""}, "missing_required_field", "Missing `subject` field."),
            ({"text": None}, "missing_required_field", "Missing `html` or `text` field."),
            ({"from": "shop"}, "validation_error", f"Invalid `from` field. {ADDRESS_FORM}"),
            ({"to": "nobody"}, "validation_error", f"Invalid `to` field. {ADDRESS_FORM}"),
            ({"to": "a@b.example, c@d.example"}, "validation_error", f"Invalid `to` field. {ADDRESS_FORM}"),
            ({"cc": [1]}, "validation_error", f"Invalid `cc` field. {ADDRESS_FORM}"),
            (
                {"to": [f"a{n}@customer.example" for n in range(51)]},
                "validation_error",
                "The `to` field must have between 1 and 50 recipients.",
            ),
        ],
    )
    async def test_what_is_wrong_with_an_email_is_422(
        self, client: Client, change: dict[str, Any], name: str, message: str
    ) -> None:
        answer = await client.post(email() | change)
        assert (answer.status_code, answer.json()) == (422, error(422, message, name))
        assert {each.result for each in client.fake.receipts} == {ReceiptResult.REFUSED}

    async def test_a_template_has_subject_and_content(self, client: Client) -> None:
        answer = await client.post(email(subject=None, text=None, template={"id": "order"}))
        assert answer.status_code == 200

    async def test_the_probe_another_path_and_another_method(self, client: Client) -> None:
        headers = {"Authorization": f"Bearer {ROUTE.secret}"}
        answer = await client.fake.http.get("/domains", headers=headers)
        assert (answer.status_code, answer.json()["object"]) == (200, "list")
        assert (await client.fake.http.get("/domains")).json()["name"] == "missing_api_key"
        assert (await client.fake.http.get("/email", headers=headers)).json()["name"] == "not_found"
        assert (await client.fake.http.get("/emails", headers=headers)).json()["name"] == "method_not_allowed"
        assert client.fake.receipts == []


class TestBatches:
    async def test_each_email_has_an_id_and_each_recipient_a_receipt(self, client: Client) -> None:
        emails = [email(recipient(1)), email(recipient(2), cc=recipient(3), bcc=[recipient(4)])]
        answer = await client.post(emails, "/emails/batch")
        assert (answer.status_code, list(answer.json())) == (200, ["data"])
        first, second = (each["id"] for each in answer.json()["data"])
        assert [(each.token, each.text) for each in client.fake.receipts] == [
            (token(1), first),
            (token(2), second),
            (token(3), second),
            (token(4), second),
        ]

    async def test_one_that_is_invalid_refuses_the_whole_batch(self, client: Client) -> None:
        answer = await client.post([email(), email("nobody")], "/emails/batch")
        assert (answer.status_code, answer.json()["name"]) == (422, "validation_error")
        assert [each.result for each in client.fake.receipts] == [ReceiptResult.REFUSED] * 2

    async def test_permissive_validation_sends_what_is_valid(self, client: Client) -> None:
        emails = [email(recipient(1)), email("nobody"), email(recipient(2))]
        answer = await client.post(emails, "/emails/batch", x_batch_validation="permissive")
        assert answer.status_code == 200
        assert answer.json()["errors"] == [{"index": 1, "message": f"Invalid `to` field. {ADDRESS_FORM}"}]
        first, second = (each["id"] for each in answer.json()["data"])
        assert [(each.result.value, each.text) for each in client.fake.receipts] == [
            ("accepted", first),
            ("refused", f"Invalid `to` field. {ADDRESS_FORM}"),
            ("accepted", second),
        ]

    async def test_a_hundred_emails_are_the_most(self, client: Client) -> None:
        assert len((await client.post([email()] * 100, "/emails/batch")).json()["data"]) == 100
        for count in (0, 101):
            assert (await client.post([email()] * count, "/emails/batch")).status_code == 422

    @pytest.mark.parametrize(
        "content", [{}, 5, [None], [[]], [{"to": [{}]}], "x", {"tags": [1], "headers": []}]
    )
    @pytest.mark.parametrize("path", ["/emails", "/emails/batch"])
    @pytest.mark.parametrize("validation", ["strict", "permissive"])
    async def test_whatever_comes_is_answered_and_recorded(
        self, client: Client, content: Any, path: str, validation: str
    ) -> None:
        answer = await client.post(content, path, x_batch_validation=validation)
        assert answer.status_code in (200, 400, 422)
        assert [each.result for each in client.fake.receipts] == [ReceiptResult.REFUSED]


class TestIdempotency:
    async def test_the_same_request_gets_the_first_answer_and_sends_nothing(self, client: Client) -> None:
        first = await client.post(email(), idempotency_key="order-17")
        again = await client.post(email(), idempotency_key="order-17")
        assert (again.status_code, again.content) == (200, first.content)
        assert [(each.result.value, each.idempotency_key) for each in client.fake.receipts] == [
            ("accepted", "order-17"),
            ("repeated", "order-17"),
        ]

    async def test_the_same_key_with_another_payload_is_a_conflict_for_good(self, client: Client) -> None:
        await client.post(email(), idempotency_key="k")
        answer = await client.post(email(subject="Other"), idempotency_key="k")
        assert (answer.status_code, answer.json()["name"]) == (409, "invalid_idempotent_request")
        assert client.fake.receipts[-1].result is ReceiptResult.REFUSED

    async def test_one_that_is_in_progress_is_a_conflict_for_now(self, client: Client) -> None:
        client.fake.put(type="slow-ack", delay_s=60, nth=1)
        slow = asyncio.create_task(client.post(email(), idempotency_key="k"))
        await until(lambda: client.fake.acted == 1)
        answer = await client.post(email(), idempotency_key="k")
        assert (answer.status_code, answer.json()["name"]) == (409, "concurrent_idempotent_requests")
        assert client.fake.receipts[-1].result is ReceiptResult.DEFERRED
        slow.cancel()

    async def test_after_a_lost_acknowledgement_a_retry_makes_no_second_copy(self, client: Client) -> None:
        client.fake.put(type="ack-loss", count=1)
        with pytest.raises(httpx.HTTPError):
            await client.post(email(), idempotency_key="k")
        answer = await client.post(email(), idempotency_key="k")
        assert (answer.status_code, answer.json()["id"]) == (200, client.fake.receipts[0].text)
        assert [each.result.value for each in client.fake.receipts] == ["ack-lost", "repeated"]

    async def test_a_refusal_leaves_the_key_free(self, client: Client) -> None:
        client.fake.put(type="refuse", named="internal-server-error", count=1)
        assert (await client.post(email(), idempotency_key="k")).status_code == 500
        assert (await client.post(email(text=None), idempotency_key="k")).status_code == 422
        assert (await client.post(email(), idempotency_key="k")).status_code == 200

    @pytest.mark.parametrize("key", ["", "k" * 257])
    async def test_a_key_that_is_empty_or_too_long_is_refused(self, client: Client, key: str) -> None:
        answer = await client.post(email(), idempotency_key=key)
        message = "Idempotency keys, if present, must have between 1 and 256 characters."
        assert answer.json() == error(400, message, "invalid_idempotency_key")
        assert (await client.post(email(), idempotency_key="k" * 256)).status_code == 200

    async def test_a_batch_has_keys_of_its_own(self, client: Client) -> None:
        await client.post(email(), idempotency_key="k")
        first = await client.post([email()], "/emails/batch", idempotency_key="k")
        again = await client.post([email()], "/emails/batch", idempotency_key="k")
        assert (again.status_code, again.content) == (200, first.content)
        assert [each.result.value for each in client.fake.receipts] == ["accepted", "accepted", "repeated"]


class TestLimits:
    async def test_every_answer_tells_what_is_left(self) -> None:
        async with resend(limits={"rate": 0.00001, "burst": 2}) as client:
            answers = [
                await client.post(email()),
                await client.post(email(text=None)),
                await client.post(email()),
            ]
            headers = {"Authorization": f"Bearer {ROUTE.secret}"}
            answers.append(await client.fake.http.get("/domains", headers=headers))
        assert [each.status_code for each in answers] == [200, 422, 429, 200]
        assert [each.headers["ratelimit-remaining"] for each in answers] == ["1", "0", "0", "0"]
        assert {each.headers["ratelimit-limit"] for each in answers} == {"2"}
        assert {each.headers["ratelimit-policy"] for each in answers} == {"2;w=200000"}
        assert all(1 <= int(each.headers["ratelimit-reset"]) <= 200_000 for each in answers)
        refused = answers[2]
        assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
        assert refused.json()["message"] == (
            "Too many requests. You can only make 2 requests per second. See rate limit response headers for"
            " more information. Or contact support to increase rate limit."
        )
        waited_ns = client.fake.receipts[-1].retry_after_ns
        assert waited_ns == int(refused.headers["retry-after"]) * 1_000_000_000

    async def test_a_fault_s_wait_is_told_in_the_provider_s_own_letters(self, client: Client) -> None:
        client.fake.put(type="refuse", named="rate-limit-exceeded", retry_after_s=9)
        refused = await client.post(email())
        waits = [(name, value) for name, value in refused.headers.raw if name.lower() == b"retry-after"]
        assert waits == [(b"retry-after", b"9")]

    def test_five_a_second_unless_the_scenario_says_otherwise(self) -> None:
        preset = presets.load("resend")
        assert preset.limits().rate == 5  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("limit", "name"),
        [("emails_per_day", "daily_quota_exceeded"), ("emails_per_month", "monthly_quota_exceeded")],
    )
    async def test_a_quota_counts_recipients_and_its_429_has_another_name(
        self, limit: str, name: str
    ) -> None:
        async with resend(limits={**FAST, limit: 3}) as client:
            assert (await client.post(email(recipient(1), recipient(2)))).status_code == 200
            answer = await client.post(email(recipient(3), recipient(4)))
            assert (answer.status_code, answer.json()["name"]) == (429, name)
            assert "retry-after" not in answer.headers
            assert (await client.post(email(recipient(3)))).status_code == 200


class TestPreset:
    async def test_every_named_answer_can_be_played(self, client: Client) -> None:
        for name, expected in NAMED.items():
            client.fake.put(type="refuse", named=name)
            answer = await client.post(email())
            assert (answer.status_code, answer.json()["statusCode"]) == (expected.status, expected.status)
            assert "{" not in client.fake.receipts[-1].text

    async def test_a_domain_that_is_not_verified_is_named(self, client: Client) -> None:
        client.fake.put(type="refuse", named="domain-not-verified")
        answer = await client.post(email())
        assert answer.json()["message"].startswith("The shop.example domain is not verified.")

    async def test_the_canary_gets_in_and_its_mail_is_marked(self, client: Client) -> None:
        canary = presets.load("resend").canary
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


def test_a_key_is_remembered_for_a_day() -> None:
    api, memory = ResendApi(ResendLimits()), Memory()
    asked = HttpRequest(method="POST", path="/emails", headers={"idempotency-key": "k"}, body=b"{}")

    def is_known(now_s: float) -> bool:
        found = memory.look_up(api, "primary", asked, now_s)
        assert found is not None
        return found.is_known

    assert [is_known(now_s) for now_s in (0.0, 86_399.0, 86_401.0)] == [False, True, False]
