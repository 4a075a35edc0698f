"""Twilio's own library against the SMS fake, through a proxy: what it raises; it tries nothing again.

Its host is compiled in (`https://api.twilio.com`), so a subclass of its HTTP client puts the proxy's address
in place of it. Its own timeout is none at all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.providers.clients.observations import (
    SENT,
    Case,
    Observation,
    Table,
    outcome_of,
    version_major,
)
from tests.providers.clients.proxied import proxied
from tests.providers.running import TOKEN
from tests.providers.twilio import AUTH_TOKEN, FROM, SID, TO, put, twilio
from tests.waiting import until

TABLE = "twilio-sms"
TIMEOUT_S, LATE_S = 1.0, 4.0
UNSUBSCRIBED = "unsubscribed recipient"


class Elsewhere(TwilioHttpClient):
    """The library's client, led to another address."""

    def __init__(self, base_url: str, timeout: float | None = None) -> None:
        super().__init__(timeout=timeout)
        self._base_url = base_url

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        return super().request(method, url.replace("https://api.twilio.com", self._base_url), *args, **kwargs)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    yield


@dataclass(frozen=True)
class Play:
    """A case: the fault that the fake plays, and what is different about the client."""

    case: str
    fault: dict[str, Any] | None = None
    token: str = AUTH_TOKEN
    timeout: float | None = None
    note: str = ""


PLAYS = [
    Play(Case.SUCCESS),
    Play(Case.AUTH_FAILURE, token="0" * 32),
    Play(Case.THROTTLE, {"type": "refuse", "named": "too-many-requests"}),
    Play(Case.SERVER_ERROR, {"type": "refuse", "code": 500}),
    Play(Case.RESET, {"type": "ack-loss"}, note="it was taken"),
    Play(Case.LATE_REPLY, {"type": "slow-ack", "delay_s": LATE_S}, timeout=TIMEOUT_S, note="it was taken"),
    Play(UNSUBSCRIBED, {"type": "refuse", "named": "unsubscribed"}),
]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.case)
async def test_what_a_caller_gets_and_what_the_provider_sees(play: Play, observed: Table) -> None:
    async with twilio() as (fake, _), proxied(fake.port) as port:
        if play.fault is not None:
            put(fake, **play.fault)
        usual = TwilioHttpClient().timeout
        http = Elsewhere(f"http://127.0.0.1:{port}", play.timeout)
        client = Client(SID, play.token, http_client=http)
        body = f"Your order is late. ref: hn-{TOKEN}-nh"
        try:
            sent = await asyncio.to_thread(client.messages.create, to=TO, from_=FROM, body=body)
        except TwilioRestException as error:
            outcome = outcome_of(error, error.code)
            assert error.status == fake.receipts[0].code
        except requests.RequestException as error:
            outcome = outcome_of(error)
        else:
            outcome = SENT
            assert (sent.sid, sent.status) == (fake.receipts[0].text, "queued")
            found = await asyncio.to_thread(client.messages(sent.sid or "").fetch)
            assert found.sid == sent.sid and found.to == TO
        finally:
            http.session.close()
        await until(lambda: not any(fake.running.engine.connections().values()), 30)  # then all is recorded
        receipts = fake.receipts
    assert {receipt.token for receipt in receipts} == {TOKEN}
    observed.record(
        Observation(
            client="twilio",
            version_major=version_major("twilio"),
            case=play.case,
            outcome=outcome,
            retries=len(receipts) - 1,
            default_timeout=usual,
            note=play.note,
        )
    )


async def test_it_has_the_account_for_a_probe() -> None:
    async with twilio() as (fake, _), proxied(fake.port) as port:
        http = Elsewhere(f"http://127.0.0.1:{port}")
        client = Client(SID, AUTH_TOKEN, http_client=http)
        account = await asyncio.to_thread(client.api.accounts(SID).fetch)
        http.session.close()
    assert account.status == "active"
