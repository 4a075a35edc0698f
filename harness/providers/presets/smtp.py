"""A plain submission server: no provider in particular. A login is possible, not needed; TLS if there is a
certificate. It can greylist (`greylist_s`), as milter-greylist does and in its words; what a throttle finds
too fast is refused in those of Postfix's anvil (450 at MAIL there; here after the dot).
"""

from __future__ import annotations

from datetime import date

from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.limits import GreylistingLimits
from harness.providers.smtp.preset import SmtpPreset
from harness.providers.smtp.voice import Texts

_LINES = ("SIZE 35882577", "PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING")
_AUTH = "AUTH PLAIN LOGIN"

PRESET = SmtpPreset(
    name="smtp",
    summary="Plain SMTP submission: optional AUTH (PLAIN, LOGIN), STARTTLS if there is a certificate",
    dated=date(2026, 11, 24),
    hosts={"frontend": "smtp.provider.example"},
    ehlo=(*_LINES, "STARTTLS", _AUTH),
    ehlo_tls=(*_LINES, _AUTH),
    limits=GreylistingLimits,
    texts=Texts(throttled="450 4.7.1 Error: too much mail from {ip}"),
    named={
        "busy": SmtpAnswer(code=451, text="4.3.2 System busy, try again later"),
        "mailbox-unavailable": SmtpAnswer(
            code=550, text="5.1.1 <{recipient}> Mailbox unavailable", stage=Stage.RCPT
        ),
        "too-much-mail": SmtpAnswer(code=450, text="4.7.1 Error: too much mail from {ip}"),
        "greylisted": SmtpAnswer(
            code=451, text="4.7.1 Greylisting in action, please come back later", stage=Stage.RCPT
        ),
        "mailbox-full": SmtpAnswer(code=452, text="4.2.2 <{recipient}> Mailbox full", stage=Stage.RCPT),
        "relay-denied": SmtpAnswer(
            code=554, text="5.7.1 <{recipient}>: Relay access denied", stage=Stage.RCPT
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
