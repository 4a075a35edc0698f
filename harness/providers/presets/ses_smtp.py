"""Amazon SES by SMTP (email-smtp.<region>.amazonaws.com, port 587), as of November 2026.

What is modelled: STARTTLS before a login, AUTH PLAIN and LOGIN, and the sending limits of an account out of
the sandbox. What exceeds them is answered `454 Throttling failure` after the message, and SES keeps nothing
of it: whether it is ever sent is the sender's business alone.

Where the texts come from: [D] AWS's developer guide (testing the SMTP interface from a command line;
response codes of the SMTP interface; sending quotas and what exceeds them). [P] sessions that users posted.
[M] general knowledge: the words of commands out of order, and of STARTTLS.
"""

from __future__ import annotations

from datetime import date

from pydantic import Field

from harness.providers.credentials import CredentialShape
from harness.providers.smtp.answers import SmtpAnswer, Stage
from harness.providers.smtp.limits import PacedLimits
from harness.providers.smtp.preset import SmtpPreset
from harness.providers.smtp.voice import Texts

_TOO_FAST = "Throttling failure: Maximum sending rate exceeded"  # [D]
_QUOTA = "Throttling failure: Daily message quota exceeded"  # [D]


class SesSmtpLimits(PacedLimits):
    """[D] The usual quotas of an account out of the sandbox; each counts recipients, not messages."""

    recipients_per_day: int | None = Field(50_000, ge=1)
    recipients_per_message: int | None = Field(50, ge=1)
    message_bytes: int = Field(10_485_760, ge=1_000, description="as offered by SIZE")


PRESET = SmtpPreset(
    name="ses-smtp",
    summary="Amazon SES by SMTP: STARTTLS, PLAIN and LOGIN, 14 recipients a second, 454 after the message",
    dated=date(2026, 11, 27),
    scheme="smtp+starttls",
    hosts={"frontend": "email-smtp.amazonaws.com", "build": "d-VCSHDP1YZ"},
    ehlo=("8BITMIME", "SIZE 10485760", "STARTTLS", "Ok"),
    ehlo_tls=("8BITMIME", "SIZE 10485760", "AUTH PLAIN LOGIN", "Ok"),
    auth_required=True,
    tls_required=True,
    limits=SesSmtpLimits,
    credential=CredentialShape(username="AKIA{upper:16}", secret="{text:44}"),
    texts=Texts(
        greeting="220 {frontend} ESMTP SimpleEmailService-{build} {session}",  # [D]
        hello="{frontend}",  # [D]
        start_tls="220 Ready to start TLS",
        auth_ok="235 Authentication successful.",  # [D]
        auth_refused="535 Authentication Credentials Invalid",  # [D]
        auth_needed="530 Authentication required",  # [D]
        mail_ok="250 Ok",  # [D]
        rcpt_ok="250 Ok",  # [D]
        accepted="250 Ok 0100{milliseconds}-{uuid}-000000",  # [P]
        reset="250 Ok",
        noop="250 Ok",
        goodbye="221 Bye",  # [D]
        throttled=f"454 {_TOO_FAST}",
        quota_exceeded=f"454 {_QUOTA}",
        idle="451 4.4.2 Timeout waiting for data from client.",  # [P]
    ),
    named={
        "sending-rate-exceeded": SmtpAnswer(code=454, text=_TOO_FAST, stage=Stage.BODY),
        "daily-quota-exceeded": SmtpAnswer(code=454, text=_QUOTA, stage=Stage.BODY),
        "service-failure": SmtpAnswer(code=451, text="Temporary service failure", stage=Stage.BODY),  # [D]
        "too-many-connections": SmtpAnswer(  # [D]
            code=421, text="Too many concurrent SMTP connections", stage=Stage.CONNECT
        ),
        "not-verified": SmtpAnswer(  # [D]
            code=554, text="Message rejected: Email address is not verified.", stage=Stage.BODY
        ),
        "access-denied": SmtpAnswer(  # [D]
            code=554,
            text="Access denied: User is not authorized to perform ses:SendRawEmail",
            stage=Stage.BODY,
        ),
        "credentials-invalid": SmtpAnswer(
            code=535, text="Authentication Credentials Invalid", stage=Stage.AUTH
        ),
    },
)
