"""A Twilio fake in the test's own loop, and what the tests need to talk to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from harness.providers.wire import Account, ProviderFault, RouteListener
from tests.providers.running import TOKEN, Provider, provider

SID, AUTH_TOKEN = "AC" + "0a" * 16, "1b" * 16
ACCOUNT = Account(username=SID, secret=AUTH_TOKEN, next_secret="2c" * 16)
TO, FROM = "+12025550123", "+15005550006"
ACCOUNTS = "/2010-04-01/Accounts"


class Client:
    def __init__(self, fake: Provider, http: httpx.AsyncClient) -> None:
        self._http = http
        self.base_url = f"http://127.0.0.1:{fake.port}{ACCOUNTS}"
        self.rejecting_url = f"http://127.0.0.1:{fake.rejecting_port}{ACCOUNTS}"

    async def send(
        self,
        *,
        auth: tuple[str, str] | None = (SID, AUTH_TOKEN),
        sid: str = SID,
        base_url: str | None = None,
        **fields: str | None,
    ) -> httpx.Response:
        """`fields` replace those of a valid form; None leaves one out."""
        url = f"{base_url or self.base_url}/{sid}/Messages.json"
        return await self._http.post(url, data=form(**fields), auth=auth or None)

    async def get(self, path: str, auth: tuple[str, str] = (SID, AUTH_TOKEN)) -> httpx.Response:
        return await self._http.get(f"{self.base_url}{path}", auth=auth)


def form(**fields: str | None) -> dict[str, str]:
    """A valid form, with the fields in Twilio's own spelling."""
    usual = {"To": TO, "From": FROM, "Body": f"Your order is late. ref: hn-{TOKEN}-nh"}
    return {name: value for name, value in {**usual, **fields}.items() if value is not None}


@asynccontextmanager
async def twilio(
    *, events_url: str | None = None, events_secret: str = "", **limits: float
) -> AsyncIterator[tuple[Provider, Client]]:
    listener = RouteListener(route="sms", account=ACCOUNT, events_url=events_url, events_secret=events_secret)
    async with (
        provider("twilio-sms", listeners=[listener], seed=7, limits=limits) as fake,
        httpx.AsyncClient(timeout=30, trust_env=False) as http,
    ):
        yield fake, Client(fake, http)


def put(fake: Provider, **fault: Any) -> None:
    fake.running.faults.put(ProviderFault(id="f", **fault))
