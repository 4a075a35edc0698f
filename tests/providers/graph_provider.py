"""A Microsoft Graph fake behind proxies, and what tests say to it."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.providers.conftest import Certificates
from tests.providers.proxied import Proxied, proxied

TENANT = "contoso.example"
SENDER = "shop@contoso.example"
SEND = f"/v1.0/users/{SENDER}/sendMail"
ISSUES = "/v1.0/admin/serviceAnnouncement/issues"
TOKEN_PATH = f"/{TENANT}/oauth2/v2.0/token"
SCOPE = "https://graph.microsoft.com/.default"
TOKEN = "abcdefghijklmnop"
OTHER = "ponmlkjihgfedcba"


def to(token: str = TOKEN) -> str:
    return f"c.{token}@customer.example"


def recipients(*addresses: Any) -> list[dict[str, Any]]:
    return [{"emailAddress": {"address": address}} for address in addresses]


def mail(*addresses: str, **changes: Any) -> dict[str, Any]:
    """A valid request to these recipients; `changes` replace parts of the message."""
    message = {
        "subject": "Your order",
        "body": {"contentType": "Text", "content": f"Thank you.\nref: hn-{TOKEN}-nh\n"},
        "toRecipients": recipients(*(addresses or (to(),))),
        "internetMessageHeaders": [{"name": "X-Harness-Token", "value": TOKEN}],
    }
    return {"message": message | changes, "saveToSentItems": "false"}


def mime(*, headers: str = "", token: str = TOKEN) -> bytes:
    return base64.encodebytes(
        f"From: {SENDER}\r\nTo: {to()}\r\nSubject: Your order\r\nX-Harness-Token: {token}\r\n{headers}"
        f"MIME-Version: 1.0\r\n\r\nThank you.\r\nref: hn-{token}-nh\r\n".encode()
    )


def form(fake: Proxied, **changes: str | None) -> dict[str, str]:
    """A valid request for a token; None leaves a field out."""
    wanted: dict[str, str | None] = {
        "grant_type": "client_credentials",
        "client_id": fake.account.username,
        "client_secret": fake.account.secret,
        "scope": SCOPE,
        **changes,
    }
    return {name: value for name, value in wanted.items() if value is not None}


class Client:
    """What a system does with nothing but an HTTP client: get a token, and send."""

    def __init__(self, fake: Proxied, http: httpx.AsyncClient) -> None:
        self.fake = fake
        self.http = http

    async def ask(self, path: str = TOKEN_PATH, **changes: str | None) -> httpx.Response:
        return await self.http.post(self.fake.url(path, "token"), data=form(self.fake, **changes))

    async def token(self, **changes: str | None) -> str:
        answer = await self.ask(**changes)
        assert answer.status_code == 200, answer.text
        token: str = answer.json()["access_token"]
        return token

    async def send(self, content: Any, token: str | None = None, path: str = SEND) -> httpx.Response:
        """`content` as JSON, bytes as base64 MIME."""
        headers = bearer(token if token is not None else await self.token())
        if isinstance(content, bytes):
            headers["Content-Type"] = "text/plain"
            return await self.http.post(self.fake.url(path), content=content, headers=headers)
        return await self.http.post(self.fake.url(path), json=content, headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def graph(
    certificates: Certificates, *, tenant: str = TENANT, **limits: float
) -> AsyncIterator[Client]:
    async with (
        proxied("microsoft-graph", certificates, tenant=tenant, **limits) as fake,
        httpx.AsyncClient(verify=certificates.client_context(), trust_env=False, timeout=30) as http,
    ):
        yield Client(fake, http)
