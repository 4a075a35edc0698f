"""What MSAL makes of Entra's token endpoint, and httpx of sendMail; nothing in between but a proxy.

The table is docs/clients/microsoft-graph.json. MSAL raises little: it returns what it was told, as a dict. It
has no time-out of its own, and after a 429 or a 5xx it goes on failing for a while without asking again.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from json import JSONDecodeError
from typing import Any

import httpx
import msal
import pytest
import requests

from harness.history.events import ReceiptResult
from harness.providers.wire import ProviderFault
from tests.providers.clients.observations import (
    SENT,
    Case,
    Observation,
    Table,
    outcome_of,
    version_major,
)
from tests.providers.conftest import Certificates
from tests.providers.graph_provider import SCOPE, SEND, TENANT, Client, bearer, graph, mail
from tests.waiting import until

TABLE = "microsoft-graph"
IMPATIENT_S = 1
MSAL_TIMEOUT_S = inspect.signature(msal.ConfidentialClientApplication).parameters["timeout"].default
HTTPX_TIMEOUT_S = inspect.signature(httpx.post).parameters["timeout"].default.read


@pytest.fixture(autouse=True)
def no_other_authorities(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one of these is set, MSAL's HTTP library (requests) forgets about `verify`."""
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def client(certificates: Certificates) -> AsyncIterator[Client]:
    async with graph(certificates) as client:
        yield client


class App:
    """A system that has its tokens from MSAL. MSAL blocks, so each call has a thread of its own."""

    def __init__(self, client: Client, certificates: Certificates) -> None:
        self.fake = client.fake
        self._ca = str(certificates.ca)
        self._app: msal.ConfidentialClientApplication | None = None

    async def start(self, *, secret: str | None = None, timeout: float | None = None) -> None:
        """Without `instance_discovery=False` MSAL asks the real login.microsoftonline.com about the fake."""
        self._app = await asyncio.to_thread(
            lambda: msal.ConfidentialClientApplication(
                self.fake.account.username,
                client_credential=secret or self.fake.account.secret,
                authority=self.fake.url(f"/{TENANT}", "token"),
                instance_discovery=False,
                verify=self._ca,
                timeout=timeout,
            )
        )

    async def token(self) -> dict[str, Any]:
        assert self._app is not None
        found: dict[str, Any] = await asyncio.to_thread(self._app.acquire_token_for_client, [SCOPE])
        return found


@pytest.fixture
async def app(client: Client, certificates: Certificates) -> App:
    app = App(client, certificates)
    await app.start()
    return app


class Asked:
    """How often the token endpoint was asked, by a fault that waits for its millionth time and counts."""

    def __init__(self, client: Client) -> None:
        self._faults = client.fake.provider.faults
        self._faults.put(ProviderFault(id="count", type="refuse", code=500, endpoint="token", nth=1_000_000))

    @property
    def times(self) -> int:
        return next(each.matched for each in self._faults.list() if each.fault.id == "count")


def of_msal(case: str, outcome: str, retries: int, note: str = "") -> Observation:
    return Observation(
        client="msal",
        version_major=version_major("msal"),
        case=case,
        outcome=outcome,
        retries=retries,
        default_timeout=MSAL_TIMEOUT_S,
        note=note,
    )


def of_httpx(case: str, outcome: str, retries: int, note: str = "") -> Observation:
    return Observation(
        client="httpx",
        version_major=version_major("httpx"),
        case=case,
        outcome=outcome,
        retries=retries,
        default_timeout=HTTPX_TIMEOUT_S,
        note=note,
    )


