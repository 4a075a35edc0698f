"""smtplib and aiosmtplib against the SMTP fakes, through a proxy: what they raise, and what they do unasked.

Neither tries a message again. Where a server offers several ways to log in, each tries them one after the
other, so that one wrong password is two attempts at the provider.
"""

from __future__ import annotations

import asyncio
import inspect
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiosmtplib
import pytest

from harness.providers.wire import ProviderFault
from tests.providers.clients.observations import (
    SENT,
    Case,
    Observation,
    Table,
    outcome_of,
    version_major,
)
from tests.providers.clients.proxied import proxied
from tests.providers.conftest import Certificates
from tests.providers.running import RECIPIENT, ROUTE, message, provider
from tests.waiting import until

TABLE = "smtp"
PATIENCE_S = 30.0  # of a client whose answer comes in time
TIMEOUT_S, LATE_S = 3.0, 60.0  # a client waits so long for an answer that comes so late
SENDER = "sender@sender.example"
BOTH = ("smtplib", "aiosmtplib")
COPY = "taken: a copy, if it is sent again"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What the provider does, and what is to be said of it."""

    case: str
    preset: str = "microsoft365-smtp"
    fault: dict[str, Any] = field(default_factory=dict)
    secret: str = ROUTE.secret
    timeout_s: float = PATIENCE_S
    notes: dict[str, str] = field(default_factory=dict)  # by client

    @property
    def id(self) -> str:
        return self.case.replace(" ", "-")


TRIALS = [
    Trial(case=Case.SUCCESS),
    Trial(case=Case.AUTH_FAILURE, secret="wrong"),
    Trial(
        case="auth failure, two mechanisms offered",
        preset="smtp",
        secret="wrong",
        notes=dict.fromkeys(
            ("smtplib", "aiosmtplib"), "the second mechanism is tried with the same password"
        ),
    ),
    Trial(case=Case.THROTTLE, fault={"type": "refuse", "named": "concurrent-connections"}),
    Trial(case=Case.SERVER_ERROR, fault={"type": "refuse", "named": "temporary-server-error"}),
    Trial(case="server error at the connection", fault={"type": "refuse", "named": "service-not-available"}),
    Trial(case="recipient refused", fault={"type": "refuse", "code": 550, "stage": "rcpt"}),
    Trial(case="quota", fault={"type": "refuse", "named": "submission-quota"}),
    Trial(case=Case.RESET, fault={"type": "ack-loss"}, notes=dict.fromkeys(BOTH, COPY)),
    Trial(
        case=Case.LATE_REPLY,
        fault={"type": "slow-ack", "delay_s": LATE_S},
        timeout_s=TIMEOUT_S,
        notes={"smtplib": f"looks like a reset; {COPY}", "aiosmtplib": COPY},
    ),
    Trial(case="certificate expired", fault={"type": "certificate", "named": "expired"}),
]


@dataclass(frozen=True, kw_only=True)
class Client:
    name: str
    version_major: int
    default_timeout: float | None
    send: Callable[[Trial, int, ssl.SSLContext | None], Awaitable[None]]  # port, TLS
    errors: tuple[type[BaseException], ...]


async def by_smtplib(trial: Trial, port: int, tls: ssl.SSLContext | None) -> None:
    def send() -> None:
        with smtplib.SMTP("localhost", port, timeout=trial.timeout_s) as client:
            if tls is not None:
                client.starttls(context=tls)
            client.login(ROUTE.username, trial.secret)
            client.sendmail(SENDER, [RECIPIENT], message())

    await asyncio.to_thread(send)


async def by_aiosmtplib(trial: Trial, port: int, tls: ssl.SSLContext | None) -> None:
    await aiosmtplib.send(
        message(),
        sender=SENDER,
        recipients=[RECIPIENT],
        hostname="localhost",
        port=port,
        timeout=trial.timeout_s,
        start_tls=tls is not None,
        tls_context=tls,
        username=ROUTE.username,
        password=trial.secret,
    )


CLIENTS = [
    Client(
        name="smtplib",
        version_major=version_major("python"),
        default_timeout=None,
        send=by_smtplib,
        errors=(smtplib.SMTPException, OSError),
    ),
    Client(
        name="aiosmtplib",
        version_major=version_major("aiosmtplib"),
        default_timeout=inspect.signature(aiosmtplib.SMTP).parameters["timeout"].default,
        send=by_aiosmtplib,
        errors=(aiosmtplib.SMTPException, OSError),
    ),
]


def told_code(error: BaseException) -> int | None:
    """The code that an exception tells, wherever the library has put it."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return next(iter(error.recipients.values()))[0]
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return error.recipients[0].code
    return None


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.id)
async def test_what_a_client_makes_of_it(
    client: Client, trial: Trial, certificates: Certificates, observed: Table
) -> None:
    encrypted = trial.preset != "smtp"
    files = certificates.config if encrypted else {}
    async with provider(trial.preset, **files) as fake, proxied(fake.port) as port:
        if trial.fault:
            fake.running.faults.put(ProviderFault(id="f1", **trial.fault))
        outcome = SENT
        try:
            await client.send(trial, port, certificates.client_context() if encrypted else None)
        except client.errors as error:
            outcome = outcome_of(error, told_code(error))
        await until(lambda: bool(fake.receipts))
        attempts = len({receipt.attempt for receipt in fake.receipts})
    observed.record(
        Observation(
            client=client.name,
            version_major=client.version_major,
            case=trial.case,
            outcome=outcome,
            retries=attempts - 1,
            default_timeout=client.default_timeout,
            note=trial.notes.get(client.name, ""),
        )
    )


async def test_smtplib_waits_for_ever_unless_told_otherwise(certificates: Certificates) -> None:
    with smtplib.SMTP() as client:
        assert client.timeout is smtplib.socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]
    assert smtplib.socket.getdefaulttimeout() is None  # type: ignore[attr-defined]


async def test_one_refused_recipient_of_two_is_no_exception_to_either() -> None:
    other = "c.aaaaaaaaaaaaaaaa@customer.example"
    async with provider("smtp") as fake, proxied(fake.port) as port:
        refused = ProviderFault(id="f1", type="refuse", named="mailbox-unavailable", recipient=other)
        fake.running.faults.put(refused)

        def send() -> dict[str, tuple[int, bytes]]:
            with smtplib.SMTP("localhost", port, timeout=10) as client:
                return client.sendmail(SENDER, [RECIPIENT, other], message())

        assert (await asyncio.to_thread(send))[other][0] == 550
        errors, _ = await aiosmtplib.send(
            message(),
            sender=SENDER,
            recipients=[RECIPIENT, other],
            hostname="localhost",
            port=port,
            start_tls=False,
        )
        assert errors[other].code == 550
        results = [(each.recipient, each.result.value) for each in fake.receipts]
        assert results == [(other, "refused"), (RECIPIENT, "accepted")] * 2
