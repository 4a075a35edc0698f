"""What Microsoft Graph makes of access tokens: they live on their own, until they expire."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from harness.history.events import ReceiptResult
from harness.providers import presets
from tests.providers.conftest import Certificates
from tests.providers.graph_provider import (
    SEND,
    Client,
    bearer,
    graph,
    mail,
)


@pytest.fixture
async def client(certificates: Certificates) -> AsyncIterator[Client]:
    async with graph(certificates) as client:
        yield client


class TestTokens:
    @pytest.mark.parametrize(
        ("token", "message"),
        [
            ("opaque", "IDX14100: JWT is not well formed, there are no dots (.)."),
            ("a.b.c", "Access token validation failure."),
        ],
    )
    async def test_a_bad_one_is_refused(self, client: Client, token: str, message: str) -> None:
        answer = await client.send(mail(), token)
        assert answer.status_code == 401
        error = answer.json()["error"]
        assert error["code"] == "InvalidAuthenticationToken"
        assert error["message"].startswith(message)
        assert list(error["innerError"]) == ["date", "request-id", "client-request-id"]
        assert error["innerError"]["request-id"] == answer.headers["request-id"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer realm")
        assert [each.result for each in client.fake.receipts()] == [ReceiptResult.DEFERRED]

    async def test_none_at_all_is_refused(self, client: Client) -> None:
        answer = await client.http.post(client.fake.url(SEND), json=mail())
        assert (answer.status_code, answer.json()["error"]["message"]) == (401, "Access token is empty.")

    async def test_one_that_was_tampered_with_is_refused(self, client: Client) -> None:
        head, payload, signature = (await client.token()).split(".")
        claims = base64.urlsafe_b64decode(payload + "==").replace(b'"exp":1', b'"exp":9')
        forged = base64.urlsafe_b64encode(claims).rstrip(b"=").decode()
        answer = await client.send(mail(), f"{head}.{forged}.{signature}")
        assert answer.json()["error"]["message"] == "Access token validation failure."

    async def test_one_for_another_service_is_refused(self, client: Client) -> None:
        token = await client.token(scope="https://outlook.office365.com/.default")
        answer = await client.send(mail(), token)
        assert answer.json()["error"]["message"] == "Access token validation failure. Invalid audience."

    async def test_the_twin_takes_none(self, client: Client) -> None:
        url = client.fake.rejecting_url(SEND)
        answer = await client.http.post(url, json=mail(), headers=bearer(await client.token()))
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"

    async def test_one_outlives_the_token_endpoint_and_then_everything_fails_at_once(
        self, certificates: Certificates
    ) -> None:
        async with graph(certificates, token_lifetime_s=8) as client:
            token = await client.token()
            client.fake.proxies["token"].stop()
            assert (await client.send(mail(), token)).status_code == 202
            with pytest.raises(httpx.ConnectError):
                await client.token()
            answers: list[httpx.Response] = []
            async with asyncio.timeout(40):
                while not answers or answers[-1].status_code == 202:
                    answers.append(await client.send(mail(), token))
                    await asyncio.sleep(0.1)
        assert answers[-1].status_code == 401
        error = answers[-1].json()["error"]
        assert error["code"] == "InvalidAuthenticationToken"
        assert error["message"] == "Lifetime validation failed, the token is expired."

    async def test_one_outlives_the_secret_that_it_was_bought_with(self, client: Client) -> None:
        token = await client.token()
        client.fake.put(type="key-rotated", endpoint="token")
        assert (await client.ask()).json()["error_codes"] == [7000215]
        assert (await client.send(mail(), token)).status_code == 202
        new = await client.token(client_secret=client.fake.account.next_secret)
        assert (await client.send(mail(), new)).status_code == 202

    async def test_the_canary_sends_without_the_token_endpoint(self, client: Client) -> None:
        canary = presets.load("microsoft-graph").canary
        assert canary is not None
        login = canary.login(client.fake.canary)
        answer = await client.http.request(login.method, client.fake.url(login.path), headers=login.headers)
        assert answer.status_code == 200
        wrong = canary.login(msgspec.structs.replace(client.fake.canary, secret="wrong"))
        refused = await client.http.request(wrong.method, client.fake.url(wrong.path), headers=wrong.headers)
        assert refused.status_code == 401
