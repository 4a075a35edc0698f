"""What every answer means that the SMTP fakes have a name for, and those that SES gives by SMTP."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from mailrouter.fate import Outcome, SmtpStage, smtp_answer

from harness.providers import presets
from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.tls import make_ca
from tests.systems.fakes import fake, message, route_to

STAGES = {
    Stage.CONNECT: SmtpStage.CONNECT, Stage.AUTH: SmtpStage.LOGIN, Stage.MAIL: SmtpStage.SENDER,
    Stage.RCPT: SmtpStage.RECIPIENT, Stage.DATA: SmtpStage.RECIPIENT, Stage.BODY: SmtpStage.BODY,
}  # fmt: skip
PLAIN = {
    Outcome.TROUBLE: ["auth-unsuccessful", "busy", "relay-denied", "service-unavailable"],
    Outcome.BUSY: ["too-much-mail"],
    Outcome.LATER: ["greylisted", "mailbox-full"],
    Outcome.REJECTED: ["mailbox-unavailable", "rejected"],
}
JUDGED = {
    "microsoft365-smtp": {
        Outcome.TROUBLE: [
            "auth-credentials-incorrect", "auth-criteria-unmet", "auth-disabled-for-tenant",
            "auth-temporary-failure", "auth-unsuccessful", "basic-auth-disabled", "basic-auth-retired",
            "mailbox-full", "not-authenticated", "send-as-denied", "server-busy", "service-not-active",
            "service-not-available", "submission-quota", "temporary-server-error",
            "temporary-server-error-prx", "unauthenticated-domain",
        ],
        Outcome.BUSY: ["concurrent-connections", "sender-thread-limit", "too-many-connections"],
    },
    "smtp": PLAIN,
    "smtp-starttls": PLAIN,
    "inbound-mx": {
        Outcome.TROUBLE: ["banned-ip", "relay-denied", "server-busy", "service-not-available",
                          "temporary-server-error", "unauthenticated-domain"],
        Outcome.BUSY: ["rate-limited", "too-many-connections"],
        Outcome.REJECTED: ["recipient-unknown"],
    },
}  # fmt: skip


@pytest.mark.parametrize("preset", JUDGED)
def test_every_answer_that_a_fake_has_a_name_for_is_understood(preset: str) -> None:
    meant = {name: outcome for outcome, names in JUDGED[preset].items() for name in names}
    found = {}
    for name, answer in presets.load(preset).named.items():  # type: ignore[attr-defined]
        assert isinstance(answer, SmtpAnswer)
        stage = STAGES[answer.stage or Stage.MAIL]
        found[name] = smtp_answer(stage, answer.code, answer.text).outcome
    assert found == meant


@pytest.mark.parametrize(
    ("stage", "code", "text", "outcome", "bad_recipient"),
    [
        (SmtpStage.BODY, 454, "Throttling failure: Maximum sending rate exceeded", Outcome.BUSY, False),
        (SmtpStage.BODY, 454, "Throttling failure: Daily message quota exceeded", Outcome.TROUBLE, False),
        (SmtpStage.RECIPIENT, 550, "5.1.1 no such user", Outcome.REJECTED, True),
        (SmtpStage.RECIPIENT, 550, "5.7.1 not wanted", Outcome.REJECTED, False),
        (SmtpStage.BODY, 550, "5.1.1 of something else", Outcome.REJECTED, False),
        (SmtpStage.SENDER, 550, "5.7.30 Basic authentication is not supported", Outcome.TROUBLE, False),
        (SmtpStage.BODY, 250, "2.0.0 OK", Outcome.ACCEPTED, False),
    ],
)
def test_whose_fault_an_answer_is(
    stage: SmtpStage, code: int, text: str, outcome: Outcome, bad_recipient: bool
) -> None:
    result = smtp_answer(stage, code, text)
    assert (result.outcome, result.bad_recipient) == (outcome, bad_recipient)


@pytest.mark.parametrize("scheme", ["smtp", "smtp+starttls"])
async def test_a_server_that_wants_no_login_takes_the_first_message(scheme: str, tmp_path: Path) -> None:
    ca, cert, key = make_ca(tmp_path, [])
    tls = ssl.create_default_context(cafile=str(ca))
    async with (
        fake("inbound-mx", tls_cert_path=str(cert), tls_key_path=str(key)) as mx,
        route_to(f"{scheme}://127.0.0.1:{mx.provider.port}", tls=tls) as route,
    ):
        assert (await route.send(message(), lambda: None)).outcome is Outcome.ACCEPTED
