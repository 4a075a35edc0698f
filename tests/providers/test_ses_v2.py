"""The SES preset: its answers to the letter, what it refuses, and how a request becomes receipts."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.credentials import fill
from harness.providers.errors import ConfigError
from harness.providers.presets._ses_errors import NAMED
from harness.providers.presets.ses_v2 import MAX_BODY_BYTES
from harness.providers.serve import check_limits
from tests.providers.running import RECIPIENT, TOKEN, Provider, message, recipient, token
from tests.providers.ses import GET_ACCOUNT, SEND_BULK, Client, email, put, ses, simple

MESSAGE_ID = r"0102[0-9a-f]{12}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-000000"
REQUEST_ID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
OTHER = "ponmlkjihgfedcba"


@pytest.fixture
async def running() -> AsyncIterator[tuple[Provider, Client]]:
    async with ses(max_send_rate=10_000) as running:
        yield running


def said(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.headers["x-amzn-ErrorType"], answer.json()["message"]


class TestAnswers:
    async def test_taken_is_200_with_the_messages_id(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        answer = await client.ask(content=email())
        assert answer.status_code == 200 and list(answer.json()) == ["MessageId"]
        assert re.fullmatch(MESSAGE_ID, answer.json()["MessageId"])
        assert re.fullmatch(REQUEST_ID, answer.headers["x-amzn-RequestId"])
        assert answer.headers["Content-Type"] == "application/json"
        (receipt,) = fake.receipts
        assert (receipt.result, receipt.code) == (ReceiptResult.ACCEPTED, 200)
        assert receipt.text == answer.json()["MessageId"]

    async def test_an_id_begins_with_the_regions_digits_and_the_time(self) -> None:
        async with ses() as (_, client):
            ids = [
                (await client.ask(content=email(), region=region)).json()["MessageId"]
                for region in ("us-east-1", "us-west-2")
            ]
        assert [each[:4] for each in ids] == ["0100", "0101"]
        assert abs(int(ids[0][4:16], 16) / 1000 - time.time()) < 60

    async def test_every_answer_has_a_request_id_of_its_own(self, running: tuple[Provider, Client]) -> None:
        _, client = running
        answers = [await client.ask(content=content) for content in (email(), email(), {}, b"[")]
        answers += [await client.ask(path) for path in (GET_ACCOUNT, "/v2/email/identities")]
        assert len({each.headers["x-amzn-RequestId"] for each in answers}) == 6

    async def test_the_account_tells_its_quotas(self) -> None:
        async with ses(max_send_rate=20, max_24_hour_send=100) as (fake, client):
            answer = await client.ask(GET_ACCOUNT)
            assert not fake.sink.records
        quota = answer.json()["SendQuota"]
        assert quota == {"Max24HourSend": 100.0, "MaxSendRate": 20.0, "SentLast24Hours": 0.0}
        assert answer.json()["SendingEnabled"] is True and answer.json()["EnforcementStatus"] == "HEALTHY"

    @pytest.mark.parametrize("path", ["/", "/v2/email/outbound-email", "/v2/email/outbound-emails/x"])
    async def test_what_is_no_operation_is_said_to_be_none(
        self, running: tuple[Provider, Client], path: str
    ) -> None:
        _, client = running
        assert said(await client.ask(path, email()))[:2] == (404, "UnknownOperationException")

    async def test_what_is_too_large_is_refused_and_recorded(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        answer = await client.ask(content=email(), body=b"x" * (MAX_BODY_BYTES + 1))
        assert answer.status_code == 413
        assert [each.result for each in fake.receipts] == [ReceiptResult.REFUSED]

    async def test_every_named_answer_can_be_played(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        for name, expected in NAMED.items():
            put(fake, type="refuse", named=name)
            answer = await client.ask(content=email())
            assert (answer.status_code, answer.content) == (expected.status, expected.body)
            assert answer.headers["x-amzn-ErrorType"] == expected.text.partition(":")[0]
        assert len(fake.receipts) == len(NAMED)
        modelled = {
            "too-many-requests": (429, "TooManyRequestsException"),
            "limit-exceeded": (400, "LimitExceededException"),
            "account-suspended": (400, "AccountSuspendedException"),
            "sending-paused": (400, "SendingPausedException"),
            "message-rejected": (400, "MessageRejected"),
            "mail-from-domain-not-verified": (400, "MailFromDomainNotVerifiedException"),
            "bad-request": (400, "BadRequestException"),
            "not-found": (404, "NotFoundException"),
        }
        for name, (status, error) in modelled.items():
            assert (NAMED[name].status, NAMED[name].text.partition(":")[0]) == (status, error)

    @pytest.mark.parametrize(
        ("code", "error"),
        [
            (429, "TooManyRequestsException"),
            (500, "InternalFailure"),
            (503, "ServiceUnavailable"),
            (504, "GatewayTimeout"),
        ],
    )
    async def test_a_status_has_the_error_that_ses_gives_it(
        self, running: tuple[Provider, Client], code: int, error: str
    ) -> None:
        fake, client = running
        put(fake, type="refuse", code=code, retry_after_s=3)
        answer = await client.ask(content=email())
        assert said(answer)[:2] == (code, error)
        assert answer.headers["Retry-After"] == "3"  # the fault's; SES has none of its own
        assert fake.receipts[-1].retry_after_ns == 3_000_000_000


class TestContents:
    @pytest.mark.parametrize(
        "content",
        [
            simple(),
            {"Simple": {"Subject": {"Data": "x"}, "Body": {"Html": {"Data": f"<p>hn-{TOKEN}-nh</p>"}}}},
            {"Raw": {"Data": base64.b64encode(message()).decode()}},
            {"Template": {"TemplateName": "t", "TemplateData": f'{{"ref": "hn-{TOKEN}-nh"}}'}},
            {"Template": {"TemplateContent": {"Subject": "x", "Text": f"hn-{TOKEN}-nh"}}},
        ],
        ids=["simple", "html alone", "raw", "stored template", "inline template"],
    )
    async def test_each_kind_is_taken_and_its_token_found(
        self, running: tuple[Provider, Client], content: dict[str, Any]
    ) -> None:
        fake, client = running
        mail = email("pool@customer.example", Content=content)
        assert (await client.ask(content=mail)).status_code == 200
        (receipt,) = fake.receipts
        assert (receipt.token, receipt.recipient) == (TOKEN, "pool@customer.example")
        assert "nonce" in receipt.carriers and receipt.body_sha256

    async def test_a_raw_message_names_sender_and_recipients_itself(
        self, running: tuple[Provider, Client]
    ) -> None:
        fake, client = running
        raw = (
            f"From: shop@shop.example\r\nTo: One <c.{TOKEN}@customer.example>, two@customer.example\r\n"
            "Bcc: three@customer.example\r\nSubject: x\r\n\r\nhello\r\n"
        ).encode()
        content = {"Content": {"Raw": {"Data": base64.b64encode(raw).decode()}}}
        assert (await client.ask(content=content)).status_code == 200
        assert [each.recipient for each in fake.receipts] == [
            f"c.{TOKEN}@customer.example",
            "two@customer.example",
            "three@customer.example",
        ]

    async def test_each_recipient_has_a_receipt_of_one_attempt(
        self, running: tuple[Provider, Client]
    ) -> None:
        fake, client = running
        to = {
            "ToAddresses": [f"One <{recipient(1)}>"],
            "CcAddresses": [recipient(2)],
            "BccAddresses": [recipient(3)],
        }
        answer = await client.ask(content=email(Destination=to))
        assert [each.recipient for each in fake.receipts] == [recipient(1), recipient(2), recipient(3)]
        assert [each.token for each in fake.receipts] == [token(1), token(2), token(3)]
        assert {each.text for each in fake.receipts} == {answer.json()["MessageId"]}
        assert len({each.attempt for each in fake.receipts}) == 1

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({}, "'content' failed to satisfy constraint: Member must not be null"),
            (email(Content={}), "Exactly one of Simple, Raw, or Template must be provided."),
            (email(Content={**simple(), "Raw": {"Data": "eA=="}}), "Exactly one of"),
            (email(Content={"Raw": {"Data": "?"}}), "must be base64 encoded"),
            (email(Content={"Simple": {"Body": {}}}), "'content.simple.subject.data'"),
            (
                email(Content={"Simple": {"Subject": {"Data": "x"}, "Body": {}}}),
                "Body must contain Text or Html.",
            ),
            (email(Content={"Template": {}}), "Template must have a TemplateName"),
            (
                email(Content={"Template": {"TemplateName": "t", "TemplateData": "["}}),
                "must be a JSON object",
            ),
            (email(FromEmailAddress=None), "FromEmailAddress must be provided."),
            (email(FromEmailAddress="shop"), "Missing final '@domain'"),
            (email("nobody"), "Missing final '@domain'"),
            (email(Destination={}), "Destination must contain at least one recipient."),
            (email(*(recipient(n) for n in range(51))), "Recipient count exceeds 50."),
        ],
    )
    async def test_what_is_wrong_is_a_bad_request_for_good(
        self, running: tuple[Provider, Client], content: dict[str, Any], message: str
    ) -> None:
        fake, client = running
        answer = await client.ask(content=content)
        assert said(answer)[:2] == (400, "BadRequestException")
        assert message in answer.json()["message"]
        assert {each.result for each in fake.receipts} == {ReceiptResult.REFUSED}

    async def test_fifty_recipients_are_the_most(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        answer = await client.ask(content=email(*(recipient(n) for n in range(50))))
        assert answer.status_code == 200 and len(fake.receipts) == 50

    async def test_what_is_no_json_cannot_be_read(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        body = f'{{"Destination": {{"ToAddresses": ["{RECIPIENT}"'.encode()
        assert said(await client.ask(content=body))[:2] == (400, "SerializationException")
        assert [(each.token, each.result) for each in fake.receipts] == [(TOKEN, ReceiptResult.REFUSED)]


def bulk(*entries: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "FromEmailAddress": "shop@shop.example",
        "DefaultContent": {"Template": {"TemplateName": "t", "TemplateData": '{"name": "friend"}'}},
        "BulkEmailEntries": list(entries),
        **changes,
    }


def entry(*to: str, data: str = "{}") -> dict[str, Any]:
    return {
        "Destination": {"ToAddresses": list(to)},
        "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": data}},
    }


class TestBulk:
    async def test_each_entry_has_a_result_of_its_own(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        content = bulk(
            entry(recipient(1), recipient(2)),
            entry("nobody"),
            entry(),
            entry("pool@customer.example", data=f'{{"ref": "hn-{OTHER}-nh"}}'),
            entry(recipient(3), data="no json"),
        )
        answer = await client.ask(SEND_BULK, content)
        results = answer.json()["BulkEmailEntryResults"]
        assert answer.status_code == 200
        assert [each["Status"] for each in results] == [
            "SUCCESS",
            "INVALID_PARAMETER",
            "INVALID_PARAMETER",
            "SUCCESS",
            "INVALID_PARAMETER",
        ]
        assert results[1]["Error"] == "Missing final '@domain'" and "MessageId" not in results[1]
        assert [(each.recipient, each.token, each.result) for each in fake.receipts] == [
            (recipient(1), token(1), ReceiptResult.ACCEPTED),
            (recipient(2), token(2), ReceiptResult.ACCEPTED),
            ("nobody", None, ReceiptResult.REFUSED),
            (None, None, ReceiptResult.REFUSED),
            ("pool@customer.example", OTHER, ReceiptResult.ACCEPTED),
            (recipient(3), token(3), ReceiptResult.REFUSED),
        ]
        first, fourth = results[0]["MessageId"], results[3]["MessageId"]
        assert [each.text for each in fake.receipts if each.code == 200] == [first, first, fourth]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({}, "'defaultContent'"),
            (bulk(), "'bulkEmailEntries'"),
            (bulk(*(entry(recipient(n)) for n in range(51))), "more than 50 entries"),
            (bulk(entry(RECIPIENT), FromEmailAddress=None), "FromEmailAddress must be provided."),
            (bulk(entry(RECIPIENT), DefaultContent={"Template": {}}), "Template must have"),
        ],
    )
    async def test_what_is_wrong_with_all_of_it_refuses_all_of_it(
        self, running: tuple[Provider, Client], content: dict[str, Any], message: str
    ) -> None:
        fake, client = running
        answer = await client.ask(SEND_BULK, content)
        assert said(answer)[:2] == (400, "BadRequestException") and message in answer.text
        assert {each.result for each in fake.receipts} == {ReceiptResult.REFUSED}


class TestLimits:
    async def test_the_rate_counts_recipients(self) -> None:
        async with ses(max_send_rate=4.001, max_24_hour_send=1000) as (fake, client):
            first = await client.ask(content=email(*(recipient(n) for n in range(5))))
            second = await client.ask(content=email(*(recipient(n) for n in range(5, 10))))
        assert first.status_code == 200
        assert said(second) == (429, "TooManyRequestsException", "Maximum sending rate exceeded.")
        assert [each.result for each in fake.receipts] == [ReceiptResult.ACCEPTED] * 5 + [
            ReceiptResult.DEFERRED
        ] * 5
        assert "Retry-After" not in second.headers

    async def test_the_day_counts_recipients(self) -> None:
        async with ses(max_24_hour_send=3) as (_, client):
            assert (await client.ask(content=email(recipient(1), recipient(2)))).status_code == 200
            refused = await client.ask(content=email(recipient(3), recipient(4)))
            assert (await client.ask(content=email(recipient(5)))).status_code == 200
        assert said(refused) == (429, "TooManyRequestsException", "Daily message quota exceeded.")

    def test_the_defaults_are_those_of_an_account_out_of_the_sandbox(self) -> None:
        limits = check_limits(presets.load("ses-v2"), {})
        assert limits.model_dump() == {"max_send_rate": 14, "max_24_hour_send": 50_000}

    @pytest.mark.parametrize("limits", [{"max_send_rate": 0}, {"max_24_hour_send": 0}, {"rate": 1}])
    def test_limits_that_mean_nothing_are_refused(self, limits: dict[str, float]) -> None:
        with pytest.raises(ConfigError, match="Valid limits: max_send_rate, max_24_hour_send"):
            check_limits(presets.load("ses-v2"), limits)


class TestWhoCalls:
    async def test_a_hidden_retry_is_known_by_its_invocation(self, running: tuple[Provider, Client]) -> None:
        fake, client = running
        for invocation in ("a", "a", "b"):
            await client.ask(content=email(), **{"amz-sdk-invocation-id": invocation})
        await client.ask(content=email())
        assert [each.sdk_retry for each in fake.receipts] == ["a", "a", "b", None]

    async def test_a_fault_is_about_one_region_where_the_tenant_is_one(
        self, running: tuple[Provider, Client]
    ) -> None:
        fake, client = running
        put(fake, type="refuse", code=503, tenant="us-east-1")
        assert (await client.ask(content=email())).status_code == 200
        put(fake, type="refuse", code=503, tenant="eu-west-1")
        assert (await client.ask(content=email())).status_code == 503

    async def test_a_fault_of_a_tenant_acts_before_the_body_is_read(
        self, running: tuple[Provider, Client]
    ) -> None:
        fake, client = running
        put(fake, type="refuse", code=503, stage="head", tenant="eu-west-1")
        assert (await client.ask(content=email())).status_code == 503
        assert fake.receipts[-1].account

    def test_credentials_have_the_form_of_aws(self) -> None:
        account = presets.load("ses-v2").credential.account(7, "app-backup", tenant="eu-west-1")
        assert re.fullmatch(r"AKIA[A-Z2-7]{16}", account.username) and len(account.secret) == 40
        assert account.tenant == "eu-west-1" and account.next_secret != account.secret
        assert fill("AKIA{upper:16}", "x") == fill("AKIA{upper:16}", "x")


async def test_the_same_seed_draws_the_same_ids() -> None:
    drawn = []
    for _ in range(2):
        async with ses() as (_, client):
            drawn.append((await client.ask(content=email())).json()["MessageId"].partition("-")[2])
    assert drawn[0] == drawn[1]


def test_what_describes_an_answer_is_what_a_client_reads() -> None:
    for name, text in presets.load("ses-v2").answers.items():
        assert text == f"{NAMED[name].status} {NAMED[name].text}"
        assert msgspec.json.decode(NAMED[name].body)["message"] in text
