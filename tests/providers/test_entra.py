"""Entra's token endpoint: client credentials for a token, its errors to the letter, what MSAL asks first."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.providers.http.accounts import Accounts
from harness.providers.http.messages import HttpRequest
from harness.providers.presets.microsoft_graph import GraphApi, GraphLimits
from harness.providers.wire import Account
from tests.providers.conftest import Certificates
from tests.providers.graph_provider import (
    TENANT,
    TOKEN_PATH,
    Client,
    bearer,
    form,
    graph,
    mail,
)

TRAILER = (
    r"\r\nTrace ID: [0-9a-f-]{36}\r\nCorrelation ID: [0-9a-f-]{36}"
    r"\r\nTimestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ"
)


@pytest.fixture
async def client(certificates: Certificates) -> AsyncIterator[Client]:
    async with graph(certificates) as client:
        yield client


class TestToken:
    async def test_the_right_secret_buys_one(self, client: Client) -> None:
        answer = await client.ask()
        assert answer.status_code == 200
        token = answer.json()
        assert list(token) == ["token_type", "expires_in", "access_token"]
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 3599)
        assert (await client.send(mail(), token["access_token"])).status_code == 202

    async def test_the_secret_may_stand_in_a_header(self, client: Client) -> None:
        fake = client.fake
        wanted = form(fake, client_id=None, client_secret=None)
        login = httpx.BasicAuth(fake.account.username, fake.account.secret)
        answer = await client.http.post(fake.url(TOKEN_PATH, "token"), data=wanted, auth=login)
        assert answer.status_code == 200

    async def test_nothing_of_it_is_recorded(self, client: Client) -> None:
        await client.ask()
        await client.ask(client_secret="wrong")
        assert client.fake.receipts() == []


class TestErrors:
    @pytest.mark.parametrize(
        ("changes", "status", "error", "code", "text"),
        [
            pytest.param(
                {"client_secret": "wrong"},
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client"
                " secret value, not the client secret ID, for a secret added to app '{app}'.",
                id="wrong secret",
            ),
            pytest.param(
                {"client_secret": None},
                401,
                "invalid_client",
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or"
                " 'client_secret'.",
                id="no secret",
            ),
            pytest.param(
                {"client_id": "00000000-0000-0000-0000-000000000000"},
                400,
                "unauthorized_client",
                700016,
                "Application with identifier '00000000-0000-0000-0000-000000000000' was not found in the"
                " directory 'contoso.example'. This can happen if the application has not been installed by"
                " the administrator of the tenant or consented to by any user in the tenant. You may have"
                " sent your authentication request to the wrong tenant.",
                id="unknown app",
            ),
            pytest.param(
                {"scope": "Mail.Send"},
                400,
                "invalid_scope",
                70011,
                "The provided request must include a 'scope' input parameter. The provided value for the"
                " input parameter 'scope' is not valid. The scope Mail.Send is not valid. The scope format is"
                " invalid. Scope must be in a valid URI form <https://example/scope> or a valid Guid"
                " <guid/scope>.",
                id="scope that is none",
            ),
            pytest.param(
                {"scope": "https://graph.microsoft.com/Mail.Send"},
                400,
                "invalid_scope",
                1002012,
                "The provided value for scope https://graph.microsoft.com/Mail.Send is not valid. Client"
                " credential flows must have a scope value with /.default suffixed to the resource identifier"
                " (application ID URI).",
                id="scope of a person",
            ),
            pytest.param(
                {"grant_type": "password"},
                400,
                "unsupported_grant_type",
                70003,
                "The app requested an unsupported grant type 'password'.",
                id="another grant",
            ),
            pytest.param(
                {"grant_type": None},
                400,
                "invalid_request",
                900144,
                "The request body must contain the following parameter: 'grant_type'.",
                id="no grant",
            ),
        ],
    )
    async def test_it_is_said_in_entras_words(
        self, client: Client, changes: dict[str, Any], status: int, error: str, code: int, text: str
    ) -> None:
        answer = await client.ask(**changes)
        self.says(answer, status, error, code, text.replace("{app}", client.fake.account.username))

    async def test_an_app_is_known_in_its_own_tenant_alone(self, client: Client) -> None:
        answer = await client.ask("/fabrikam.example/oauth2/v2.0/token")
        assert answer.status_code == 400
        assert answer.json()["error_codes"] == [700016]
        assert "was not found in the directory 'fabrikam.example'" in answer.json()["error_description"]

    async def test_what_is_no_form_is_malformed(self, client: Client) -> None:
        answer = await client.http.post(client.fake.url(TOKEN_PATH, "token"), content=b"\xff\xfe")
        self.says(
            answer, 400, "invalid_request", 9002313, "Invalid request. Request is malformed or invalid."
        )

    async def test_an_expired_secret(self, client: Client) -> None:
        client.fake.put(type="refuse", named="entra-secret-expired", endpoint="token")
        self.says(
            await client.ask(),
            401,
            "invalid_client",
            7000222,
            f"The provided client secret keys for app '{client.fake.account.username}' are expired. Visit the"
            " Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using"
            " certificate credentials for added security: https://aka.ms/certCreds.",
        )

    async def test_the_twin_takes_every_secret_for_a_wrong_one(self, client: Client) -> None:
        url = client.fake.rejecting_url(TOKEN_PATH, "token")
        answer = await client.http.post(url, data=form(client.fake))
        assert (answer.status_code, answer.json()["error_codes"]) == (401, [7000215])

    async def test_it_is_asked_by_post_alone(self, client: Client) -> None:
        answer = await client.http.get(client.fake.url(TOKEN_PATH, "token"))
        assert answer.json()["error_codes"] == [900561]

    async def test_an_overload_is_told_in_plain_text(self, client: Client) -> None:
        for fault in (
            {"type": "refuse", "named": "entra-too-many-requests"},
            {"type": "refuse", "code": 429},
            {"type": "throttle", "quota": 0},
        ):
            client.fake.put(endpoint="token", **fault)
            answer = await client.ask()
            assert (answer.status_code, answer.text) == (429, "Too Many Requests")
            assert answer.headers["Retry-After"] == "60"
            assert answer.headers["Content-Type"] == "text/plain"

    async def test_trouble_at_the_front_is_no_trouble_of_the_api(self, client: Client) -> None:
        token = await client.token()
        client.fake.put(type="refuse", code=503, endpoint="token")
        refused = await client.ask()
        assert (refused.status_code, refused.text) == (503, "Service Unavailable")
        assert (await client.send(mail(), token)).status_code == 202

    async def test_a_client_that_calls_its_request_by_name_finds_it_again(self, client: Client) -> None:
        url, name = client.fake.url(TOKEN_PATH, "token"), "11111111-2222-4333-8444-555555555555"
        wanted = form(client.fake, client_secret="wrong")
        answer = await client.http.post(url, data=wanted, headers={"client-request-id": name})
        assert answer.json()["correlation_id"] == name
        assert f"Correlation ID: {name}" in answer.json()["error_description"]

    @staticmethod
    def says(answer: httpx.Response, status: int, error: str, code: int, text: str) -> None:
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
        body = answer.json()
        assert list(body) == [
            "error",
            "error_description",
            "error_codes",
            "timestamp",
            "trace_id",
            "correlation_id",
            "error_uri",
        ]
        assert (body["error"], body["error_codes"]) == (error, [code])
        assert re.fullmatch(re.escape(f"AADSTS{code}: {text}") + TRAILER, body["error_description"])
        assert body["trace_id"] == answer.headers["x-ms-request-id"]
        assert body["error_uri"] == f"https://login.microsoftonline.com/error?code={code}"


class TestDiscovery:
    async def test_the_configuration_leads_back_to_where_it_was_asked(self, client: Client) -> None:
        url = client.fake.url(f"/{TENANT}/v2.0/.well-known/openid-configuration", "token")
        found = (await client.http.get(url)).json()
        assert found["token_endpoint"] == client.fake.url(TOKEN_PATH, "token")
        assert found["issuer"] == f"https://login.microsoftonline.com/{TENANT}/v2.0"

    async def test_so_does_the_discovery_of_an_instance(self, client: Client) -> None:
        asked = {
            "authorization_endpoint": f"https://127.0.0.1/{TENANT}/oauth2/v2.0/authorize",
            "api-version": "1.1",
        }
        url = client.fake.url("/common/discovery/instance", "token")
        found = (await client.http.get(url, params=asked)).json()
        assert found["tenant_discovery_endpoint"] == client.fake.url(
            f"/{TENANT}/v2.0/.well-known/openid-configuration", "token"
        )
        assert found["metadata"][0]["aliases"] == [client.fake.proxies["token"].listen]

    async def test_the_api_itself_issues_no_tokens(self, client: Client) -> None:
        answer = await client.http.post(client.fake.url(TOKEN_PATH), data=form(client.fake))
        assert answer.status_code == 400
        again = await client.http.get(client.fake.url("/v1.0/me", "token"), headers=bearer("x"))
        assert again.status_code == 400


@settings(deadline=None)
@given(
    body=st.binary(max_size=200) | st.text(max_size=100).map(str.encode),
    query=st.text(st.characters(codec="ascii"), max_size=80),
    host=st.text(st.characters(codec="ascii"), max_size=20),
    login=st.text(st.characters(codec="latin-1"), max_size=40),
    path=st.sampled_from(
        [TOKEN_PATH, f"/{TENANT}/v2.0/.well-known/openid-configuration", "/common/discovery/instance"]
    ),
)
def test_no_request_trips_it(body: bytes, query: str, host: str, login: str, path: str) -> None:
    api = GraphApi(GraphLimits(), 0)
    accounts = Accounts([Account(username="app", secret="secret")])
    for authorization in (login, f"Basic {login}", f"Bearer {login}"):
        request = HttpRequest(
            method="POST",
            path=path,
            query=query,
            headers={"host": host, "authorization": authorization},
            path_params={"tenant": TENANT},
            body=body,
        )
        api.identify(request, accounts)
        api.unauthorized(request, accounts)
        assert api.dressed(api.open(request, accounts), request, "1").status in (200, 400, 401)
