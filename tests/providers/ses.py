"""An SES fake in the test's own loop, and requests that botocore's own signer has signed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness.providers.wire import Account, ProviderFault, RouteListener
from tests.providers.running import RECIPIENT, TOKEN, Provider, provider

ACCOUNT = Account(
    username="AKIAROUTEROUTEROUTE2",
    secret="s" * 40,
    next_secret="n" * 40,
    tenant="eu-west-1",
)
SEND = "/v2/email/outbound-emails"
SEND_BULK = "/v2/email/outbound-bulk-emails"
GET_ACCOUNT = "/v2/email/account"


class Client:
    """Signs with botocore and sends with httpx, so that each part of a request can be spoilt."""

    def __init__(self, fake: Provider, http: httpx.AsyncClient) -> None:
        self._http = http
        self.base_url = f"http://127.0.0.1:{fake.port}"
        self.rejecting_url = f"http://127.0.0.1:{fake.rejecting_port}"

    async def ask(
        self,
        path: str = SEND,
        content: Any = None,
        *,
        key: str = ACCOUNT.username,
        secret: str = ACCOUNT.secret,
        region: str = "eu-west-1",
        service: str = "ses",
        signed_for: str = "https://email.eu-west-1.amazonaws.com",
        spoilt: dict[str, str] | None = None,
        base_url: str | None = None,
        body: bytes | None = None,
        **headers: str,
    ) -> httpx.Response:
        """`spoilt` replaces headers after they were signed; `body` is sent in place of the signed one."""
        if not isinstance(content, bytes):
            content = None if content is None else msgspec.json.encode(content)
        raw = content or b""
        method = "GET" if content is None else "POST"
        given = {"Content-Type": "application/json", **headers} if raw else dict(headers)
        request = AWSRequest(method=method, url=f"{signed_for}{path}", data=raw, headers=given)
        SigV4Auth(Credentials(key, secret), service, region).add_auth(request)
        sent = dict(request.headers.items())
        sent["Host"] = signed_for.partition("//")[2]
        sent |= spoilt or {}
        return await self._http.request(
            method, f"{base_url or self.base_url}{path}", content=raw if body is None else body, headers=sent
        )


@asynccontextmanager
async def ses(
    *, events_url: str | None = None, events_secret: str = "", **limits: float
) -> AsyncIterator[tuple[Provider, Client]]:
    listener = RouteListener(
        route="backup", account=ACCOUNT, events_url=events_url, events_secret=events_secret
    )
    async with (
        provider("ses-v2", listeners=[listener], seed=7, limits=limits) as fake,
        httpx.AsyncClient(timeout=30, trust_env=False) as http,
    ):
        yield fake, Client(fake, http)


def put(fake: Provider, **fault: Any) -> None:
    fake.running.faults.put(ProviderFault(id="f", **fault))


def email(*recipients: str, **changes: Any) -> dict[str, Any]:
    """A valid SendEmail for these recipients; `changes` replace top-level fields."""
    return {
        "FromEmailAddress": "Shop <shop@shop.example>",
        "Destination": {"ToAddresses": list(recipients or (RECIPIENT,))},
        "Content": simple(),
        **changes,
    }


def simple(text: str = f"Thank you.\nref: hn-{TOKEN}-nh\n", **headers: str) -> dict[str, Any]:
    named = headers or {"X-Harness-Token": TOKEN, "X-Harness-Class": "transactional"}
    return {
        "Simple": {
            "Subject": {"Data": "Your order"},
            "Body": {"Text": {"Data": text}},
            "Headers": [{"Name": name.replace("_", "-"), "Value": value} for name, value in named.items()],
        }
    }
