"""The SendGrid preset: its answers to the letter, and how a request becomes receipts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from harness.history.events import ReceiptResult
from harness.providers import presets
from harness.providers.errors import ConfigError, FaultRefused
from harness.providers.presets.sendgrid import MAX_BODY_BYTES, NAMED
from harness.providers.serve import check_limits
from harness.providers.wire import ProviderFault
from tests.providers.http_provider import CANARY_KEY, KEY, TOKEN, Fake, mail, post, request_bytes, sendgrid

OTHER = "ponmlkjihgfedcba"
HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#"


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    async with sendgrid() as fake:
        yield fake


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=5) as client:
        yield client


class TestAnswers:
    async def test_accepted_is_202_without_a_body_and_the_id_in_a_header(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        answer = await post(client, fake.url(), mail())
        assert (answer.status_code, answer.content) == (202, b"")
        assert len(answer.headers["X-Message-Id"]) == 22
        assert answer.headers["Server"] == "nginx"
        assert not [name for name in answer.headers if "ratelimit" in name or name == "retry-after"]
        assert fake.receipts()[0].text == answer.headers["X-Message-Id"]

    async def test_the_same_seed_gives_the_same_message_ids(self, client: httpx.AsyncClient) -> None:
        ids = []
        for _ in range(2):
            async with sendgrid() as fake:
                ids.append((await post(client, fake.url(), mail())).headers["X-Message-Id"])
        assert ids[0] == ids[1]

    @pytest.mark.parametrize(
        ("authorization", "message"),
        [
            (None, "Permission denied, wrong credentials"),
            ("Basic YXBpa2V5OlNHLnJvdXRl", "Permission denied, wrong credentials"),
            ("Bearer", "Permission denied, wrong credentials"),
            ("Bearer SG.other", "The provided authorization grant is invalid, expired, or revoked"),
        ],
    )
    async def test_a_missing_and_a_wrong_key_read_differently(
        self, fake: Fake, client: httpx.AsyncClient, authorization: str | None, message: str
    ) -> None:
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = await client.post(fake.url(), json=mail(), headers=headers)
        assert answer.status_code == 401
        assert answer.text == f'{{"errors":[{{"message":"{message}","field":null,"help":null}}]}}'

    async def test_an_empty_request_lists_all_that_is_missing(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        answer = await post(client, fake.url(), {})
        assert [error["field"] for error in answer.json()["errors"]] == [
            "from.email",
            "personalizations",
            "content",
        ]
        assert len(answer.content) == 980  # the Content-Length that users posted with this very body

    async def test_too_many_requests(self, client: httpx.AsyncClient) -> None:
        async with sendgrid(rate=0.5, burst=1) as fake:
            await post(client, fake.url(), mail())
            answer = await post(client, fake.url(), mail())
        assert answer.status_code == 429
        assert answer.content == b'{"errors":[{"field":null,"message":"too many requests"}]}'
        assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Remaining"]) == ("1", "0")
        assert 0 < int(answer.headers["X-RateLimit-Reset"]) - time.time() <= 3
        assert "retry-after" not in answer.headers

    async def test_what_is_too_large_meets_the_web_server_and_not_the_api(self, fake: Fake) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            answer = await post(client, fake.url(), mail(filler="x" * MAX_BODY_BYTES))
            assert answer.status_code == 413
            assert answer.text.startswith(
                "<html>\r\n<head><title>413 Request Entity Too Large</title></head>"
            )
            assert (await post(client, fake.url(), mail())).status_code == 202
        assert [receipt.result for receipt in fake.receipts()] == [
            ReceiptResult.REFUSED,
            ReceiptResult.ACCEPTED,
        ]

    async def test_what_is_not_json_is_a_bad_request_without_a_field(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        answer = await client.post(fake.url(), content=b'{"email":FALSE}', headers=headers)
        assert answer.text == '{"errors":[{"message":"Bad Request","field":null,"help":null}]}'
        form = await client.post(fake.url(), data={"a": "b"}, headers={"Authorization": f"Bearer {KEY}"})
        assert form.status_code == 415

    async def test_scopes_tell_a_probe_whether_the_key_is_good(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        def headers(key: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {key}"}

        for key, rejecting, status in (
            (KEY, False, 200),
            (CANARY_KEY, False, 200),
            ("SG.other", False, 401),
            (KEY, True, 401),
        ):
            url = fake.url("/v3/scopes", rejecting=rejecting)
            answer = await client.get(url, headers=headers(key))
            assert answer.status_code == status
        good = await client.get(fake.url("/v3/scopes"), headers=headers(KEY))
        assert "mail.send" in good.json()["scopes"]
        assert fake.receipts() == []  # a question is no attempt

    async def test_other_paths_and_methods(self, fake: Fake, client: httpx.AsyncClient) -> None:
        assert (await client.get(fake.url("/v3/nothing"))).status_code == 404
        wrong = await client.get(fake.url())
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
        assert fake.receipts() == []


def invalid(name: str, change: dict[str, Any], *errors: tuple[str, str, str | None]) -> Any:
    return pytest.param(change, errors, id=name)


def to(*contacts: Any, **more: Any) -> dict[str, Any]:
    return {"personalizations": [{"to": list(contacts), **more}]}


GOOD = {"email": "a@customer.example"}
TEXT = {"type": "text/plain", "value": "x"}
HTML = {"type": "text/html", "value": "x"}


class TestWhatIsWrongWithARequest:
    @pytest.mark.parametrize(
        ("change", "errors"),
        [
            invalid(
                "from invalid",
                {"from": {"email": "shop"}},
                ("The from email does not contain a valid address.", "from.email", "message.from"),
            ),
            invalid(
                "from of another type",
                {"from": ["shop@shop.example"]},
                ("Invalid type. Expected: object, given: array.", "from", "message.from"),
            ),
            invalid(
                "no recipient",
                to(),
                (
                    "The to array is required for all personalization objects, and must have at least one"
                    " email object with a valid email address.",
                    "personalizations.0.to",
                    "message.personalizations.to",
                ),
            ),
            invalid(
                "recipient empty",
                to({"email": ""}),
                (
                    "The to email parameter is required.",
                    "personalizations.0.to.0.email",
                    "message.personalizations.to",
                ),
            ),
            invalid(
                "recipient invalid",
                to(GOOD, {"email": "nobody"}),
                (
                    "Does not contain a valid address.",
                    "personalizations.0.to.1.email",
                    "message.personalizations.to",
                ),
            ),
            invalid(
                "recipients of another type",
                {"personalizations": [None, {"to": ["a@customer.example"]}]},
                ("Invalid type. Expected: object, given: null.", "personalizations.0", None),
                (
                    "Invalid type. Expected: object, given: string.",
                    "personalizations.1.to.0",
                    "message.personalizations.to",
                ),
            ),
            invalid(
                "recipient twice",
                to(GOOD, bcc=[{"email": "A@customer.example"}]),
                (
                    "Each email address in the personalization block should be unique between to, cc, and"
                    " bcc. We found the first duplicate instance of [A@customer.example] in the"
                    " personalizations.0.bcc field.",
                    "personalizations.0",
                    "message.recipient-errors",
                ),
            ),
            invalid(
                "no subject",
                {"subject": None},
                (
                    "The subject is required. You can get around this requirement if you use a template with"
                    " a subject defined or if every personalization has a subject defined.",
                    "subject",
                    "message.subject",
                ),
            ),
            invalid(
                "empty content",
                {"content": [{"type": "text/plain", "value": ""}]},
                (
                    "The content value must be a string at least one character in length.",
                    "content.0.value",
                    "message.content.value",
                ),
            ),
            invalid(
                "content twice",
                {"content": [TEXT, TEXT]},
                ("If present, text/plain and text/html may only be provided once.", "content", None),
            ),
            invalid(
                "header reserved",
                {"headers": {"Reply-To": "a@shop.example"}},
                ("Header cannot be one of the reserved keys.", "headers.Reply-To", "message.headers"),
            ),
            invalid(
                "attachment not base64",
                {"attachments": [{"content": "NOT_BASE64", "filename": "a"}]},
                (
                    "The attachment content must be base64 encoded.",
                    "attachments.0.content",
                    "message.attachments.content",
                ),
            ),
        ],
    )
    async def test_it_is_said_in_the_providers_words(
        self,
        fake: Fake,
        client: httpx.AsyncClient,
        change: dict[str, Any],
        errors: tuple[tuple[str, str, str | None], ...],
    ) -> None:
        answer = await post(client, fake.url(), mail(**change))
        assert answer.status_code == 400
        assert answer.json()["errors"] == [
            {"message": message, "field": field, "help": anchor and HELP + anchor}
            for message, field, anchor in errors
        ]
        assert {receipt.result for receipt in fake.receipts()} == {ReceiptResult.REFUSED}

    @pytest.mark.parametrize(
        "change",
        [
            {"subject": None, **to(GOOD, subject="own")},
            {"subject": None, "content": None, "template_id": "d-1"},
            {"content": [TEXT, HTML]},
            {"attachments": [{"content": "dGVzdA==", "filename": "a"}]},
        ],
        ids=["subject per recipient", "template", "text and html", "attachment"],
    )
    async def test_what_is_optional_may_be_left_out(
        self, fake: Fake, client: httpx.AsyncClient, change: dict[str, Any]
    ) -> None:
        assert (await post(client, fake.url(), mail(**change))).status_code == 202

    async def test_a_thousand_recipients_are_the_most(self, fake: Fake, client: httpx.AsyncClient) -> None:
        def many(count: int) -> dict[str, Any]:
            return to(*({"email": f"a{number}@customer.example"} for number in range(count)))

        assert (await post(client, fake.url(), mail(**many(1000)))).status_code == 202
        refused = await post(client, fake.url(), mail(**many(1001)))
        assert "limit of 1000 total recipients" in refused.text
        assert len(fake.receipts()) == 2001


class TestReceipts:
    async def test_one_for_each_recipient_of_one_attempt(self, fake: Fake, client: httpx.AsyncClient) -> None:
        first, second = f"c.{TOKEN}@customer.example", f"c.{OTHER}@customer.example"
        content = mail(personalizations=[{"to": [{"email": first}], "cc": [{"email": second}]}])
        await post(client, fake.url(), content)
        receipts = fake.receipts()
        assert [(each.recipient, each.token) for each in receipts] == [(first, TOKEN), (second, OTHER)]
        assert len({receipt.attempt for receipt in receipts}) == 1
        assert len({(receipt.body_offset, receipt.body_sha256) for receipt in receipts}) == 1
        assert [receipt.n for receipt in receipts] == [1, 2]

    async def test_without_a_token_in_the_recipient_the_header_names_it_then_the_nonce(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        await post(client, fake.url(), mail("pool@customer.example"))
        await post(client, fake.url(), mail("pool@customer.example", headers={}))
        await post(client, fake.url(), mail("pool@customer.example", headers={}, content=[TEXT]))
        named = [(receipt.token, receipt.carriers) for receipt in fake.receipts()]
        assert named == [(TOKEN, ["header", "nonce"]), (TOKEN, ["nonce"]), (None, [])]

    async def test_a_personalization_has_its_own_headers_and_substitutions(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        personalizations = [
            {"to": [{"email": "one@customer.example"}], "headers": {"x-harness-token": OTHER}},
            {"to": [{"email": "two@customer.example"}], "substitutions": {"-ref-": f"hn-{OTHER}-nh"}},
            {"to": [{"email": "three@customer.example"}]},
        ]
        await post(client, fake.url(), mail(personalizations=personalizations, headers={}))
        named = [(receipt.token, receipt.carriers) for receipt in fake.receipts()]
        assert named == [(OTHER, ["header"]), (OTHER, ["nonce"]), (TOKEN, ["nonce"])]

    async def test_the_systems_own_canary_is_marked(self, fake: Fake, client: httpx.AsyncClient) -> None:
        await post(client, fake.url(), mail("probe@canary.example"))
        assert fake.receipts()[0].canary == "system"

    async def test_sandbox_mode_checks_and_does_not_take(self, fake: Fake, client: httpx.AsyncClient) -> None:
        sandbox = {"mail_settings": {"sandbox_mode": {"enable": True}}}
        answer = await post(client, fake.url(), mail(**sandbox))
        assert (answer.status_code, answer.content) == (200, b"")
        (receipt,) = fake.receipts()
        assert (receipt.result, receipt.canary) == (ReceiptResult.REFUSED, "system")
        assert (await post(client, fake.url(), mail(subject=None, **sandbox))).status_code == 400

    async def test_a_refusal_of_the_message_is_for_good_and_one_of_the_account_is_not(
        self, fake: Fake, client: httpx.AsyncClient
    ) -> None:
        await post(client, fake.url(), mail(subject=None))
        await post(client, fake.url(), mail(), "SG.other")
        assert [receipt.result for receipt in fake.receipts()] == [
            ReceiptResult.REFUSED,
            ReceiptResult.DEFERRED,
        ]


class TestPreset:
    async def test_every_named_answer_can_be_played(self, client: httpx.AsyncClient) -> None:
        async with sendgrid() as fake:
            for name, expected in NAMED.items():
                fake.put(type="refuse", named=name)
                answer = await post(client, fake.url(), mail())
                assert (answer.status_code, answer.content) == (expected.status, expected.body)
                assert presets.load("sendgrid").answers[name].startswith(str(expected.status))

    @pytest.mark.parametrize(
        ("fault", "hint"),
        [
            ({"type": "refuse"}, "too-many-requests"),
            ({"type": "refuse", "code": 202}, "400 to 599"),
            ({"type": "refuse", "named": "server-busy"}, "service-unavailable"),
            ({"type": "refuse", "named": "forbidden", "code": 403}, "give either"),
            ({"type": "slow"}, "ack-loss"),
        ],
    )
    def test_a_fault_it_cannot_play_is_refused_with_the_choices(
        self, fault: dict[str, Any], hint: str
    ) -> None:
        with pytest.raises(FaultRefused, match=hint):
            presets.load("sendgrid").place_fault(ProviderFault(id="f", **fault))

    @pytest.mark.parametrize(
        "limits", [{"rate": 0}, {"rate": -1}, {"burst": 5}, {"rate": 1, "burst": 0}, {"rat": 1}]
    )
    def test_limits_that_mean_nothing_are_refused(self, limits: dict[str, float]) -> None:
        with pytest.raises(ConfigError, match="Valid limits: rate, burst"):
            check_limits(presets.load("sendgrid"), limits)

    async def test_without_limits_there_is_no_limit(self, fake: Fake, client: httpx.AsyncClient) -> None:
        codes = {(await post(client, fake.url(), mail())).status_code for _ in range(50)}
        assert codes == {202}


def test_the_wire_form_of_a_request_is_what_clients_send() -> None:
    assert request_bytes(mail()).startswith(b"POST /v3/mail/send HTTP/1.1\r\nHost: api.sendgrid.com\r\n")
