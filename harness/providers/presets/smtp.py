"""A plain submission server: no provider in particular. A login is possible, not needed; TLS if there is a
certificate."""

from __future__ import annotations

from datetime import date

from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.preset import SmtpPreset

_LINES = ("SIZE 35882577", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING")
_AUTH = "AUTH PLAIN LOGIN"

PRESET = SmtpPreset(
    name="smtp",
    summary="Plain SMTP submission: optional AUTH (PLAIN, LOGIN), STARTTLS if there is a certificate",
    dated=date(2026, 11, 24),
    hosts={"frontend": "smtp.provider.example"},
    ehlo=(*_LINES, "STARTTLS", _AUTH),
    ehlo_tls=(*_LINES, _AUTH),
    named={
        "busy": SmtpAnswer(code=451, text="4.3.2 System busy, try again later"),
        "mailbox-unavailable": SmtpAnswer(
            code=550, text="5.1.1 <{recipient}> Mailbox unavailable", stage=Stage.RCPT
        ),
        "rejected": SmtpAnswer(code=554, text="5.7.1 Message rejected", stage=Stage.BODY),
        "auth-unsuccessful": SmtpAnswer(
            code=535, text="5.7.8 Authentication credentials invalid", stage=Stage.AUTH
        ),
        "service-unavailable": SmtpAnswer(
            code=421, text="4.3.2 Service not available, closing channel", stage=Stage.CONNECT
        ),
    },
)
