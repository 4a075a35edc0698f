"""An HTTP API under TLS, as the real one is: verified by real clients, at the provider's own host name."""

from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest

from harness.history.events import ReceiptResult
from harness.providers.errors import ConfigError
from tests.providers.conftest import Certificates
from tests.providers.http_provider import SEND, TOKEN, Fake, mail, post, request_bytes, sendgrid, until

HOST = "api.sendgrid.com"


def url(fake: Fake, path: str = SEND, *, rejecting: bool = False) -> str:
    return fake.url(path, rejecting=rejecting).replace("http://", "https://")


async def test_httpx_sends_and_the_receipt_is_as_ever(certificates: Certificates) -> None:
    async with (
        sendgrid(tls=certificates.config) as fake,
        httpx.AsyncClient(verify=certificates.client_context(), trust_env=False) as client,
    ):
        assert (await post(client, url(fake), mail())).status_code == 202
        (receipt,) = fake.receipts()
        assert (receipt.token, receipt.result) == (TOKEN, ReceiptResult.ACCEPTED)
        assert receipt.begin_ns <= receipt.end_ns


async def test_the_twin_refuses_every_key_under_tls_too(certificates: Certificates) -> None:
    async with (
        sendgrid(tls=certificates.config) as fake,
        httpx.AsyncClient(verify=certificates.client_context(), trust_env=False) as client,
    ):
        assert (await post(client, url(fake, rejecting=True), mail())).status_code == 401


async def test_the_certificate_is_good_for_the_real_host(certificates: Certificates) -> None:
    async with sendgrid(tls=certificates.config) as fake:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", fake.port, ssl=certificates.client_context(), server_hostname=HOST
        )
        writer.write(request_bytes(mail()))
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
        writer.close()
        await writer.wait_closed()
        assert len(fake.receipts()) == 1


async def test_a_client_that_does_not_know_the_authority_sends_nothing(certificates: Certificates) -> None:
    async with sendgrid(tls=certificates.config) as fake:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", fake.port, ssl=ssl.create_default_context())
        assert fake.receipts() == []


async def test_a_client_without_tls_gets_no_answer(certificates: Certificates) -> None:
    async with sendgrid(tls=certificates.config) as fake, httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.TransportError):
            await post(client, fake.url(), mail())
        assert fake.receipts() == []


async def test_an_idle_client_that_leaves_has_said_goodbye(certificates: Certificates) -> None:
    async with sendgrid(tls=certificates.config) as fake:
        async with httpx.AsyncClient(verify=certificates.client_context(), trust_env=False) as client:
            await post(client, url(fake), mail())
        await until(lambda: not any(fake.provider.engine.connections().values()))
        assert fake.closed() == []


async def test_a_lost_acknowledgement_ends_the_connection(certificates: Certificates) -> None:
    async with (
        sendgrid(tls=certificates.config) as fake,
        httpx.AsyncClient(verify=certificates.client_context(), trust_env=False) as client,
    ):
        fake.put(type="ack-loss")
        with pytest.raises(httpx.TransportError):
            await post(client, url(fake), mail())
        assert [receipt.result for receipt in fake.receipts()] == [ReceiptResult.ACK_LOST]


async def test_without_a_certificate_it_does_not_start() -> None:
    with pytest.raises(ConfigError, match="route backup is HTTPS: it needs tls_cert_path"):
        async with sendgrid(tls={}):
            pass


@pytest.mark.parametrize(
    ("flaw", "complaint"),
    [
        ("expired", "certificate has expired"),
        ("wrong-name", "certificate is not valid for 'api.sendgrid.com'"),
        ("untrusted", "unable to get local issuer certificate"),
    ],
)
async def test_a_flawed_certificate_is_shown_to_new_connections_while_the_fault_lasts(
    certificates: Certificates, flaw: str, complaint: str
) -> None:
    async def connect(fake: Fake) -> asyncio.StreamWriter:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", fake.port, ssl=certificates.client_context(), server_hostname=HOST
        )
        return writer

    async with sendgrid(tls=certificates.config) as fake:
        before = await connect(fake)
        fake.put(type="certificate", named=flaw)
        with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
            await connect(fake)
        before.write(request_bytes(mail()))
        await until(lambda: bool(fake.receipts()))
        fake.provider.faults.delete("f")
        (await connect(fake)).close()
        before.close()