class TestMsal:
    async def test_success(self, client: Client, app: App, observed: Table) -> None:
        asked = Asked(client)
        found = await app.token()
        assert (await client.send(mail(), found["access_token"])).status_code == 202
        assert (await app.token())["access_token"] == found["access_token"]
        assert found["expires_in"] == 3599
        note = "the token is kept until 5 minutes before its end"
        observed.record(of_msal(Case.SUCCESS, SENT, asked.times - 1, note))

    async def test_an_expired_secret_is_returned_and_not_raised(
        self, client: Client, app: App, observed: Table
    ) -> None:
        asked = Asked(client)
        client.fake.put(type="refuse", named="entra-secret-expired", endpoint="token")
        found = await app.token()
        assert found["error_codes"] == [7000222]
        assert found["error_description"].startswith("AADSTS7000222: The provided client secret keys for app")
        note = "AADSTS7000222, in the dict that is returned"
        observed.record(of_msal(Case.AUTH_FAILURE, returned(found), asked.times - 1, note))

    async def test_so_is_a_wrong_one(
        self, client: Client, certificates: Certificates, observed: Table
    ) -> None:
        app = App(client, certificates)
        await app.start(secret="wrong")
        asked = Asked(client)
        found = await app.token()
        assert found["error_codes"] == [7000215]
        note = "AADSTS7000215, in the dict that is returned"
        observed.record(of_msal("wrong secret", returned(found), asked.times - 1, note))

    async def test_a_throttled_endpoint_loses_its_status_and_is_not_asked_again(
        self, client: Client, app: App, observed: Table
    ) -> None:
        asked = Asked(client)
        client.fake.put(type="refuse", named="entra-too-many-requests", endpoint="token")
        with pytest.raises(JSONDecodeError) as error:
            await app.token()
        client.fake.heal()
        with pytest.raises(JSONDecodeError):  # for the 60 s of Retry-After, though all is well again
            await app.token()
        note = "the status is lost; not asked again before Retry-After is over"
        observed.record(of_msal(Case.THROTTLE, outcome_of(error.value), asked.times - 1, note))

    async def test_a_server_error(self, client: Client, app: App, observed: Table) -> None:
        asked = Asked(client)
        client.fake.put(type="refuse", code=503, endpoint="token")
        with pytest.raises(msal.exceptions.MsalServiceError, match="HTTP Error: 503") as error:
            await app.token()
        client.fake.heal()
        with pytest.raises(msal.exceptions.MsalServiceError):
            await app.token()
        note = "not asked again for 5 s"
        observed.record(of_msal(Case.SERVER_ERROR, outcome_of(error.value, 503), asked.times - 1, note))

    async def test_a_reset(self, client: Client, app: App, observed: Table) -> None:
        asked = Asked(client)
        client.fake.put(type="ack-loss", endpoint="token")
        with pytest.raises(requests.RequestException) as error:
            await app.token()
        observed.record(of_msal(Case.RESET, outcome_of(error.value), asked.times - 1))

    async def test_a_late_reply(self, client: Client, certificates: Certificates, observed: Table) -> None:
        app = App(client, certificates)
        await app.start(timeout=IMPATIENT_S)
        asked = Asked(client)
        client.fake.put(type="slow-ack", delay_s=4, endpoint="token")
        with pytest.raises(requests.RequestException) as error:
            await app.token()
        observed.record(
            of_msal(Case.LATE_REPLY, outcome_of(error.value), asked.times - 1, "told to wait 1 s")
        )

    async def test_a_live_token_hides_a_dead_endpoint_until_it_is_old(
        self, certificates: Certificates, observed: Table
    ) -> None:
        # MSAL takes a token for old five minutes before its end; so this one is young for 10 s.
        async with graph(certificates, token_lifetime_s=310) as client:
            app = App(client, certificates)
            await app.start()
            asked = Asked(client)
            first = await app.token()
            client.fake.proxies["token"].stop()
            again = await app.token()
            assert again["access_token"] == first["access_token"]
            observed.record(of_msal("token endpoint down, token young", SENT, asked.times - 1))
            raised: list[requests.RequestException] = []

            async def is_old() -> bool:
                try:
                    await app.token()
                except requests.RequestException as error:
                    raised.append(error)
                return bool(raised)

            async with asyncio.timeout(60):
                while not await is_old():
                    await asyncio.sleep(0.2)
            # The API itself would take it for another five minutes.
            assert (await client.send(mail(), first["access_token"])).status_code == 202
            outcome = outcome_of(raised[0])
            observed.record(of_msal("token endpoint down, token old", outcome, asked.times - 1))


class TestSendMail:
    async def test_success(self, client: Client, observed: Table) -> None:
        (await client.send(mail())).raise_for_status()
        observed.record(of_httpx(Case.SUCCESS, SENT, attempts(client) - 1))

    async def test_an_expired_token(self, certificates: Certificates, observed: Table) -> None:
        async with graph(certificates, token_lifetime_s=1) as client:
            token = await client.token()
            answers: list[httpx.Response] = []
            async with asyncio.timeout(30):
                while not answers or answers[-1].status_code == 202:
                    answers.append(await client.send(mail(), token))
        assert answers[-1].json()["error"]["message"] == "Lifetime validation failed, the token is expired."
        outcome = status_error(answers[-1])
        observed.record(
            of_httpx(Case.AUTH_FAILURE, outcome, attempts(client) - len(answers), "expired token")
        )

    @pytest.mark.parametrize(
        ("case", "named", "wait"),
        [
            (Case.THROTTLE, "throttled", "1"),
            ("throttle without Retry-After", "throttled-without-retry-after", None),
        ],
    )
    async def test_a_throttled_app(
        self, client: Client, observed: Table, case: str, named: str, wait: str | None
    ) -> None:
        client.fake.put(type="refuse", named=named)
        answer = await client.send(mail())
        assert answer.headers.get("Retry-After") == wait
        assert answer.json()["error"]["code"] == "ApplicationThrottled"
        observed.record(of_httpx(case, status_error(answer), attempts(client) - 1))

    async def test_a_server_error_of_a_message_that_was_sent(self, client: Client, observed: Table) -> None:
        client.fake.put(type="ack-loss", named="gateway-timeout")
        answer = await client.send(mail())
        assert [each.result for each in client.fake.receipts()] == [ReceiptResult.ACK_LOST]
        observed.record(
            of_httpx(
                Case.SERVER_ERROR, status_error(answer), attempts(client) - 1, "504, and sent all the same"
            )
        )

    async def test_a_reset(self, client: Client, observed: Table) -> None:
        client.fake.put(type="ack-loss")
        with pytest.raises(httpx.TransportError) as error:
            await client.send(mail())
        observed.record(of_httpx(Case.RESET, outcome_of(error.value), attempts(client) - 1, "sent"))

    async def test_a_late_reply(self, client: Client, certificates: Certificates, observed: Table) -> None:
        token = await client.token()
        client.fake.put(type="slow-ack", delay_s=4)
        tls = certificates.client_context()
        async with httpx.AsyncClient(verify=tls, trust_env=False, timeout=IMPATIENT_S) as impatient:
            with pytest.raises(httpx.TransportError) as error:
                await impatient.post(client.fake.url(SEND), json=mail(), headers=bearer(token))
        await until(lambda: attempts(client) >= 1)
        observed.record(of_httpx(Case.LATE_REPLY, outcome_of(error.value), attempts(client) - 1, "sent"))


def attempts(client: Client) -> int:
    return len({each.attempt for each in client.fake.receipts()})


def returned(found: dict[str, Any]) -> str:
    """What MSAL returns in place of raising."""
    return f"dict {found['error']}"


def status_error(answer: httpx.Response) -> str:
    with pytest.raises(httpx.HTTPStatusError) as error:
        answer.raise_for_status()
    return outcome_of(error.value, answer.status_code)
