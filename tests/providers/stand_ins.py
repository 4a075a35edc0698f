"""Providers that no preset is: SendGrid's API behind short-lived tokens, which come from an endpoint of their
own, and a page that carries no mail.

`standing_in` puts them in place of `sendgrid` and `smtp` for a while, so that a scenario can name them; they
are there in this process alone, and `InProcess` serves them in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import msgspec
import pytest

from harness.history.events import ReceiptResult
from harness.history.journal import Journal
from harness.providers import presets
from harness.providers.clock import Clock
from harness.providers.credentials import CredentialShape
from harness.providers.http.accounts import Accounts
from harness.providers.http.api import bearer
from harness.providers.http.messages import Answer, HttpRequest, HttpRoute, Operation
from harness.providers.http.preset import HttpPreset
from harness.providers.http.scenario_rate import ScenarioRate
from harness.providers.ledger import FileSink
from harness.providers.preset import ApiRequest
from harness.providers.presets.sendgrid import MAIL_SEND, PRESET, SCOPES, SendGridApi
from harness.providers.serve import RunningProvider, serve
from harness.providers.wire import Account, ProviderConfig, Ready
from harness.testbed.local import testbed as local_testbed
from harness.testbed.provider.link import ProviderLink
from harness.testbed.resources import ResourceLedger

TOKEN, PAGE = "/token", "/page.json"
TOKEN_HOST = "login.sendgrid.example"


class TokenedApi(SendGridApi):
    """POST /token gives a token for a name and a secret; mail wants one that has not run out. The harness's
    canary has its secret for a token, as it asks each endpoint by itself."""

    routes: Sequence[HttpRoute] = (
        HttpRoute(method="POST", path=MAIL_SEND, operation=Operation.SEND),
        HttpRoute(method="GET", path=SCOPES, operation=Operation.QUERY),
        HttpRoute(method="POST", path=TOKEN, operation=Operation.OPEN, endpoint="token"),
    )

    def __init__(self, limits: ScenarioRate, lasts_s: float) -> None:
        super().__init__(limits)
        self._lasts_s = lasts_s

    def identify(self, request: HttpRequest, accounts: Accounts) -> Account | None:
        if request.path == TOKEN:
            form = parse_qs(request.body.decode())
            return accounts.of_pair((form.get("id", [""])[0], form.get("secret", [""])[0]))
        given = bearer(request) or ""
        until_s = given.partition(".")[0]
        for account in accounts.known:
            if account.canary and given == account.secret:
                return account
            if until_s.isdecimal() and given == _token(account, int(until_s)):
                return account if request.now_s * 1000 < int(until_s) else None
        return None

    def open(self, request: HttpRequest, accounts: Accounts) -> Answer:
        account = self.identify(request, accounts)
        if account is None:
            return Answer(status=401, result=ReceiptResult.REFUSED, body=b'{"error":"invalid_client"}')
        token = _token(account, int((request.now_s + self._lasts_s) * 1000))
        body = msgspec.json.encode({"token": token, "lasts_s": self._lasts_s})
        return Answer(status=200, result=ReceiptResult.ACCEPTED, body=body)


def _token(account: Account, until_ms: int) -> str:
    digest = hashlib.sha256(f"{account.username}\0{account.secret}\0{until_ms}".encode()).hexdigest()
    return f"{until_ms}.{digest[:24]}"


def ask_for_token(account: Account) -> ApiRequest:
    form = {"id": account.username, "secret": account.secret}
    return ApiRequest(method="POST", path=TOKEN, headers={}, body=urlencode(form).encode())


def tokened(lasts_s: float) -> HttpPreset:
    return replace(
        PRESET,
        api=lambda limits, seed: TokenedApi(limits, lasts_s),
        credential=CredentialShape(username="{owner}", secret="{hex:40}"),
        endpoint_canaries={"token": ask_for_token},
        real_hosts={"api.sendgrid.com": "", TOKEN_HOST: "token"},
    )


class PageApi(SendGridApi):
    routes: Sequence[HttpRoute] = (HttpRoute(method="GET", path=PAGE, operation=Operation.OPEN),)
    secrets_at = None

    def open(self, request: HttpRequest, accounts: Accounts) -> Answer:
        return Answer(status=200, result=ReceiptResult.ACCEPTED, body=b'{"status":"all is well"}')


class PageCanary:
    def login(self, account: Account) -> ApiRequest:
        return ApiRequest(method="GET", path=PAGE, headers={})

    def message(self, account: Account, message: object) -> ApiRequest:
        raise AssertionError("a page takes no mail")


A_PAGE = replace(
    PRESET,
    name="smtp",
    scheme="page+http",
    api=lambda limits, seed: PageApi(limits),
    canary=PageCanary(),
    events=None,
)


@contextmanager
def standing_in(lasts_s: float = 3600) -> Iterator[None]:
    """`lasts_s` is how long a token is good for."""
    real, ours = presets.load, {"sendgrid": tokened(lasts_s), "smtp": A_PAGE}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presets, "load", lambda name: ours.get(name) or real(name))
        patch.setattr(local_testbed, "ProviderProcess", InProcess)
        yield


class InProcess(ProviderLink):
    """A fake in this process, with the life of one in a process of its own."""

    def __init__(
        self, config: ProviderConfig, run_dir: Path, ledger: ResourceLedger, journal: Journal
    ) -> None:
        super().__init__(config, journal)
        self._provider: RunningProvider | None = None
        self._sink: FileSink | None = None

    async def start(self) -> Ready:
        loop = asyncio.get_running_loop()
        assert self.config.journal_path is not None
        self._sink = FileSink(Path(self.config.journal_path))
        self._provider = await serve(self.config, Clock(time.time() - loop.time(), loop), self._sink)
        self.connect_to(self.config.control_host, self._provider.ready.control_port)
        return self._provider.ready

    @property
    def is_running(self) -> bool:
        return self._provider is not None

    def lost(self) -> str | None:
        return self.unfollowed()

    async def stop(self) -> None:
        await self.disconnect()
        if self._provider is not None and self._sink is not None:
            await self._provider.close()
            self._sink.close()
            self._provider = None
