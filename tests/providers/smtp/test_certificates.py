"""STARTTLS: what was sent ahead in the clear is forgotten; certificates that have one flaw and no other."""

from __future__ import annotations

import ssl
from pathlib import Path

import aiosmtplib
import pytest

from harness.providers.errors import FaultRefused
from harness.providers.tls import Flaw
from harness.providers.wire import ProviderFault
from harness.testbed.address import RouteAddress
from harness.testbed.canary import Canary, Saw
from tests.providers.conftest import Certificates
from tests.providers.running import CANARY, RECIPIENT, message, provider, raw
from tests.waiting import until

FLAWS = [
    (Flaw.EXPIRED, "certificate has expired"),
    (Flaw.WRONG_NAME, "certificate is not valid for 'localhost'"),
    (Flaw.UNTRUSTED, "unable to get local issuer certificate"),
]


def fault(flaw: str, **attributes: object) -> ProviderFault:
    return ProviderFault(id="f1", type="certificate", named=flaw, **attributes)  # type: ignore[arg-type]


async def send(port: int, context: ssl.SSLContext) -> None:
    await aiosmtplib.send(
        message(),
        sender="sender@sender.example",
        recipients=[RECIPIENT],
        hostname="localhost",
        port=port,
        start_tls=True,
        tls_context=context,
    )


@pytest.mark.parametrize(("flaw", "complaint"), FLAWS)
async def test_a_client_that_looks_refuses_for_that_reason_alone(
    certificates: Certificates, flaw: Flaw, complaint: str
) -> None:
    async with provider("smtp-starttls", **certificates.config) as fake:
        fake.running.faults.put(fault(flaw))
        with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
            await send(fake.port, certificates.client_context())
        await until(lambda: bool(fake.closed))
        (receipt,) = fake.receipts
        assert (receipt.result, receipt.fault) == ("aborted", "f1")
        assert receipt.text == f"the client left at the handshake: the certificate was {flaw}"
        fake.running.faults.delete("f1")
        await send(fake.port, certificates.client_context())


async def test_a_client_that_does_not_look_notices_nothing(certificates: Certificates) -> None:
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    async with provider("smtp-starttls", **certificates.config) as fake:
        fake.running.faults.put(fault(Flaw.EXPIRED))
        await send(fake.port, blind)
        assert [receipt.result.value for receipt in fake.receipts] == ["accepted"]


@pytest.mark.parametrize("flaw", list(Flaw))
async def test_the_harness_canary_sees_the_flaw_and_its_end(certificates: Certificates, flaw: Flaw) -> None:
    async with provider("microsoft365-smtp", **certificates.config) as fake:
        address = RouteAddress(
            route="primary",
            scheme="smtp+starttls",
            host="localhost",
            port=fake.port,
            username=CANARY.username,
            password=CANARY.secret,
        )
        canary = Canary(address, CANARY, certificates.ca)
        fake.running.faults.put(fault(flaw))
        assert (await canary.send(10)).saw is Saw.UNTRUSTED
        fake.running.faults.delete("f1")
        assert (await canary.send(10)).saw is Saw.OK


@pytest.fixture
def own(certificates: Certificates, tmp_path: Path) -> dict[str, str]:
    """A certificate with nothing beside it."""
    places = {key: tmp_path / Path(path).name for key, path in certificates.config.items()}
    for key, place in places.items():
        place.write_bytes(Path(certificates.config[key]).read_bytes())
    return {key: str(place) for key, place in places.items()}


async def test_a_certificate_of_the_users_own_needs_no_flawed_twins(
    certificates: Certificates, own: dict[str, str]
) -> None:
    async with provider("smtp-starttls", **own) as fake:
        await send(fake.port, certificates.client_context())


@pytest.mark.parametrize("named", [None, "mouldy"])
async def test_a_flaw_has_a_name(certificates: Certificates, named: str | None) -> None:
    async with provider("smtp-starttls", **certificates.config) as fake:
        with pytest.raises(FaultRefused, match="expired, wrong-name, untrusted"):
            fake.running.faults.put(ProviderFault(id="f1", type="certificate", named=named))


async def test_commands_injected_behind_starttls_are_forgotten(certificates: Certificates) -> None:
    async with provider("smtp-starttls", **certificates.config) as fake, raw(fake.port) as client:
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@sender.example>\r\nRCPT TO:<victim@customer.example>\r\n")
        assert (await client.reply()).startswith("220")
        await client.writer.start_tls(certificates.client_context(), server_hostname="localhost")
        assert (await client.ask("RCPT TO:<victim@customer.example>")).startswith("503")
        assert (await client.ask("EHLO client.example")).startswith("250")
        assert (await client.ask("MAIL FROM:<sender@sender.example>")).startswith("250")
        assert (await client.ask("QUIT")).startswith("221")
        assert "evil" not in " ".join(map(str, fake.records))


async def test_under_tls_nobody_may_start_it_again(certificates: Certificates) -> None:
    async with provider("smtp-starttls", **certificates.config) as fake, raw(fake.port) as client:
        await client.start_tls(certificates.client_context())
        assert "STARTTLS" not in await client.ask("EHLO client.example")
        assert (await client.ask("STARTTLS")).startswith("500")
