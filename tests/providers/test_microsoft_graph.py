"""The Microsoft Graph preset: how a request to send becomes receipts, and what is said of a wrong one."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.history.events import ReceiptResult
from harness.providers.http.messages import HttpRequest
from harness.providers.presets.microsoft_graph import GraphApi, GraphLimits
from tests.providers.conftest import Certificates
from tests.providers.graph_provider import (
    OTHER,
    SEND,
    TENANT,
    TOKEN,
    Client,
    bearer,
    graph,
    mail,
    mime,
    recipients,
    to,
)
from tests.waiting import until

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}")
NOBODY = "At least one recipient is not valid., A message can't be sent because it contains no recipients."


@pytest.fixture
async def client(certificates: Certificates) -> AsyncIterator[Client]:
    async with graph(certificates) as client:
        yield client


class TestSendMail:
    @pytest.mark.parametrize("path", [SEND, "/v1.0/users/4f0a/sendMail", "/v1.0/me/sendMail"])
    async def test_it_is_accepted_without_a_body_and_without_an_id(self, client: Client, path: str) -> None:
        answer = await client.send(mail(), path=path)
        assert (answer.status_code, answer.content) == (202, b"")
        assert UUID.fullmatch(answer.headers["request-id"])
        assert answer.headers["client-request-id"] == answer.headers["request-id"]
        assert "ServerInfo" in answer.headers["x-ms-ags-diagnostic"]
        (receipt,) = client.fake.receipts()
        assert (receipt.result, receipt.code, receipt.token) == (ReceiptResult.ACCEPTED, 202, TOKEN)
        assert receipt.account == client.fake.account.username
        assert receipt.tenant == TENANT
        assert receipt.carriers == ["recipient", "header", "nonce"]

    async def test_each_recipient_gets_one_copy_however_it_is_named(self, client: Client) -> None:
        await client.send(
            mail(
                to(),
                ccRecipients=recipients(to(OTHER), to().upper()),
                bccRecipients=recipients("pool@customer.example"),
            )
        )
        receipts = client.fake.receipts()
        assert [each.recipient for each in receipts] == [to(), to(OTHER), "pool@customer.example"]
        assert [each.token for each in receipts] == [TOKEN, OTHER, TOKEN]
        assert len({each.attempt for each in receipts}) == 1

    async def test_mime_comes_as_base64_with_headers_of_its_own(self, client: Client) -> None:
        content = mime(headers=f"Cc: Other <{to(OTHER)}>\r\nBcc: pool@customer.example\r\n")
        answer = await client.send(content)
        assert (answer.status_code, answer.content) == (202, b"")
        receipts = client.fake.receipts()
        assert [each.recipient for each in receipts] == [to(), to(OTHER), "pool@customer.example"]
        assert receipts[0].carriers == ["recipient", "header", "nonce"]
        assert receipts[2].token == TOKEN

    async def test_a_client_finds_its_own_request_again(self, client: Client) -> None:
        headers = {**bearer("x"), "client-request-id": "mine-1"}
        answer = await client.http.post(client.fake.url(SEND), json=mail(), headers=headers)
        assert answer.headers["client-request-id"] == "mine-1"
        assert answer.json()["error"]["innerError"]["client-request-id"] == "mine-1"

    async def test_two_requests_have_two_ids(self, client: Client) -> None:
        token = await client.token()
        ids = {(await client.send(mail(), token)).headers["request-id"] for _ in range(3)}
        assert len(ids) == 3


def wrong(name: str, content: Any, code: str, message: str) -> Any:
    return pytest.param(content, code, message, id=name)


class TestWhatIsWrongWithARequest:
    @pytest.mark.parametrize(
        ("content", "code", "message"),
        [
            wrong(
                "MIME that is not base64",
                b"this is not base64!",
                "ErrorMimeContentInvalidBase64String",
                "Invalid base64 string for MIME content.",
            ),
            wrong(
                "MIME for nobody",
                base64.b64encode(b"Subject: x\r\n\r\nx"),
                "ErrorInvalidRecipients",
                NOBODY,
            ),
            wrong(
                "no recipient",
                mail(toRecipients=[]),
                "ErrorInvalidRecipients",
                NOBODY,
            ),
            wrong(
                "a recipient that is no list",
                mail(toRecipients={"emailAddress": {"address": to()}}),
                "ErrorInvalidRecipients",
                NOBODY,
            ),
            wrong(
                "two in one",
                mail(toRecipients=recipients("a@customer.example;b@customer.example")),
                "ErrorInvalidRecipients",
                "At least one recipient is not valid., Recipient 'a@customer.example;b@customer.example' is"
                " not resolved. All recipients must be resolved before a message can be submitted.",
            ),
            wrong(
                "a header that is not the sender's own",
                mail(internetMessageHeaders=[{"name": "List-Unsubscribe", "value": "x"}]),
                "InvalidInternetMessageHeader",
                "The internet message header name 'List-Unsubscribe' should start with 'x-' or 'X-'.",
            ),
            wrong(
                "six headers",
                mail(internetMessageHeaders=[{"name": f"x-{n}", "value": "x"} for n in range(6)]),
                "InvalidInternetMessageHeaderCollection",
                "Maximum number of headers in one message should be less than or equal to 5.",
            ),
            wrong(
                "an empty list of headers",
                mail(internetMessageHeaders=[]),
                "InvalidInternetMessageHeaderCollection",
                "Maximum number of headers in one message should be less than or equal to 5.",
            ),
            wrong(
                "no message",
                {"mail": {}},
                "BadRequest",
                "Unable to read JSON request payload. Please ensure Content-Type header is set and payload is"
                " of valid JSON format.",
            ),
        ],
    )
    async def test_it_is_said_in_the_providers_words(
        self, client: Client, content: Any, code: str, message: str
    ) -> None:
        answer = await client.send(content)
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert (error["code"], error["message"]) == (code, message)
        assert {each.result for each in client.fake.receipts()} == {ReceiptResult.REFUSED}

    async def test_another_media_type_is_not_read(self, client: Client) -> None:
        headers = bearer(await client.token())
        answer = await client.http.post(client.fake.url(SEND), data={"a": "b"}, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == "BadRequest"

    async def test_more_than_four_megabytes_are_too_many(self, client: Client) -> None:
        answer = await client.send(mail(body={"content": "x" * 5 * 1024 * 1024}))
        assert answer.status_code == 413
        assert [each.result for each in client.fake.receipts()] == [ReceiptResult.REFUSED]

    async def test_other_paths_and_methods(self, client: Client) -> None:
        nowhere = await client.http.get(client.fake.url("/v1.0/nowhere"))
        assert nowhere.status_code == 400
        assert nowhere.json()["error"]["message"] == "Resource not found for the segment 'nowhere'."
        wrong = await client.http.get(client.fake.url(SEND))
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
        assert client.fake.receipts() == []


BODIES = st.one_of(
    st.binary(max_size=300),
    st.binary(max_size=300).map(base64.b64encode),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=10),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "message",
                        "toRecipients",
                        "emailAddress",
                        "address",
                        "internetMessageHeaders",
                        "name",
                        "body",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    ).map(lambda value: json.dumps(value).encode()),
)


class TestGarbage:
    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        body=BODIES, kind=st.sampled_from(["text/plain", "application/json", "", "x"]), whole=st.booleans()
    )
    def test_no_body_trips_it_and_each_names_at_least_one_message(
        self, body: bytes, kind: str, whole: bool
    ) -> None:
        api = GraphApi(GraphLimits(), 0)
        request = HttpRequest(
            method="POST", path=SEND, headers={"content-type": kind}, body=body, whole=whole
        )
        assert api.read(request).messages
        assert api.glimpse(request).messages

    async def test_a_body_that_breaks_off_still_names_its_recipient(
        self, client: Client, certificates: Certificates
    ) -> None:
        token = await client.token()
        for content, kind in ((mime(), "text/plain"), (b'{"message":{"toRecipients":[', "application/json")):
            body = content if kind == "text/plain" else httpx.Request("POST", "http://x", json=mail()).content
            before = len(client.fake.receipts())
            _, writer = await asyncio.open_connection(
                *client.fake.proxies["api"].listen.split(":"),
                ssl=certificates.client_context(),
                server_hostname="localhost",
            )
            writer.write(
                f"POST {SEND} HTTP/1.1\r\nHost: graph.microsoft.com\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            )
            writer.write(body[:-8])
            await writer.drain()
            writer.close()
            await until(lambda before=before: len(client.fake.receipts()) > before)  # type: ignore[misc]
            receipt = client.fake.receipts()[-1]
            assert (receipt.result, receipt.recipient) == (ReceiptResult.ABORTED, to())

    async def test_every_202_has_its_receipts_and_everything_else_a_refusal(self, client: Client) -> None:
        token = await client.token()
        odd: list[Any] = [
            mail(),
            mime(),
            b"",
            b"\xff" * 200,
            base64.b64encode(b"\0\r\n\r\n" * 50),
            base64.b64encode(b"To: =?utf-8?q?x?= <" + to().encode() + b">, ,;:\r\nCc: <@>\r\n\r\n"),
            [],
            {"message": None},
            mail(toRecipients=[None, 1, {"emailAddress": []}, *recipients(to(), None)]),
            mail(internetMessageHeaders=[{"name": "x-\n", "value": "\n"}]),
            mail(body=["x"]),
        ]
        taken = 0
        for content in odd:
            before = len(client.fake.receipts())
            answer = await client.send(content, token)
            new = client.fake.receipts()[before:]
            assert new and {each.code for each in new} == {answer.status_code}
            assert answer.status_code in (202, 400)
            taken += answer.status_code == 202
        assert 2 <= taken < len(odd)
